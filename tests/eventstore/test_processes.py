"""Sixteen processes append to one stream over HTTP, some are killed, and nothing is lost or doubled."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from consistent_s3.eventstore import EXISTS, NewEvent
from consistent_s3.testing.requests import RequestLog
from tests.eventstore.processes import BUCKET, STREAM, Journal, Plan, event_of, make_client, make_events
from tests.programs import ROOT

pytestmark = [pytest.mark.slow]

EVENTS = 5000


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
def plan(s3_url: str, tmp_path: Path) -> Plan:
    make_client(s3_url).create_bucket(Bucket=BUCKET)
    return Plan(
        url=s3_url,
        directory=str(tmp_path),
        events=EVENTS,
        writers=16,
        readers=2,
        kills=4,
        deaths=2,
        batch=32,
        seed=secrets.randbelow(10**9),
    )


def run(plan: Plan) -> list[int]:
    """Let it happen, and return who was killed."""
    path = Path(plan.directory) / "plan.json"
    plan.write(path)
    command = [sys.executable, "-m", "tests.eventstore.processes", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as supervisor:
        try:
            printed, _ = supervisor.communicate(timeout=900)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(supervisor.pid, signal.SIGKILL)  # whom it left behind
    assert supervisor.returncode == 0
    return list(json.loads(printed))


def test_sixteen_processes_append_five_thousand_events_in_one_order_exactly_once(plan):
    killed = run(plan)

    client = make_client(plan.url)
    events, log = make_events(client), RequestLog()
    events.version(*STREAM)  # asked here once: how the store tells sizes
    client.meta.events.register("before-send.s3", log.note)
    order = [(event.position, str(event.id)) for event in events.read(*STREAM)]
    chunks = list(make_events(make_client(plan.url)).chunks(*STREAM))
    assert len(killed) == plan.kills + plan.deaths
    assert [position for position, _ in order] == list(range(1, EVENTS + 1))
    assert {event for _, event in order} == {str(event_of(0, place).id) for place in range(EVENTS)}
    assert_told_the_truth(plan, dict(order))
    for reader in range(plan.readers):
        seen = json.loads((Path(plan.directory) / f"reader-{reader}.json").read_text())
        assert seen == [event for _, event in order]
    assert json.loads((Path(plan.directory) / "compactor-0.json").read_text()) > 0
    assert log.counts["LIST"] == ceil(len(chunks) / 1000)
    assert log.counts["GET"] < len(chunks) / 2  # most are covered
    assert set(log.counts) == {"LIST", "GET"}
    assert_costs(events, log)


def assert_told_the_truth(plan: Plan, order: dict[int, str]) -> None:
    """Every append is where its writer was told, whole, and each writer's appends are in its order."""
    repeated = 0
    for writer in range(plan.writers):
        noted = [line for line in Journal(plan, writer).lines() if "first" in line]
        told = {line["batch"]: line["first"] for line in noted}
        repeated += sum(line["repeated"] for line in noted)
        positions = {event: position for position, event in order.items()}
        firsts = []
        for number, batch in enumerate(plan.jobs(writer)):
            there = [positions[str(event.id)] for event in batch]
            assert there == list(range(there[0], there[0] + len(batch)))
            assert told[number] == there[0]
            firsts.append(there[0])
        assert all(before < after for before, after in pairwise(firsts))
    assert repeated >= plan.deaths  # what the dead did not note was found by who came after them


def assert_costs(events: Any, log: RequestLog) -> None:
    """What is alone costs what the README says."""
    for action, costs in (
        (lambda: events.version(*STREAM), {"LIST": 1}),
        (lambda: append(events), {"PUT": 2}),  # one asks, once, whether conditions are honoured
        (lambda: append(events), {"PUT": 1}),
        (lambda: fold(events), None),
        (lambda: fold(events), {"LIST": 1, "GET": 1}),
    ):
        log.counts.clear()
        action()
        assert costs is None or dict(log.counts) == costs


def append(events: Any) -> None:
    events.append(*STREAM, [NewEvent(type="Counted")], expected_version=EXISTS)


def fold(events: Any) -> None:
    folded = events.state(*STREAM, lambda state, event: state + 1, 0, schema_version=1)
    assert folded.state == EVENTS + 2
