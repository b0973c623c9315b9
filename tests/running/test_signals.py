"""Signals are noted and passed on; a second one ends the process."""

import os
import signal
import subprocess
import sys

import pytest

from ppo_np.running.signals import STOPPING, StopSignals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_is_noted_and_passed_on(number, capfd):
    before, calls = signal.getsignal(number), []
    with StopSignals() as signals:
        signals.on_stop = lambda: calls.append(signals.number)
        assert signals.exit_code == 0
        os.kill(os.getpid(), number)
        assert calls == [number]
        assert signals.exit_code == 128 + number
    assert signal.getsignal(number) == before
    assert capfd.readouterr().err == STOPPING.decode()


def test_a_hangup_that_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.number == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_signal_ends_the_process():
    code = """if True:
        import os, signal
        from ppo_np.running.signals import StopSignals
        with StopSignals():
            os.kill(os.getpid(), signal.SIGINT)
            print("still here", flush=True)
            os.kill(os.getpid(), signal.SIGINT)
            print("not here", flush=True)
    """
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.stdout == "still here\n"
    assert process.returncode == -signal.SIGINT


def test_a_signal_that_is_sent_twice_is_one():
    """`timeout` and some batch systems send it to the process and to its group. A later one ends the process."""
    code = """if True:
        import os, signal, threading, time
        from ppo_np.running.signals import StopSignals

        def send():
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.02)

        calls = []
        with StopSignals() as signals:
            signals.on_stop = lambda: calls.append(signals.number)
            sending = threading.Thread(target=send)
            sending.start()
            time.sleep(0.5)
            sending.join()
            print(calls, flush=True)
            os.kill(os.getpid(), signal.SIGTERM)
    """
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (process.stdout, process.stderr) == ("[15]\n", STOPPING.decode())
    assert process.returncode == -signal.SIGTERM
