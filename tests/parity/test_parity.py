"""One whole update equals, from the same weights, rollout and permutations, what autograd, CleanRL and SB3 make of it.

The expected numbers are in parity/reference.json, written with torch by parity/make_reference.py; parity/README.md
tells what each peer does otherwise than we. Here each such difference is a field of `Convention`, and the test adapts.
"""

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from kernels.advantage import normalize
from kernels.loss import LOSS_TERMS
from kernels.optimizer import clip_by_global_norm, global_norm
from ppo_np import PPO, PPOConfig
from ppo_np.learning.rollout import RolloutBuffer, RolloutReport
from ppo_np.network.action_head import discrete
from ppo_np.network.blocks import BlockedGradient
from ppo_np.network.model import ActorCritic
from ppo_np.network.optimizer import Adam

REFERENCE = json.loads((Path(__file__).parent / "reference.json").read_text(encoding="utf-8"))
RESULTS = REFERENCE["results"]
CONFIG = PPOConfig.from_dict(REFERENCE["settings"], "parity/reference.json")
PARAMETERS = {name: np.array(tensor) for name, tensor in REFERENCE["parameters"].items()}
ROLLOUT = {name: np.array(column) for name, column in REFERENCE["rollout"].items()}
PERMUTATIONS = np.array(REFERENCE["permutations"])

# Issue 3 asks for 1e-5. Measured: 4e-14 at most.
TOLERANCE = 1e-10


@dataclass(frozen=True)
class Convention:
    """What implementations of PPO do differently; the defaults are ours."""

    ddof: int = 0
    """The standard deviation of the advantages divides by B - ddof."""
    norm_eps: float = 0.0
    """Clipping scales the gradient by max_grad_norm / (norm + norm_eps)."""
    bootstrap_truncations: bool = True
    """A truncated episode goes on with V(final observation); else truncation counts as termination."""
    value_factor: float = 1.0
    """The value loss is this many times ours, which is the mean of half the squares."""
    clip_vloss: bool = True
    """Clip the value loss as well."""
    larger_branch: bool = True
    """The clipped value loss takes the larger of the clipped and the unclipped error; else always the clipped one."""


OURS = Convention()
CONVENTIONS = {
    "ours": OURS,
    "cleanrl": Convention(ddof=1, norm_eps=1e-6, bootstrap_truncations=False),
    "sb3": Convention(ddof=1, norm_eps=1e-6, value_factor=2.0, clip_vloss=False),
    "sb3_clip_vloss": Convention(ddof=1, norm_eps=1e-6, value_factor=2.0, larger_branch=False),
}
every_convention = pytest.mark.parametrize("name", CONVENTIONS)


@dataclass
class Update:
    """What an update works on and leaves.

    Attributes:
        model, buffer, optimizer: changed by it.
        terms: (minibatches, 6), grad_norm: (minibatches,), of its passes.
    """

    model: ActorCritic
    buffer: RolloutBuffer
    optimizer: Adam
    terms: np.ndarray
    grad_norm: np.ndarray


def start():
    """The reference's problem in float64, before the update."""
    obs_size, num_actions = ROLLOUT["obs"].shape[-1], PARAMETERS["policy/head/bias"].size
    model = ActorCritic(obs_size, discrete(num_actions), CONFIG, np.random.default_rng(0), np.float64)
    assert list(model.named(model.params)) == list(PARAMETERS)
    for name, tensor in model.named(model.params).items():
        tensor[:] = PARAMETERS[name]
    policy = SimpleNamespace(model=model, observations=SimpleNamespace(size=obs_size), obs_dtype=np.float64)
    buffer = RolloutBuffer(CONFIG.num_steps, CONFIG.num_envs, policy)
    buffer.valid[:] = True
    for name, column in ROLLOUT.items():
        getattr(buffer, name)[:] = column
    passes = PERMUTATIONS.size // CONFIG.minibatch_size
    return Update(
        model, buffer, Adam(model.params, model.grads, CONFIG), np.zeros((passes, len(LOSS_TERMS))), np.zeros(passes)
    )


def adapt(model, minibatch, activations, convention):
    """Change a minibatch so that our loss of it is the convention's, where no setting of ours does it.

    Without `larger_branch` a row whose V left the clip range has the error V_old +- clip - R, and no gradient. V_old
    and R are moved so that our clipped error is of that size and our unclipped one 0: ours then takes the clipped one.
    """
    if convention.ddof:
        advantages = minibatch.advantages
        spread = np.std(advantages, ddof=convention.ddof) + 1e-8
        advantages[:] = (advantages - np.mean(advantages)) / spread
    if not convention.larger_branch:
        model.forward(minibatch.obs, activations)
        values = activations.values
        change = values - minibatch.old_values
        error = minibatch.old_values + np.copysign(CONFIG.clip_coef, change) - minibatch.returns
        moved = values - np.copysign(CONFIG.clip_coef + np.abs(error), change)
        far = np.abs(change) > CONFIG.clip_coef
        minibatch.old_values[far], minibatch.returns[far] = moved[far], values[far]


def our_update(convention, watch=lambda minibatch, activations: None):
    """Advantages, epochs and Adam by our kernels and our network; `watch` sees each minibatch after its backward."""
    vf_coef = CONFIG.vf_coef * convention.value_factor
    config = replace(CONFIG, norm_adv=not convention.ddof, clip_vloss=convention.clip_vloss, vf_coef=vf_coef)
    update = start()
    model, buffer = update.model, update.buffer
    minibatch, activations = model.minibatch(config.minibatch_size), model.activations(config.minibatch_size)
    if not convention.bootstrap_truncations:
        buffer.terminations |= buffer.truncations
    buffer.compute_advantages(config.gamma, config.gae_lambda)
    for i, indices in enumerate(PERMUTATIONS.reshape(-1, config.minibatch_size)):
        buffer.gather(indices, None, minibatch)
        adapt(model, minibatch, activations, convention)
        if config.norm_adv:
            normalize(minibatch.advantages, minibatch.advantages)
        update.terms[i] = model.loss_and_gradient(minibatch, activations, config)
        watch(minibatch, activations)
        update.grad_norm[i] = norm = global_norm(model.grads)
        clip_by_global_norm(model.grads, norm, config.max_grad_norm * (norm / (norm + convention.norm_eps)))
        update.optimizer.step(config.learning_rate)
    return update


def distance(actual, expected):
    """|actual - expected| / |expected|, norms taken over everything."""
    return np.linalg.norm(np.subtract(actual, expected)) / np.linalg.norm(expected)


def flat_change(tensors):
    """What an update added to all the parameters, as one vector."""
    return np.concatenate([np.ravel(tensors[name] - tensor) for name, tensor in PARAMETERS.items()])


def assert_same_update(update, expected):
    """Compare advantages, returns, gradient norms and, tensor by tensor, Adam's moments and what weights gained."""
    far = {name: distance(getattr(update.buffer, name), expected[name]) for name in ("advantages", "returns")}
    far["grad_norm"] = distance(update.grad_norm, expected["grad_norm"])
    for key, flat in (("params", update.model.params), ("m", update.optimizer.m), ("v", update.optimizer.v)):
        for name, tensor in update.model.named(flat).items():
            before = PARAMETERS[name] if key == "params" else 0
            far[f"{key} {name}"] = distance(tensor - before, np.subtract(expected[key][name], before))
    assert {name: d for name, d in far.items() if not d <= TOLERANCE} == {}


@every_convention
def test_one_update_equals_the_reference(name):
    assert_same_update(our_update(CONVENTIONS[name]), RESULTS[name])


@pytest.mark.parametrize("name", ["ours", "cleanrl"])
def test_the_loss_terms_of_every_minibatch(name):
    ours = our_update(CONVENTIONS[name]).terms
    assert set(RESULTS[name]["terms"]) == set(LOSS_TERMS)
    for column, term in enumerate(LOSS_TERMS):
        np.testing.assert_allclose(ours[:, column], RESULTS[name]["terms"][term], rtol=TOLERANCE, err_msg=term)


@pytest.mark.parametrize("name", ["sb3", "sb3_clip_vloss"])
def test_what_sb3_logs(name):
    """SB3 logs means over all minibatches, but the KL of the last epoch and the loss of the last minibatch."""
    terms = dict(zip(LOSS_TERMS, our_update(CONVENTIONS[name]).terms.T, strict=True))
    ours = {
        "entropy_loss": -terms["entropy"].mean(),
        "policy_gradient_loss": terms["policy_loss"].mean(),
        "value_loss": CONVENTIONS[name].value_factor * terms["value_loss"].mean(),
        "approx_kl": terms["approx_kl"][-CONFIG.num_minibatches :].mean(),
        "clip_fraction": terms["clipfrac"].mean(),
        "loss": terms["loss"][-1],
    }
    assert ours == pytest.approx(RESULTS[name]["logged"], rel=TOLERANCE, abs=0)


class Shuffler:
    """A `minibatch_rng` that shuffles into the reference's permutations."""

    def __init__(self):
        self.permutations = iter(PERMUTATIONS)

    def shuffle(self, order):
        order[:] = next(self.permutations)


def test_the_training_loop_takes_that_update(monkeypatch):
    """`PPO.learn` itself, with the rollout already there; the environment serves for its spaces alone."""
    expected, update, rows = RESULTS["ours"], start(), []
    ppo = PPO(replace(CONFIG, env_id="CartPole-v1"))
    ppo.policy.model = ppo.state.model = update.model
    ppo.state.optimizer, ppo._buffer = update.optimizer, update.buffer
    ppo._gradient = BlockedGradient(update.model, threads=1, wide=False)
    ppo._compiled = None  # it would train the other model
    ppo.state.rngs["minibatch_rng"] = Shuffler()
    monkeypatch.setattr(
        "ppo_np.learning.ppo.collect", lambda *_, **__: RolloutReport(filled=CONFIG.num_steps, steps=CONFIG.batch_size)
    )
    ppo.learn(lambda _, metrics: rows.append(metrics))
    assert_same_update(replace(update, grad_norm=expected["grad_norm"]), expected)
    logged = {name: getattr(rows[0], name) for name in (*LOSS_TERMS[1:], "grad_norm")}
    terms = expected["terms"] | {"grad_norm": expected["grad_norm"]}
    assert logged == pytest.approx({name: np.mean(terms[name]) for name in logged}, rel=TOLERANCE, abs=0)


# How far our update's change of the parameters is from the peer's, if this one difference alone is not adapted to.
DIFFERENCES = {
    ("cleanrl", "ddof"): 0.0165,
    ("cleanrl", "norm_eps"): 1.96e-07,
    ("cleanrl", "bootstrap_truncations"): 0.0807,
    ("sb3", "ddof"): 0.0526,
    ("sb3", "norm_eps"): 1.81e-07,
    ("sb3", "value_factor"): 0.217,
    ("sb3", "clip_vloss"): 0.331,
    ("sb3_clip_vloss", "ddof"): 0.0152,
    ("sb3_clip_vloss", "norm_eps"): 1.74e-07,
    ("sb3_clip_vloss", "value_factor"): 0.113,
    ("sb3_clip_vloss", "larger_branch"): 0.468,
}


@pytest.mark.parametrize(("name", "difference"), DIFFERENCES)
def test_each_difference_is_there_and_as_large_as_documented(name, difference):
    update = our_update(replace(CONVENTIONS[name], **{difference: getattr(OURS, difference)}))
    ours, peers = update.model.named(update.model.params), RESULTS[name]["params"]
    away = distance(flat_change(ours), flat_change(peers))
    assert away == pytest.approx(DIFFERENCES[name, difference], rel=0.01)


def test_every_difference_is_measured():
    named = {(name, field.name) for name in CONVENTIONS for field in fields(Convention)}
    assert set(DIFFERENCES) == {
        (name, field) for name, field in named if getattr(CONVENTIONS[name], field) != getattr(OURS, field)
    }


def test_the_update_reaches_every_branch():
    surrogate, value = set(), set()

    def watch(minibatch, activations):
        values = activations.values
        ratio = np.exp(activations.distribution.logprobs - minibatch.old_logprobs)
        side = np.digitize(ratio, [1 - CONFIG.clip_coef, 1 + CONFIG.clip_coef])
        surrogate.update(zip((minibatch.advantages > 0).tolist(), side.tolist(), strict=True))
        change = values - minibatch.old_values
        clipped_error = minibatch.old_values + np.clip(change, -CONFIG.clip_coef, CONFIG.clip_coef) - minibatch.returns
        far, flat = np.abs(change) > CONFIG.clip_coef, np.abs(clipped_error) > np.abs(values - minibatch.returns)
        value.update(zip((far * np.sign(change)).tolist(), (far & flat).tolist(), strict=True))

    our_update(OURS, watch)
    assert surrogate == {(positive, side) for positive in (False, True) for side in (0, 1, 2)}
    assert value == {(0, False), (-1, False), (-1, True), (1, False), (1, True)}


def test_the_rollout_ends_episodes_in_every_way():
    terminated, truncated = ROLLOUT["terminations"], ROLLOUT["truncations"]
    ways = (terminated & ~truncated, truncated & ~terminated, terminated & truncated, ~terminated & ~truncated)
    assert all(way[:-1].any() for way in ways)
    assert all(way[-1].any() for way in (*ways[:2], ways[3]))


@every_convention
def test_some_gradients_are_clipped_and_some_are_not(name):
    clipped = np.array(RESULTS[name]["grad_norm"]) > CONFIG.max_grad_norm
    assert clipped.any()
    assert not clipped.all()
