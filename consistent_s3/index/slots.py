"""What lies in the place of a name's pointer, and what can be done with it?

Each step is atomic, wherever pointers are kept; `testing.indexes.MemoryPointers` does in Python what Redis does in Lua.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import Any, Protocol

from consistent_s3.core.lineage import Lineage, Link
from consistent_s3.core.versions import KnownDetails, Version

LINEAGE = 64
"""Versions that a pointer remembers without a gap."""
CHECKPOINTS = 64
"""Versions before them that it remembers."""
THIN = 1.25
"""Nothing before them counts as superseded later than it was by more than a quarter of its age."""
CLAIM = timedelta(minutes=5)
"""How long a claim lies, and a pointer that says that there is no version."""
TURN = timedelta(seconds=10)
"""How long a writer's turn lasts if nothing is heard of it; a longer one goes on unless another writer comes."""
GAP = "|"
"""Between the two parts of a lineage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """What lies in the place of a name's pointer: a pointer, a claim, or nothing."""

    at: str = ""
    """The number that the pointer names (`0`: there is no version), or a claim, or nothing."""
    lineage: str = ""
    """The last versions that the pointer named, newest first: `number:write-id:since`, set without `since`."""
    value: str = ""
    """The version, as `encode` wrote it."""
    floor: str = ""
    """The greatest number that a turn was given; empty if there was none."""
    holder: str = ""
    """The write id whose turn it is; empty if it is nobody's."""

    @property
    def settled(self) -> bool:
        """Return whether it is a pointer."""
        return self.at.isdigit()

    def remembered(self, *, later: timedelta = timedelta(0)) -> Lineage:
        """Return the lineage, all its times `later`."""
        dense, _, checkpoints = self.lineage.partition(GAP)
        links = [_link(word, later) for part in (dense, checkpoints) for word in part.split()]
        return Lineage(links=tuple(links), dense=len(dense.split()))


def _link(word: str, later: timedelta) -> Link:
    number, write_id, since = word.split(":")
    return Link(number=int(number), write_id=write_id, since=datetime.fromtimestamp(int(since or 0), UTC) + later)


class Pointers(Protocol):
    """Where pointers are kept: each name has a slot.

    Guarantees: every method is one atomic step; a slot is empty once its time is over, or when it got lost.

    Raises: `IndexUnavailableError` from every method; the step may have been done.
    """

    def claim(self, name: str, claim: str, *, keep: bool) -> Slot:
        """Return what is in a slot, and put a claim into an empty one; `keep` begins a pointer's time anew."""
        ...

    def swap(self, name: str, old: str, new: Slot, *, holder: str = "") -> Slot | None:
        """Replace what is in a slot if `old` is there and it is no other's turn; else return what is there.

        Nor is it replaced by a number below the floor. The lineage grows in front, the floor stays, the turn ends.
        """
        ...

    def take(self, name: str, after: int, ahead: int, holder: str) -> int | Slot:
        """Begin a turn if `after` is there and it is no other's turn, and return its number; else as `swap`.

        The number is the time in microseconds since 1970, by the one clock of where pointers are kept. If that is not
        above both `after` and the floor, it is `ahead`; if that is not either, no turn begins.
        """
        ...

    def renew(self, name: str, after: int, number: int, holder: str) -> Slot | None:
        """Begin a turn anew, with its number, if `after` is there and no turn was begun since; else as `swap`."""
        ...

    def give(self, name: str, holder: str) -> None:
        """End a turn."""
        ...

    def peek(self, names: Sequence[str], *, keep: bool) -> Sequence[Slot]:
        """Return what is in some slots; `keep` begins the time of pointers anew."""
        ...

    def drop(self, name: str, old: str) -> None:
        """Empty a slot if `old` is there."""
        ...

    def kept_for(self) -> timedelta:
        """Return since when pointers are kept, as far as is known; the first to ask begins the time."""
        ...

    def trust(self) -> None:
        """Count pointers as kept for as long as they live."""
        ...


def encode(version: Version) -> str:
    """Return all that is known of a version, but its name, as JSON."""
    details = asdict(version.source.details) if isinstance(version.source, KnownDetails) else None
    if details is not None:
        details = {field: value for field, value in details.items() if value}
    return json.dumps(
        {
            "number": version.number,
            "key": version.key,
            "size": version.size,
            "modified": version.modified.isoformat(),
            "etag": version.etag,
            "tombstone": version.tombstone,
            "details": details,
        }
    )


def decode(value: str) -> dict[str, Any]:
    """Return what `encode` wrote: the fields of a version, `details` as a mapping or `None`."""
    values: dict[str, Any] = json.loads(value)
    values["modified"] = datetime.fromisoformat(values["modified"])
    return values


def joined(new: str, older: str, now: int) -> str:
    """Return a lineage before an older one: first without a gap, then with gaps that grow with the age."""
    words = [f"{word}:{now}" for word in new.split()] + [word for word in older.split() if word != GAP]
    dense, rest = words[:LINEAGE], words[LINEAGE:]
    checkpoints = list(_thinned(rest, now, _age(dense[-1], now)))[:CHECKPOINTS] if rest else []
    return f" {' '.join([*dense, GAP, *checkpoints] if checkpoints else dense)} "


def _thinned(words: Sequence[str], now: int, age: float) -> Iterator[str]:
    """Leave out whatever lies between two words of which the older is not much older."""
    for word, older in zip_longest(words, words[1:]):
        if older is None or _age(older, now) > age * THIN:
            age = _age(word, now)
            yield word


def _age(word: str, now: int) -> int:
    return now - int(word.rpartition(":")[2]) + 1
