"""The watchdog over environments in this process: when it bites, and that it leaves no trace."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from ppo_np.environments.watchdog import Watchdog
from ppo_np.errors import EnvironmentFault

pytestmark = pytest.mark.faults


@pytest.fixture(autouse=True)
def no_trace():
    yield
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def watch(timeout, call):
    return Watchdog(timeout, call, lambda: "environment 3")


def is_active():
    return signal.getsignal(signal.SIGALRM) != signal.SIG_DFL


def test_a_call_that_takes_too_long_is_interrupted():
    start = time.monotonic()
    message = r"^environment 3 did not answer within 0\.4 s \(env_timeout\)$"
    with pytest.raises(EnvironmentFault, match=message), watch(0.4, lambda: 7):
        time.sleep(60)
    assert 0.4 <= time.monotonic() - start < 5


def test_python_code_that_computes_for_ever_is_interrupted():
    with pytest.raises(EnvironmentFault), watch(0.2, lambda: 7):
        while True:
            pass


def test_idleness_is_no_hanging():
    with watch(0.05, lambda: None):
        time.sleep(0.3)


def test_many_short_calls_are_no_hanging():
    calls = iter(range(10**9))
    with watch(0.05, lambda: next(calls)):
        time.sleep(0.3)


def test_the_limit_is_for_each_call():
    start = time.monotonic()
    with watch(1.0, lambda: int((time.monotonic() - start) / 0.4)):
        while time.monotonic() < start + 1.6:
            time.sleep(0.05)


def test_a_fault_that_is_swallowed_comes_again():
    with pytest.raises(EnvironmentFault), watch(0.2, lambda: 7):
        try:
            time.sleep(60)
        except EnvironmentFault:
            time.sleep(60)


def test_a_fault_for_any_other_reason_passes():
    with pytest.raises(KeyError), watch(60, lambda: 7):
        raise KeyError


def test_it_does_nothing_without_a_limit():
    with watch(float("inf"), lambda: 7):
        assert not is_active()


def test_it_does_nothing_in_a_thread():
    seen = []

    def work():
        with watch(0.05, lambda: 7):
            seen.append(is_active())
            time.sleep(0.2)
            seen.append("end")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False, "end"]


def test_a_handler_of_somebody_else_is_left_alone():
    def theirs(number, frame):
        pass

    signal.signal(signal.SIGALRM, theirs)
    try:
        with watch(0.05, lambda: 7):
            assert signal.getsignal(signal.SIGALRM) is theirs
            assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
        assert signal.getsignal(signal.SIGALRM) is theirs
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def test_a_timer_of_somebody_else_is_left_alone():
    signal.alarm(1000)
    try:
        with watch(0.05, lambda: 7):
            assert not is_active()
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 900
    finally:
        signal.alarm(0)


def test_inside_another_one_it_does_nothing():
    with watch(60, lambda: 7):
        outer = signal.getsignal(signal.SIGALRM)
        with watch(0.05, lambda: 7):
            assert signal.getsignal(signal.SIGALRM) == outer
        assert signal.getsignal(signal.SIGALRM) == outer
        assert signal.getitimer(signal.ITIMER_REAL)[1] == 15


def test_a_suspended_process_is_not_a_hanging_one():
    code = """if True:
        import time
        from ppo_np.environments.watchdog import Watchdog
        with Watchdog(1.0, lambda: 7, lambda: "environment 3"):
            print("begin", flush=True)
            time.sleep(0.3)
        print("end", flush=True)
    """
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begin\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        process.send_signal(signal.SIGCONT)
        assert process.stdout.read() == "end\n"
    assert process.returncode == 0
