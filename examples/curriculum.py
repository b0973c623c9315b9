"""A curriculum: the pole of CartPole gets shorter, which is harder: `python examples/curriculum.py`."""

from typing import Any

import gymnasium

from ppo_np import PPO
from ppo_np.callbacks import SetAttribute


class Pole(gymnasium.Wrapper):
    """CartPole whose pole has the attribute `half_length`, in m; each reset takes its present value."""

    half_length = 0.5

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Begin with a pole of the present length."""
        cart_pole: Any = self.unwrapped
        cart_pole.length, cart_pole.polemass_length = self.half_length, cart_pole.masspole * self.half_length
        return self.env.reset(**kwargs)


def make() -> gymnasium.Env:
    """One environment."""
    return Pole(gymnasium.make("CartPole-v1"))


if __name__ == "__main__":
    shorter = SetAttribute("half_length", lambda done: round(0.5 - 0.35 * min(2 * done, 1), 2))  # then it stays 0.15 m
    ppo = PPO(make, preset="cartpole", total_timesteps=40_000)
    ppo.learn([shorter, lambda ppo, metrics: ppo.log("half_length", ppo.get_attr("half_length")[0])], progress=True)
    print("half length of the poles:", ppo.get_attr("half_length"))
