"""Behaviour cloning: datasets of all spaces, the statistics, the term in PPO's loss, and how exact a resume is."""

import dataclasses

import gymnasium
import numpy as np
import pytest
from expert import cartpole, cartpole_file
from gymnasium import spaces

from ppo_np import PPO, PPOConfig, UserError
from ppo_np.distributed.ranks import Ranks
from ppo_np.learning.cloning import CloningTerm, Student, cloning_loss_and_gradient, score
from ppo_np.learning.demonstrations import read_demonstrations

SMALL = PPOConfig(env_id="CartPole-v1", shared_sizes=(16,), num_envs=2, num_steps=16, num_minibatches=2)
BOX = spaces.Box(-1, 1, (3,), np.float32)
WIDE = spaces.Box(np.array([-2, 0], np.float32), np.array([1, 5], np.float32))
ACTIONS = {
    "Discrete": (spaces.Discrete(4, start=-1), {}),
    "MultiDiscrete": (spaces.MultiDiscrete([3, 2], start=[1, 0]), {}),
    "MultiBinary": (spaces.MultiBinary(3), {}),
    "Box": (WIDE, {}),
    "squashed": (WIDE, {"action_distribution": "squashed"}),
    "Beta": (WIDE, {"action_distribution": "beta"}),
}


def greedy_data(space, config, rows=300):
    """What the greedy actions of a random network are, in random observations."""
    student = Student(BOX, space, dataclasses.replace(config, seed=1))
    student.policy.model.params[:] *= 3
    obs = np.random.default_rng(0).uniform(-1, 1, (rows, 3)).astype(np.float32)
    return {"observations": obs, "actions": student.policy.predict(obs)}


@pytest.fixture(scope="module")
def expert(tmp_path_factory):
    return str(cartpole_file(tmp_path_factory.mktemp("expert"), 300))


@pytest.mark.parametrize("kind", ACTIONS)
def test_every_action_space_is_learnt(tmp_path, kind):
    space, settings = ACTIONS[kind]
    config = PPOConfig(shared_sizes=(16,), learning_rate=1e-2, **settings)
    np.savez(tmp_path / "data.npz", **greedy_data(space, config))
    student = Student(BOX, space, config)
    data = read_demonstrations(str(tmp_path / "data.npz"), student.policy)
    rows, before = np.arange(len(data)), score(student.policy, data, np.arange(len(data)))
    losses = list(student.epochs(data, rows, epochs=40, minibatch_size=50))
    after = score(student.policy, data, rows)
    assert losses[-1] < losses[0]
    assert after.log_likelihood > before.log_likelihood
    assert after.agreement < 0.1 if isinstance(space, spaces.Box) else after.agreement > 0.8


def test_actions_in_a_box_are_kept_off_its_bounds(tmp_path):
    actions = np.array([[-2, 5], [1, 0], [-0.5, 2.5]], np.float32)
    np.savez(tmp_path / "data.npz", observations=np.zeros((3, 3)), actions=actions)
    for kind in ("squashed", "Beta"):
        student = Student(BOX, WIDE, PPOConfig(shared_sizes=(), **ACTIONS[kind][1]))
        data = read_demonstrations(str(tmp_path / "data.npz"), student.policy)
        distribution = student.policy.model.distribution(3)
        distribution.actions[:] = data.actions
        np.testing.assert_allclose(distribution.env_actions, actions, atol=5 / 1999)
        assert np.isfinite(score(student.policy, data, np.arange(3)).log_likelihood)


def test_observations_in_a_dict_and_masks(tmp_path):
    space = spaces.Dict({"position": BOX, "goal": spaces.Discrete(3)})
    arrays = {"observations/position": np.zeros((5, 3)), "observations/goal": np.arange(5) % 3}
    arrays |= {"actions": np.zeros(5), "action_masks": np.ones((5, 4))}
    config = PPOConfig(shared_sizes=(), action_mask="info:action_mask")
    student = Student(space, spaces.Discrete(4), config)
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    data = read_demonstrations(str(path), student.policy)
    assert (data.obs[4, :3].sum(), data.action_mask.shape, data.episodes) == (1, (5, 4), None)
    for masks, message in (
        (None, "it has no action_masks"),
        (np.ones((5, 3)), r"have the shape \(5, 3\)"),
        (np.full((5, 4), 2), "zeros and ones"),
        (np.eye(4)[[0, 1, 0, 0, 0]], "do not allow the action"),
    ):
        others = {name: array for name, array in arrays.items() if name != "action_masks"}
        np.savez(path, **others, **({} if masks is None else {"action_masks": masks}))
        with pytest.raises(UserError, match=message):
            read_demonstrations(str(path), student.policy)


def test_whole_episodes_are_held_out(expert):
    student = Student(spaces.Box(-5, 5, (4,)), spaces.Discrete(2), SMALL)
    data = read_demonstrations(expert, student.policy)
    ends = np.array([0, 0, 1, 0, 1, 0, 0, 1, 1, 0] * 30, bool)
    data = dataclasses.replace(data, episodes=np.cumsum(ends) - ends)
    learned, held_out = student.split(data, 0.2)
    assert sorted([*learned, *held_out]) == list(range(300))
    assert not set(data.episodes[learned]) & set(data.episodes[held_out])
    assert len(set(data.episodes[held_out])) == round(0.2 * 121)
    assert len(student.split(data, 0)[1]) == 0
    assert len(student.split(dataclasses.replace(data, episodes=None), 0.2)[1]) == 60


def test_statistics_are_those_of_the_rows_to_learn_from(expert):
    config = dataclasses.replace(SMALL, norm_obs=True, norm_reward=True)
    student = Student(spaces.Box(-5, 5, (4,)), spaces.Discrete(2), config)
    data = read_demonstrations(expert, student.policy)
    list(student.epochs(data, np.arange(200), 1, 50))
    saved = student.checkpoint().normalizer
    np.testing.assert_allclose(saved["obs/mean"], data.obs[:200].mean(axis=0, dtype=float), rtol=1e-6)
    assert (saved["obs/count"], saved["reward/count"]) == (200, 0)


@pytest.mark.filterwarnings("ignore:`:UserWarning")  # Minari asks for authors and links
def test_minari(tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    env, rng = gymnasium.make("CartPole-v1"), np.random.default_rng(0)
    buffers = [
        minari.data_collector.EpisodeBuffer(
            id=i, observations=list(rng.uniform(-0.2, 0.2, (steps + 1, 4)).astype(np.float32)), actions=[i] * steps,
            rewards=[1.0] * steps, terminations=[False] * (steps - 1) + [True], truncations=[False] * steps,
        )
        for i, steps in enumerate((3, 5))
    ]  # fmt: skip
    minari.create_dataset_from_buffers("cartpole/test-v0", buffers, env)
    student = Student(env.observation_space, env.action_space, SMALL)
    data = read_demonstrations("cartpole/test-v0", student.policy)
    np.testing.assert_array_equal(data.obs, [obs for one in buffers for obs in one.observations[:-1]])
    np.testing.assert_array_equal(data.actions, [0] * 3 + [1] * 5)
    np.testing.assert_array_equal(data.episodes, data.actions)
    with pytest.raises(UserError, match="there is no such dataset here: minari download cartpole/none-v0"):
        read_demonstrations("cartpole/none-v0", student.policy)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    student = Student(BOX, WIDE, SMALL)
    with pytest.raises(UserError, match=r"dataset 'some/id-v0', which is no file that ends with \.npz, needs minari"):
        read_demonstrations("some/id-v0", student.policy)


def bc_config(expert, **others):
    return dataclasses.replace(SMALL, **({"total_timesteps": 96, "bc_coef": 0.6, "bc_dataset": expert} | others))


def test_the_term_adds_its_gradient_to_that_of_ppo(expert):
    ppo = PPO(bc_config(expert))
    model, rng = ppo.policy.model, np.random.default_rng(3)
    model.grads[:] = before = rng.standard_normal(model.params.size).astype(np.float32)
    data = read_demonstrations(expert, ppo.policy)
    CloningTerm(ppo.policy, data, 16, np.random.default_rng(5)).add_gradient(0.25)
    total = model.grads.copy()
    minibatch = model.minibatch(16)
    data.gather(np.random.default_rng(5).integers(300, size=16), ppo.policy, minibatch)
    cloning_loss_and_gradient(model, minibatch, model.activations(16), 0.25)
    np.testing.assert_array_equal(total, before + model.grads)


def test_the_weight_falls_linearly(expert, monkeypatch):
    weights, add = [], CloningTerm.add_gradient
    monkeypatch.setattr(CloningTerm, "add_gradient", lambda term, c: (weights.append(c), add(term, c)))
    PPO(bc_config(expert, update_epochs=1, bc_coef=6)).learn()
    assert weights == pytest.approx([6, 6, 4, 4, 2, 2])


def test_ppo_with_the_term_learns_the_demonstrations(expert):
    ppo = PPO(bc_config(expert, update_epochs=8, learning_rate=1e-2, bc_coef=6, total_timesteps=320)).learn()
    plain = PPO(dataclasses.replace(ppo.config, bc_coef=0)).learn()
    data = read_demonstrations(expert, ppo.policy)
    likelihoods = [score(one.policy, data, np.arange(300)).log_likelihood for one in (ppo, plain)]
    assert likelihoods[0] > likelihoods[1] + 0.1


def test_a_resumed_run_is_the_same_run(expert, tmp_path):
    whole = PPO(bc_config(expert)).learn()
    part = PPO(bc_config(expert)).learn(lambda ppo, _: ppo.stop())
    part.save(tmp_path / "part.h5")
    np.testing.assert_array_equal(PPO.load(tmp_path / "part.h5").learn().policy.model.params, whole.policy.model.params)


def test_a_loaded_policy_needs_no_dataset_to_act(tmp_path):
    np.savez(tmp_path / "data.npz", **cartpole(20))
    PPO(bc_config(str(tmp_path / "data.npz"))).save(tmp_path / "run.h5")
    (tmp_path / "data.npz").unlink()
    ppo = PPO.load(tmp_path / "run.h5")
    ppo.predict(np.zeros(4, np.float32))
    with pytest.raises(UserError, match="bc_dataset is .*, but it cannot be read: No such file"):
        ppo.learn()


class TwoRanks(Ranks):
    """Says that there are two."""

    size = 2


def test_what_is_refused(expert):
    with pytest.raises(UserError, match="bc_dataset is '', but it must be a dataset with bc_coef"):
        dataclasses.replace(SMALL, bc_coef=0.1)
    with pytest.raises(UserError, match="bc_coef is -1, but it must be a number >= 0"):
        bc_config(expert, bc_coef=-1)
    ppo = PPO(bc_config(expert))
    ppo.ranks, ppo._cloning = TwoRanks(), None
    with pytest.raises(UserError, match=r"bc_coef is 0.6, but it must be 0 with several ranks\."):
        ppo.load_schedules()
