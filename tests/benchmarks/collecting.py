"""`python -m tests.benchmarks.collecting [SCALE]`: requests, memory and speed of a collection, as a table.

Each measurement has a process of its own, so that its memory is its own. `SCALE` 0.01 takes a hundredth of everything.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from consistent_s3.core.keys import Layout
from consistent_s3.core.seams import DeleteFailure, ListPage, ObjectInfo

ROOT = Path(__file__).parent.parent.parent
OLD = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = 1000
LOCATION = ""


class GeneratedStore:
    """A bucket of many versions that takes no memory: what it lists is made when asked for. It counts requests."""

    def __init__(self, names: int, versions: int) -> None:
        self.names = names
        self.versions = versions
        self.layout = Layout()
        self.sent: Counter[str] = Counter()
        self.deleted = 0

    def list(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = "", limit: int = PAGE
    ) -> ListPage:
        """List a page; after a token only, or from the beginning."""
        self.sent["LIST"] += 1
        if prefix:  # no stream of events is in this bucket
            return ListPage(objects=())
        if start_after and not token:
            raise NotImplementedError("This bucket is gone through once.")
        begin = int(token or 0)
        end = min(begin + limit, self.names * self.versions)
        objects = tuple(
            ObjectInfo(
                key=self.layout.version_key(
                    f"d{place // self.versions // 1000:04}/file{place // self.versions:07}.txt",
                    self.versions - place % self.versions,
                ),
                size=1000,
                etag="d41d8cd98f00b204e9800998ecf8427e",
                modified=OLD,
            )
            for place in range(begin, end)
        )
        return ListPage(objects=objects, token=str(end) if end < self.names * self.versions else "")

    def delete(self, keys: Sequence[str]) -> Sequence[DeleteFailure]:
        """Count."""
        self.sent["DELETE"] += 1
        self.deleted += len(keys)
        return ()

    def unfinished(self, prefix: str) -> Iterator[Any]:
        """Yield nothing."""
        self.sent["UPLOADS"] += 1
        return iter(())

    def head(self, key: str) -> Any:
        """Refuse: a collection of plain versions asks for none."""
        raise NotImplementedError(key)


@contextmanager
def project(database: str, **options: Any) -> Iterator[Any]:
    """Set Django up with tables and one storage, and yield `collect_garbage`."""
    import django
    from django.conf import settings

    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    settings.DATABASES["default"]["NAME"] = database
    defaults = settings.STORAGES["default"]["OPTIONS"]
    backend = options.pop("backend", "consistent_s3.storage.ConsistentS3Storage")
    settings.STORAGES["default"] = {
        "BACKEND": backend,
        "OPTIONS": {**defaults, "retention": {"keep_last": 1}, **options},
    }
    django.setup()
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)
    from consistent_s3.collection import collect_garbage

    yield collect_garbage


def resident() -> int:
    """Return the bytes that this process has in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def most() -> int:
    """Return the most bytes that it ever had.

    Not by `getrusage`: on Linux a process inherits that from the one that it was forked from, over the exec.
    """
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


@contextmanager
def measured(result: dict[str, Any]) -> Iterator[None]:
    """Note seconds, those that this process itself worked, and how much memory was needed beyond what was there."""
    before, began, worked = resident(), time.perf_counter(), time.process_time()
    yield
    result["seconds"] = time.perf_counter() - began
    result["own_seconds"] = time.process_time() - worked
    result["extra_mib"] = max(most() - before, 0) / 2**20


def listing(names: int, versions: int, ratio: float = 1) -> dict[str, Any]:
    """Collect a generated bucket; with a ratio below 1 it is planned first."""
    store = GeneratedStore(names, versions)
    result: dict[str, Any] = {"versions": names * versions, "names": names}
    with project(":memory:") as collect_garbage:
        from django.core.files.storage import storages

        from consistent_s3.runs import Order
        from consistent_s3.storage import ConsistentS3Storage

        ConsistentS3Storage.make_object_store = lambda _: store  # type: ignore[method-assign,assignment,return-value]
        storages["default"].archive  # noqa: B018 - made before memory is measured
        # One name first, so that what is imported and compiled late does not count.
        store.names, all_names = 1, store.names
        collect_garbage("default", order=Order(max_delete_ratio=1))
        store.names, store.deleted = all_names, 0
        store.sent.clear()
        with measured(result):
            summary = collect_garbage("default", order=Order(max_delete_ratio=ratio))
    assert (summary.deleted, store.deleted) == (names * (versions - 1), names * (versions - 1))
    return {**result, "deleted": summary.deleted, **store.sent}


def rows(names: int) -> dict[str, Any]:
    """Plan a collection from rows, on SQLite; nothing answers where the bucket would be."""
    result: dict[str, Any] = {"names": names}
    with tempfile.TemporaryDirectory() as directory:
        database = f"{directory}/db.sqlite3"
        with project(database, index="database") as collect_garbage:
            from django.db import connection

            from consistent_s3.models import StoredVersion
            from consistent_s3.runs import Order
            from tests.collection_processes import project as fill

            with connection.cursor() as cursor:
                cursor.execute("PRAGMA synchronous=OFF")
            fill(1, rows=True)
            with contextlib.suppress(Exception):
                collect_garbage("default", order=Order(dry_run=True, lists_bucket=False))
        from consistent_s3.models import StoredObject

        StoredObject.objects.all().delete()
        subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.collecting", "fill", database, str(names)], check=True, cwd=ROOT
        )
        StoredObject.objects.update(place="default/")
        result["versions"] = StoredVersion.objects.count()
        with measured(result):
            summary = collect_garbage("default", order=Order(dry_run=True, lists_bucket=False))
        assert summary.scanned == result["versions"]
        return {**result, "deleted": summary.deleted, "LIST": 0}


def fill(database: str, names: int) -> None:
    """Fill the rows of a database."""
    import tests.collection_processes as processes

    processes.BUCKET = "default"
    with project(database, index="database"):
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=OFF")
        processes.project(names, rows=True)


def server(names: int, how: str) -> dict[str, Any]:
    """Collect a bucket on moto's server, or go through it with boto3 alone: list pages, and delete the same keys."""
    arguments = [sys.executable, "-m", "tests.collection_processes", "bucket", str(names)]
    with subprocess.Popen(arguments, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        url = process.stdout.readline().strip()
        try:
            return _bare(url) if how == "bare" else _ours(url)
        finally:
            process.stdin.close()


def _bare(url: str) -> dict[str, Any]:
    import boto3

    client = boto3.client(
        "s3", endpoint_url=url, aws_access_key_id="t", aws_secret_access_key="t", region_name="us-east-1"
    )
    result: dict[str, Any] = {}
    listed, deleted, name, batch = 0, 0, "", []
    with measured(result):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket="files"):
            for entry in page["Contents"]:
                listed += 1
                if (directory := entry["Key"].rpartition("/")[0]) == name:
                    batch.append({"Key": entry["Key"]})
                name = directory
                if len(batch) == 1000:
                    client.delete_objects(Bucket="files", Delete={"Objects": batch, "Quiet": True})
                    deleted, batch = deleted + 1000, []
        client.delete_objects(Bucket="files", Delete={"Objects": batch, "Quiet": True})
        deleted += len(batch)
    return {**result, "versions": listed, "deleted": deleted}


def _ours(url: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    with project(":memory:", endpoint_url=url, bucket_name="files") as collect_garbage:
        from consistent_s3.runs import Order

        with measured(result):
            summary = collect_garbage("default", order=Order(max_delete_ratio=1))
    return {**result, "versions": summary.scanned, "deleted": summary.deleted}


def in_a_process(*arguments: object) -> dict[str, Any]:
    """Measure in a fresh process."""
    command = [sys.executable, "-m", "tests.benchmarks.collecting", *map(str, arguments)]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def say(what: str, found: dict[str, Any]) -> None:
    """Print a line of the table."""
    rate = found["versions"] / found["seconds"]
    sys.stdout.write(
        f"| {what} | {found['versions']:,} | {found.get('LIST', '')} | {found.get('DELETE', '')} | "
        f"{found['seconds']:.1f} | {rate:,.0f} | {found['extra_mib']:.0f} |\n"
    )
    sys.stdout.flush()


def main(scale: float) -> None:
    """Measure everything."""
    sys.stdout.write(
        "| what | versions | LIST | DELETE | seconds | keys a second | extra MiB |\n|---|---|---|---|---|---|---|\n"
    )
    names = int(50_000 * scale)
    say(f"{names:,} names", in_a_process("listing", names, 20))
    say(f"{names * 10:,} names", in_a_process("listing", names * 10, 2))
    say(f"{names:,} names, planned first", in_a_process("listing", names, 20, 0.99))
    say("rows, planned", in_a_process("rows", int(250_000 * scale)))
    # In turns, and the best of each, since other work on the machine meets one or the other.
    found = [[in_a_process("server", int(25_000 * scale), how) for how in ("bare", "ours")] for _ in range(3)]
    bare, ours = (min(some, key=lambda one: one["seconds"]) for some in zip(*found, strict=True))
    say("boto3 alone, moto's server", bare)
    say("this package, moto's server", ours)
    own = ours["own_seconds"] - bare["own_seconds"]
    sys.stdout.write(
        f"\nkeys a second against boto3 alone: {bare['seconds'] / ours['seconds']:.2f}; it works {own:.1f} s more "
        f"itself, which alone would be {bare['seconds'] / (bare['seconds'] + own):.2f}\n"
    )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["listing", names, versions, *ratio]:
            sys.stdout.write(json.dumps(listing(int(names), int(versions), *map(float, ratio))))
        case ["rows", names]:
            sys.stdout.write(json.dumps(rows(int(names))))
        case ["fill", database, names]:
            fill(database, int(names))
        case ["server", names, how]:
            sys.stdout.write(json.dumps(server(int(names), how)))
        case [*given]:
            main(float(given[0]) if given else 1.0)
