"""Real processes on real servers: writers that are killed and stalled, readers, a collector, and what they all saw.

Every process notes what it begins and what it was told, in a journal of its own; `tests.real.checking` judges them
together with what is left in the bucket. An hour of it: `CONSISTENT_S3_PROOF_SECONDS=3600`. The seed decides who is
killed when, and what clients choose; the machine decides the rest.

The checks can fail: the bugs of `tests.real.bugs` are each seen here.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connections

from consistent_s3.clients import shared_client
from consistent_s3.core.collector import Collector
from consistent_s3.storage import ConsistentS3Storage
from tests import databases
from tests.programs import ROOT
from tests.projects import environment, write_settings
from tests.real.bugs import BUGS_OF
from tests.real.checking import Proof, what_is_left
from tests.real.clients import Ahead, body_of
from tests.real.cutting import KINDS, Cutter, CuttingProxy
from tests.real.journal import Journal, Record, read_all
from tests.real.plans import Plan
from tests.redis_server import RedisServer

pytestmark = [pytest.mark.slow, pytest.mark.service]

SECONDS = float(os.environ.get("CONSISTENT_S3_PROOF_SECONDS", "60"))
CUT_SECONDS = min(SECONDS, 25)
BUG_SECONDS = 6
"""Within which each planted bug is seen, as a rule."""
ROUNDS = 5
"""How often it happens, longer each time, until what must happen has happened."""
SEED = int(os.environ.get("CONSISTENT_S3_PROOF_SEED", secrets.randbelow(10**9)))
WRITE_DEADLINE = 5
GRACE = timedelta(minutes=15, seconds=WRITE_DEADLINE + 1)
"""The smallest that is allowed."""
REAL_GRACE = WRITE_DEADLINE + 1 + 15
"""Seconds that the collector really gives: the 15 minutes for which S3 accepts a request pass in 15 seconds here."""


@pytest.fixture
def s3_url() -> Iterator[str]:
    """Serve S3 from a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.s3_process"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


@pytest.fixture
def options(s3_url: str) -> dict[str, Any]:
    """Return options of a storage on a new bucket of that server."""
    options: dict[str, Any] = {
        "bucket_name": "real",
        "endpoint_url": s3_url,
        "access_key": "test",
        "secret_key": "test",
        "region_name": "us-east-1",
        "location": "media",
        "write_deadline": WRITE_DEADLINE,
        "patience": 10,
        "retention": {"keep_last": 1, "grace": GRACE.total_seconds(), "tombstone_for": 86400},
    }
    shared_client(ConsistentS3Storage(**options, index="listing")).create_bucket(Bucket="real")
    return options


@pytest.fixture
def on_postgresql(options: dict[str, Any], tmp_path: Path, django_db_blocker: Any) -> Iterator[dict[str, Any]]:
    """Return options of a storage on rows in a new PostgreSQL database, which the processes find, too."""
    with django_db_blocker.unblock(), databases.made("postgresql", tmp_path) as alias:
        tell_database(tmp_path)
        options |= {"index": "database", "index_database": alias}
        ConsistentS3Storage(**options).archive.index.mark(complete=True)
        yield options


def tell_database(directory: Path, **changes: Any) -> None:
    """Write settings with which processes find the database under test."""
    configured = connections.settings[databases.ALIAS]
    found = {word: configured[word] for word in ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT")}
    write_settings(directory, f"DATABASES = {{**DATABASES, {databases.ALIAS!r}: {found | changes!r}}}\n")


@pytest.fixture
def on_redis(
    options: dict[str, Any], redis_server: RedisServer, tmp_path: Path, settings: Any
) -> Iterator[dict[str, Any]]:
    """Return options of a storage on pointers in a Redis of our own."""
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": redis_server.url}
    }
    write_settings(tmp_path, f"CACHES = {settings.CACHES!r}\n")
    return options | {"index": "redis"}


def hasty(plan: Plan) -> ConsistentS3Storage:
    """Return the storage for one who looks at what is left: nothing moves any more, so nothing is waited for."""
    return ConsistentS3Storage(**plan.options | {"patience": 0.05})


def rounds(plan: Plan) -> Iterator[Plan]:
    """Yield the plan again and again, each time for names of its own, twice as long and with half as many kills.

    A slow machine needs that: there a writer may be killed before it has so much as connected, time after time.
    """
    for number in range(ROUNDS):
        journals = Path(plan.directory) / f"{number}"
        journals.mkdir()
        yield replace(
            plan,
            directory=str(journals),
            names=tuple(f"{number}/{name}" for name in plan.names),
            seed=plan.seed + number,
            seconds=plan.seconds * 2**number,
            kill_every=plan.kill_every * 2**number,
        )


def run(directory: Path, plan: Plan, *, proxy: CuttingProxy | None = None) -> tuple[Proof, dict[str, Any]]:
    """Let it happen, and return what there is to judge, and what befell the processes."""
    storage = ConsistentS3Storage(**plan.options)
    journal = Journal(Path(plan.directory), "first")
    for name in plan.names:
        token = journal.token()
        journal.begin("write", name, token)
        version = storage.write(name, ContentFile(body_of(token)), comment=token)
        journal.end("ok", number=version.number)
    plan.write(directory / "plan.json")
    ran = subprocess.run(
        [sys.executable, "-m", "tests.real.supervision", str(directory / "plan.json")],
        cwd=ROOT,
        env=environment(directory),
        stdout=subprocess.PIPE,
        text=True,
        timeout=plan.seconds + 300,
        check=True,
    )
    if proxy is not None:
        proxy.rest()
    ended = time.monotonic()
    proof = Proof(
        records=read_all(Path(plan.directory)),
        left={name: what_is_left(hasty(plan), name) for name in plan.names},
        grace=REAL_GRACE,
        ended=ended,
        counts=plan.options["index"] == "database",
        cut=proxy is not None,
    )
    return proof, json.loads(ran.stdout)


def plan_of(directory: Path, options: dict[str, Any], **more: Any) -> Plan:
    journals = directory / "journals"
    journals.mkdir()
    befalls = {"kill_every": 0.4, "stall_every": 8.0, "stall": 7.0, "ahead": GRACE.total_seconds() - REAL_GRACE}
    return Plan(directory=str(journals), options=options, seed=SEED, **{"seconds": SECONDS, **befalls, **more})


def tally(records: list[Record], told: dict[str, Any]) -> Counter[str]:
    """Count what happened, and print it: pytest shows it where a test fails, and with -s."""
    outcomes = Counter(f"{record.kind} {record.outcome}" for record in records)
    outcomes["read deleted"] = sum(record.deleted for record in records)
    outcomes["collected"] = sum(record.number for record in records if record.kind == "collect")
    outcomes += Counter(told["happened"])
    print(f"seed {SEED}: {dict(sorted(outcomes.items()))}")  # noqa: T201
    return outcomes


def told_of(violations: list[str]) -> str:
    """Return what to say where something was wrong."""
    return "\n".join([f"seed {SEED}, {len(violations)} violations:", *violations[:40]])


EXPECTED = ("write ok", "write refused", "write unknown", "delete ok", "undelete ok", "read ok", "read deleted", "kill")
COLLECTED = () if SECONDS < 2 * REAL_GRACE else ("collected",)


def check_swept(plan: Plan) -> None:
    """Collect once more, long after: what is left of each name is the newest, as it was, and no litter."""
    storage = hasty(plan)
    before = {name: what_is_left(storage, name)[0] for name in plan.names}
    archive = replace(storage.archive, clock=Ahead(GRACE.total_seconds() + 60))

    summary = Collector(archive=archive, policy=storage.policy).run(dry_run=False)

    assert summary.errors == []
    assert {name: what_is_left(storage, name) for name in plan.names} == {name: [one] for name, one in before.items()}


def prove(directory: Path, plan: Plan, *expected: str, proxy: CuttingProxy | None = None) -> None:
    """Let it happen until all that is expected has happened; nothing is ever wrong, and nothing is left over."""
    outcomes: Counter[str] = Counter()
    missing = [*expected]
    for again in rounds(plan):
        proof, told = run(directory, again, proxy=proxy)
        outcomes += tally(proof.records, told)
        if proxy is not None:
            outcomes |= proxy.cutter.fired
            print(f"cuts: {dict(proxy.cutter.fired)}")  # noqa: T201
        violations = proof.violations()
        assert not violations, told_of(violations)
        assert told["died"] == []
        check_swept(again)
        missing = [word for word in expected if not outcomes[word]]
        if not missing:
            return
    assert missing == []


def test_processes_that_are_killed_lose_nothing_on_postgresql(on_postgresql, tmp_path):
    prove(tmp_path, plan_of(tmp_path, on_postgresql), *EXPECTED, *COLLECTED)


def test_processes_that_are_killed_lose_nothing_on_redis_that_loses_its_pointers(on_redis, redis_server, tmp_path):
    plan = plan_of(tmp_path, on_redis, flush_every=8.0, redis_url=redis_server.url)

    prove(tmp_path, plan, *EXPECTED, *COLLECTED, "flush")


def test_a_connection_cut_around_commit_is_committed_refused_or_unknown(on_postgresql, tmp_path):
    plan = plan_of(tmp_path, on_postgresql, seconds=CUT_SECONDS, kill_every=2.0)

    with CuttingProxy("127.0.0.1", 5432, Cutter(random.Random(SEED), rate=0.3)) as proxy:
        tell_database(tmp_path, PORT=proxy.port, OPTIONS={"sslmode": "disable"})
        prove(tmp_path, plan, *EXPECTED, "write database", *KINDS, proxy=proxy)


def check_seen(directory: Path, plan: Plan) -> None:
    """Check that the proof says, sooner or later, that something is wrong."""
    for again in rounds(plan):
        proof, told = run(directory, again)
        tally(proof.records, told)
        violations = proof.violations()
        print(told_of(violations))  # noqa: T201
        if violations:
            return
    pytest.fail("Nobody saw it.")


@pytest.mark.parametrize("bug", BUGS_OF["database"])
def test_a_bug_in_the_database_index_is_seen(bug, on_postgresql, tmp_path):
    check_seen(tmp_path, plan_of(tmp_path, on_postgresql | {"patience": 1}, seconds=BUG_SECONDS, bug=bug))


@pytest.mark.parametrize("bug", BUGS_OF["redis"])
def test_a_bug_in_the_redis_index_is_seen(bug, on_redis, tmp_path):
    check_seen(tmp_path, plan_of(tmp_path, on_redis | {"patience": 1}, seconds=BUG_SECONDS, bug=bug))


def test_a_collector_that_gives_no_grace_is_seen(on_postgresql, tmp_path):
    more = {"seconds": BUG_SECONDS, "ahead": 2 * GRACE.total_seconds()}

    check_seen(tmp_path, plan_of(tmp_path, on_postgresql | {"patience": 1}, **more))
