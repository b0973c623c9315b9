"""Chromium without a window: what a page is after its scripts have run."""

import shutil
import subprocess
import tempfile
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--allow-file-access-from-files",
)  # fmt: skip


def dump(page: Path, values: str = "", *flags: str) -> str:
    """The page as HTML after its scripts have run. Raises subprocess.CalledProcessError if Chromium fails.

    Args:
        page: the file.
        values: what follows the # in the address.
        flags: further flags of Chromium.
    """
    address = f"{page.as_uri()}#{values}"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", *flags, "--dump-dom", address]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
