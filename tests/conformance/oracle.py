"""What a rollout must contain, from the script and an explicit value function, in plain Python: no line of ppo_np."""

from typing import NamedTuple

import numpy as np
from episodes import FIRST_ACTION, reward_of

GAMMA, LAMBDA = 0.9, 0.8
VALUE_WEIGHTS, VALUE_BIAS = (3.0, 10.0, 1.0), 0.5


def value(obs):
    """V(index, episode, step)."""
    return float(np.dot(VALUE_WEIGHTS, obs)) + VALUE_BIAS


class Row(NamedTuple):
    """A row of one environment: a transition, or (valid False) the reset after an episode."""

    obs: tuple[int, int, int]
    successor: tuple[int, int, int]
    valid: bool
    terminated: bool
    truncated: bool

    @property
    def done(self):
        return self.terminated or self.truncated


def timeline(script, index, count, next_step):
    """The first `count` rows of an environment, and at least one more."""
    rows, episode = [], 0
    while len(rows) <= count:
        length, end = script[episode % len(script)]
        for step in range(length):
            last = step == length - 1
            successor = (index, episode, step + 1)
            rows.append(Row((index, episode, step), successor, True, last and "T" in end, last and "t" in end))
        if next_step:
            rows.append(Row((index, episode, length), (index, episode + 1, 0), False, False, False))
        episode += 1
    return rows


def reward(row, choice):
    return reward_of(*row.obs[1:], choice) if row.valid else 0.0


def advantage(rows, choices, t, stop):
    """Sum of (gamma lambda)^k delta_{t+k} up to the episode's end or the rollout's, row `stop`."""
    total, weight = 0.0, 1.0
    for k in range(t, stop):
        row = rows[k]
        assert row.valid
        bootstrap = 0.0 if row.terminated else GAMMA * value(row.successor)
        total += weight * (reward(row, choices[k]) + bootstrap - value(row.obs))
        weight *= GAMMA * LAMBDA
        if row.done:
            break
    return total


def episodes(timelines, choices, start, stop):
    """(return, length) of the episodes that end in rows start...stop-1, in the order in which they end."""
    ended = []
    for t in range(start, stop):
        for rows, own in zip(timelines, choices, strict=True):
            if rows[t].done:
                steps = [k for k in range(t + 1) if rows[k].valid and rows[k].obs[1] == rows[t].obs[1]]
                ended.append((sum(reward(rows[k], own[k]) for k in steps), len(steps)))
    return ended


def check_rollout(buffer, report, timelines, choices, start):
    """Compare every row of a rollout that begins with row `start` of the timelines.

    Args:
        buffer, report: of ppo_np.
        timelines: of each environment.
        choices: the choices of each environment from the very beginning, this rollout's included.
        start: index of the rollout's first row.
    """
    num_steps = len(buffer.rewards)
    stop = start + num_steps
    for n, (rows, own) in enumerate(zip(timelines, choices, strict=True)):
        for t, row in enumerate(rows[start:stop]):
            assert tuple(buffer.obs[t, n]) == row.obs
            assert buffer.values[t, n] == value(row.obs)
            assert buffer.valid[t, n] == row.valid
            assert buffer.rewards[t, n] == reward(row, own[start + t])
            assert buffer.terminations[t, n] == row.terminated
            assert buffer.truncations[t, n] == row.truncated
            if row.truncated and not row.terminated:
                assert buffer.final_values[t, n] == value(row.successor)
            if row.valid:
                expected = advantage(rows, own, start + t, stop)
                np.testing.assert_allclose(buffer.advantages[t, n], expected, rtol=1e-5, atol=1e-5)
                np.testing.assert_allclose(buffer.returns[t, n], expected + value(row.obs), rtol=1e-5, atol=1e-5)
        assert buffer.values[-1, n] == value(rows[stop].obs)
    assert report.steps == sum(row.valid for rows in timelines for row in rows[start:stop])
    assert report.episodes == episodes(timelines, choices, start, stop)


def check_sent(sent, timelines, choices):
    """Exactly the actions of the valid rows reached the environments: none of a reset row."""
    for own_sent, rows, own in zip(sent, timelines, choices, strict=True):
        assert own_sent == [FIRST_ACTION + choice for row, choice in zip(rows, own, strict=False) if row.valid]
