"""ppo_np with the preset that is named for the environment, stepped by Gymnasium or by EnvPool, until it is solved."""

import dataclasses

from protocol import answer
from referee import Race, Referee

from ppo_np import PPO, PPOConfig
from ppo_np.config import preset_for


def measure(race: Race) -> dict:
    """Train; evaluate with `predict`."""
    names = ("seed", "threads", "total_timesteps", "vectorization")
    known = {name: getattr(race, name) for name in names}
    ppo = PPO(dataclasses.replace(PPOConfig.preset(preset_for(race.env_id)), **known))
    referee = Referee(race)

    def after_update(ppo, metrics):
        if referee.solved(metrics.step, ppo.predict):
            ppo.stop()

    ppo.learn(after_update)
    ppo.close()
    return referee.verdict()


if __name__ == "__main__":
    answer("ppo_np", ("numpy", "numba", "scipy", "gymnasium"), measure, Race)
