"""The Celery task: what travels, what comes back, and that Celery is asked for nowhere else."""

from __future__ import annotations

import ast
import json
import pickle
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.signals import before_task_publish
from django.core.files.storage import storages
from django.db import DatabaseError, connection

import consistent_s3
from consistent_s3.errors import CollectionFailedError
from consistent_s3.models import CollectionRun
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.tasks import collect_garbage
from tests.archive.models import Contract
from tests.projects import environment, run_python, write_settings
from tests.seeding import seed

BACKEND = "consistent_s3.storage.ConsistentS3Storage"
SECRET = "not-for-the-broker"
OLD = datetime.now(UTC) - timedelta(days=9)
REDIS = "redis://127.0.0.1:6379/9"
PATIENCE = 300
"""Seconds after which a process that has not done its work is a failure."""


@pytest.fixture
def options(storage_options: dict[str, Any]) -> dict[str, Any]:
    return {**storage_options, "secret_key": SECRET, "retention": {"keep_last": 1}}


@pytest.fixture
def two_storages(settings: Any, options: dict[str, Any]) -> list[ConsistentS3Storage]:
    """Configure two storages with three old versions each."""
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": BACKEND, "OPTIONS": options},
        "archive": {"BACKEND": BACKEND, "OPTIONS": {**options, "location": "archive"}},
    }
    for alias in ("default", "archive"):
        seed(storages[alias], "a.txt", [1, 2, 3], modified=OLD)
    # The default storage has no location, so it would see the other's keys too.
    return [storages["default"], storages["archive"]]


def numbers(storage: ConsistentS3Storage) -> list[int]:
    return [version.number for version in storage.history("a.txt")]


# In this process


def test_the_task_has_a_name_of_its_own():
    assert collect_garbage.name == "consistent_s3.collect_garbage"


@pytest.mark.django_db
def test_all_storages_that_keep_versions_are_collected(two_storages):
    result = collect_garbage.apply()

    assert result.successful()
    assert set(result.get()) == {"default", "archive"}
    assert [numbers(storage) for storage in two_storages] == [[3], [3]]


@pytest.mark.django_db
def test_only_the_named_storages_are_collected(two_storages):
    summaries = collect_garbage(storages=["archive"])

    assert list(summaries) == ["archive"]
    assert [numbers(storage) for storage in two_storages] == [[3, 2, 1], [3]]


@pytest.mark.django_db
def test_no_storage_is_collected_when_none_is_named_on_purpose(two_storages):
    summaries = collect_garbage(storages=[])

    assert summaries == {}
    assert [numbers(storage) for storage in two_storages] == [[3, 2, 1], [3, 2, 1]]


@pytest.mark.django_db
def test_a_dry_run_deletes_nothing(two_storages):
    summaries = collect_garbage(["archive"], dry_run=True)

    assert (summaries["archive"]["dry_run"], summaries["archive"]["deleted"]) == (True, 2)
    assert [numbers(storage) for storage in two_storages] == [[3, 2, 1], [3, 2, 1]]


@pytest.mark.django_db
def test_the_summary_is_fit_for_json(two_storages):
    summaries = collect_garbage(["archive"])

    assert json.loads(json.dumps(summaries)) == {
        "archive": {
            "dry_run": False,
            "names": 1,
            "scanned": 3,
            "kept": 1,
            "deleted": 2,
            "bytes_freed": 2,
            "archived": 0,
            "uploads_aborted": 0,
            "reasons": {"current": 1, "superseded, and no rule keeps it": 2},
            "error_count": 0,
            "errors": [],
            "run": CollectionRun.objects.get().pk,
            "state": "done",
        }
    }


def test_a_message_carries_aliases_and_nothing_else(two_storages):
    sent: list[Any] = []

    def note(body: Any, **_: Any) -> None:
        sent.append(body)

    before_task_publish.connect(note)
    try:
        with Celery("sender", broker="memory://", set_as_current=False) as app:
            task = app.tasks[collect_garbage.name]
            task.apply_async(args=[["archive"]], kwargs={"dry_run": True})
            task.delay()
    finally:
        before_task_publish.disconnect(note)

    assert [(args, options) for args, options, _ in sent] == [([["archive"]], {"dry_run": True}), ((), {})]
    assert SECRET not in json.dumps(sent)


# Failures


@pytest.mark.django_db
def test_a_storage_that_fails_does_not_stop_the_others_and_is_told_at_the_end(two_storages, settings, options, caplog):
    missing = {"BACKEND": BACKEND, "OPTIONS": {**options, "bucket_name": "missing"}}
    settings.STORAGES = {"missing": missing, **settings.STORAGES}

    with pytest.raises(CollectionFailedError) as caught:
        collect_garbage(["missing", "typo", "archive", "default"])

    assert str(caught.value) == (
        f"Collected archive, default. Failed for missing: Cannot list '': there is no bucket 'missing' at "
        f"{options['endpoint_url']}. Create it, or correct bucket_name. typo: 'typo' is no storage that keeps "
        "versions. STORAGES has these: 'missing', 'default', 'archive'. Running it again is safe."
    )
    assert [numbers(storage) for storage in two_storages] == [[3], [3]]
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "could not collect missing",
        "could not collect typo",
    ]
    assert SECRET not in caplog.text
    assert SECRET not in str(caught.value)


@pytest.mark.django_db
def test_where_every_storage_fails_nothing_was_collected():
    with pytest.raises(CollectionFailedError, match=r"^Collected nothing\. Failed for typo: 'typo' is no storage"):
        collect_garbage(["typo"])


@pytest.mark.django_db
def test_nothing_is_deleted_while_the_database_cannot_say_what_rows_point_to(two_storages):
    def refuse(*_: Any) -> None:
        raise DatabaseError("the server closed the connection")

    with (
        connection.execute_wrapper(refuse),
        pytest.raises(CollectionFailedError, match="Failed for archive: the server closed the connection"),
    ):
        collect_garbage(["archive"])

    assert numbers(storages["archive"]) == [3, 2, 1]


def test_the_error_survives_the_journey_back():
    error = pickle.loads(pickle.dumps(CollectionFailedError("Collected nothing.")))

    assert (type(error), str(error)) == (CollectionFailedError, "Collected nothing.")


# Without Celery


def test_everything_else_works_where_celery_is_not_installed(tmp_path):
    write_settings(tmp_path, "")
    program = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['celery', 'kombu', 'redis']))  # as if they were not installed\n"
        "import consistent_s3, django\n"
        "django.setup()\n"
        "from django.core.management import call_command\n"
        "import consistent_s3.storage, consistent_s3.fields, consistent_s3.admin, consistent_s3.collection\n"
        "call_command('check')\n"
        "call_command('consistent_s3', 'collect', '--help')\n"
    )

    run = run_python(tmp_path, "-W", "error", "-c", program)

    assert run.returncode == 0, run.stderr
    assert "--dry-run" in run.stdout


def test_celery_is_imported_in_one_module_only():
    package = Path(consistent_s3.__file__).parent
    importing = {
        str(module.relative_to(package))
        for module in package.rglob("*.py")
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        and any(
            name.partition(".")[0] == "celery"
            for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        )
    }

    assert importing == {"tasks.py"}


# With real processes


@contextmanager
def running(directory: Path, *arguments: str) -> Iterator[Path]:
    """Run `celery` with some arguments as a process until the block ends; yield the file that holds what it said."""
    said = directory / f"{arguments[0]}.log"
    with said.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "own_celery", *arguments, "--loglevel", "INFO"],
            env=environment(directory),
            cwd=directory,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield said
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def worker(directory: Path) -> Any:
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    return running(directory, "worker", "--pool", "solo", *quiet)


def until(condition: Callable[[], bool], *logs: Path) -> None:
    """Wait for a condition. Raises `AssertionError` with what the processes said when it does not come true."""
    pause = threading.Event()
    for _ in range(PATIENCE * 10):
        if condition():
            return
        pause.wait(0.1)
    raise AssertionError("\n".join(log.read_text() for log in logs))


@pytest.fixture
def project(tmp_path: Path, options: dict[str, Any]) -> Callable[..., ConsistentS3Storage]:
    """Return a function that makes a project with a database, three old versions of which a row has the first."""

    def make(**celery: Any) -> ConsistentS3Storage:
        stored = {"default": {"BACKEND": BACKEND, "OPTIONS": options}}
        lines = [f"CELERY_{name.upper()} = {value!r}" for name, value in celery.items()]
        write_settings(
            tmp_path,
            f"STORAGES |= {stored!r}\n"
            f"DATABASES['default']['NAME'] = {str(tmp_path / 'db.sqlite3')!r}\n" + "\n".join(lines) + "\n",
        )
        (tmp_path / "own_celery.py").write_text(
            "from celery import Celery\n\n"
            "app = Celery('own')\n"
            "app.config_from_object('django.conf:settings', namespace='CELERY')\n"
            "app.autodiscover_tasks()\n"
        )
        fill = (
            "import django\n"
            "django.setup()\n"
            "from django.core.management import call_command\n"
            "call_command('migrate', run_syncdb=True, verbosity=0)\n"
            f"from {Contract.__module__} import Contract\n"
            "Contract.objects.create(file='a.txt', file_version=1)\n"
        )
        filled = run_python(tmp_path, "-c", fill)
        assert filled.returncode == 0, filled.stderr
        storage = ConsistentS3Storage(**options)
        seed(storage, "a.txt", [1, 2, 3, 4], modified=OLD)
        return storage

    return make


@pytest.mark.slow
def test_a_real_worker_collects_when_a_real_beat_says_so(project, tmp_path):
    messages, control = tmp_path / "messages", tmp_path / "control"
    messages.mkdir()
    control.mkdir()
    storage = project(
        broker_url="filesystem://",
        broker_transport_options={
            "data_folder_in": str(messages),
            "data_folder_out": str(messages),
            "control_folder": str(control),
        },
        beat_schedule={"collect": {"task": "consistent_s3.collect_garbage", "schedule": 1.0}},
    )

    with worker(tmp_path) as work, running(tmp_path, "beat", "--schedule", str(tmp_path / "schedule")) as beat:
        until(lambda: numbers(storage) == [4, 1], work, beat)
        until(lambda: "Task consistent_s3.collect_garbage" in work.read_text(), work, beat)
        until(lambda: work.read_text().count(" succeeded in ") >= 2, work, beat)

    assert "collected default: 2 of 4 keys, 2 bytes, 0 errors" in work.read_text()
    assert "Scheduler: Sending due task collect (consistent_s3.collect_garbage)" in beat.read_text()
    assert numbers(storage) == [4, 1]
    assert SECRET not in work.read_text() + beat.read_text()


@pytest.mark.slow
@pytest.mark.service
def test_a_real_worker_collects_over_redis_and_returns_the_summary(project, tmp_path):
    redis = pytest.importorskip("redis", reason="The package redis is not installed.")
    client = redis.Redis.from_url(REDIS)
    try:
        client.ping()
    except redis.ConnectionError as error:
        client.close()
        pytest.skip(f"No Redis at {REDIS}: {error}")
    queue = f"consistent_s3_{uuid.uuid4().hex}"
    names = {"task_default_queue": queue, "task_default_exchange": queue, "task_default_routing_key": queue}
    storage = project(broker_url=REDIS, result_backend=REDIS, **names)

    with worker(tmp_path) as work, Celery("sender", broker=REDIS, backend=REDIS, set_as_current=False) as app:
        app.conf.update(names)
        result = app.send_task("consistent_s3.collect_garbage", kwargs={"storages": ["default"]})
        (message,) = client.lrange(queue, 0, -1) or [b""]
        until(result.ready, work)
        summaries = result.get(timeout=1)
        result.forget()
    client.delete(queue, f"_kombu.binding.{queue}")
    client.close()

    assert (summaries["default"]["deleted"], summaries["default"]["kept"]) == (2, 2)
    assert numbers(storage) == [4, 1]
    assert SECRET.encode() not in message
