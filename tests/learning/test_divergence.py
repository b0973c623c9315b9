"""A number that is not finite, injected at every input and every stage of a minibatch: found, named, recorded.

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
    of_every_kind,
    only_epochs,
    parameters_of,
    place,
    ppo_of,
    put_back,
    run_epochs,
    spoil_output,
    state_of,
    through_a_file,
    trained,
)

from kernels.loss import LOSS_TERMS
from ppo_np.checking.crash_replay import recompute
from ppo_np.errors import DivergedError
from ppo_np.learning.rollout import RolloutBuffer
from ppo_np.network import distributions, model
from ppo_np.network.model import LOG_STD
from ppo_np.network.tensor_trace import first_bad

pytestmark = needs_jit

KERNELS = {"Discrete": "categorical", "Box": "gaussian", "MultiDiscrete": "categorical", "MultiBinary": "bernoulli"}


def check(error, name, value, folder, comes_again):
    """The message names a tensor and the value, and the crash file leads there again, or to nothing."""
    assert error is not None, f"{value} in {name} was not caught"
    text = str(error)
    assert f"epoch 1, minibatch 2, {name} at [" in text or f"epoch 1, minibatch 2, {name} is" in text, (name, text)
    assert text.endswith("where everything before it was finite; Adam has changed nothing by it.")
    assert text.isprintable()
    crash = through_a_file(error.crash, folder) if comes_again and np.isnan(value) else error.crash
    finding = first_bad(iter(recompute(crash)))
    if comes_again:
        assert str(finding) in text
    else:
        assert finding is None


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
        check(error, {"obs": "observation"}.get(name, name), value, tmp_path, comes_again=True)


@pytest.mark.parametrize("clip_vloss", [True, False])
@pytest.mark.parametrize("value", BAD, ids=str)
def test_old_values(clip_vloss, value, tmp_path, monkeypatch):
    """NaN would be hidden by max() in the loss, anything by clip_vloss=False."""
    ppo = trained("Discrete", "shared relu")
    spoil_gather(monkeypatch, "old_values", value)
    check(run_epochs(ppo, clip_vloss=clip_vloss), "old_values", value, tmp_path, comes_again=True)


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
        check(error, "log_std" if name == LOG_STD else f"parameter {name}", np.nan, tmp_path, comes_again=True)


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


def layers_of(ppo):
    """(tower, layer, its name in messages when its output is meant)."""
    for tower, sizes in ppo.policy.model.sizes.items():
        for layer in range(len(sizes)):
            head = tower != "shared" and layer == len(sizes) - 1
            yield tower, layer, f"{tower}/head" if head else f"{tower}/{layer}"


def output_name(ppo, name):
    special = {"policy/head": ppo.policy.model.distribution(1).output_name, "value/head": "values"}
    return special.get(name, f"output of layer {name}")


def spoil_forward(outputs_of, layer, value, first):
    """An `mlp_forward` that goes on with a spoilt output of a layer of one tower."""
    original, calls = model.mlp_forward, []

    def forward(x, weights, biases, activation, activate_last, outputs):
        original(x, weights, biases, activation, activate_last, outputs)
        if not outputs_of(outputs):
            return
        calls.append(1)
        if len(calls) < first:
            return
        outputs[layer][place(outputs[layer])] = value
        rest = slice(layer + 1, None)
        if weights[rest]:
            original(outputs[layer], weights[rest], biases[rest], activation, activate_last, outputs[rest])

    return forward


def is_tower(ppo, tower):
    """Whether outputs are those of a tower, by the widths of its layers."""
    return lambda outputs: tuple(output.shape[1] for output in outputs) == tuple(ppo.policy.model.sizes[tower])


@of_every_kind
@pytest.mark.parametrize("value", BAD, ids=str)
def test_outputs_of_layers(actions, network, value, tmp_path, monkeypatch):
    ppo = trained(actions, network)
    for tower, layer, name in layers_of(ppo):
        with monkeypatch.context() as patch:
            patch.setattr(model, "mlp_forward", spoil_forward(is_tower(ppo, tower), layer, value, first=2))
            error = run_epochs(ppo)
        check(error, output_name(ppo, name), value, tmp_path, comes_again=False)


@of_every_kind
@pytest.mark.parametrize("value", BAD, ids=str)
def test_outputs_of_the_distribution_and_the_loss(actions, network, value, tmp_path, monkeypatch):
    ppo = trained(actions, network)
    kernel, outputs = KERNELS[actions], ppo.policy.model.distribution(1).output_name
    parts = 2 if actions == "MultiDiscrete" else 1
    stages = [
        (distributions, f"{kernel}_forward", -2, "logprobs", parts + 1),
        (distributions, f"{kernel}_forward", -1, "entropies", parts + 1),
        (model, "ppo_loss_backward", -3, "gradient with respect to logprobs", 2),
        (model, "ppo_loss_backward", -2, "gradient with respect to entropies", 2),
        (model, "ppo_loss_backward", -1, "gradient with respect to values", 2),
        (
            distributions,
            f"{kernel}_backward",
            5 if kernel == "gaussian" else -1,
            f"gradient with respect to {outputs}",
            parts + 1,
        ),
    ]
    if kernel == "gaussian":
        stages[-1] = (distributions, "gaussian_backward", -2, "gradient with respect to means", 2)
        stages.append((distributions, "gaussian_backward", -1, "gradient of log_std", 2))
    for module, function, argument, name, first in stages:
        with monkeypatch.context() as patch:
            spoil_output(patch, module, function, argument, value, first)
            error = run_epochs(ppo)
        check(error, name, value, tmp_path, comes_again=False)


@pytest.mark.parametrize("term", LOSS_TERMS)
@pytest.mark.parametrize("value", BAD, ids=str)
def test_terms_of_the_loss(term, value, tmp_path, monkeypatch):
    ppo = trained("Discrete", "shared relu")

    def spoil(*arguments):
        arguments[-1][LOSS_TERMS.index(term)] = value

    with monkeypatch.context() as patch:
        patch.setattr(model, "ppo_loss_forward", Spoiler(model.ppo_loss_forward, spoil, first=2))
        error = run_epochs(ppo)
    check(error, term, value, tmp_path, comes_again=False)


@of_every_kind
@pytest.mark.parametrize("value", BAD, ids=str)
def test_gradients_of_layers(actions, network, value, tmp_path, monkeypatch):
    ppo = trained(actions, network)
    towers = ppo.policy.model.activations(1).grad_towers
    for tower, layer, name in layers_of(ppo):
        for part, argument in (("weight", -2), ("bias", -1)):
            with monkeypatch.context() as patch:

                def spoil(*arguments, tower=tower, layer=layer, argument=argument):
                    if arguments[-1] is towers[tower].biases:
                        array = arguments[argument][layer]
                        array[place(array)] = value

                first = len(towers) if ppo.policy.model.sizes["shared"] else 2
                patch.setattr(model, "mlp_backward", Spoiler(model.mlp_backward, spoil, first + 1))
                error = run_epochs(ppo)
            check(error, f"gradient of layer {name}/{part}", value, tmp_path, comes_again=False)


@pytest.mark.parametrize("value", BAD, ids=str)
@pytest.mark.parametrize("call", [0, 1], ids=["policy", "value"])
def test_the_gradient_at_the_fork(call, value, tmp_path, monkeypatch):
    ppo = trained("Discrete", "shared relu")

    def spoil(_dy, _weight, dx):
        if spoiler.calls % 2 == 1 - call:
            dx[:] = value

    spoiler = Spoiler(model.linear_backward_input, spoil, first=3)
    with monkeypatch.context() as patch:
        patch.setattr(model, "linear_backward_input", spoiler)
        error = run_epochs(ppo)
    assert "gradient of layer shared/1/bias at [" in str(error)
    assert first_bad(iter(recompute(through_a_file(error.crash, tmp_path)))) is None


@of_every_kind
def test_a_ratio_that_overflows_is_seen_also_where_the_clip_hides_it(actions, network, tmp_path, monkeypatch):
    """With a positive advantage, a ratio of infinity is clipped: loss and gradient are finite."""
    ppo = trained(actions, network)

    def spoil(_buffer, _indices, _policy, minibatch):
        minibatch.advantages[:] = 1
        minibatch.old_logprobs[3] = -1000

    spoiler = Spoiler(RolloutBuffer.gather, spoil, first=2)
    monkeypatch.setattr(RolloutBuffer, "gather", lambda *arguments: spoiler(*arguments))
    check(run_epochs(ppo), "ratio", np.inf, tmp_path, comes_again=True)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("value", [np.inf, -np.inf], ids=str)
def test_what_an_activation_hides_does_no_harm(network, value):
    """A sum that overflows before ReLU or tanh may become 0 or 1: then all that follows has to be finite."""
    ppo = trained("Discrete", network)
    before, tensors = state_of(ppo), parameters_of(ppo)
    tensors["policy/0/bias"][:] = tensors["policy/0/weight"][:] = np.copysign(np.finfo(np.float32).max, value)
    with suppress(DivergedError):
        with only_epochs(ppo, ppo.config):
            ppo._update(0.0)
    after = state_of(ppo)
    put_back(ppo, before)
    assert all(np.isfinite(part).all() for part in after)
