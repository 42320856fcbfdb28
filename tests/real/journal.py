"""What every process notes of its operations: a file of its own, a line before an operation begins and one after it.

A line is one `write` to a file opened for appending, so what a process noted before it was killed is there. Times are
those of CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any


@dataclass(slots=True, kw_only=True)
class Record:
    """One operation, as its process noted it; without an end if it was killed meanwhile."""

    client: str
    kind: str
    """`write`, `undelete`, `delete`, `read` or `collect`."""
    name: str
    token: str
    """What tells this write from all others: the comment of its version. Of a read: the token of what was read."""
    began: float
    expected: int | None = None
    ended: float = float("inf")
    outcome: str = "unknown"
    """`ok`, `refused` (nothing of it is visible), `unknown`, or `surprise`: an error that must not be."""
    number: int = 0
    """Of what was written or read; of a refusal the number that is said to be current."""
    origin: str = ""
    """Of a read: the token whose bytes these are, or `torn`."""
    restored: int = 0
    """Of what was written or read: the number of the version that was restored."""
    deleted: bool = False
    """The read was told that the name is deleted, or was never written."""
    error: str = ""

    @property
    def writes(self) -> bool:
        """Return whether it makes a version."""
        return self.kind in {"write", "undelete", "delete"}

    def __str__(self) -> str:
        what = f"{self.client}'s {self.kind} of {self.name!r} ({self.token}) as {self.number}"
        return f"{what} [{self.began:.4f}, {self.ended:.4f}]"


class Journal:
    """The notes of one process."""

    def __init__(self, directory: Path, client: str) -> None:
        self._file = os.open(directory / f"{client}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._client = client
        self._operations = count(1)

    def token(self) -> str:
        """Return a new token."""
        return f"{self._client}-{next(self._operations)}"

    def begin(self, kind: str, name: str, token: str, *, expected: int | None = None) -> None:
        """Note that an operation begins."""
        self._note({"kind": kind, "name": name, "token": token, "expected": expected, "began": time.monotonic()})

    def end(self, outcome: str, **facts: Any) -> None:
        """Note how the operation that was begun last has ended."""
        self._note({"ended": time.monotonic(), "outcome": outcome, **facts})

    def _note(self, line: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")


def read_all(directory: Path) -> list[Record]:
    """Return what all processes noted, by the time of its beginning."""
    records = [record for path in directory.glob("*.jsonl") for record in _read(path)]
    return sorted(records, key=lambda record: record.began)


def _read(path: Path) -> Iterator[Record]:
    record: Record | None = None
    *lines, _ = path.read_bytes().split(b"\n")  # what no line's end follows was not noted
    for line in lines:
        facts = json.loads(line)
        if "began" in facts:
            if record is not None:
                yield record
            record = Record(client=path.stem, **facts)
        elif record is not None:
            for fact, value in facts.items():
                setattr(record, fact, value)
    if record is not None:
        yield record
