"""Vector environments whose way of autoreset is none, or not known."""

import pytest
from episodes import ScriptedVector, make, scripts_of
from gymnasium.vector import AutoresetMode

from ppo_np import PPO, PPOConfig, UserError
from ppo_np.environments.stream import EnvStream

SCRIPTS = scripts_of("not aligned", "mixed")


@pytest.mark.parametrize("mode", [AutoresetMode.DISABLED, None, "NextStep", "whenever", True, 1])
def test_a_mode_that_is_none_of_the_two_is_refused(mode):
    envs = ScriptedVector(SCRIPTS, mode)
    with pytest.raises(UserError, match="^autoreset_mode of the vector environment is .*SAME_STEP or .*NEXT_STEP"):
        EnvStream(envs).reset(seed=0)
    with pytest.raises(UserError, match="^autoreset_mode"):
        PPO(PPOConfig(num_steps=4, num_minibatches=1, shared_sizes=()), envs)


def test_a_mode_that_is_not_said_is_refused():
    envs = ScriptedVector(SCRIPTS, AutoresetMode.NEXT_STEP)
    envs.metadata = {}
    with pytest.raises(UserError, match="^autoreset_mode of the vector environment is None"):
        EnvStream(envs).reset(seed=0)


def test_all_that_is_missing_is_named_at_once():
    envs = ScriptedVector(SCRIPTS, AutoresetMode.NEXT_STEP)
    del envs.single_observation_space, envs.single_action_space
    envs.metadata = {}
    missing = "single_observation_space, single_action_space, metadata['autoreset_mode']"
    with pytest.raises(UserError) as caught:
        PPO(PPOConfig(num_steps=4, num_minibatches=1, shared_sizes=()), envs)
    assert str(caught.value) == f"env is a VectorEnv without {missing}: set them (docs/environments.md shows how)."


def test_same_step_without_the_final_observations_is_an_error_that_says_so():
    envs = make("native-same", SCRIPTS)
    step = envs.step
    envs.step = lambda actions: (*step(actions)[:4], {})
    stream = EnvStream(envs).reset(seed=0)
    stream.step(envs.action_space.sample())
    with pytest.raises(Exception, match="In step 2, the vector environment gave no final_obs"):
        stream.step(envs.action_space.sample())
