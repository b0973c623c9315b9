"""pytest for a thousand mutants without a thousand imports of Numba and SciPy: a warm process forks for each run.

`python warm_pytest.py serve SOCKET` imports what the tests need, but none of this project, and waits.
`python warm_pytest.py ask SOCKET SECONDS ARGUMENT ...` runs `pytest ARGUMENT ...` in a fork of that process, in the
folder where it is asked, prints what pytest prints and exits as pytest does. After SECONDS the fork ends itself.
"""

import gc
import json
import os
import signal
import socket
import sys
import traceback

# Exit codes beside pytest's 0 to 5.
TIMEOUT, CRASH = 124, 125
PRELOADED = ("hypothesis.strategies", "numba", "numpy", "pytest", "scipy.special", "scipy.stats")
QUIET = ("-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")


class Hasty:
    """pytest plugin: the same tests, but the first failure comes sooner."""

    def pytest_configure(self):
        """Take the project's Hypothesis profile; do not make a failing example smaller before it counts."""
        from hypothesis import Phase, settings

        phases = (Phase.explicit, Phase.generate)
        settings.register_profile("mutation", parent=settings(), phases=phases, report_multiple_bugs=False)
        settings.load_profile("mutation")

    def pytest_collection_modifyitems(self, items):
        """Run examples worked out by hand before those drawn by Hypothesis: there are fewer."""
        items.sort(key=lambda item: getattr(item.obj, "is_hypothesis_test", False))


def serve(path):
    """Fork for each connection, as long as the process that started this one lives."""
    parent = os.getppid()
    for name in PRELOADED:
        __import__(name)
    sys.modules["pytest"].main([*QUIET, os.path.dirname(path)])  # finds no test, but imports pytest's plugins
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    listener.settimeout(2)
    while os.getppid() == parent:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        if os.fork() == 0:
            answer(connection)
        connection.close()


def answer(connection):
    """Run pytest as the connection asks; its output goes there, with the exit code as the last line."""
    import pytest

    def end(code):
        os.write(connection.fileno(), f"\n{code:d}".encode())
        os._exit(0)

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, lambda *_: end(TIMEOUT))
    folder, seconds, arguments = json.loads(connection.makefile().readline())
    signal.alarm(seconds)
    os.chdir(folder)
    sys.path.insert(0, folder)
    for stream in (1, 2):
        os.dup2(connection.fileno(), stream)
    try:
        code = pytest.main([*QUIET, *arguments], plugins=[Hasty()])
        sys.stdout.flush()
        end(code)
    except BaseException:
        traceback.print_exc()
        end(CRASH)


def ask(path, seconds, arguments):
    """Print what pytest prints, and `exit` with the exit code, which is returned."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    connection.sendall((json.dumps([os.getcwd(), int(seconds), arguments]) + "\n").encode())
    output, _, code = connection.makefile(errors="replace").read().rpartition("\n")
    code = code if code.isdigit() else CRASH
    print(f"{output}\nexit {code}")
    return int(code)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        sys.exit(ask(sys.argv[2], sys.argv[3], sys.argv[4:]))
