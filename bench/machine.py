"""The machine and the code that figures are of; and how many threads libraries may use."""

import os
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
POOLS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM", "NUMBA")


def processor() -> str:
    """Model name of the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def commit() -> dict[str, Any]:
    """The commit of this clone, and whether its code of training differs from it; None where there is no git."""

    def git(*arguments: str) -> str:
        command = ["git", "--no-optional-locks", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "kernels", "ppo_np"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


def machine() -> dict[str, Any]:
    """The processor, what else it does, the day, the commit that is measured, and the command line's arguments."""
    about = {"date": f"{date.today()}", "cpu": processor(), "cores": os.cpu_count(), "system": platform.platform()}
    return about | {"load_at_start": os.getloadavg()[0], "arguments": sys.argv[1:]} | commit()


def name_of(about: dict[str, Any]) -> str:
    """The name of the machine that `machine` describes."""
    return f"{about['cpu']}, {about['cores']} cores"


def limits(threads: int) -> dict[str, str]:
    """Environment variables that keep the libraries to so many threads. JAX has no setting; XLA's flags are its way."""
    pools = {f"{pool}_NUM_THREADS": str(threads) for pool in POOLS}
    eigen = "true" if threads > 1 else "false"
    flags = f"--xla_cpu_multi_thread_eigen={eigen} intra_op_parallelism_threads={threads}"
    return pools | {"NPROC": str(threads), "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
