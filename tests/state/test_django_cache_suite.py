"""Django's own tests of its caches, run on ours. They are not in the wheel: pip fetches the source of this Django."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import django
import pytest

from tests.projects import environment
from tests.state.test_races import tell

pytestmark = pytest.mark.slow

EXCLUDED = {
    "test_cull": "wants a cache of 30 entries to forget some of 50: a bucket has room, and nothing is thrown out",
    "test_zero_cull": "likewise",
}
"""Tests of Django's that do not apply, and why. Each of them must fail, or it is to be taken out."""

PROGRAM = """
import json, sys, time, types, unittest
import django
django.setup()
from django.test import TestCase, override_settings
from django.test.runner import DiscoverRunner
from cache import tests
from cache.tests import BaseCacheTests, caches_setting_for_tests
from consistent_s3.state import S3Cache

# Time passes only where the tests let it: a slow machine needs more than a second for what is kept for one.
now = time.time()

def sleep(seconds):
    global now
    now += seconds

tests.time = types.SimpleNamespace(**vars(time) | {"sleep": sleep, "time": lambda: now})
S3Cache._now = lambda self: now

@override_settings(CACHES=caches_setting_for_tests(BACKEND="consistent_s3.state.S3Cache", LOCATION="default"))
class S3CacheTests(BaseCacheTests, TestCase):
    databases = "__all__"

runner = DiscoverRunner(verbosity=0, interactive=False)
runner.setup_test_environment()
runner.setup_databases()
suite = unittest.defaultTestLoader.loadTestsFromTestCase(S3CacheTests)
result = unittest.TextTestRunner(stream=sys.stderr).run(suite)
bad = [getattr(test, "test_case", test) for test, _ in [*result.failures, *result.errors]]
print(json.dumps({
    "ran": result.testsRun,
    "failed": sorted({test.id().rpartition(".")[2] for test in bad}),
    "skipped": [f"{test.id()}: {why}" for test, why in result.skipped],
}))
"""


@pytest.fixture(scope="module")
def django_tests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of the tests of the Django that is installed, or that which a variable names."""
    if "CONSISTENT_S3_DJANGO_TESTS" in os.environ:
        return Path(os.environ["CONSISTENT_S3_DJANGO_TESTS"])
    directory = tmp_path_factory.mktemp("django")
    wanted = f"Django=={django.__version__}"
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-binary", ":all:", "--no-deps", wanted]
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(fetch, cwd=directory, capture_output=True, timeout=600, check=False)
    archives = list(directory.glob("*.tar.gz"))
    if not archives:
        pytest.skip(f"pip could not fetch the source of {wanted}: Django's tests of caches were NOT run on S3Cache.")
    with tarfile.open(archives[0]) as archive:
        members = [member for member in archive.getmembers() if "/tests/cache/" in member.name]
        archive.extractall(directory, members=members, filter="data")
    (tests,) = directory.glob("*/tests")
    return tests


@pytest.mark.parametrize("index", ["database"], indirect=True)
def test_django_s_own_tests_of_caches_pass_but_for_those_that_do_not_apply(
    django_tests: Path, storage: Any, settings: Any, tmp_path: Path
) -> None:
    tell(tmp_path, settings)
    own = tmp_path / "own_settings.py"
    lines = [own.read_text(), "INSTALLED_APPS = [*INSTALLED_APPS, 'cache']"]
    # The runner makes a database of its own, with the tables of all apps.
    lines.append("DATABASES = {'default': DATABASES['default']}")
    lines.append("STORAGES['default']['OPTIONS']['index_database'] = 'default'")
    own.write_text("\n".join(lines))
    variables = environment(tmp_path)
    variables["PYTHONPATH"] += f":{django_tests}"

    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=variables,
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )

    assert ran.stdout, ran.stderr
    told = json.loads(ran.stdout)
    assert told["failed"] == sorted(EXCLUDED), ran.stderr
    assert told["skipped"] == []
    assert told["ran"] > 50  # 54 with Django 5.2, more since
