"""A number that is not finite in the rollout, in what networks and Adam remember, and at the two ends of an update."""

import numpy as np
import pytest
from conftest import needs_jit
from injection import (
    ACTIONS,
    BAD,
    Noise,
    Spoiler,
    of_every_kind,
    parameters_of,
    place,
    ppo_of,
    put_back,
    same,
    spoil_output,
    state_of,
    through_a_file,
    trained,
)

from kernels.acting import NOT_FINITE
from ppo_np.checking.crash_replay import recompute
from ppo_np.errors import DivergedError, EnvironmentFault, UserError
from ppo_np.network import distributions, model
from ppo_np.network.model import LOG_STD
from ppo_np.network.tensor_trace import first_bad
from ppo_np.saving import crash_file

pytestmark = needs_jit


def ends(ppo, error):
    """Let a run end with an error; nothing must have changed since its rollout began."""
    ppo.learn(lambda ppo, _: ppo.stop())
    before = state_of(ppo)
    with pytest.raises(error) as ended:
        ppo.learn()
    assert same(state_of(ppo), before)
    assert str(ended.value).isprintable()
    return ended.value


@of_every_kind
def test_parameters_and_moments_before_an_update(actions, network, tmp_path):
    ppo = trained(actions, network)
    before = state_of(ppo)
    for what, flat in (
        ("parameter", ppo.policy.model.params),
        ("Adam's m of", ppo.state.optimizer.m),
        ("Adam's v of", ppo.state.optimizer.v),
    ):
        for number, (name, tensor) in enumerate(ppo.policy.model.named(flat).items()):
            value = BAD[number % 3]
            tensor[place(tensor)] = value
            spoilt = state_of(ppo)
            with pytest.raises(DivergedError) as error:
                ppo.learn()
            assert same(state_of(ppo), spoilt)
            named = "log_std" if what == "parameter" and name == LOG_STD else f"{what} {name}"
            where = list(place(tensor))
            assert str(error.value).startswith(f"In update 2, before the rollout, {named} at {where} is {value} ")
            assert not ppo.resumable
            crash = error.value.crash if number else through_a_file(error.value.crash, tmp_path)
            finding = first_bad(iter(recompute(crash)))
            assert str(finding) == f"{named} at {where} is {value}"
            put_back(ppo, before)


class Spoilt(Noise):
    """Gives a wrong number in one step or in one reset, of the second rollout."""

    def __init__(self, name, value):
        super().__init__(ACTIONS["Discrete"])
        self.name, self.value, self.count = name, value, 0

    def reset(self, **options):
        obs, info = super().reset(**options)
        return (np.full_like(obs, self.value) if self.name == "first obs" and self.count > 8 else obs), info

    def step(self, action):
        obs, reward, terminated, truncated, info = super().step(action)
        self.count += 1
        if self.count > 8 and self.name == ("final obs" if truncated else "obs"):
            obs[1] = self.value
        if self.count == 12 and self.name == "reward":
            reward = self.value
        return obs, reward, terminated, truncated, info


@pytest.mark.parametrize("name", ["obs", "first obs", "final obs", "reward"])
@pytest.mark.parametrize("value", BAD, ids=str)
def test_what_an_environment_gives(name, value, tmp_path):
    error = ends(ppo_of("Discrete", "separate tanh", lambda: Spoilt(name, value)), EnvironmentFault)
    what = "gave the reward" if name == "reward" else "gave an observation whose number"
    assert f"environment 0 {what}" in str(error)
    assert f" {value}, but it must be a finite number" in str(error)
    crash = through_a_file(error.crash, tmp_path)
    assert crash.during == crash_file.ENVIRONMENT
    finding = first_bad(iter(recompute(crash)))
    assert finding.name == ("reward" if name == "reward" else "observation")
    assert str(finding.value) == str(value)


def spoilt_outputs(tower, value):
    """An `acting_forward` that spoils what comes out of a tower."""
    forward = model.acting_forward

    def spoilt(*arguments):
        forward(*arguments)
        output = arguments[-2 if tower == "policy" else -1]
        output[place(output)] = value
        return NOT_FINITE

    return spoilt


@of_every_kind
@pytest.mark.parametrize("value", BAD, ids=str)
def test_outputs_while_acting(actions, network, value, tmp_path, monkeypatch):
    for tower in ("policy", "value"):
        ppo = ppo_of(actions, network)
        ppo.learn(lambda ppo, _: ppo.stop())
        before = state_of(ppo)
        with monkeypatch.context() as patch:
            patch.setattr(model, "acting_forward", spoilt_outputs(tower, value))
            with pytest.raises(DivergedError) as error:
                ppo.learn()
        assert same(state_of(ppo), before)
        name = ppo.policy.model.distribution(1).output_name if tower == "policy" else "values"
        assert f"In update 2, row 1 of the rollout, {name} at [" in str(error.value)
        crash = through_a_file(error.value.crash, tmp_path)
        assert crash.during == crash_file.ROLLOUT
        assert first_bad(iter(recompute(crash))) is None


@pytest.mark.parametrize("actions", ACTIONS)
@pytest.mark.parametrize("value", BAD, ids=str)
def test_logprobs_while_acting(actions, value, monkeypatch):
    kernel = {"Box": "gaussian_sample", "MultiBinary": "bernoulli_sample"}.get(actions, "categorical_sample")

    def spoil(*arguments):
        arguments[-1][1] = value

    ppo = ppo_of(actions, "separate tanh")
    ppo.learn(lambda ppo, _: ppo.stop())
    monkeypatch.setattr(distributions, kernel, Spoiler(getattr(distributions, kernel), spoil))
    with pytest.raises(
        DivergedError, match=rf"row 1 of the rollout, logprobs of the drawn actions at \[1\] is {value} "
    ):
        ppo.learn()


def test_logprobs_that_come_from_a_tiny_log_std_come_again():
    ppo = ppo_of("Box", "separate tanh")
    parameters_of(ppo)[LOG_STD][:] = -100
    with pytest.raises(DivergedError, match="logprobs of the drawn actions") as error:
        ppo.learn()
    assert first_bad(iter(recompute(error.value.crash))) is not None


@pytest.mark.parametrize(
    ("call", "row"),
    [(6, 5), (10, 1), (11, 9)],
    ids=["of a final observation", "of all observations", "of the observation after the rollout"],
)
def test_values_that_do_not_choose_actions(call, row, monkeypatch):
    """Episodes of 5 steps, rollouts of 8: the sixth forward pass is of final observations.

    The tenth gives the values of the rollout, and is repeated step by step if one is not finite; the last is the
    eleventh.
    """
    ppo = ppo_of("Discrete", "separate tanh")
    calls, right, spoilt = [], model.acting_forward, spoilt_outputs("value", np.nan)

    def forward(*arguments):
        calls.append(1)
        return (right if len(calls) < call else spoilt)(*arguments)

    monkeypatch.setattr(model, "acting_forward", forward)
    with pytest.raises(DivergedError, match=f"In update 1, row {row} of the rollout, values at"):
        ppo.learn()
    assert len(calls) == call + (call == 10)


@pytest.mark.parametrize("what", ["mean", "variance"])
@pytest.mark.parametrize("value", BAD, ids=str)
def test_statistics_of_the_observations(what, value):
    """Clipping would hide infinite ones."""
    ppo = ppo_of("Discrete", "separate tanh", norm_obs=True)
    ppo.learn(lambda ppo, _: ppo.stop())
    getattr(ppo.policy.obs_moments, what)[1] = value
    with pytest.raises(DivergedError, match=rf"{what} of the observations at \[1\] is {value} "):
        ppo.learn(lambda ppo, _: ppo.stop())


def test_the_settings_of_a_minibatch_are_those_in_force(monkeypatch):
    ppo = ppo_of("Discrete", "shared relu", total_timesteps=64, anneal_clip_coef=True)
    spoil_output(monkeypatch, model, "ppo_loss_backward", -1, np.nan, first=1)
    with pytest.raises(DivergedError) as error:
        ppo.learn()
    assert error.value.crash.config.clip_coef == ppo.config.clip_coef


def test_the_last_update_of_an_annealed_run_is_recorded_as_well(monkeypatch):
    ppo = ppo_of("Discrete", "shared relu", total_timesteps=16, anneal_lr=True)
    spoil_output(monkeypatch, model, "ppo_loss_backward", -1, np.nan, first=1)
    with pytest.raises(DivergedError, match="gradient with respect to values"):
        ppo.learn()


@pytest.mark.parametrize("setting", [{"learning_rate": 1e38}, {"adam_eps": 1e-50}], ids=str)
def test_settings_with_which_adam_itself_would_overflow_are_refused(setting):
    with pytest.raises(UserError, match="^(learning_rate|adam_eps) is .*, but it must be at "):
        ppo_of("Discrete", "shared relu", **setting)


def test_a_gradient_whose_square_overflows_is_not_taken():
    """Also in the last minibatch of a run."""
    for updates in (1, 2):
        settings = {"max_grad_norm": float("inf"), "vf_coef": 1e25}
        ppo = ppo_of("Discrete", "shared relu", total_timesteps=16 * updates, num_minibatches=1, **settings)
        with pytest.raises(DivergedError, match="square of the gradient, whose norm is too large, is inf"):
            ppo.learn()
        assert all(np.isfinite(part).all() for part in state_of(ppo))
