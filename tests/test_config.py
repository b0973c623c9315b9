"""Settings: the article's defaults, validation, presets."""

import copy
import dataclasses
import inspect
import json
import math
import pickle
import re

import numpy as np
import pytest

from ppo_np.config import PPOConfig, preset_about, preset_for, preset_names
from ppo_np.errors import UserError
from ppo_np.literals import wrapper_call

GENERIC = ("generic-discrete", "generic-continuous")
ARTICLE = {
    "env_id": "LunarLander-v3", "seed": 42, "total_timesteps": 2_000_000, "num_envs": 4, "num_steps": 128,
    "num_minibatches": 4, "update_epochs": 4, "learning_rate": 2.5e-4, "anneal_lr": True, "gamma": 0.99,
    "gae_lambda": 0.95, "clip_coef": 0.2, "ent_coef": 0.01, "vf_coef": 0.5, "max_grad_norm": 0.5, "adam_eps": 1e-5,
    "shared_sizes": (1024, 1024), "policy_sizes": (), "value_sizes": (), "activation": "relu",
}  # fmt: skip


def test_the_defaults_are_the_articles_run():
    assert {name: getattr(PPOConfig(), name) for name in ARTICLE} == ARTICLE


def test_the_preset_article_is_the_default():
    assert PPOConfig.preset("article") == PPOConfig()


def test_every_preset_loads():
    assert "article" in preset_names()
    for name in preset_names():
        assert isinstance(PPOConfig.preset(name), PPOConfig)


def test_presets_are_named_by_their_environment():
    for name in set(preset_names()) - {"article", "cleanrl", *GENERIC}:
        assert preset_for(PPOConfig.preset(name).env_id) == name
        assert preset_about(name)[0].isupper()
    for env_id in ("CartPole-v0", "Nope-v1", "mymodule:CartPole-v1", "article", ""):
        assert preset_for(env_id) is None


@pytest.mark.parametrize("name", ["learning_rate", "clip_coef", "ent_coef"])
def test_what_is_annealed_falls_linearly(name):
    flag = {"learning_rate": "anneal_lr"}.get(name, f"anneal_{name}")
    config = PPOConfig(total_timesteps=4 * 512, **{name: 1.0, "anneal_lr": False, flag: True})
    assert [getattr(config.annealed(update * 512), name) for update in range(4)] == [1.0, 0.75, 0.5, 0.25]
    constant = dataclasses.replace(config, **{flag: False})
    assert constant.annealed(512) == constant


def test_every_field_is_documented():
    source = inspect.getsource(PPOConfig)
    for field in dataclasses.fields(PPOConfig):
        after = source.split(f"\n    {field.name}: ")[1].split("\n")[1]
        assert after.strip().startswith('"""'), field.name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("num_envs", "num_steps", "num_minibatches", "update_epochs", "total_timesteps")
          for value in (0, -1, 1.5, True, "4", math.inf, math.nan)),
        *((name, value) for name in ("gamma", "gae_lambda") for value in (-0.01, 1.01, math.nan, "1")),
        *((name, value) for name in ("learning_rate", "clip_coef", "adam_eps")
          for value in (0, -1e-4, math.nan, math.inf)),
        *((name, value) for name in ("adam_beta1", "adam_beta2") for value in (-0.1, 1.0)),
        *((name, value) for name in ("ent_coef", "vf_coef", "seed", "threads") for value in (-1,)),
        ("norm_obs", 1), ("vectorization", "threads"), ("num_env_threads", -1), ("env_timeout", 0),
        ("env_timeout", 1e-6), ("env_timeout", 1e-300),
        ("env_timeout", None), ("env_timeout", math.nan), ("target_kl", 0.0), ("target_kl", math.inf),
        ("target_kl", "0.1"),        ("log_std_init", 11.0), ("anneal_clip_coef", "no"), ("anneal_ent_coef", 0),
        ("seed", 0.5), ("max_grad_norm", 0.0), ("max_grad_norm", -math.inf), ("activation", "gelu"), ("env_id", 3),
        ("anneal_lr", 1), ("shared_sizes", (64, 0)), ("policy_sizes", (True,)), ("value_sizes", (64.5,)),
        ("policy_sizes", 64), ("value_sizes", "64"), ("value_sizes", {64}), ("shared_sizes", ((64,),)),
        ("env_id", ["CartPole-v1"]), ("gamma", [0.9]), ("activation", ("relu",)), ("gamma", 1j),
        ("num_minibatches", 3), ("env_kwargs", ["a=1"]), ("env_kwargs", {"1a": 1}), ("env_kwargs", {3: 1}),
        ("env_kwargs", "a=1"), ("env_kwargs", None), ("wrappers", "a:B"), ("wrappers", (3,)), ("wrappers", None),
        *(("max_episode_steps", value) for value in (0, -1, 1.5, True, "4", math.inf)),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_by_name(name, value):
    with pytest.raises(UserError, match="^" + re.escape(f"{name} is {value!r}, but it must be")):
        PPOConfig(**{name: value})


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("total_timesteps", 1e6, 1_000_000), ("num_envs", np.int32(8), 8), ("seed", np.uint64(2**63 - 9), 2**63 - 9),
        ("num_steps", np.float32(64), 64), ("seed", np.array(5), 5), ("gamma", np.float16(0.5), 0.5), ("gamma", 1, 1),
        ("gamma", np.float32(0.1), 0.10000000149011612), ("learning_rate", np.float64(0.1), 0.1),
        ("gamma", np.int8(1), 1), ("max_grad_norm", np.float32(math.inf), math.inf), ("norm_obs", np.True_, True),
        ("target_kl", None, None), ("max_episode_steps", 1e3, 1000), ("max_episode_steps", np.int8(5), 5),
        ("wrappers", ["a:B"], ("a:B",)), ("wrappers", (np.str_("a:B"),), ("a:B",)),
        ("env_kwargs", {np.str_("a"): np.int64(3), "b": np.array([1.5])}, {"a": 3, "b": [1.5]}),
        ("activation", np.str_("tanh"), "tanh"), ("env_id", np.str_("Pendulum-v1"), "Pendulum-v1"),
        ("shared_sizes", [64, 32], (64, 32)), ("policy_sizes", np.array([8, 4], np.int16), (8, 4)),
        ("value_sizes", [], ()),
        ("value_sizes", (np.int64(3), 4.0), (3, 4)), ("shared_sizes", np.array([64.0]), (64,)),
    ],
)  # fmt: skip
def test_a_value_of_another_type_becomes_the_plain_python_value_that_is_the_same(name, given, kept):
    config = PPOConfig(**{name: given})
    assert repr(getattr(config, name)) == repr(kept)
    assert config == PPOConfig(**{name: kept}) == PPOConfig.from_dict(json.loads(json.dumps(config.to_dict())))


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("seed", np.True_), ("seed", np.float32(0.5)), ("num_envs", np.array([4])), ("num_envs", np.float64(math.inf)),
        ("gamma", np.True_), ("gamma", np.float32(math.nan)), ("gamma", np.complex64(0.5)), ("norm_obs", np.int64(1)),
        ("gamma", np.longdouble("0.1")), ("shared_sizes", np.array([64.5])), ("shared_sizes", np.array(64)),
        ("shared_sizes", np.array([[64]])), ("shared_sizes", [np.True_]), ("env_id", np.bytes_(b"CartPole-v1")),
        ("seed", np.timedelta64(3, "s")), ("activation", np.array(["relu"])),
    ],
)  # fmt: skip
def test_a_value_that_no_plain_value_equals_is_refused_by_name(name, given):
    with pytest.raises(UserError, match=f"^{name} is .*, but it must be"):
        PPOConfig(**{name: given})


@pytest.mark.parametrize(
    "settings",
    [
        {"gamma": 0},
        {"gamma": 1},
        {"gae_lambda": 0.0},
        {"ent_coef": 0},
        {"max_grad_norm": math.inf},
        {"env_timeout": math.inf},
        {"target_kl": None},
        {"target_kl": 1},
        {"log_std_init": -10},
        {"shared_sizes": ()},
    ],
)
def test_the_edges_are_allowed(settings):
    PPOConfig(**settings)


LARGEST = {
    "seed": 2**63 - 5, "total_timesteps": 2**62, "update_epochs": 10_000, "num_envs": 2**16, "threads": 4096,
    "num_env_threads": 4096,
}  # fmt: skip


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(PPOConfig) if f.type is int])
def test_an_integer_that_cannot_be_kept_or_used_is_refused_in_one_short_sentence(name):
    """Every integer field; the messages are short even where Python does not print the number."""
    if name in LARGEST:
        assert getattr(PPOConfig(**{name: LARGEST[name]}), name) == LARGEST[name]
    too_large = [2**63, 2**64, 10**30, 10**400, 10**5000, *([LARGEST[name] + 1] if name in LARGEST else [])]
    for value in too_large:
        with pytest.raises(UserError) as refused:
            PPOConfig(**{name: value})
        text = str(refused.value)
        assert name in text
        assert len(text) < 500


@pytest.mark.parametrize("name", ["shared_sizes", "policy_sizes", "value_sizes"])
def test_sizes_are_refused_before_they_are_too_large_for_numpy(name):
    PPOConfig(**{name: (2**24,)})
    for size in (2**24 + 1, 2**31, 2**62, 10**30, 10**5000):
        with pytest.raises(UserError, match=f"^{name} is .*, but it must be at most 2\\*\\*24 each"):
            PPOConfig(**{name: (size, size)})


def test_more_environments_are_allowed_where_they_are_stepped_together():
    for vectorization in ("sync", "async"):
        with pytest.raises(UserError, match=r"^num_envs is 131072, but it must be at most 2\*\*16 with "):
            PPOConfig(num_envs=2**17, vectorization=vectorization)
    assert PPOConfig(num_envs=2**20, vectorization="vector").num_envs == 2**20


def test_seeds_of_envpool_are_integers_of_32_bits():
    assert PPOConfig(vectorization="envpool", seed=2**31 - 5).seed == 2**31 - 5
    with pytest.raises(UserError, match=r"^seed is 2147483644, but it must be below 2\*\*31 - num_envs"):
        PPOConfig(vectorization="envpool", seed=2**31 - 4)


@pytest.mark.parametrize("seconds", [1e-300, 5e-324, 1e-6, 0.009])
def test_a_time_limit_that_no_step_can_keep_is_refused(seconds):
    with pytest.raises(UserError, match=r"^env_timeout is .*, but it must be at least 0\.01"):
        PPOConfig(env_timeout=seconds)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("n_steps", "n_steps is no setting of PPO: did you mean num_steps?"),
        ("learning_rat", "learning_rat is no setting of PPO: did you mean learning_rate?"),
        ("batch_size", "batch_size is no setting of PPO: use num_minibatches = "),
        ("num_updates", "num_updates is no setting of PPO: use total_timesteps."),
        ("qqqq", "qqqq is no setting of PPO: known are env_id, env_kwargs, "),
    ],
)
def test_a_wrong_name_suggests_the_right_one(name, sentence):
    for make in (PPOConfig, lambda **wrong: dataclasses.replace(PPOConfig(), gamma=0.5, **wrong)):
        with pytest.raises(UserError, match="^" + re.escape(sentence)):
            make(**{name: 5})


def test_the_fields_are_the_arguments():
    """Editors, type checkers and tyro see the fields, and copies and pickles need no names."""
    parameters = inspect.signature(PPOConfig).parameters.values()
    assert [(one.name, one.kind) for one in parameters] == [
        (field.name, inspect.Parameter.KEYWORD_ONLY) for field in dataclasses.fields(PPOConfig)
    ]
    config = PPOConfig(seed=7, env_kwargs={"a": 1})
    assert copy.deepcopy(config) == pickle.loads(pickle.dumps(config)) == config


def test_dict_round_trip():
    config = PPOConfig(shared_sizes=(), policy_sizes=(3, 2), gamma=0.5, seed=7)
    assert PPOConfig.from_dict(config.to_dict()) == config


ARGUMENTS = {
    "a": False, "b": 8, "c": 0.1, "d": "abc", "e": "8", "f": "two\nlines", "g": None, "h": (4, (5, [6])),
    "i": {"k": {1}}, "j": "", "k": " 8", "l": b"x", "m": "'8'", "n": -0.5, "o": "None",
}  # fmt: skip


def test_keyword_arguments_come_back_from_json_with_their_types():
    config = PPOConfig(env_kwargs=ARGUMENTS)
    document = json.loads(json.dumps(config.to_dict()))
    assert document["env_kwargs"] == {
        "a": "False", "b": "8", "c": "0.1", "d": "abc", "e": "'8'", "f": "'two\\nlines'", "g": "None",
        "h": "(4, (5, [6]))", "i": "{'k': {1}}", "j": "", "k": "' 8'", "l": "b'x'", "m": "\"'8'\"", "n": "-0.5",
        "o": "'None'",
    }  # fmt: skip
    again = PPOConfig.from_dict(document)
    assert repr(again.env_kwargs) == repr(config.env_kwargs) == repr(ARGUMENTS)
    assert again == config


def test_values_that_a_preset_holds_as_they_are_stay_so():
    config = PPOConfig.from_dict({"env_kwargs": {"size": 8, "name": "abc", "slippery": False, "shape": [2, 3]}})
    assert config.env_kwargs == {"size": 8, "name": "abc", "slippery": False, "shape": [2, 3]}


def test_settings_of_older_files_have_no_arguments_no_wrappers_and_no_limit():
    old = PPOConfig(seed=7).to_dict()
    for name in ("env_kwargs", "wrappers", "max_episode_steps"):
        del old[name]
    assert PPOConfig.from_dict(old) == PPOConfig(seed=7, env_kwargs={}, wrappers=(), max_episode_steps=None)


def test_the_arguments_are_the_configs_own():
    given = {"sizes": [1]}
    config = PPOConfig(env_kwargs=given)
    given["sizes"].append(2)
    assert config.env_kwargs == {"sizes": [1]}
    assert hash(config) == hash(PPOConfig(env_kwargs={"sizes": [1]}))


@pytest.mark.parametrize(
    "value",
    [object(), math.nan, math.inf, [math.nan], ..., [10**5000], {"a": np.arange(2)}, np, frozenset({1})],
    ids=lambda value: type(value).__name__,
)
def test_an_argument_that_is_no_literal_is_refused_by_name(value):
    with pytest.raises(UserError, match=r"^env_kwargs\['size'\] is .*, but it must be a finite Python literal\.$"):
        PPOConfig(env_kwargs={"size": value})


def test_a_wrapper_is_read_and_nothing_is_evaluated():
    read = wrapper_call("a.b:C(1, [2], x=(3,), name='d, e:(f)')")
    assert read == ("a.b", "C", [1, [2]], {"x": (3,), "name": "d, e:(f)"})
    assert wrapper_call("a:B") == wrapper_call("a:B()") == ("a", "B", [], {})
    assert wrapper_call("os:B(x=-1, y=None)") == ("os", "B", [], {"x": -1, "y": None})


@pytest.mark.parametrize(
    "text",
    [
        "", "a", ":B", "a:", "a.:B", "a-b:C", "./a:B", "a:B.c", "a:B()()", "a:(B)(", "a:B(x=1, x=2)", "a:B(**{})",
        "a:lambda: 0", "a:B; c", "a:B\n", "a:B('\t')", "a:1", "a:B C",
    ],
)  # fmt: skip
def test_a_wrapper_of_another_form_is_refused(text):
    sentence = f"wrappers is {text!r}, but it must be module:Class or module:Class(name=literal, ...)."
    with pytest.raises(UserError, match="^" + re.escape(sentence) + "$"):
        PPOConfig(wrappers=(text,))


@pytest.mark.parametrize("argument", ["open('x')", "1 + n", "n", "*m", "[n]", "(lambda: 0)", "__import__('os')"])
def test_an_argument_of_a_wrapper_that_is_no_literal_is_refused(argument):
    with pytest.raises(UserError, match=r"^wrappers is .*, but it must be .*, and .* is no Python literal\.$"):
        PPOConfig(wrappers=("a:B(1, " + argument + ")",))


def test_the_modules_that_an_environment_imports():
    assert PPOConfig().env_modules == []
    named = PPOConfig(env_id="a.b:X-v0", wrappers=("c:D", "a.b:E(1)", "f.g:H"))
    assert named.env_modules == ["a.b", "c", "f.g"]


def test_an_unknown_setting_is_refused():
    with pytest.raises(UserError, match="unknown setting 'gama'"):
        PPOConfig.from_dict({"gama": 0.9})


def test_an_unknown_preset_is_refused_with_the_list():
    with pytest.raises(UserError, match="^preset is 'nope', but it must be one of acrobot, article, bipedalwalker, "):
        PPOConfig.preset("nope")


def test_the_generic_presets_are_as_documented():
    generic = [PPOConfig.preset(name) for name in GENERIC]
    for config in generic:
        assert (config.policy_sizes, config.value_sizes, config.shared_sizes) == ((64, 64), (64, 64), ())
        assert (config.activation, config.total_timesteps, config.anneal_lr) == ("tanh", 1_000_000, False)
        assert config.norm_obs and config.norm_reward
    assert generic[1] == dataclasses.replace(generic[0], ent_coef=0.0) != generic[0]


def test_a_preset_may_be_a_file(tmp_path, monkeypatch):
    text = 'env_id = "FrozenLake-v1"\ngamma = 0.9\nshared_sizes = [8]\nenv_kwargs = {is_slippery = false}\n'
    (tmp_path / "my.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    settings = {"gamma": 0.9, "shared_sizes": (8,), "env_kwargs": {"is_slippery": False}}
    assert PPOConfig.preset("my.toml") == PPOConfig(env_id="FrozenLake-v1", **settings)
    assert PPOConfig.preset(str(tmp_path / "my.toml")) == PPOConfig.preset("my.toml")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"gama = 0.9", r"preset '{}': the file has the unknown setting 'gama'; did you mean gamma\?"),
        (b"gamma = 9", r"preset '{}': gamma is 9, but it must be in \[0, 1\]\."),
        (b"gamma = 1979-05-27", r"preset '{}': gamma is datetime.*, but it must be a finite number\."),
        (b"[ppo]\ngamma = 0.9", r"preset '{}': the file has the unknown setting 'ppo'; known are .*\."),
        (b"gamma = ", r"preset is '{}', but that file is not in TOML: Invalid value \(at .*\)\."),
        (b"gamma = 1 # \xff", r"preset is '{}', but that file is not in TOML: 'utf-8' codec can't decode .*\."),
        (None, r"preset is '{}', but that file cannot be read: No such file or directory\."),
    ],
)
def test_a_file_with_a_mistake_is_one_sentence_with_its_name(text, sentence, tmp_path):
    file = tmp_path / "my.toml"
    if text is not None:
        file.write_bytes(text)
    with pytest.raises(UserError) as caught:
        PPOConfig.preset(str(file))
    assert re.fullmatch(sentence.format(re.escape(str(file))), str(caught.value)), str(caught.value)


@pytest.mark.parametrize(("total", "updates"), [(1, 1), (512, 1), (513, 2), (2_000_000, 3907)])
def test_updates_cover_the_steps_and_overshoot_by_less_than_a_rollout(total, updates):
    config = PPOConfig(total_timesteps=total)
    assert config.num_updates == updates
    assert 0 <= config.num_updates * config.batch_size - total < config.batch_size


def test_sizes_of_batches():
    config = PPOConfig(num_envs=3, num_steps=8, num_minibatches=6)
    assert (config.batch_size, config.minibatch_size) == (24, 4)
