"""Stable-Baselines3's PPO with the settings of RL Baselines3 Zoo for LunarLander, until it is solved."""

from protocol import answer
from referee import Race, Referee

ENVS = 16
ZOO = {"n_steps": 1024, "batch_size": 64, "n_epochs": 4, "gae_lambda": 0.98, "gamma": 0.999, "ent_coef": 0.01}


def measure(race: Race) -> dict:
    """Train; evaluate where a rollout begins, that is after an update."""
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env

    torch.set_num_threads(race.threads)
    referee = Referee(race)

    def solved():
        return referee.solved(ppo.num_timesteps, lambda obs: ppo.predict(obs, deterministic=True)[0])

    class Judged(BaseCallback):
        """Ends training in the step after the evaluation that was passed."""

        enough = False

        def _on_rollout_start(self):
            self.enough = solved()

        def _on_step(self):
            return not self.enough

    envs = make_vec_env(race.env_id, ENVS, seed=race.seed)
    ppo = PPO("MlpPolicy", envs, seed=race.seed, device="cpu", **ZOO)
    judge = Judged()
    ppo.learn(race.total_timesteps, callback=judge)
    if not judge.enough:
        solved()
    return referee.verdict()


if __name__ == "__main__":
    answer("Stable-Baselines3", ("stable-baselines3", "torch", "gymnasium", "numpy"), measure, Race)
