"""Runs from Python on several ranks: one folder, the same rows, and all of them stop if one says so."""

import csv

from leveled import Leveled
from thread_ranks import together

from ppo_np import PPO, PPOConfig

SMALL = PPOConfig(
    total_timesteps=64, num_envs=4, num_steps=4, num_minibatches=2, update_epochs=1, shared_sizes=(4,),
    info_keys=["is_success"],
)  # fmt: skip
COLUMNS = "update", "step", "episodes", "episodic_return", "is_success", "mine"


def rows_of(size, folder):
    def work(ranks):
        def callback(ppo, metrics):
            ppo.set_attr("level", metrics.update // 2)
            ppo.log("mine", 10 * ranks.rank + metrics.update)  # counts on rank 0
            return not (ranks.rank == size - 1 and metrics.update == 3)

        ppo = PPO(SMALL, Leveled, ranks=ranks).learn(callback, run_dir=folder)
        return ppo.update, ppo.learn(run_dir=folder).update, ppo.get_attr("level")

    assert together(size, work) == [(3, 4, [1] * (4 // size))] * size
    with open(folder / "metrics.csv", newline="") as file:
        return [[row[name] for name in COLUMNS] for row in csv.DictReader(file)]


def test_two_ranks_write_the_rows_of_one(tmp_path):
    one, two = (rows_of(size, tmp_path / str(size)) for size in (1, 2))
    assert one == two
    assert [row[-2:] for row in one] == [["0.0", "1.0"], ["0.0", "2.0"], ["1.0", "3.0"], ["1.0", ""]]
