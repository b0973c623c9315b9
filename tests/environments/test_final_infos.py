"""`info_keys`: what the last infos of finished episodes say, in every form in which vector environments give infos."""

import warnings

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from leveled import Leveled

from ppo_np import PPO, PPOConfig, UserError
from ppo_np.environments.final_infos import final_infos, number

SMALL = PPOConfig(
    total_timesteps=16, num_envs=2, num_steps=4, num_minibatches=2, update_epochs=1, shared_sizes=(4,),
    info_keys=["is_success", "text"],
)  # fmt: skip
DONES, FIRST = np.array([[True, False, True], [True, False, False]])


@pytest.mark.parametrize(
    ("infos", "next_step"),
    [
        ({"final_info": {"a": np.array([0.5, 0, 1]), "_a": DONES, "b": np.array([3, 0, 0]), "_b": FIRST}}, False),
        ({"a": np.array([0.5, 9, 1]), "_a": np.ones(3, bool), "b": np.array([3, 9, 9]), "_b": FIRST}, True),
        ({"final_info": [{"a": 0.5, "b": 3}, None, {"a": True}], "a": np.full(3, 9)}, False),
        ({"final_info": np.array([{"a": 0.5, "b": np.array([3])}, None, {"a": 1, "b": "no number"}])}, False),
        ([{"a": 0.5, "b": 3}, {"a": 9}, {"a": 1, "b": None}], True),
        ([{"a": 9, "final_info": {"a": 0.5, "b": 3}}, {"a": 9}, {"a": 9, "final_info": {"a": 1}}], False),
    ],
)
def test_every_form_is_read(infos, next_step):
    assert final_infos(infos, ("a", "b", "c"), DONES, next_step) == [{"a": 0.5, "b": 3.0}, {"a": 1.0}]


@pytest.mark.parametrize("infos", [None, {}, [], {"final_info": None}, {"final_info": {"a": 3}}, [None] * 3])
def test_nothing_ends_a_run(infos):
    assert final_infos(infos, ("a",), DONES, False) == [{}, {}]


def test_what_is_a_number():
    assert [number(one) for one in (True, np.float32(0.5), np.array([[2]]), 3)] == [1, 0.5, 2, 3]
    assert [number(one) for one in ("1", None, np.ones(2), [1], 10**400, {})] == [None] * 6


def vector(mode):
    return SyncVectorEnv([lambda: Leveled()] * 2, autoreset_mode=mode)


def in_lists(envs):
    """Infos as older libraries give them: a dict for each environment."""
    step = envs.step

    def with_lists(actions):
        *rest, infos = step(actions)
        finals = infos.get("final_info", {})
        each = [{"final_obs": infos["final_obs"][n]} if finals else {} for n in range(2)]
        for n, info in enumerate(each):
            info |= {key: finals[key][n] for key in finals if not key.startswith("_") and finals[f"_{key}"][n]}
        return *rest, each

    envs.step = with_lists
    return envs


ENVIRONMENTS = {
    "sync": lambda: Leveled,
    "async": lambda: Leveled,
    "same step": lambda: vector(AutoresetMode.SAME_STEP),
    "next step": lambda: vector(AutoresetMode.NEXT_STEP),
    "lists": lambda: in_lists(vector(AutoresetMode.SAME_STEP)),
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_mean_over_the_episodes_of_an_update(name):
    env, rows = ENVIRONMENTS[name](), []
    kwargs = {"vectorization": name} if name in ("sync", "async") else {}
    ppo = PPO(SMALL, env, **kwargs)

    def callback(ppo, metrics):
        rows.append((metrics.episodes, ppo.logged.means()["is_success"]))
        ppo.set_attr("level", 1)

    with pytest.warns(RuntimeWarning) as told:
        ppo.learn(callback)
    ppo.close()
    sentence = "info_keys: 'text' was not in the last infos of the first 2 finished episodes as a number."
    assert [str(warning.message) for warning in told] == [sentence]
    # 4 steps are an episode of 3 steps; the second one has the level 0 in its reset, but 1 in its end.
    assert rows[:2] == [(2, 0.0), (2, 1.0)]


def test_a_key_must_be_a_column():
    for key, allowed in (("step", "a name that is no column of metrics"), ("a,b", "different names without commas")):
        with pytest.raises(UserError, match=rf"^info_keys is .*, but it must be {allowed}"):
            PPO(SMALL, Leveled, info_keys=(key,))
    with pytest.raises(UserError, match=r"^info_keys is \('a',\), but it must be empty with compiled environments"):
        PPO("CartPole-v1", vectorization="compiled", info_keys=("a",))


def test_training_is_the_same_with_info_keys():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runs = [PPO(SMALL, Leveled, info_keys=keys).learn() for keys in ((), ("is_success", "other"))]
    np.testing.assert_array_equal(*(ppo.policy.model.params for ppo in runs))
