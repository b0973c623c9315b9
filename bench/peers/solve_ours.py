"""ppo_np with the preset that is named for the environment, stepped by Gymnasium or by EnvPool, until it is solved.

On one rank of MPI or on several, of which rank 0 plays the evaluations.
"""

import dataclasses

from protocol import answer
from referee import Race, Referee

from ppo_np import PPO, PPOConfig
from ppo_np.config import preset_for
from ppo_np.mpi import world


def measure(race: Race) -> dict:
    """Train; evaluate with `predict`."""
    names = ("seed", "threads", "total_timesteps", "vectorization")
    known = {name: getattr(race, name) for name in names}
    ranks = world()
    ppo = PPO(dataclasses.replace(PPOConfig.preset(preset_for(race.env_id)), **known), ranks=ranks)
    referee = Referee(race)

    def after_update(ppo, metrics):
        if ranks.rank == 0 and referee.solved(metrics.step, ppo.predict):
            ppo.stop()

    ppo.learn(after_update)
    ppo.close()
    if ranks.rank:
        raise SystemExit
    return referee.verdict()


if __name__ == "__main__":
    answer("ppo_np", ("numpy", "numba", "scipy", "gymnasium"), measure, Race)
