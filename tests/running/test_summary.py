"""The pieces of a run that the train command's tests do not look into."""

import io
import math
import shlex
from types import SimpleNamespace

import numpy as np
from commands import run
from numba.core.event import Event, EventStatus
from rich.console import Console
from small_train import SMALL

from kernels.advantage import gae
from ppo_np import PPO, PPOConfig
from ppo_np.environments.stream import Episode
from ppo_np.logs.filenames import BEST
from ppo_np.network.action_head import discrete
from ppo_np.network.model import ActorCritic
from ppo_np.running.options import TrainOptions
from ppo_np.running.summary import CompilationNotice, model_table, recent_means, summary
from ppo_np.train import main


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


def result(folder, episodes=(), best=False, interrupted=False, total=64):
    """The lines of the summary of a run of 64 steps."""
    ppo = PPO(PPOConfig(env_id="CartPole-v1", shared_sizes=(4,)))
    ppo.recent_episodes.extend(episodes)
    ppo.state.global_step, ppo.state.update, ppo.state.wall_time, ppo.reward_per_step = 64, 1, 2.0, 0.0123456
    if best:
        folder.mkdir()
        (folder / BEST).touch()
    options = TrainOptions(config=PPOConfig(total_timesteps=total))
    return summary(ppo, folder, options, interrupted).splitlines()


def test_the_summary_is_lines_that_can_be_copied(tmp_path):
    folder = tmp_path / ("long" * 40)
    assert result(folder, [Episode(10.0, 5), Episode(20.0, 8)]) == [
        "Training finished",
        "steps done / requested  64 / 64",
        "wall time               2.0 s (32 steps/s)",
        "last 2 episodes         mean return 15.0, mean length 6.5",
        f"checkpoint              {folder}/checkpoint.h5",
        f"metrics                 {folder}/metrics.csv",
        f"settings                {folder}/config.json",
        f"to watch                tensorboard --logdir {folder}",
        f"to evaluate             python -m ppo_np.evaluate {folder}",
        f"to plot                 python -m ppo_np.plot {folder}",
        f"to train on             python -m ppo_np.train --resume {folder} --total-timesteps 64",
    ]


def test_the_next_commands_fit_the_run(tmp_path):
    """The best policy is evaluated; an interrupted run goes on to its end; the shell reads an odd name as it is."""
    folder = tmp_path / "a b[c]"
    lines = result(folder, best=True, interrupted=True, total=100)
    assert lines[:2] == ["Training interrupted", "steps done / requested  64 / 100"]
    assert lines[3] == "last rollout            mean reward 0.01235 a step; no episode has ended yet"
    commands = [shlex.split(line[24:]) for line in lines[-4:]]
    assert [command[-1] for command in commands] == [str(folder), f"{folder}/best.h5", str(folder), str(folder)]


def test_a_resumed_run_says_where_it_goes_on(tmp_path, capsys):
    assert run(main, *SMALL, "--run-dir", tmp_path / "run", "--total-timesteps", 128) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"run folder: {tmp_path / 'run'}"
    assert run(main, "--resume", tmp_path / "run", "--total-timesteps", 1000) == 0
    expected = f"run folder: {tmp_path / 'run'}, resumed at step 128 of 1,128 (1,000 to go)"
    assert capsys.readouterr().out.splitlines()[0] == expected


def test_compiling_is_told_once_and_only_of_our_kernels():
    told = []
    notice = CompilationNotice(told.append)
    for function in (lambda: None, gae.py_func, gae.py_func) if hasattr(gae, "py_func") else ():
        notice.on_start(Event("numba:compile", EventStatus.START, {"dispatcher": SimpleNamespace(py_func=function)}))
        notice.on_end(Event("numba:compile", EventStatus.END))
        assert len(told) == (function is gae.py_func)
    assert all(sentence.startswith("Compiling the kernels, once, ") for sentence in told)


def test_the_mean_reward_is_that_of_the_environment_without_reset_rows():
    """CartPole gives 1 in each step; the normalised rewards are others."""
    ppo = PPO(PPOConfig(env_id="CartPole-v1", shared_sizes=(4,), num_steps=64, norm_reward=True, total_timesteps=256))
    assert math.isnan(ppo.reward_per_step)
    ppo.learn()
    assert ppo.reward_per_step == 1.0
