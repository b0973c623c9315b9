"""The CleanRL-style loop with CleanRL's defaults, until the environment is solved."""

from protocol import Job, answer
from referee import Race, Referee


def measure(race: Race) -> dict:
    """Train; evaluate with the most probable actions."""
    import torch
    from gym_envs import make
    from torch_loop import train

    torch.set_num_threads(race.threads)
    job = Job(env_id=race.env_id, seed=race.seed)
    referee = Referee(race)

    def solved(update, network):
        def act(obs):
            with torch.no_grad():
                return network(torch.as_tensor(obs))[0].logits.argmax(dim=1).numpy()

        return referee.solved(update * job.batch_size, act)

    train(job, make(job), race.total_timesteps // job.batch_size, solved)
    return referee.verdict()


if __name__ == "__main__":
    answer("CleanRL-style loop", ("torch", "gymnasium", "numpy"), measure, Race)
