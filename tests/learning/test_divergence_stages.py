"""A number that is not finite, injected at every stage of a minibatch's computation: found, named, recorded.

All of it with the compiled kernels as they are shipped.
"""

import pytest
from conftest import needs_jit
from injection import (
    BAD,
    Spoiler,
    check_found,
    of_every_kind,
    place,
    run_epochs,
    spoil_output,
    through_a_file,
    trained,
)

from kernels.loss import LOSS_TERMS
from ppo_np.checking.crash_replay import recompute
from ppo_np.network import distributions, model
from ppo_np.network.tensor_trace import first_bad

pytestmark = needs_jit

KERNELS = {"Discrete": "categorical", "Box": "gaussian", "MultiDiscrete": "categorical", "MultiBinary": "bernoulli"}


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
        check_found(error, output_name(ppo, name), value, tmp_path, comes_again=False)


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
        check_found(error, name, value, tmp_path, comes_again=False)


@pytest.mark.parametrize("term", LOSS_TERMS)
@pytest.mark.parametrize("value", BAD, ids=str)
def test_terms_of_the_loss(term, value, tmp_path, monkeypatch):
    ppo = trained("Discrete", "shared relu")

    def spoil(*arguments):
        arguments[-1][LOSS_TERMS.index(term)] = value

    with monkeypatch.context() as patch:
        patch.setattr(model, "ppo_loss_forward", Spoiler(model.ppo_loss_forward, spoil, first=2))
        error = run_epochs(ppo)
    check_found(error, term, value, tmp_path, comes_again=False)


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
            check_found(error, f"gradient of layer {name}/{part}", value, tmp_path, comes_again=False)


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
