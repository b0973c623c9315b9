"""A number that is not finite in the inputs of a minibatch, in parameters and in moments: found, named, recorded.

All of it with the compiled kernels as they are shipped.
"""

from contextlib import suppress

import numpy as np
import pytest
from conftest import needs_jit
from injection import (
    BAD,
    NETWORKS,
    Spoiler,
    check_found,
    of_every_kind,
    only_epochs,
    parameters_of,
    place,
    ppo_of,
    put_back,
    run_epochs,
    state_of,
    trained,
)

from ppo_np.checking.crash_replay import recompute
from ppo_np.errors import DivergedError
from ppo_np.learning.rollout import RolloutBuffer
from ppo_np.network.model import LOG_STD
from ppo_np.network.tensor_trace import first_bad

pytestmark = needs_jit


def spoil_gather(monkeypatch, name, value):
    """Put a number into one input of all minibatches but the first."""

    def spoil(_buffer, _indices, _policy, minibatch):
        array = getattr(minibatch, name)
        array[place(array)] = value

    spoiler = Spoiler(RolloutBuffer.gather, spoil, first=2)
    monkeypatch.setattr(RolloutBuffer, "gather", lambda *arguments: spoiler(*arguments))


def inputs(actions):
    names = ["obs", "old_logprobs", "advantages", "returns"]
    return [*names, "actions"] if actions == "Box" else names


@of_every_kind
@pytest.mark.parametrize("value", BAD, ids=str)
def test_inputs_of_a_minibatch(actions, network, value, tmp_path, monkeypatch):
    ppo = trained(actions, network)
    for name in inputs(actions):
        with monkeypatch.context() as patch:
            spoil_gather(patch, name, value)
            error = run_epochs(ppo)
        check_found(error, {"obs": "observation"}.get(name, name), value, tmp_path, comes_again=True)


@pytest.mark.parametrize("clip_vloss", [True, False])
@pytest.mark.parametrize("value", BAD, ids=str)
def test_old_values(clip_vloss, value, tmp_path, monkeypatch):
    """NaN would be hidden by max() in the loss, anything by clip_vloss=False."""
    ppo = trained("Discrete", "shared relu")
    spoil_gather(monkeypatch, "old_values", value)
    check_found(run_epochs(ppo, clip_vloss=clip_vloss), "old_values", value, tmp_path, comes_again=True)


@pytest.mark.parametrize("value", BAD, ids=str)
def test_an_advantage_that_is_normalised(value, tmp_path, monkeypatch):
    ppo = trained("Discrete", "shared relu")
    spoil_gather(monkeypatch, "advantages", value)
    error = run_epochs(ppo, norm_adv=True)
    assert "advantages at [" in str(error)
    assert np.argwhere(~np.isfinite(error.crash.arrays["advantages"])).tolist() == [[4]]
    assert first_bad(iter(recompute(error.crash))).name == "advantages"


@pytest.mark.parametrize("name", ["obs", "old_logprobs", "advantages", "returns"])
@pytest.mark.parametrize("value", BAD, ids=str)
def test_minibatches_of_one_row(name, value, monkeypatch):
    ppo = trained("Discrete", "shared relu")
    spoil_gather(monkeypatch, name, value)
    error = run_epochs(ppo, norm_adv=True, num_minibatches=16)
    assert f"epoch 1, minibatch 2, { {'obs': 'observation'}.get(name, name) } at [0" in str(error)


def spoil_between(ppo, array, value):
    """Put a number into the state when the first minibatch is done."""
    index = place(array)
    return Spoiler(ppo._buffer.minibatch, lambda *_: array.__setitem__(index, value), first=2)


@of_every_kind
def test_parameters_that_are_nan_in_the_midst_of_an_update(actions, network, tmp_path, monkeypatch):
    ppo = trained(actions, network)
    for name, tensor in parameters_of(ppo).items():
        with monkeypatch.context() as patch:
            patch.setattr(ppo._buffer, "minibatch", spoil_between(ppo, tensor, np.nan))
            error = run_epochs(ppo)
        check_found(error, "log_std" if name == LOG_STD else f"parameter {name}", np.nan, tmp_path, comes_again=True)


@pytest.mark.parametrize("network", NETWORKS)
def test_parameters_that_are_infinite_in_the_midst_of_an_update(network, monkeypatch):
    """ReLU and tanh can hide them from the loss."""
    ppo = trained("Discrete", network)
    uncaught = []
    for name, tensor in parameters_of(ppo).items():
        for value in (np.inf, -np.inf):
            with monkeypatch.context() as patch:
                patch.setattr(ppo._buffer, "minibatch", spoil_between(ppo, tensor, value))
                if run_epochs(ppo) is None:
                    uncaught.append((name, value))
    assert uncaught == []


@pytest.mark.parametrize("what", ["m", "v"])
@pytest.mark.parametrize("value", BAD, ids=str)
def test_moments_in_the_midst_of_an_update(what, value, monkeypatch):
    """They are looked at after the epochs, before anybody can save them."""
    ppo = ppo_of("Discrete", "shared relu")
    monkeypatch.setattr(ppo._buffer, "minibatch", spoil_between(ppo, getattr(ppo.state.optimizer, what), value))
    with pytest.raises(DivergedError, match=rf"after the epochs, Adam's {what} of .* it was not saved\.$"):
        ppo.learn(lambda *_: pytest.fail("no callback"))
    assert not ppo.resumable


@of_every_kind
def test_a_ratio_that_overflows_is_seen_also_where_the_clip_hides_it(actions, network, tmp_path, monkeypatch):
    """With a positive advantage, a ratio of infinity is clipped: loss and gradient are finite."""
    ppo = trained(actions, network)

    def spoil(_buffer, _indices, _policy, minibatch):
        minibatch.advantages[:] = 1
        minibatch.old_logprobs[3] = -1000

    spoiler = Spoiler(RolloutBuffer.gather, spoil, first=2)
    monkeypatch.setattr(RolloutBuffer, "gather", lambda *arguments: spoiler(*arguments))
    check_found(run_epochs(ppo), "ratio", np.inf, tmp_path, comes_again=True)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("value", [np.inf, -np.inf], ids=str)
def test_what_an_activation_hides_does_no_harm(network, value):
    """A sum that overflows before ReLU or tanh may become 0 or 1: then all that follows has to be finite."""
    ppo = trained("Discrete", network)
    before, tensors = state_of(ppo), parameters_of(ppo)
    tensors["policy/0/bias"][:] = tensors["policy/0/weight"][:] = np.copysign(np.finfo(np.float32).max, value)
    with suppress(DivergedError), only_epochs(ppo, ppo.config):
        ppo._update(0.0)
    after = state_of(ppo)
    put_back(ppo, before)
    assert all(np.isfinite(part).all() for part in after)
