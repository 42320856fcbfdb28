"""What the processes do: writers, readers and a collector, on the storage as a project uses it."""

from __future__ import annotations

import random
import re
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from django.core.files.base import ContentFile
from django.db import Error as DatabaseError
from django.db import connections, transaction

from consistent_s3.attribution import attribution
from consistent_s3.core.collector import Collector
from consistent_s3.core.errors import (
    ConflictError,
    OutcomeUnknownError,
    UploadTooSlowError,
    VersionNotFoundError,
)
from consistent_s3.core.seams import SystemClock
from consistent_s3.core.versions import Version
from consistent_s3.storage import ConsistentS3Storage
from tests.real.bugs import planted
from tests.real.journal import Journal
from tests.real.plans import Plan

TORN = "torn"
"""In the place of a token: bytes that nobody wrote."""
LARGE = 9 * 1024**2
"""Bytes of a body that is uploaded in parts."""
_DELETED = re.compile(r"was deleted by version (\d+)\.")
_NEVER = "does not exist."


def body_of(token: str, *, large: bool = False) -> bytes:
    """Return the bytes that a write with this token writes: it stands at the beginning, its hash decides the rest."""
    mark = b"large" if large else b"small"
    size = LARGE if large else zlib.crc32(token.encode()) % 40_000
    line = f"{token} ".encode()
    return line + mark + b"\n" + (line * (size // len(line) + 1))[:size]


def origin_of(body: bytes) -> str:
    """Return the token of the write whose bytes these are, all of them; `TORN` if nobody wrote them so."""
    token, _, mark = body.partition(b"\n")[0].decode(errors="replace").partition(" ")
    return token if body == body_of(token, large=mark == "large") else TORN


class Stop(Exception):  # noqa: N818 - no error: it rolls back
    """Rolls a transaction back."""


@dataclass(frozen=True, slots=True)
class Ahead(SystemClock):
    """A clock that is ahead of the others."""

    seconds: float

    def now(self) -> datetime:
        """Return a time to come."""
        return SystemClock.now(self) + timedelta(seconds=self.seconds)


class Client:
    """One process's life."""

    def __init__(self, plan: Plan, client: str) -> None:
        self.plan = plan
        self.storage: ConsistentS3Storage = planted(plan.bug, plan.options)
        self.journal = Journal(Path(plan.directory), client)
        self.chance = random.Random(f"{plan.seed} {client}")

    def work(self, role: str, until: float) -> None:
        """Do what the role does, until a reading of the monotonic clock."""
        act: Callable[[], None] = getattr(self, role)
        while time.monotonic() < until:
            act()

    # Roles

    def writer(self) -> None:
        """Write, delete or undelete something."""
        name, token = self.chance.choice(self.plan.names), self.journal.token()
        acts = {
            self._write: 35,
            self._write_expecting: 25,
            self._stream: 10,
            self._delete: 20,
            self._undelete: 10,
            self._roll_back: 5,
            self._write_in_transaction: 10,
        }
        (act,) = self.chance.choices(list(acts), weights=list(acts.values()))
        act(name, token)

    def reader(self) -> None:
        """Read something."""
        name, token = self.chance.choice(self.plan.names), self.journal.token()
        self.journal.begin("read", name, token)
        try:
            with self.storage.open(name) as file:
                body, version = file.read(), file.version
            self.journal.end("ok", origin=origin_of(body), **_facts(version))
        except VersionNotFoundError as error:
            deleted = _DELETED.search(str(error))
            if deleted or _NEVER in str(error):
                self.journal.end("ok", token="", number=int(deleted[1]) if deleted else 0, deleted=True)
            else:
                self._note_error("gone", error)
        except DatabaseError as error:
            self._note_error("database", error)
            self._reconnect()
        except Exception as error:  # noqa: BLE001 - told to the test
            self._note_error("surprise", error)
        time.sleep(self.chance.random() * 0.04)  # readers think; else writers would hardly get their turn

    def collector(self) -> None:
        """Collect once, with a clock that is ahead."""
        self.journal.begin("collect", "", self.journal.token())
        try:
            archive = replace(self.storage.archive, clock=Ahead(self.plan.ahead))
            summary = Collector(archive=archive, policy=self.storage.policy).run(dry_run=False)
            self.journal.end("ok", number=summary.deleted, error=str(summary.errors or ""))
        except DatabaseError as error:
            self._note_error("database", error)
            self._reconnect()
        except Exception as error:  # noqa: BLE001 - told to the test
            self._note_error("surprise", error)
        time.sleep(self.chance.random())  # nobody collects all the time

    # What a writer does

    def _write(self, name: str, token: str) -> None:
        self._change("write", name, token, lambda: self._put(name, token))

    def _write_expecting(self, name: str, token: str) -> None:
        try:
            newest = self.storage.archive.newest(name)
        except DatabaseError:
            self._reconnect()
            return
        expected = newest.number if newest else 0
        self._change("write", name, token, lambda: self._put(name, token, expected), expected=expected)

    def _stream(self, name: str, token: str) -> None:
        body = body_of(token, large=self.chance.random() < 0.2)

        def stream() -> Version | None:
            with attribution(comment=token), self.storage.open(name, "wb") as file:
                for begin in range(0, len(body), 1024**2):
                    file.write(body[begin : begin + 1024**2])
            return file.version

        self._change("write", name, token, stream)

    def _delete(self, name: str, token: str) -> None:
        self._change("delete", name, token, lambda: self.storage.delete(name, comment=token))
        if self.chance.random() < 0.4:
            self._undelete(name, self.journal.token())

    def _undelete(self, name: str, token: str) -> None:
        self._change("undelete", name, token, lambda: self.storage.undelete(name, comment=token))

    def _roll_back(self, name: str, token: str) -> None:
        """Save in a transaction that is rolled back, where the database decides; else save."""
        using = self.plan.options.get("index_database")
        if not using:
            self._write(name, token)
            return

        def roll_back() -> None:
            try:
                with transaction.atomic(using=using):
                    self._put(name, token)
                    raise Stop
            except Stop:
                return

        self._change("write", name, token, roll_back)

    def _write_in_transaction(self, name: str, token: str) -> None:
        """Save in a transaction of our own, whose commit may give no answer."""
        using = self.plan.options.get("index_database")
        if not using:
            self._write(name, token)
            return

        def commit() -> Version:
            version: Version | None = None
            try:
                with transaction.atomic(using=using):
                    version = self._put(name, token)
            except DatabaseError as error:
                if version is None:
                    raise
                raise OutcomeUnknownError("Our own commit gave no answer.") from error
            return version

        self._change("write", name, token, commit)

    def _put(self, name: str, token: str, expected: int | None = None) -> Version:
        return self.storage.write(name, ContentFile(body_of(token)), expected=expected, comment=token)

    def _change(
        self, kind: str, name: str, token: str, act: Callable[[], Version | None], *, expected: int | None = None
    ) -> None:
        """Do it, and note the outcome: committed, refused, or unknown; anything else is a surprise."""
        self.journal.begin(kind, name, token, expected=expected)
        try:
            version = act()
        except OutcomeUnknownError as error:
            self.journal.end("unknown", error=_words(error))
        except ConflictError as error:
            self.journal.end("refused", number=error.actual, error=_words(error))
        except UploadTooSlowError as error:  # it stood still
            self._note_error("refused", error)
        except VersionNotFoundError as error:
            self._note_error("gone", error)
        except DatabaseError as error:
            self._note_error("database", error)
            self._reconnect()
        except Exception as error:  # noqa: BLE001 - told to the test
            self._note_error("surprise", error)
        else:
            if version is None:
                self.journal.end("refused")
            else:
                self.journal.end("ok", **_facts(version))

    def _note_error(self, outcome: str, error: Exception) -> None:
        self.journal.end(outcome, error=_words(error))

    def _reconnect(self) -> None:
        """Drop what is left of a broken connection, as Django does after a request."""
        for connection in connections.all(initialized_only=True):
            connection.close()


def _facts(version: Version | None) -> dict[str, object]:
    assert version is not None
    return {"number": version.number, "token": version.comment, "restored": version.details.restored_from}


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
