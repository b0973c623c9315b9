"""Flags with several values: which settings they make, their folders, and what is refused."""

import pytest

from ppo_np.errors import UserError
from ppo_np.searching.grid import axes, folder_name, separate, settings

CARTPOLE = ["--preset", "cleanrl"]


def made(*arguments):
    return settings(axes(separate([*CARTPOLE, *arguments], ())[1]), "sweep")


def test_a_flag_of_its_own_takes_its_values_along():
    own, others = separate(
        ["--seeds", "1", "2", "--gamma", "0.9", "--run_dir=x", "--clip-coef=0.1"], ["seeds", "run_dir"]
    )
    assert own == ["--seeds", "1", "2", "--run-dir", "x"]
    assert others == [("--gamma", "0.9"), ("--clip-coef", "0.1")]


def test_settings_are_the_product_and_their_names_tell_the_values():
    points = made("--learning-rate", "1e-3", "3e-4", "--norm-obs", "--no-norm-obs", "--gamma", "0.9")
    assert [point.name for point in points] == [
        "learning_rate=0.001,norm_obs=True",
        "learning_rate=0.001,norm_obs=False",
        "learning_rate=0.0003,norm_obs=True",
        "learning_rate=0.0003,norm_obs=False",
    ]
    assert points[1].values == {"learning_rate": 0.001, "norm_obs": False}
    assert points[1].arguments == (
        "--preset", "cleanrl", "--learning-rate", "1e-3", "--no-norm-obs", "--gamma", "0.9", "--threads", "1",
    )  # fmt: skip
    assert [point.options.config.learning_rate for point in points] == [1e-3, 1e-3, 3e-4, 3e-4]
    assert {point.options.config.gamma for point in points} == {0.9}


def test_a_flag_with_a_list_is_repeated():
    points = made("--policy-sizes", "64", "64", "--policy-sizes", "8", "--policy-sizes", "--threads", "2")
    assert [point.options.config.policy_sizes for point in points] == [(64, 64), (8,), ()]
    assert [point.name for point in points] == ["policy_sizes=64x64", "policy_sizes=8", "policy_sizes=none"]
    assert points[0].arguments[-2:] == ("--threads", "2")


def test_without_several_values_there_is_one_setting_without_a_name():
    (point,) = made("--gamma", "0.9")
    assert (point.name, point.values) == ("", {})


def test_presets_may_be_compared(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for i, folder in enumerate(folders):
        folder.mkdir()
        (folder / "best.toml").write_text(f"learning_rate = {i + 1}e-3")
    points = settings(axes([("--preset", "cleanrl", *(str(folder / "best.toml") for folder in folders))]), "sweep")
    assert [point.name for point in points] == ["preset=cleanrl", "preset=best", "preset=best-2"]
    assert [point.options.config.learning_rate for point in points] == [2.5e-4, 1e-3, 2e-3]


def test_names_of_folders_have_no_separators():
    values = {"env_kwargs": {"a": 1, "b": "x/y"}, "wrappers": ("m:W(k='..')",)}
    assert folder_name(values) == "env_kwargs=a=1+b=x_y,wrappers=m_W_k=_..__"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--gamma", "0.9", "2"], "gamma is 2.0, but it must be in [0, 1]."),
        (["--gamma", "0.9", "9e-1"], "gamma is {'gamma': 0.9}, but it must be a setting that is there once."),
        (["--seed", "1"], "--seed belongs to python -m ppo_np.train; here it is its own flag for seeds."),
        (["--ranks", "2"], "--ranks belongs to python -m ppo_np.train; here it is --jobs: each run is one process."),
        (["--preset", "sarsa"], "preset is 'sarsa'"),
    ],
)
def test_what_is_not_allowed(arguments, sentence):
    with pytest.raises(UserError) as error:
        made(*arguments)
    assert str(error.value).startswith(sentence)


def test_a_word_before_the_first_flag_is_refused():
    with pytest.raises(UserError, match=r"^the first argument is 'CartPole-v1', but it must be a flag"):
        separate(["CartPole-v1"], ())


def test_an_unknown_flag_is_refused_by_the_parser_of_train(capsys):
    with pytest.raises(SystemExit) as stopped:
        made("--learning-rat", "1", "2")
    assert stopped.value.code == 2
    assert "--learning-rat" in capsys.readouterr().err
