"""Programs that tests run in processes of their own, with Django set up as for the tests."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent

_PREAMBLE = """
import json, os, sys
import django
django.setup()
from django.core.files.base import ContentFile
from consistent_s3.storage import ConsistentS3Storage
storage = ConsistentS3Storage(**{options!r})
"""


def start(program: str, *arguments: str, options: dict[str, Any]) -> subprocess.Popen[str]:
    """Start a program that finds `storage` made from options; warnings are errors in it."""
    source = _PREAMBLE.format(options=options) + textwrap.dedent(program)
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", source, *arguments],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(program: str, *arguments: str, options: dict[str, Any], timeout: float = 120) -> str:
    """Run it to its end and return what it printed. Raises `AssertionError` with its errors if it failed."""
    with start(program, *arguments, options=options) as process:
        printed, errors = process.communicate(timeout=timeout)
    if process.returncode:
        raise AssertionError(f"{printed}\n{errors}")
    return printed
