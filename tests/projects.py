"""Commands run as people run them: in a process of their own, with settings of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
SECONDS = 600
"""After which a command that has not ended is a failure."""


def write_settings(directory: Path, settings: str) -> None:
    """Make a settings module that differs from the tests' by some lines of Python."""
    (directory / "own_settings.py").write_text(f"from tests.settings import *\n\n{settings}")


def environment(directory: Path) -> dict[str, str]:
    """Return an environment in which those settings and this repository are found."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "own_settings",
        "PYTHONPATH": f"{directory}{os.pathsep}{REPOSITORY}",
    }


def run_python(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python under those settings."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment(directory),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def run_django(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a management command under those settings."""
    return run_python(directory, "-m", "django", *arguments)
