"""`python -m tests.eventstore.processes PLAN`: many processes at one stream over HTTP, of which some are killed.

Writers append what each has to, and never twice: a journal knows what was sent and not answered, and whoever takes the
place of one that was killed sends that again. Readers follow the stream from where they are; a compactor compacts.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import boto3
from botocore.config import Config

from consistent_s3.core.errors import ConflictError, OutcomeUnknownError
from consistent_s3.core.protocol import Timing
from consistent_s3.core.s3 import S3ObjectStore
from consistent_s3.eventstore import EventStore, NewEvent

BUCKET = "streams"
STREAM = ("ledger", "all")
NAMESPACE = UUID("5b0f1f36-52b5-4a3e-9b5b-2f7f2f7d7a11")
PAUSE = 0.25
"""Seconds between two looks of those who follow the stream."""
FORK = get_context("fork")  # starting Python and boto3 anew would take longer than the work


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to happen."""

    url: str
    directory: str
    events: int
    writers: int
    readers: int
    kills: int
    """How many writers are killed, whatever they are at."""
    deaths: int
    """How many die right after an append, before they have noted it."""
    batch: int
    """The most events in one append."""
    seed: int

    @property
    def ended(self) -> Path:
        """Return what is there when nothing more will be appended."""
        return Path(self.directory) / "ended"

    def write(self, path: Path) -> None:
        """Keep it for the processes."""
        path.write_text(json.dumps(asdict(self)))

    def jobs(self, writer: int) -> list[list[NewEvent]]:
        """Return what a writer has to append, append by append: the same whoever asks."""
        chance = random.Random(f"{self.seed} {writer}")
        mine = [event_of(writer, place) for place in range(writer, self.events, self.writers)]
        batches: list[list[NewEvent]] = []
        while mine:
            size = chance.randint(self.batch // 2, self.batch)
            batches.append(mine[:size])
            mine = mine[size:]
        return batches


def event_of(writer: int, place: int) -> NewEvent:
    return NewEvent(type="Counted", id=uuid5(NAMESPACE, str(place)), data={"writer": writer, "place": place})


def make_client(url: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(max_pool_connections=8),
    )


def make_events(client: Any, *, prefetch: int = 4) -> EventStore:
    timing = Timing(write_deadline=timedelta(seconds=30), grace=timedelta(minutes=20), patience=timedelta(seconds=30))
    return EventStore(S3ObjectStore(client=client, bucket=BUCKET), "events", timing=timing, prefetch=prefetch)


class Journal:
    """What one writer sent, and what it was told, on disk before it goes on."""

    def __init__(self, plan: Plan, writer: int) -> None:
        self.path = Path(plan.directory) / f"writer-{writer}.jsonl"

    def note(self, **what: Any) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(what) + "\n")

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield what was noted; the last line may be cut off by a kill."""
        if not self.path.exists():
            return
        for line in self.path.read_text().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue


def write(plan: Plan, writer: int, told: int) -> None:
    """Append what is left to append."""
    events, journal, chance = make_events(make_client(plan.url)), Journal(plan, writer), random.Random()
    noted = list(journal.lines())
    done = {line["batch"] for line in noted if "first" in line}
    sent = {line["batch"]: line["expected"] for line in noted if "expected" in line and line["batch"] not in done}
    version: int | None = None
    for number, batch in enumerate(plan.jobs(writer)):
        if number in done:
            continue
        version = sent.get(number, version)
        pause = 0.01
        while True:
            if version is None:
                version = events.version(*STREAM)
            journal.note(batch=number, expected=version)
            try:
                appended = events.append(*STREAM, batch, expected_version=version)
            except ConflictError as error:
                version = error.actual
                events.clock.sleep(pause * chance.random())
                pause = min(2 * pause, 0.5)
            except OutcomeUnknownError:
                continue  # the same ids and the same version again
            else:
                break
        version = appended.version
        if writer < plan.deaths and number == 1 and not appended.repeated:
            os.kill(os.getpid(), signal.SIGKILL)
        journal.note(batch=number, first=appended.events[0].position, repeated=appended.repeated)
        os.write(told, b".")


def read(plan: Plan, reader: int, _: int) -> None:
    """Follow the stream to its end, then read it once more, from the other end."""
    events = make_events(make_client(plan.url))
    order: list[str] = []
    ended = False
    while not ended:
        ended = plan.ended.exists()
        for event in events.read(*STREAM, after=len(order)):
            if event.position != len(order) + 1:
                raise AssertionError(f"event {event.position} came after {len(order)}")
            order.append(str(event.id))
        events.clock.sleep(PAUSE)
    backwards = [str(event.id) for event in events.read(*STREAM, backwards=True)]
    if backwards[::-1] != order:
        raise AssertionError("backwards it is another stream")
    (Path(plan.directory) / f"reader-{reader}.json").write_text(json.dumps(order))


def compact(plan: Plan, compactor: int, _: int) -> None:
    """Compact until nothing is appended any more, and then what came last."""
    events = make_events(make_client(plan.url))
    covered = 0
    ended = False
    while not ended:
        ended = plan.ended.exists()
        covered += events.compact(*STREAM, most=500).covered
        events.clock.sleep(PAUSE)
    (Path(plan.directory) / f"compactor-{compactor}.json").write_text(json.dumps(covered))


class Supervisor:
    """Starts the processes, kills some writers, and lets others take their place."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.reading, self.telling = os.pipe()
        self.chance = random.Random(plan.seed)
        self.killed: list[int] = []

    def start(self, work: Callable[[Plan, int, int], None], number: int) -> Any:
        process = FORK.Process(target=work, args=(self.plan, number, self.telling), daemon=True)
        process.start()
        return process

    def run(self) -> None:
        """Let it happen. Raises `AssertionError` if a process failed that was not killed."""
        plan = self.plan
        writers = {number: self.start(write, number) for number in range(plan.writers)}
        others = [self.start(read, number) for number in range(plan.readers)] + [self.start(compact, 0)]
        appends = sum(len(plan.jobs(number)) for number in range(plan.writers))
        moments = set(self.chance.sample(range(appends // 10, appends // 2), plan.kills))
        told = 0
        while running := [one for one in (*writers.values(), *others) if one.exitcode is None]:
            self.look_after(writers, others)
            if self.reading not in wait([self.reading, *(one.sentinel for one in running)], timeout=0.5):
                continue
            os.read(self.reading, 1)
            told += 1
            if told in moments:
                alive = [one for number, one in writers.items() if number >= plan.deaths and one.is_alive()]
                victim = self.chance.choice(alive)
                os.kill(victim.pid, signal.SIGKILL)
                victim.join()

    def look_after(self, writers: dict[int, Any], others: list[Any]) -> None:
        """Put others in the place of the dead, and tell who follows the stream when it has ended."""
        for number, writer in writers.items():
            ended = writer.exitcode  # looked at once: it may die at any moment
            if ended == -signal.SIGKILL:
                self.killed.append(number)
                writers[number] = self.start(write, number)
            else:
                assert not ended, "a writer failed: see above"
        assert not any(one.exitcode for one in others), "a process failed: see above"
        if all(one.exitcode == 0 for one in writers.values()):
            self.plan.ended.touch()


def main() -> None:
    plan = Plan(**json.loads(Path(sys.argv[1]).read_text()))
    supervisor = Supervisor(plan)
    supervisor.run()
    sys.stdout.write(json.dumps(supervisor.killed))


if __name__ == "__main__":
    main()
