"""Schedules: the four formulas, functions of the user, and what is refused."""

import dataclasses
import json
import math

import numpy as np
import pytest

from ppo_np.config import PPOConfig
from ppo_np.errors import UserError
from ppo_np.running import options
from ppo_np.schedules import EXPONENTIAL_END, SETTINGS, field_of, loaded, value_at

FOUR = PPOConfig(total_timesteps=4 * 512)  # the shares of the run that are left: 1, 3/4, 1/2, 1/4
LEFT = [1.0, 0.75, 0.5, 0.25]
FORMULAS = {
    "constant": lambda p: 1.0,
    "linear": lambda p: p,
    "cosine": lambda p: (1 - math.cos(math.pi * p)) / 2,
    "exponential": lambda p: 0.01 ** (1 - p),
}
FUNCTIONS = """
def halved(left):
    return 0.5 * left


nothing = 1
"""


def values(config, setting):
    return [getattr(config.annealed(update * 512), setting) for update in range(4)]


@pytest.fixture
def file(tmp_path):
    (tmp_path / "mine.py").write_text(FUNCTIONS)
    return tmp_path / "mine.py"


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", FORMULAS)
def test_the_formulas(setting, name):
    config = dataclasses.replace(FOUR, **{"anneal_lr": False, field_of(setting): name})
    start = getattr(config, setting)
    np.testing.assert_allclose(values(config, setting), [start * FORMULAS[name](p) for p in LEFT], rtol=1e-15)
    others = set(SETTINGS) - {setting}
    assert all(values(config, other) == [getattr(config, other)] * 4 for other in others)


def test_where_they_end():
    assert value_at("clip_coef", "exponential", 0.2, 0.0) == pytest.approx(0.2 * EXPONENTIAL_END, rel=1e-15)
    assert value_at("clip_coef", "cosine", 0.2, 0.0) == value_at("clip_coef", "linear", 0.2, 0.0) == 0
    assert value_at("learning_rate", "cosine", 1.0, 1e-9) == pytest.approx((math.pi / 2 * 1e-9) ** 2, rel=1e-12)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("schedule", [None, "constant", "linear", "cosine"])
def test_the_anneal_flag_decides_only_without_a_schedule(setting, schedule):
    for anneal in (True, False):
        config = dataclasses.replace(FOUR, **{SETTINGS[setting]: anneal, field_of(setting): schedule})
        assert config.schedules[setting] == (schedule or ("linear" if anneal else "constant"))


def test_a_linear_schedule_is_an_annealed_setting_bit_for_bit():
    config = dataclasses.replace(FOUR, learning_rate=3e-4, total_timesteps=7 * 512)
    other = dataclasses.replace(config, learning_rate_schedule="linear", anneal_lr=False)
    for update in range(7):
        at = [one.annealed(update * 512).learning_rate for one in (config, other)]
        assert at == [3e-4 * (1 - update * 512 / (7 * 512))] * 2


def test_the_values_own_settings_change_by_the_same_factor():
    config = dataclasses.replace(
        FOUR, value_learning_rate=1e-3, value_clip_coef=0.4, clip_coef_schedule=lambda left: 0.1 + 0.1 * left
    )
    assert values(config, "value_learning_rate") == [1e-3 * p for p in LEFT]
    np.testing.assert_allclose(values(config, "value_clip_coef"), [0.4, 0.35, 0.3, 0.25], rtol=1e-15)
    alike = dataclasses.replace(config, value_clip_coef=None)
    assert values(alike, "value_clip") == values(alike, "clip_coef") == [0.1 + 0.1 * p for p in LEFT]


def test_a_function_gives_the_value_itself():
    seen = []
    config = dataclasses.replace(FOUR, learning_rate_schedule=lambda left: seen.append(left) or np.float32(left / 4))
    assert values(config, "learning_rate") == [0.25, 0.1875, 0.125, 0.0625]
    assert seen == LEFT
    config = dataclasses.replace(FOUR, ent_coef_schedule=lambda left: 0)
    assert values(config, "ent_coef") == [0.0] * 4


def test_a_function_in_a_file(file, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = dataclasses.replace(FOUR, clip_coef_schedule="mine.py:halved")
    assert config.clip_coef_schedule == f"{file}:halved"
    assert config.schedule_files == [str(file)]
    monkeypatch.chdir("/")
    assert values(config, "clip_coef") == [0.5 * p for p in LEFT]
    assert PPOConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_function_from_python_is_not_in_a_file():
    config = dataclasses.replace(FOUR, ent_coef_schedule=lambda left: left)
    read = PPOConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert read == dataclasses.replace(config, ent_coef_schedule="callable")
    text = (
        r"^ent_coef_schedule was a function given from Python, which a file cannot hold: give it again, by "
        r"PPO.load\(path, schedules={'ent_coef_schedule': function}\) or --ent-coef-schedule FILE.py:function.$"
    )
    with pytest.raises(UserError, match=text):
        read.annealed(0)


@pytest.mark.parametrize("given", ["sine", "mine.py", "mine.txt:f", "mine.py:1f", ":f", 3, True, 0.5, ["linear"], ""])
def test_other_schedules_are_refused(given):
    allowed = "one of constant, linear, cosine, exponential, FILE.py:function, or from Python a function"
    with pytest.raises(UserError) as error:
        PPOConfig(learning_rate_schedule=given)
    assert str(error.value) == f"learning_rate_schedule is {given!r}, but it must be {allowed}."


@pytest.mark.parametrize(
    ("text", "function", "message"),
    [
        (None, "f", "there is no such file"),
        ("", "f", "that file has no function 'f'"),
        (FUNCTIONS, "nothing", "that file has no function 'nothing'"),
        ("import nowhere_", "f", "running that file raises ModuleNotFoundError (No module named 'nowhere_')"),
        ("x = (", "f", "running that file raises SyntaxError ('(' was never closed (bad.py, line 1))"),
        ("raise SystemExit", "f", "running that file raises SystemExit"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used(tmp_path, text, function, message):
    path = tmp_path / "bad.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError) as error:
        loaded("clip_coef_schedule", f"{path}:{function}")
    assert str(error.value) == f"clip_coef_schedule is '{path}:{function}', but {message}."


@pytest.mark.parametrize(
    ("setting", "function", "message"),
    [
        ("learning_rate", lambda left: math.nan, "gives nan {}, but it must give a finite number > 0 and at most 1000"),
        ("learning_rate", lambda left: 1001, "gives 1001 {}, but it must give a finite number > 0 and at most 1000"),
        ("learning_rate", lambda left: 0, "gives 0 {}, but it must give a finite number > 0 and at most 1000"),
        ("clip_coef", lambda left: -0.1, "gives -0.1 {}, but it must give a finite number > 0"),
        ("clip_coef", lambda left: np.inf, "gives inf {}, but it must give a finite number > 0"),
        ("ent_coef", lambda left: -1, "gives -1 {}, but it must give a finite number >= 0"),
        ("ent_coef", lambda left: "0.1", "gives '0.1' {}, but it must give a finite number >= 0"),
        ("ent_coef", lambda left: None, "gives None {}, but it must give a finite number >= 0"),
        ("ent_coef", lambda left: True, "gives True {}, but it must give a finite number >= 0"),
        ("ent_coef", lambda left: np.zeros(2), "raises ValueError (can only convert an array of size 1 {}"),
        ("ent_coef", lambda left: int(left) // 0, "raises ZeroDivisionError (integer {}"),
        ("ent_coef", lambda: 1, "raises TypeError"),
    ],
)  # fmt: skip
def test_a_function_without_a_usable_number(setting, function, message):
    with pytest.raises(UserError) as error:
        dataclasses.replace(FOUR, **{field_of(setting): function}).annealed(1024)
    begin, _, end = message.partition(" {}")
    assert str(error.value).startswith(f"{setting}_schedule {begin}")
    assert str(error.value).endswith(f" with 0.5 of the run left{end}.")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--anneal-lr", "--learning-rate-schedule", "cosine"],
         "learning_rate_schedule is 'cosine', but it must be linear or left away with --anneal-lr."),
        (["--no-anneal-lr", "--learning-rate-schedule", "linear"],
         "learning_rate_schedule is 'linear', but it must be constant or left away with --no-anneal-lr."),
        (["--anneal_clip_coef", "--clip-coef-schedule", "constant"],
         "clip_coef_schedule is 'constant', but it must be linear or left away with --anneal-clip-coef."),
        (["--kl-adaptive-lr", "0.01", "--anneal-lr"],
         "kl_adaptive_lr is 0.01, but it must be left away with --anneal-lr."),
        (["--kl-adaptive-lr", "0.01", "--learning-rate-schedule", "linear"],
         "learning_rate_schedule is 'linear', but it must be constant or left away with kl_adaptive_lr."),
    ],
)  # fmt: skip
def test_flags_that_contradict_each_other(flags, message):
    with pytest.raises(UserError) as error:
        options.parse(flags)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("flags", "schedules"),
    [
        ([], "linear constant constant"),
        (["--no-anneal-lr"], "constant constant constant"),
        (["--learning-rate-schedule", "cosine", "--no-anneal-clip-coef"], "cosine constant constant"),
        (["--anneal-lr", "--learning-rate-schedule", "linear"], "linear constant constant"),
        (["--no-anneal-lr", "--kl-adaptive-lr", "0.01"], "constant constant constant"),
        (["--clip-coef-schedule", "exponential", "--ent-coef-schedule", "linear"], "linear exponential linear"),
    ],
)
def test_flags_that_do_not(flags, schedules):
    assert " ".join(options.parse(flags).config.schedules.values()) == schedules


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kl_adaptive_lr": 0}, "kl_adaptive_lr is 0, but it must be a number > 0."),
        ({"kl_adaptive_threshold": 1.0}, "kl_adaptive_threshold is 1.0, but it must be a number > 1."),
        ({"kl_adaptive_factor": 0.5}, "kl_adaptive_factor is 0.5, but it must be a number > 1."),
        ({"kl_adaptive_min_lr": 0.1}, "kl_adaptive_min_lr is 0.1, but it must be at most kl_adaptive_max_lr, 0.01."),
        ({"learning_rate": 0.03},
         "learning_rate is 0.03, but it must be in [kl_adaptive_min_lr, kl_adaptive_max_lr] = [1e-05, 0.01] with "
         "kl_adaptive_lr."),
        ({"update_epochs": 1, "num_minibatches": 1},
         "update_epochs * num_minibatches is 1, but it must be at least 2 with kl_adaptive_lr."),
        ({"value_learning_rate": 1e4}, "value_learning_rate is 10000.0, but it must be at most 1000."),
        ({"value_clip_coef": 0.0}, "value_clip_coef is 0.0, but it must be a number > 0."),
        ({"max_grad_norm_value": -1}, "max_grad_norm_value is -1, but it must be a number > 0."),
        ({"max_grad_norm_value": math.nan}, "max_grad_norm_value is nan, but it must be a finite number."),
    ],
)  # fmt: skip
def test_other_settings_that_are_refused(settings, message):
    with pytest.raises(UserError) as error:
        PPOConfig(**{"kl_adaptive_lr": 0.01} | settings)
    assert str(error.value) == message
    assert PPOConfig(max_grad_norm_value=math.inf).max_grad_norm_value == math.inf
