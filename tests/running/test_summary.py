"""The pieces of a run that the train command's tests do not look into."""

import io
import math

import numpy as np
from rich.console import Console

from ppo_np import PPO, PPOConfig
from ppo_np.environments.stream import Episode
from ppo_np.network.action_head import discrete
from ppo_np.network.model import ActorCritic
from ppo_np.running.summary import model_table, recent_means


def text_of(table):
    console = Console(file=io.StringIO(), width=100)
    console.print(table)
    return console.file.getvalue()


def test_the_table_of_the_articles_network():
    text = text_of(model_table(ActorCritic(8, discrete(4), PPOConfig(), np.random.default_rng(0))))
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]
    assert rows == [
        ["observation", "(B, 8)", "0"],
        ["shared/0", "(B, 1024)", "9,216"],
        ["shared/1", "(B, 1024)", "1,049,600"],
        ["policy/head", "(B, 4)", "4,100"],
        ["value/head", "(B, 1)", "1,025"],
        ["total", "", "1,063,941"],
    ]


def test_recent_means_are_over_the_last_100_episodes():
    ppo = PPO(PPOConfig(env_id="CartPole-v1", shared_sizes=(4,)))
    assert all(math.isnan(mean) for mean in recent_means(ppo))
    ppo.reward_per_step = 0.5
    ppo.recent_episodes.extend(Episode(float(i), 2 * i) for i in range(150))
    assert recent_means(ppo) == (np.mean(range(50, 150)), 2 * np.mean(range(50, 150)), 0.5)
