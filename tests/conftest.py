"""Fixtures that need a server: each test gets a bucket of its own on a real S3 server."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections
from django.utils import translation
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from consistent_s3.assembly import place_of
from consistent_s3.clients import shared_client
from consistent_s3.core.selftest import honouring
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import S3Server
from tests.redis_server import PROGRAM, RedisServer

# pyproject.toml leaves django-celery-beat out where it would keep Django from being the newest.
collect_ignore = (
    [] if sys.version_info < (3, 12) or find_spec("django_celery_beat") else ["test_install_schedule_beat.py"]
)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background jobs ignore Ctrl-C, and so would whatever programs the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Hypothesis fails an example that takes 0.2 seconds, and one that takes as long to make: a busy machine takes both.
hypothesis_settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("unhurried")

_buckets = itertools.count(1)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    request: pytest.FixtureRequest,
    django_db_modify_db_settings_parallel_suffix: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Keep the database in a file where any test has a live server.

    Its threads would share one connection to a database in memory, and two that ask at once may each be answered with
    what the other asked for.
    """
    if any("live_server" in getattr(item, "fixturenames", ()) for item in request.session.items):
        options = connections["default"].settings_dict
        options["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "default.sqlite3")
        options["OPTIONS"] = {"timeout": 60, "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF"}


@pytest.fixture(scope="session")
def live_server(django_db_setup: None, live_server: Any) -> Any:
    """Begin to serve when it is known that the database is a file; each answer is as of the settings of its moment.

    The server would keep the middleware of whichever test was the first, and forget about those of all others.
    """

    def as_of_now(environ: dict[str, Any], start_response: Any) -> Any:
        return WSGIHandler()(environ, start_response)

    live_server.thread.httpd.get_app().application = as_of_now
    return live_server


@pytest.fixture(autouse=True)
def _language_of_the_project() -> Iterator[None]:
    """Forget the language of the last request: Django keeps it in the thread."""
    yield
    translation.deactivate()


@pytest.fixture
def storage_options(s3_server: S3Server) -> dict[str, Any]:
    """Return options of a storage on a new, empty bucket."""
    options = {
        "bucket_name": f"bucket-{next(_buckets)}",
        "endpoint_url": s3_server.url,
        "access_key": "test",
        "secret_key": "test",
        "region_name": "us-east-1",
        "index": "listing",
    }
    storage = ConsistentS3Storage(**options)
    shared_client(storage).create_bucket(Bucket=options["bucket_name"])
    honouring.add(place_of(storage))  # the first write of a process costs more: see test_storage_selftest
    return options


@pytest.fixture
def make_storage(storage_options: dict[str, Any]) -> Callable[..., ConsistentS3Storage]:
    """Return a function that makes storages on one bucket, with options to add."""
    return lambda **more: ConsistentS3Storage(**{**storage_options, **more})


@pytest.fixture
def storage(make_storage: Callable[..., ConsistentS3Storage]) -> ConsistentS3Storage:
    return make_storage()


@pytest.fixture
def default_storage(settings: Any, storage_options: dict[str, Any]) -> ConsistentS3Storage:
    """Make Django's default storage one on a new bucket, and return it."""
    from django.core.files.storage import storages

    backend = "consistent_s3.storage.ConsistentS3Storage"
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": storage_options}}
    return storages["default"]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say loudly what was not tried, since something of this machine was missing."""
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section("NOT TRIED, something is missing here", red=True)
        for reason in sorted({str(report.longrepr[-1]) for report in skipped}):
            terminalreporter.line(f"  {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a test that was skipped is a test that failed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and os.environ.get("CONSISTENT_S3_NO_SKIPS") and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def _redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    if PROGRAM is None:
        pytest.skip("There is no redis-server on this machine: the Redis index was NOT tested.")
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_server(_redis_server: RedisServer) -> RedisServer:
    """Return an empty Redis that is this process's own."""
    with _redis_server.client as client:
        client.flushall()
    return _redis_server
