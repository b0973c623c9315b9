"""Action masks from the environment to the update: what is stored, what is drawn, and what a forgotten mask shows."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from masked_runs import CONFIG, KINDS, every_kind, learned, masks_of
from sample_environments import Cards

from kernels.categorical import categorical_forward, categorical_sample
from ppo_np import PPO, PPOConfig, UserError
from ppo_np.learning.minibatches import MinibatchSlice
from ppo_np.network import distributions
from ppo_np.network.distributions import Categorical
from ppo_np.saving.checkpoint import read_checkpoint


def vector(mode, **kwargs):
    """Gymnasium's own vector environment: no guard reads the masks."""
    return SyncVectorEnv([partial(Cards, **kwargs)] * CONFIG.num_envs, autoreset_mode=mode)


@every_kind
@pytest.mark.parametrize("source", ["info:action_mask", "method:action_masks"])
def test_every_row_of_the_rollout_has_the_mask_of_its_observation(kind, source):
    ppo = PPO(replace(CONFIG, action_mask=source, num_steps=64), partial(Cards, **KINDS[kind]))
    for _ in range(2):
        ppo.learn(lambda ppo, _: ppo.stop())
        buffer = ppo._buffer
        np.testing.assert_array_equal(buffer.action_masks, masks_of(buffer.obs, KINDS[kind].get("sides", 1)))
    assert buffer.dones.any()
    ppo.close()


@every_kind
def test_sync_async_and_gymnasiums_own_vector_environment_are_the_same_run(kind):
    env = partial(Cards, **KINDS[kind])
    expected, _ = learned(CONFIG, env)
    for config in (replace(CONFIG, vectorization="async"), replace(CONFIG, action_mask="method:action_masks")):
        np.testing.assert_array_equal(learned(config, env)[0], expected)
    np.testing.assert_array_equal(learned(CONFIG, vector(AutoresetMode.SAME_STEP, **KINDS[kind]))[0], expected)


@every_kind
def test_in_the_next_step_mode_a_reset_row_needs_no_mask(kind):
    ppo = PPO(replace(CONFIG, num_steps=64), vector(AutoresetMode.NEXT_STEP, **KINDS[kind]))
    ppo.learn(lambda ppo, _: ppo.stop())
    buffer, sides = ppo._buffer, KINDS[kind].get("sides", 1)
    expected = np.where(buffer.valid[..., np.newaxis], masks_of(buffer.obs, sides), 1)
    assert not buffer.valid.all()
    np.testing.assert_array_equal(buffer.action_masks, expected)
    ppo.close()


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_a_run_that_is_loaded_goes_on_bit_for_bit(tmp_path, vectorization):
    config = replace(CONFIG, vectorization=vectorization)
    whole, _ = learned(config)
    ppo = PPO(config)
    ppo.learn(lambda ppo, _: ppo.stop() if ppo.update == 2 else None)
    ppo.save(tmp_path / "checkpoint.h5")
    ppo.close()
    assert read_checkpoint(tmp_path / "checkpoint.h5").environments.action_mask.shape == (4, 5)
    again = PPO.load(tmp_path / "checkpoint.h5").learn()
    again.close()
    np.testing.assert_array_equal(np.stack([again.policy.model.params, again.state.optimizer.m]), whole)


def test_blocks_compute_the_same_gradient_as_one_piece(monkeypatch):
    ppo = PPO(replace(CONFIG, num_steps=300, num_minibatches=1, total_timesteps=1200, update_epochs=1))
    ppo._collect(ppo.config)
    part = MinibatchSlice(np.arange(1200), 1200, 1, 1)
    minibatch = ppo._buffer.minibatch(part, ppo.policy)
    minibatch.advantages[:] = np.linspace(-1, 1, 1200)
    ppo._gradient.loss_and_gradient(minibatch, ppo.config)
    in_blocks = ppo.policy.model.grads.copy()
    ppo.policy.model.loss_and_gradient(minibatch, ppo.policy.model.activations(1200), ppo.config)
    np.testing.assert_allclose(in_blocks, ppo.policy.model.grads, rtol=1e-3, atol=1e-6)
    ppo.close()


# A forgotten mask, wherever it is forgotten, shows before anything is learned: the ratio of the first minibatch is
# exactly 1, and the entropy is at most the logarithm of the number of valid actions.


def first_minibatch(**kwargs):
    """Largest change of a log-probability before the first step, and how far an entropy is above its bound."""
    ppo = PPO(replace(CONFIG, num_steps=64), partial(Cards, **kwargs))
    ppo._collect(ppo.config)
    minibatch = ppo._buffer.minibatch(MinibatchSlice(np.arange(256), 256, 1, 1), ppo.policy)
    activations = ppo.policy.model.activations(256)
    ppo.policy.model.loss(minibatch, activations, ppo.config)
    ppo.close()
    masks, distribution = masks_of(minibatch.obs, kwargs.get("sides", 1)), activations.distribution
    most = np.log(np.float64(masks[:, :5].sum(axis=1)))  # of sides, only one is valid
    return np.abs(distribution.logprobs - minibatch.old_logprobs).max(), (distribution.entropies - most).max()


@pytest.mark.parametrize("sides", [1, 3])
def test_before_the_first_step_the_ratio_is_1_and_the_entropy_within_its_bound(sides):
    change, above = first_minibatch(sides=sides)
    assert change < 1e-6
    assert above < 1e-6


def without_mask_in_the_update(_logits, mask, *arrays):
    categorical_forward(_logits, *arrays)


def without_mask_in_the_entropy(logits, mask, actions, log_probs, logprobs, entropies):
    masked_forward(logits, mask, actions, log_probs, logprobs, entropies)
    categorical_forward(logits, actions, log_probs.copy(), logprobs.copy(), entropies)


def without_mask_in_the_old_logprob(logits, mask, uniforms, log_probs, actions, logprobs):
    masked_sample(logits, mask, uniforms, log_probs, actions, logprobs)
    free = log_probs.copy()
    categorical_sample(logits, uniforms, free, actions.copy(), logprobs.copy())
    logprobs[:] = free[np.arange(len(actions)), actions]


masked_forward, masked_sample = distributions.masked_categorical_forward, distributions.masked_categorical_sample
PLANTED = {
    "in the update": ("masked_categorical_forward", without_mask_in_the_update, (True, True)),
    "in the entropy": ("masked_categorical_forward", without_mask_in_the_entropy, (False, True)),
    "in the old log-probability": ("masked_categorical_sample", without_mask_in_the_old_logprob, (True, False)),
}


@pytest.mark.parametrize("where", PLANTED)
@pytest.mark.parametrize("sides", [1, 3])
def test_a_mask_forgotten_somewhere_shows_in_the_first_minibatch(monkeypatch, where, sides):
    name, bug, shows = PLANTED[where]
    monkeypatch.setattr(distributions, name, bug)
    change, above = first_minibatch(sides=sides)
    assert (change > 1e-2, above > 1e-2) == shows


def test_a_rollout_that_forgets_the_mask_plays_a_card_that_is_not_there(monkeypatch):
    sample = Categorical.sample
    monkeypatch.setattr(Categorical, "sample", lambda self, logits, rng, mask=None: sample(self, logits, rng))
    with pytest.raises(Exception, match="is not in the hand"):
        learned()


def test_predict_obeys_the_mask():
    ppo = PPO(CONFIG)
    obs = np.zeros((4, 10), np.float32)
    masks = np.eye(5)[[2, 0, 4, 1]]
    for deterministic in (True, False):
        assert ppo.predict(obs, deterministic, action_mask=masks).tolist() == [2, 0, 4, 1]
        assert ppo.predict(obs[0], deterministic, action_mask=masks[0] == 1) == 2
        assert ppo.predict(obs[0], deterministic, [0, 0, 0, 1, 0]) == 3
    with pytest.raises(UserError, match=r"action_mask is None, but the policy was trained with masks"):
        ppo.predict(obs[0])
    with pytest.raises(UserError, match=r"allows no action, but one must be valid"):
        ppo.predict(obs[0], action_mask=np.zeros(5))
    with pytest.raises(UserError, match=r"but it must be 5 numbers, 1 for a valid action and 0 for an invalid one"):
        ppo.predict(obs[0], action_mask=np.ones(4))
    for wrong in (masks[:3], np.array(1), 1, "no mask", [[1], [1, 0]]):
        with pytest.raises(UserError, match=r"must have a row for each of 4 rows"):
            ppo.predict(obs, action_mask=wrong)
    assert ppo.predict(obs[:0], action_mask=masks[:0]).shape == (0,)
    ppo.close()


def test_predict_takes_a_mask_from_a_policy_that_has_never_seen_one_but_not_for_real_numbers():
    ppo = PPO(PPOConfig(env_id="CartPole-v1", shared_sizes=(4,)))
    for only in (0, 1):
        assert ppo.predict(np.zeros(4, np.float32), action_mask=np.arange(2) == only) == only
    ppo.close()
    ppo = PPO(PPOConfig(env_id="Pendulum-v1", shared_sizes=(4,)))
    with pytest.raises(UserError, match=r"only actions in Discrete or MultiDiscrete have masks, not Box"):
        ppo.predict(np.zeros(3, np.float32), action_mask=[1])
    ppo.close()


def test_masks_need_discrete_actions():
    with pytest.raises(UserError, match=r"action_mask is 'info:x', but masks need actions in Discrete or MultiDiscr"):
        PPO(PPOConfig(env_id="Pendulum-v1", action_mask="info:x"))


def test_a_policy_learns_the_game():
    """The trump can always be played, so the best mean return is 1; at random it is about 0.4."""
    config = replace(CONFIG, num_envs=8, num_steps=64, total_timesteps=16_384, update_epochs=8, learning_rate=0.01)
    ppo = PPO(replace(config, ent_coef=0.0, shared_sizes=(32,), activation="tanh", gamma=0.9)).learn()
    ppo.close()
    assert np.mean([episode.episodic_return for episode in ppo.recent_episodes]) > 0.95
