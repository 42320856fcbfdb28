"""Ours beside django-reversion, django-simple-history and django-unfold, in a project and a process of its own.

A theme replaces the admin site of a whole process, so the tests in `tests/coexistence` are run there, once in the stock
admin and once in the theme.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.projects import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SECONDS = 1800
"""After which tests that have not ended are a failure."""


@pytest.mark.parametrize("settings", ["settings", "settings_unfold"], ids=["stock", "unfold"])
def test_all_keep_working_beside_each_other(settings):
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "tests/coexistence", f"--ds=tests.coexistence.{settings}"),
            *("-p", "no:cacheprovider", "-m", ""),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout
