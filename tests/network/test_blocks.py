"""Minibatches in blocks: the same gradient as in one piece, and the same bits with any number of threads."""

import copy

import numpy as np
import pytest
from action_heads import HEADS, every_head
from hypothesis import given
from hypothesis import strategies as st

from kernels.advantage import normalize
from ppo_np import PPO, PPOConfig
from ppo_np.network import blocks
from ppo_np.network.blocks import BLOCK_ROWS, FEWEST_BLOCKS, BlockedGradient, blocks_of
from ppo_np.network.model import ActorCritic

NETWORK = {"shared_sizes": (6,), "policy_sizes": (5,), "value_sizes": (4,), "activation": "tanh", "ent_coef": 0.1}
SIZES = [BLOCK_ROWS * 3 // 2, 3 * BLOCK_ROWS, FEWEST_BLOCKS * BLOCK_ROWS + 37]


def model_of(head, dtype=np.float64):
    rng = np.random.default_rng(2)
    model = ActorCritic(3, head, PPOConfig(**NETWORK), rng, dtype)
    model.params[:] = rng.standard_normal(model.params.size)
    return model


def fill(minibatch, model):
    """Off-policy rows, of all regions of the loss."""
    rng, rows = np.random.default_rng(3), minibatch.rows
    activations = model.activations(rows)
    distribution = activations.distribution
    minibatch.obs[:] = rng.standard_normal(minibatch.obs.shape)
    model.forward(minibatch.obs, activations)
    distribution.sample(activations.policy_outputs, rng)
    minibatch.actions[:] = distribution.actions
    minibatch.old_logprobs[:] = distribution.logprobs + 0.4 * rng.standard_normal(rows)
    minibatch.old_values[:] = activations.values + 0.4 * rng.standard_normal(rows)
    minibatch.advantages[:], minibatch.returns[:] = rng.standard_normal((2, rows))
    return minibatch


def computed(model, rows, config, threads, wide=False):
    """Loss terms, gradient, and the rows of each piece that the network was run on, in order of size."""
    gradient = BlockedGradient(model, threads, wide)
    minibatch = fill(model.minibatch(rows), model)
    if config.norm_adv:
        normalize(minibatch.advantages, minibatch.advantages)
    before, pieces, original = copy.deepcopy(vars(minibatch)), [], model.loss_and_gradient

    def watched(part, *arguments):
        pieces.append(part.rows)
        return original(part, *arguments)

    model.loss_and_gradient = watched
    model.grads[:] = np.nan
    terms = gradient.loss_and_gradient(minibatch, config).copy()
    gradient.close()
    del model.loss_and_gradient
    np.testing.assert_equal(vars(minibatch), before)
    return terms, model.grads.copy(), sorted(pieces)


@every_head
@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("norm_adv", [True, False])
def test_the_same_gradient_as_in_one_piece(head, rows, threads, norm_adv):
    model, config = model_of(head), PPOConfig(**NETWORK, norm_adv=norm_adv)
    terms, grads, pieces = computed(model, rows, config, threads)
    assert pieces == sorted(size for _, size in blocks_of(rows))
    assert len(pieces) > 1
    expected_terms, expected, pieces = computed(model, rows, config, threads, wide=True)
    assert pieces == [rows]
    np.testing.assert_allclose(terms, expected_terms, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(grads, expected, rtol=1e-10, atol=1e-12 * np.abs(expected).max())
    assert 0.05 < terms[-1] < 0.95, "rows on both sides of the clip range"


@every_head
@pytest.mark.parametrize("rows", SIZES)
def test_threads_change_no_bit(head, rows):
    model, config = model_of(head, np.float32), PPOConfig(**NETWORK)
    terms, grads, _ = computed(model, rows, config, 1)
    for threads in (2, 3, 4, 4, 4):
        others = computed(model, rows, config, threads)
        np.testing.assert_array_equal(others[0], terms)
        np.testing.assert_array_equal(others[1], grads)


def test_small_minibatches_and_wide_networks_stay_in_one_piece():
    model, config = model_of(HEADS["Discrete"]), PPOConfig(**NETWORK)
    assert computed(model, BLOCK_ROWS, config, 2)[2] == [BLOCK_ROWS]
    assert computed(model, 10 * BLOCK_ROWS, config, 2, wide=True)[2] == [10 * BLOCK_ROWS]


@given(st.integers(1, 20 * BLOCK_ROWS))
def test_blocks_cover_the_rows_and_none_is_tiny_or_huge(rows):
    blocks = blocks_of(rows)
    assert [start for start, _ in blocks] == [BLOCK_ROWS * i for i in range(len(blocks))]
    assert [size for _, size in blocks[:-1]] == [BLOCK_ROWS] * (len(blocks) - 1)
    start, size = blocks[-1]
    assert start + size == rows
    assert min(rows, BLOCK_ROWS // 2) <= size < BLOCK_ROWS * 3 / 2


def test_minibatches_of_changing_sizes():
    model, config = model_of(HEADS["Box"]), PPOConfig(**NETWORK)
    gradient = BlockedGradient(model, 2, False)
    for rows in (2000, 2010, 1999, 1300, 2560, 2010, 2000):  # 2010 has as many blocks as 2000, in other arrays
        minibatch = fill(model.minibatch(rows), model)
        normalize(minibatch.advantages, minibatch.advantages)
        gradient.loss_and_gradient(minibatch, config)
        grads = model.grads.copy()
        np.testing.assert_allclose(grads, computed(model, rows, config, 1, wide=True)[1], rtol=1e-9, atol=1e-13)
    gradient.close()


def test_an_exception_in_a_thread_arrives_and_the_next_minibatch_is_right(monkeypatch):
    model, config = model_of(HEADS["Discrete"]), PPOConfig(**NETWORK, norm_adv=False)
    gradient = BlockedGradient(model, 2, False)
    minibatch = fill(model.minibatch(2000), model)
    with monkeypatch.context() as patch:
        patch.setattr(ActorCritic, "loss_and_gradient", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            gradient.loss_and_gradient(minibatch, config)
    gradient.loss_and_gradient(fill(minibatch, model), config)
    np.testing.assert_array_equal(model.grads, computed(model, 2000, config, 1)[1])
    gradient.close()


def test_a_wrong_share_would_be_seen(monkeypatch):
    """The comparison above can fail: here every block counts as much as the whole."""
    model, config = model_of(HEADS["Discrete"]), PPOConfig(**NETWORK)
    expected = computed(model, 2000, config, 1, wide=True)[1]
    original = ActorCritic.loss_and_gradient
    monkeypatch.setattr(ActorCritic, "loss_and_gradient", lambda self, m, a, c, _share: original(self, m, a, c, 1.0))
    assert not np.allclose(computed(model, 2000, config, 1)[1], expected, rtol=1e-2)


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_run_with_two_threads_is_the_run_with_one(epochs, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 16)
    params = []
    for threads in (1, 2):
        config = PPOConfig(
            env_id="CartPole-v1", num_envs=8, num_steps=32, num_minibatches=2, update_epochs=epochs,
            total_timesteps=3 * 256, threads=threads, **{**NETWORK, "ent_coef": 0.0},
        )  # fmt: skip
        ppo = PPO(config).learn()
        params.append(ppo.policy.model.params.copy())
        ppo.close()
    np.testing.assert_array_equal(*params)
