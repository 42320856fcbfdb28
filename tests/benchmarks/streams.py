"""`python -m tests.benchmarks.streams [SCALE] [--json]`: streams on S3 beside the `eventsourcing` library's databases.

All are asked through the library's own interface, in one run on one machine, by `SCALE` times 400 saves. S3 is moto
over HTTP in a process of its own, one request at a time, so it is the server that is slow there: the same requests to a
bucket in memory show what the client alone takes. Requests per event are counted, and priced as S3 prices them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import psycopg
from eventsourcing.persistence import AggregateRecorder, InfrastructureFactory, StoredEvent

from consistent_s3.core.s3 import S3ObjectStore
from consistent_s3.core.selftest import honouring
from consistent_s3.eventsourcing import S3AggregateRecorder
from consistent_s3.eventstore import Event, EventStore
from consistent_s3.eventstore.measuring import truthful
from consistent_s3.testing import MemoryObjectStore

DOLLARS = {"PUT": 5e-6, "LIST": 5e-6, "GET": 0.4e-6}
"""Of one request. https://aws.amazon.com/s3/pricing/ (S3 Standard, us-east-1)"""
STATE = json.dumps({"timestamp": "2026-11-21T12:00:00+00:00", "amount": 1250, "note": "x" * 120}).encode()
WRITERS = 8
POSTGRESQL = {"host": "127.0.0.1", "port": "5432", "user": "postgres"}
OPERATIONS = {"put": "PUT", "get": "GET", "list": "LIST"}


class CountedStore:
    """An object store whose requests are counted."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.sent: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        if name in OPERATIONS:
            with self._lock:
                self.sent[OPERATIONS[name]] += 1
        return getattr(self.inner, name)


class Subject:
    """One way to keep events."""

    def __init__(self, name: str, recorder: AggregateRecorder, store: CountedStore | None = None) -> None:
        self.name = name
        self.recorder = recorder
        self.store = store
        """What counts requests; a database has none."""


def save(recorder: AggregateRecorder, originator: uuid.UUID, first: int, count: int) -> None:
    """Record some events of one aggregate."""
    recorder.insert_events(
        [
            StoredEvent(originator_id=originator, originator_version=version, topic="bank:Account.Paid", state=STATE)
            for version in range(first, first + count)
        ]
    )


def grow(recorder: AggregateRecorder, saves: int, count: int) -> uuid.UUID:
    """Save one aggregate again and again, and return which."""
    originator = uuid.uuid4()
    for number in range(saves):
        save(recorder, originator, 1 + number * count, count)
    return originator


def side_by_side(recorder: AggregateRecorder, saves: int, count: int) -> None:
    """Save as many aggregates as there are writers, each by one thread."""
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda _: grow(recorder, max(1, saves // WRITERS), count), range(WRITERS)))


def measure(subject: Subject, saves: int) -> list[dict[str, Any]]:
    """Return what each kind of work took."""
    found = []

    def note(work: str, events: int, act: Callable[[], Any]) -> Any:
        before = Counter(subject.store.sent) if subject.store else Counter()
        began = time.perf_counter()
        result = act()
        seconds = time.perf_counter() - began
        row: dict[str, Any] = {"subject": subject.name, "work": work, "events": events, "per_second": events / seconds}
        if subject.store:
            sent = subject.store.sent - before
            row["requests"] = dict(sorted(sent.items()))
            row["dollars_per_million_events"] = (
                sum(DOLLARS[word] * times for word, times in sent.items()) / events * 1e6
            )
        found.append(row)
        return result

    recorder = subject.recorder
    grow(recorder, 3, 1)  # connections are made, and stores are asked what they honour
    single = note("append 1 event", saves, lambda: grow(recorder, saves, 1))
    tenfold = note("append 10 events", saves * 10, lambda: grow(recorder, saves, 10))
    note(f"append 1 event, {WRITERS} writers", saves // WRITERS * WRITERS, lambda: side_by_side(recorder, saves, 1))
    note("read a stream of single events", saves, lambda: recorder.select_events(single))
    note("read a stream of tens", saves * 10, lambda: recorder.select_events(tenfold))
    note("read the last 10 events", 10, lambda: recorder.select_events(tenfold, desc=True, limit=10))
    if isinstance(recorder, S3AggregateRecorder):
        events, stream = recorder.events, (recorder.stream_type, str(single))
        events.compact(*stream)
        note("read it, once compacted", saves, lambda: recorder.select_events(single))
        events.state(*stream, folded, 0, schema_version=1, snapshot_every=1)
        note("folded state, with a snapshot", saves, lambda: events.state(*stream, folded, 0, schema_version=1))
    return found


def folded(state: int, event: Event) -> int:
    """Return how many events there were."""
    return state + 1


@contextmanager
def s3_subject() -> Iterator[Subject]:
    """Yield streams on moto in a process of its own, over HTTP."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.s3_process"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdin
    assert server.stdout
    try:
        client = boto3.client(
            "s3",
            endpoint_url=server.stdout.readline().strip(),
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        client.create_bucket(Bucket="streams")
        yield on_s3("streams on S3 (moto, HTTP)", S3ObjectStore(client=client, bucket="streams"))
    finally:
        server.stdin.close()
        server.wait(30)
        server.stdout.close()


def on_s3(name: str, store: Any) -> Subject:
    """Return streams on an object store that is known to be fit."""
    honouring.add(name)
    truthful.add(name)
    counted = CountedStore(store)
    events = EventStore(counted, "events", place=name)  # type: ignore[arg-type] - it has all that is asked of it
    return Subject(name, S3AggregateRecorder(events, stream_type="account"), counted)


def sqlite_subject(directory: Path) -> Subject:
    """Return the library's own recorder in a file."""
    environment = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(directory / "events.sqlite3")}
    return Subject("eventsourcing, SQLite", InfrastructureFactory.construct(environment).aggregate_recorder())


@contextmanager
def postgresql_subject() -> Iterator[Subject]:
    """Yield the library's own recorder on a new database of this machine's PostgreSQL."""
    name = f"streams_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(**POSTGRESQL, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        factory = InfrastructureFactory.construct(
            {
                "PERSISTENCE_MODULE": "eventsourcing.postgres",
                "POSTGRES_DBNAME": name,
                "POSTGRES_HOST": POSTGRESQL["host"],
                "POSTGRES_PORT": POSTGRESQL["port"],
                "POSTGRES_USER": POSTGRESQL["user"],
                "POSTGRES_PASSWORD": "trust",
            }
        )
        try:
            yield Subject("eventsourcing, PostgreSQL", factory.aggregate_recorder())
        finally:
            factory.close()
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def run(saves: int) -> list[dict[str, Any]]:
    """Measure everything that this machine has."""
    with contextlib.ExitStack() as stack:
        subjects = [
            stack.enter_context(s3_subject()),
            on_s3("streams, client alone (memory)", MemoryObjectStore()),
            sqlite_subject(Path(stack.enter_context(tempfile.TemporaryDirectory()))),
        ]
        try:
            subjects.append(stack.enter_context(postgresql_subject()))
        except psycopg.OperationalError as error:
            sys.stderr.write(f"Nothing is measured on PostgreSQL: {error}\n")
        return [row for subject in subjects for row in measure(subject, saves)]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows for reading: by kind of work, each in relation to streams over HTTP."""
    floor = {row["work"]: row["per_second"] for row in rows if "HTTP" in row["subject"]}
    lines = [f"{'work':<32} {'kept in':<32} {'events/s':>10} {'ratio':>7}  requests, dollars a million events"]
    for row in sorted(rows, key=lambda row: [*floor].index(row["work"])):
        said = ""
        if "requests" in row and "HTTP" in row["subject"]:
            sent = ", ".join(f"{times} {word}" for word, times in row["requests"].items())
            said = f"{sent} for {row['events']} events; ${row['dollars_per_million_events']:.2f}"
        ratio = row["per_second"] / floor[row["work"]]
        lines.append(f"{row['work']:<32} {row['subject']:<32} {row['per_second']:>10.0f} {ratio:>6.1f}x  {said}")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scale", nargs="?", type=float, default=1.0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rows = run(max(WRITERS, int(400 * asked.scale)))
    sys.stdout.write((json.dumps(rows, indent=2) if asked.json else table(rows)) + "\n")
    if not asked.json:
        sys.stdout.write(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}\n")


if __name__ == "__main__":
    main()
