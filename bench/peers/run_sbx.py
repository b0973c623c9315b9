"""sbx's PPO: Stable-Baselines3's loop with the network and the updates in JAX. It does not clip the value."""

from protocol import Job, answer
from run_sb3 import train


def measure(job: Job) -> dict:
    """Train for the job's updates."""
    import flax.linen
    from sbx import PPO

    layers = [*job.shared_sizes, *job.policy_sizes]
    network = {"net_arch": {"pi": layers, "vf": layers}, "activation_fn": getattr(flax.linen, job.activation)}
    return train(PPO, job, policy_kwargs=network)


if __name__ == "__main__":
    answer("sbx", ("sbx-rl", "stable-baselines3", "jax", "gymnasium", "numpy"), measure)
