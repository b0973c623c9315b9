"""Grades lesson 19: a rollout of scripted environments, and the minibatches of two epochs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ppo_np.course.exercise import ContractError, Exercise, Point

KEYS = ("obs", "actions", "logprobs", "values", "rewards", "terminations", "truncations", "final_values")
Ends = list[list[tuple[int, str]]]  # of each environment: (length of an episode, "terminated" or "truncated")


class ScriptedEnvs:
    """Environments whose episodes have given lengths and ends. An observation is (environment, episode, step).

    Attributes:
        num_envs: N.
    """

    def __init__(self, ends: Ends):
        self.num_envs, self._ends = len(ends), ends
        self._places = np.array([[n, 0, 0] for n in range(len(ends))], float)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """As a vector environment of Gymnasium in the mode SAME_STEP."""
        if np.shape(actions) != (self.num_envs,):
            raise ContractError(
                f"step got actions of the shape {np.shape(actions)}, but it must be {(self.num_envs,)}."
            )
        rewards = self._places @ [100.0, 10.0, 1.0] + np.asarray(actions) / 8
        terminations, truncations = np.zeros((2, self.num_envs), bool)
        final_obs = np.full(self.num_envs, None, object)
        for n, (_, episode, step) in enumerate(self._places):
            length, end = self._ends[n][int(episode) % len(self._ends[n])]
            self._places[n, 2] += 1
            if step + 1 == length:
                final_obs[n] = self._places[n].copy()
                terminations[n], truncations[n] = "terminated" in end, "truncated" in end
                self._places[n] = n, episode + 1, 0
        infos = (
            {"final_obs": final_obs, "_final_obs": terminations | truncations}
            if any(terminations | truncations)
            else {}
        )
        return self._places.copy(), rewards, terminations, truncations, infos


def act(obs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A policy whose outputs tell from which observation they come."""
    index = np.asarray(obs, float) @ [7.0, 3.0, 1.0]
    return (index % 4).astype(np.int64), -0.5 - index % 5 / 8, np.asarray(obs, float) @ [1000.0, 100.0, 1.0] + 0.5


def _collected(function: Callable[..., Any], arguments: list[Any]) -> Any:
    """The rollout in a fixed order of its arrays, without the final values that nobody reads; and the next obs."""
    ends, obs, num_steps = arguments
    result = function(ScriptedEnvs(ends), act, obs, num_steps)
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], dict)):
        raise ContractError("Your function must return a dict of arrays and the next observations.")
    missing = [name for name in KEYS if name not in result[0]]
    if missing:
        raise ContractError(f"Your dict has no {missing[0]}.")
    rollout = {name: np.array(result[0][name]) for name in KEYS}
    read = rollout["truncations"] & ~rollout["terminations"]
    if rollout["final_values"].shape == read.shape:
        rollout["final_values"] = np.where(read, rollout["final_values"], 0.0)
    return rollout, result[1]


def _scripts(rng: np.random.Generator) -> list[Point]:
    kinds = ("terminated", "truncated", "terminated truncated")

    def drawn() -> list[tuple[int, str]]:
        return [(int(rng.integers(1, 5)), kinds[rng.integers(3)]) for _ in range(4)]

    def point(label: str, ends: Ends, num_steps: int) -> Point:
        return Point(label, ends=ends, obs=np.array([[n, 0, 0] for n in range(len(ends))], float), num_steps=num_steps)

    by_hand: Ends = [[(2, "terminated"), (9, "terminated")], [(1, "truncated"), (9, "terminated")]]
    return [
        point("worked by hand", by_hand, 3),
        point("no episode ends", [[(9, "terminated")], [(9, "truncated")]], 3),
        point("a termination", [[(2, "terminated")]], 3),
        point("a truncation in the last row", [[(3, "truncated")], [(4, "terminated")]], 3),
        point("three environments", [drawn(), drawn(), [(1, "truncated"), (2, "terminated")]], 6),
    ]


def _two_epochs(function: Callable[..., Any], arguments: list[Any]) -> Any:
    """Sizes, the rows of an epoch in order; whether they are shuffled, the next epoch differs, and rng repeats it."""
    num_rows, num_minibatches, seed = arguments
    rng = np.random.default_rng(seed)
    epochs = [function(num_rows, num_minibatches, rng) for _ in range(2)]
    if not all(isinstance(epoch, list | tuple) for epoch in epochs):
        raise ContractError("Your function must return a list of index arrays.")
    first, second = (np.concatenate([np.ravel(part) for part in epoch]) for epoch in epochs)
    sizes = np.sort([len(part) for part in epochs[0]])[::-1]
    shuffled = int(not np.array_equal(first, np.sort(first)))
    again = function(num_rows, num_minibatches, np.random.default_rng(seed))
    repeated = int(np.array_equal(first, np.concatenate([np.ravel(part) for part in again])))
    return sizes, np.sort(first), shuffled, int(not np.array_equal(first, second)), repeated


def _epochs(rng: np.random.Generator) -> list[Point]:
    sizes = ((64, 4), (50, 4), (40, 1), (41, 7))
    return [
        Point(f"{rows} rows, {parts} minibatches", num_rows=rows, num_minibatches=parts, seed=int(rng.integers(10**6)))
        for rows, parts in sizes
    ]


EXERCISES = [
    Exercise("collect", ("ends", "obs", "num_steps"), ("rollout", "next_obs"), _scripts, call=_collected),
    Exercise(
        "minibatches", ("num_rows", "num_minibatches", "seed"),
        ("sizes", "rows", "shuffled", "next_epoch_differs", "same_for_the_same_rng"), _epochs, call=_two_epochs,
    ),
]  # fmt: skip
