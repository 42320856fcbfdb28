"""Real Celery workers that are killed in the middle of a collection, on Redis and on RabbitMQ.

`CONSISTENT_S3_VERSIONS=200000` asks for as many versions as that.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from celery import Celery

from tests.collection_processes import BUCKET, KEEP, data, key, names
from tests.databases import POSTGRESQL
from tests.programs import ROOT
from tests.projects import environment, write_settings
from tests.redis_server import RedisServer

pytestmark = [pytest.mark.slow, pytest.mark.service]

BACKEND = "consistent_s3.storage.ConsistentS3Storage"
RABBITMQ = "amqp://guest:guest@127.0.0.1:5672//"
VERSIONS = int(os.environ.get("CONSISTENT_S3_VERSIONS", "0"))
KILLS = 5
PROCESSES = 2
PATIENCE = 1500 if VERSIONS else 600
"""Seconds after which what has not happened is a failure."""
CELERY = """
from celery import Celery
from celery.signals import worker_process_init

app = Celery("own")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_process_init.connect
def hurry(**_):
    from datetime import timedelta

    from consistent_s3 import journal, runs

    journal.LEASE = runs.LEASE = timedelta(seconds=4)
    runs.TURN = 0.5
"""


@dataclass(kw_only=True)
class World:
    """A filled bucket, a project with a database and a broker."""

    directory: Path
    bucket_url: str
    count: int
    rows: bool
    celery: dict[str, Any]
    logs: list[Path] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        return self._ask("counts")

    def objects(self) -> dict[str, bool]:
        return self._ask("objects")

    def report(self) -> dict[str, Any]:
        run = self._run("report")
        return json.loads(run)

    def fill(self) -> None:
        self._run("project", str(self.count), "rows" if self.rows else "listing")

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run a worker in a process group of its own; it is killed with all its children when the block ends."""
        log = self.directory / f"worker-{len(self.logs)}.log"
        self.logs.append(log)
        options = ["--pool", "prefork", "-c", str(PROCESSES), "--without-gossip", "--without-mingle"]
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "own_celery", "worker", *options, "--loglevel", "INFO"],
                env=environment(self.directory),
                cwd=self.directory,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                yield process
            finally:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def until(self, condition: Callable[[], bool], *, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Wait for a condition. Raises `AssertionError` with what the workers said when it does not come true."""
        pause, end, told = threading.Event(), time.monotonic() + PATIENCE, 0.0
        while time.monotonic() < end:
            if condition():
                return
            if time.monotonic() - told > 1:
                meanwhile()
                told = time.monotonic()
            pause.wait(0.02)
        raise AssertionError("\n".join(log.read_text()[-5000:] for log in self.logs) + f"\n{self.counts}")

    def _ask(self, what: str) -> Any:
        with urllib.request.urlopen(f"{self.bucket_url}/-/{what}", timeout=120) as answer:
            return json.load(answer)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "tests.collection_processes", *arguments],
            env=environment(self.directory),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE + 600,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def bucket(count: int, *, rows: bool) -> Iterator[str]:
    """Serve a filled bucket in a process of its own."""
    arguments = [sys.executable, "-m", "tests.collection_processes", "bucket", str(count), "rows" if rows else ""]
    with subprocess.Popen(arguments, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait()


@contextmanager
def world(directory: Path, broker: str, *, versions: int, rows: bool, database: dict[str, Any]) -> Iterator[World]:
    count = (VERSIONS or versions) // 4
    queue = f"consistent_s3_{uuid.uuid4().hex}"
    celery = {"task_default_queue": queue, "task_default_exchange": queue, "task_default_routing_key": queue}
    with bucket(count, rows=rows) as url:
        options = {
            "bucket_name": BUCKET,
            "endpoint_url": url,
            "access_key": "test",
            "secret_key": "test",
            "region_name": "us-east-1",
            "index": "database" if rows else "listing",
            "retention": {"keep_last": KEEP, "max_delete_ratio": 0.6},
        }
        settings = {**celery, "broker_url": broker, "worker_prefetch_multiplier": 1}
        write_settings(
            directory,
            f"STORAGES |= { ({'default': {'BACKEND': BACKEND, 'OPTIONS': options}})!r}\n"
            f"DATABASES = { ({'default': database})!r}\n"
            + "".join(f"CELERY_{word.upper()} = {value!r}\n" for word, value in settings.items()),
        )
        (directory / "own_celery.py").write_text(CELERY)
        made = World(directory=directory, bucket_url=url, count=count, rows=rows, celery=celery)
        made.fill()
        yield made


def collect_and_kill(made: World, sender: Celery, chance: random.Random) -> None:
    """Begin twice at once, kill workers at points drawn by chance, and go on until the collection has ended."""
    expected = [name_versions - KEEP for _, name_versions in names(made.count) if name_versions > KEEP]
    going = sum(expected)

    def resume() -> None:
        sender.send_task("consistent_s3.resume_collections")

    for _ in range(2):
        sender.send_task("consistent_s3.collect_garbage", kwargs={"storages": ["default"]})
    points = [(place + chance.random()) / KILLS * going * 0.9 for place in range(KILLS)]
    if not made.rows:
        pages = made.counts["LIST"] + 2 + int(chance.random() * made.count * 4 / 1000 / 2)
        with made.worker():
            made.until(lambda: made.counts["LIST"] >= pages, meanwhile=resume)
        points.pop(0)
    for point in points:
        # Never more than there is: a worker may have gone on to the very end before it was killed.
        enough = min(max(point, made.counts["distinct"] + 1), going)
        with made.worker():
            made.until(lambda enough=enough: made.counts["distinct"] >= enough, meanwhile=resume)
    with made.worker():
        made.until(lambda: made.counts["distinct"] == going, meanwhile=resume)
        made.until(lambda: made.report()["runs"][0]["state"] not in {"planning", "sweeping"}, meanwhile=resume)


def check(made: World) -> None:
    kept = {
        key(name, number, rows=made.rows)
        for name, versions in names(made.count)
        for number in range(max(versions - KEEP, 0) + 1, versions + 1)
    }
    all_versions = sum(versions for _, versions in names(made.count))
    going = all_versions - len(kept)
    current = sum(1 for _ in names(made.count))
    objects = made.objects()
    assert objects.keys() == kept
    assert all(objects.values())
    read_back(made, sorted(kept))
    told = made.report()
    [run] = told["runs"]
    assert (run["state"], run["message"], told["slices"]) == ("done", "", 0)
    reasons = {
        "current": current,
        "keep_last": len(kept) - current,
        "superseded, and no rule keeps it": going,
    }
    gone = (
        len(data(key(name, number, rows=made.rows)))
        for name, versions in names(made.count)
        for number in range(1, versions - KEEP + 1)
    )
    totals = {
        "names": made.count,
        "scanned": all_versions,
        "kept": len(kept),
        "deleted": going,
        "bytes_freed": sum(gone),
        "error_count": 0,
        "reasons": reasons,
    }
    assert {word: run["summary"][word] for word in totals} == totals
    assert {word: run["planned"][word] for word in totals} == totals
    if made.rows:
        assert told["rows"] == len(kept)
        assert made.counts["LIST"] == 0
    # Each process that is killed had begun one batch at most, which is sent again.
    assert made.counts["distinct"] == going
    assert made.counts["keys"] - going <= KILLS * PROCESSES * 1000


def read_back(made: World, kept: list[str]) -> None:
    """Read a sample of what was kept over HTTP, byte for byte."""
    with closing(
        boto3.client(
            "s3",
            endpoint_url=made.bucket_url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name="us-east-1",
        )
    ) as client:
        for sampled in random.Random(7).sample(kept, 100):
            assert client.get_object(Bucket=BUCKET, Key=sampled)["Body"].read() == data(sampled)


@contextmanager
def rabbitmq(queue: str) -> Iterator[Celery]:
    with Celery("sender", broker=RABBITMQ, set_as_current=False) as app:
        try:
            with app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1)
        except (OSError, app.connection_for_write().connection_errors) as error:
            pytest.skip(f"No RabbitMQ at 127.0.0.1:5672: {error}")
        yield app
        with app.connection_for_write() as connection, connection.channel() as channel:
            channel.queue_delete(queue)
            channel.exchange_delete(queue)


def test_killed_workers_on_rabbitmq_and_a_listing_lose_nothing_and_repeat_little(tmp_path):
    database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(tmp_path / "db.sqlite3"),
        # Processes are killed here, not machines: what the disk does not have yet is not lost, nor waited for.
        "OPTIONS": {"timeout": 60, "init_command": "PRAGMA synchronous = OFF"},
    }

    with (
        world(tmp_path, RABBITMQ, versions=16_000, rows=False, database=database) as made,
        rabbitmq(made.celery["task_default_queue"]) as sender,
    ):
        sender.conf.update(made.celery)
        collect_and_kill(made, sender, random.Random(11))

        check(made)


def test_killed_workers_on_redis_and_rows_lose_nothing_and_repeat_little(tmp_path):
    name = f"consistent_s3_{uuid.uuid4().hex[:16]}"
    try:
        server = psycopg.connect(**POSTGRESQL, dbname="postgres", autocommit=True, connect_timeout=60)
    except psycopg.OperationalError as error:
        pytest.skip(f"No PostgreSQL at 127.0.0.1:5432 for user postgres: {error}")
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": POSTGRESQL["user"],
        "HOST": POSTGRESQL["host"],
        "PORT": POSTGRESQL["port"],
        "OPTIONS": {"options": "-c synchronous_commit=off"},
    }
    with server:
        server.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
        try:
            with (
                RedisServer(tmp_path) as redis,
                world(tmp_path, redis.url, versions=28_000, rows=True, database=database) as made,
                Celery("sender", broker=redis.url, set_as_current=False) as sender,
            ):
                sender.conf.update(made.celery)
                collect_and_kill(made, sender, random.Random(12))

                check(made)
        finally:
            server.execute(psycopg.sql.SQL("DROP DATABASE {} WITH (FORCE)").format(psycopg.sql.Identifier(name)))
