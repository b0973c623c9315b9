"""The processes of workers: they cannot be started, are forgotten, or lose their main process; none is left behind."""

import gc
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import faulty
import pytest
from faulty import Faulty

from ppo_np.environments.workers import WorkerEnvs
from ppo_np.errors import UserError

pytestmark = pytest.mark.faults

PATIENCE = 60.0


@pytest.mark.parametrize("free", [1, 4, 8, 12, 17])
def test_too_few_file_descriptors_are_told_and_leave_no_process(free):
    """As with `ulimit -n`: the queue, a pipe or a process cannot be made, after some workers have been started."""
    fillers, (soft, hard) = [], resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (max(int(path.name) for path in Path("/proc/self/fd").iterdir()) + 40, hard)
    )
    with suppress(OSError):
        while True:
            fillers.append(os.dup(2))
    for _ in range(free):
        os.close(fillers.pop())
    try:
        with pytest.raises(
            UserError, match="^vectorization is 'async', but 20 worker processes cannot be started: Too m"
        ):
            WorkerEnvs([Faulty] * 20, PATIENCE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for filler in fillers:
            os.close(filler)
    assert multiprocessing.active_children() == []


def test_nothing_is_left_of_closed_or_forgotten_workers():
    def play(forget):
        envs = WorkerEnvs([lambda: Faulty(at=-1)] * 3, PATIENCE)
        envs.reset(seed=0)
        if not forget:
            envs.close()
            envs.close()

    def files():
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir()))

    play(False)
    before = files()
    for forget in (False, True):
        play(forget)
        assert files() <= before
        assert multiprocessing.active_children() == []


def test_a_process_that_forgets_to_close_ends_all_the_same():
    code = """if True:
        import faulty
        from ppo_np.environments.workers import WorkerEnvs
        envs = WorkerEnvs([faulty.Faulty] * 2, 60.0)
        envs.reset(seed=0)
        print("end", flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    assert process.communicate(timeout=PATIENCE) == ("end\n", "")
    assert process.returncode == 0
    assert faulty.processes_of(process.pid) == []


def test_workers_that_hang_end_when_the_main_process_is_killed():
    code = """if True:
        import faulty, sys
        from ppo_np.environments import workers
        workers.ORPHAN_TIMEOUT = 0.1
        envs = workers.WorkerEnvs([lambda: faulty.Faulty(index=0, at=1, call=faulty.hang)] * 3, 60.0)
        envs.reset(seed=[0, 0, 0])
        envs.step_async(envs.action_space.sample())
        print("hanging", flush=True)
        sys.stdin.read()
    """
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout.readline() == "hanging\n"
    assert len(faulty.processes_of(process.pid)) == 4
    process.kill()
    process.communicate(timeout=PATIENCE)  # its end is the end of the last process that holds its output
    deadline = time.monotonic() + 1
    while faulty.processes_of(process.pid) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert faulty.processes_of(process.pid) == []
