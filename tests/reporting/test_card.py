"""The model card: the hub's own reader understands it, and nothing of others is overwritten."""

import json

import pytest
from commands import run
from report_runs import make_run

import ppo_np
from ppo_np.card import main
from ppo_np.logs.filenames import BEST, CHECKPOINT, CONFIG, METRICS, VIDEOS
from ppo_np.reporting import card
from ppo_np.reporting.groups import Run
from ppo_np.running import cli
from ppo_np.train import main as train

REPORT = {
    "mean_return": -1.25, "std_return": 2.5, "min_return": -7.0, "max_return": 3.0, "mean_length": 8.5, "episodes": 4,
    "max_episode_steps": 1000, "video": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a short run."""
    folder = tmp_path_factory.mktemp("card") / "run"
    small = ["--env-id", "CartPole-v1", "--policy-sizes", "8", "--value-sizes", "8", "--total-timesteps", "256"]
    assert train([*small, "--run-dir", str(folder)]) == 0
    return folder


def read_by_the_hub(text):
    """The card as huggingface_hub reads it."""
    hub = pytest.importorskip("huggingface_hub")
    return hub.ModelCard(text)


def test_the_hub_reads_the_card_of_a_run(trained, capsys):
    (trained / VIDEOS).mkdir()
    (trained / VIDEOS / "rl-video-episode-0.mp4").write_bytes(b"film")
    assert run(main, trained, "--episodes", "3") == 0
    out = trained / "hub"
    assert {path.name for path in out.iterdir()} == {"README.md", CHECKPOINT, CONFIG, "replay.mp4"}
    assert (out / CHECKPOINT).read_bytes() == (trained / CHECKPOINT).read_bytes()
    assert (out / CONFIG).read_bytes() == (trained / CONFIG).read_bytes()
    assert (out / "replay.mp4").read_bytes() == b"film"
    data = read_by_the_hub((out / "README.md").read_text()).data
    assert data.library_name == "ppo_np"
    assert data.tags == ["CartPole-v1", "ppo", "deep-reinforcement-learning", "reinforcement-learning", "ppo_np"]
    (result,) = data.eval_results
    assert (result.task_type, result.dataset_type, result.dataset_name) == (
        "reinforcement-learning", "CartPole-v1", "CartPole-v1",
    )  # fmt: skip
    assert (result.metric_type, result.verified) == ("mean_reward", False)
    printed = capsys.readouterr().out
    assert printed.startswith(f"mean_reward      {result.metric_value}, 3 episodes\n")
    assert printed.endswith(f"to upload        hf upload USER/NAME {out}\n")
    assert ppo_np.load_policy(out).predict([0.0, 0.0, 0.0, 0.0]) in (0, 1)
    assert run(main, trained, "--episodes", "3") == 0  # its own card may be replaced


def test_a_card_plays_what_evaluate_plays_and_can_be_evaluated(trained, tmp_path, capsys):
    from ppo_np.evaluate import main as evaluate

    assert run(main, trained, "--episodes", "2", "--seed", "5", "--out", tmp_path / "new" / "card") == 0
    mean, _, std = capsys.readouterr().out.split()[1:4]
    assert run(evaluate, tmp_path / "new" / "card", "--episodes", "2", "--seed", "5", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (mean, std) == (f"{report['mean_return']:.2f}", f"{report['std_return']:.2f},")


@pytest.mark.parametrize("env_id", ["module:Env-v0", "ALE/Pong-v5", "yes", "1.0", "Ünder_𝒜-v1", "#x", "a: b"])
def test_any_name_is_read_as_itself(env_id):
    (result,) = read_by_the_hub(card.front_matter(env_id, card.mean_reward(REPORT))).data.eval_results
    assert (result.dataset_type, result.metric_value) == (env_id, "-1.25 +/- 2.50")


def test_the_text_names_result_settings_and_commands(tmp_path):
    found = Run.read(make_run(tmp_path / "run", "--gamma", "0.5", "--wrappers", "m:W(a='|')"))
    text = card.readme(found, BEST, "CartPole-v1", REPORT, None)
    assert "from a run of 10,240 steps with seed 1:\nthe one with the best evaluation during training." in text
    assert "| mean +/- standard deviation | -1.25 +/- 2.50 |" in text
    assert "| gamma | 0.5 | 0.98 |" in text
    assert "| wrappers | m:W(a='\\|') | none |" in text
    assert "python -m ppo_np.train --preset cartpole --wrappers" in text
    assert "film" not in text
    assert "that of the last update" in card.readme(found, CHECKPOINT, "CartPole-v1", REPORT, tmp_path / "replay.gif")


def test_the_best_policy_goes_into_the_card(tmp_path):
    folder = make_run(tmp_path / "run")
    (folder / CHECKPOINT).write_bytes(b"last")
    assert card.policy_file(folder) == folder / CHECKPOINT
    (folder / BEST).write_bytes(b"best")
    assert card.policy_file(folder) == folder / BEST
    (tmp_path / "out").mkdir()
    card.write_card(Run.read(folder), folder / BEST, "CartPole-v1", REPORT, tmp_path / "out")
    assert (tmp_path / "out" / CHECKPOINT).read_bytes() == b"best"


def test_files_of_this_machine_are_named(tmp_path):
    found = Run.read(make_run(tmp_path / "run", "--env-kwargs", "file=/home/me/x.txt"))
    assert card.local_paths(found) == ["/home/me/x.txt"]
    assert card.local_paths(Run.read(make_run(tmp_path / "other"))) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{}/nope"], "RUN is '{}/nope', but it must be a run folder with a readable config.json."),
        (["{}/run"], "RUN is '{}/run', but it must be a run folder with a checkpoint.h5."),
        (["{}/whole", "--episodes", "0"], "episodes is 0, but it must be an integer >= 1."),
        (["{}/whole", "--out", "{}/new"], "checkpoint is '{}/whole/checkpoint.h5', but it cannot be read"),
        (["{}/whole", "--out", "{}/run"], "out is '{}/run', but it must be another folder than that of a run."),
        (["{}/whole", "--out", "{}/theirs"], "it must be a folder without a README.md that is not a card of ppo_np."),
        (["{}/whole", "--out", "{}/file"], "out is '{}/file', but it must be a folder."),
    ],
)
def test_a_mistake_is_one_sentence_and_changes_nothing(tmp_path, capsys, arguments, message):
    make_run(tmp_path / "run")
    (make_run(tmp_path / "whole") / CHECKPOINT).write_bytes(b"no checkpoint")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "README.md").write_text("# Mine\n")
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    assert run(main, *(argument.format(tmp_path) for argument in arguments)) == cli.BAD_ARGUMENTS
    error = capsys.readouterr().err
    assert message.format(tmp_path) in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "run" / METRICS).exists()
