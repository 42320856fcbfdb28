"""Indexes in memory that decide what is committed, as a database or Redis does; and their faults."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

from consistent_s3.core.errors import IndexUnavailableError, NumberTakenError, OutcomeUnknownError
from consistent_s3.core.seams import Clock, CommittingIndex
from consistent_s3.core.versions import Version
from consistent_s3.index.slots import CLAIM, TURN, Slot, joined

Answer = TypeVar("Answer")


@dataclass(slots=True, kw_only=True)
class MemoryIndex:
    """A `CommittingIndex` in memory. Guarantees those of `CommittingIndex`, in one thread."""

    lists_names: bool = False
    _versions: dict[str, dict[int, Version]] = field(default_factory=dict)

    def newest(self, name: str) -> Version | None:
        """Return the newest version."""
        versions = self._versions.get(name)
        return versions[max(versions)] if versions else None

    def relearn(self, name: str) -> Version | None:
        """Return the same."""
        return self.newest(name)

    def history(self, name: str, *, before: int | None = None, limit: int | None = None) -> Iterator[Version]:
        """Yield versions, newest first."""
        numbers = sorted(self._versions.get(name, ()), reverse=True)
        below = [number for number in numbers if before is None or number < before]
        return iter([self._versions[name][number] for number in below[:limit]])

    def at(self, name: str, number: int) -> Version | None:
        """Return one version."""
        return self._versions.get(name, {}).get(number)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return directories and current files."""
        path = path.rstrip("/")
        prefix = f"{path}/" if path else ""
        directories, files = set(), set()
        for name in self._versions:
            newest = self.newest(name)
            if newest is None or not name.startswith(prefix):
                continue
            segment, below, _ = name.removeprefix(prefix).partition("/")
            if below:
                directories.add(segment)
            elif not newest.tombstone:
                files.add(segment)
        return sorted(directories), sorted(files)

    def advance(self, version: Version, *, after: int) -> None:
        """Accept a version, or refuse it."""
        newest = self.newest(version.name)
        if (newest.number if newest else 0) != after:
            raise NumberTakenError(f"{newest} is the newest, not {after}.")
        self._versions.setdefault(version.name, {})[version.number] = version

    def forget(self, versions: Sequence[Version]) -> None:
        """Drop versions."""
        for version in versions:
            of_name = self._versions.get(version.name, {})
            newest = self.newest(version.name)
            if newest is not None and (version.number != newest.number or newest.tombstone):
                of_name.pop(version.number, None)

    def committed(self, names: Sequence[str]) -> dict[str, list[Version]]:
        """Return all versions of some names, newest first."""
        return {name: list(self.history(name)) for name in names}


@dataclass(slots=True, kw_only=True)
class FaultyIndex:
    """A `CommittingIndex` around another whose commits sometimes give no answer; every call lets others go on."""

    inner: CommittingIndex
    step: Callable[[], object]
    chance: random.Random
    unknown: float = 0.0
    """Probability that a commit gives no answer; half of those were applied."""
    fired: Counter[str] = field(default_factory=Counter)

    @property
    def lists_names(self) -> bool:
        """Return what the inner index does."""
        return self.inner.lists_names

    def newest(self, name: str) -> Version | None:
        """Ask."""
        return self._stepped(lambda: self.inner.newest(name))

    def relearn(self, name: str) -> Version | None:
        """Ask again."""
        return self._stepped(lambda: self.inner.relearn(name))

    def history(self, name: str, *, before: int | None = None, limit: int | None = None) -> Iterator[Version]:
        """Ask."""
        return self._stepped(lambda: self.inner.history(name, before=before, limit=limit))

    def at(self, name: str, number: int) -> Version | None:
        """Ask."""
        return self._stepped(lambda: self.inner.at(name, number))

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Ask."""
        return self._stepped(lambda: self.inner.listdir(path))

    def advance(self, version: Version, *, after: int) -> None:
        """Commit, or not, or leave it open."""
        self.step()
        if self.chance.random() < self.unknown:
            applied = self.chance.random() < 0.5
            self.fired[f"commit unknown, {'applied' if applied else 'not applied'}"] += 1
            if applied:
                self.inner.advance(version, after=after)
            raise OutcomeUnknownError("The commit gave no answer (planned).", name=version.name, number=version.number)
        self.inner.advance(version, after=after)
        self.step()

    def forget(self, versions: Sequence[Version]) -> None:
        """Drop."""
        self._stepped(lambda: self.inner.forget(versions))

    def committed(self, names: Sequence[str]) -> Mapping[str, Sequence[Version]]:
        """Ask."""
        return self._stepped(lambda: self.inner.committed(names))

    def _stepped(self, call: Callable[[], Answer]) -> Answer:
        self.step()
        answer = call()
        self.step()
        return answer


@dataclass(slots=True)
class _Turn:
    """The last turn that was taken in a slot."""

    floor: int = 0
    holder: str = ""
    until: float = 0.0


@dataclass(slots=True, kw_only=True)
class MemoryPointers:
    """`Pointers` in memory, as Redis keeps them. Guarantees those of `Pointers`, in one thread."""

    clock: Clock
    timeout: timedelta = timedelta(days=1)
    _slots: dict[str, tuple[Slot, float]] = field(default_factory=dict)
    _turns: dict[str, _Turn] = field(default_factory=dict)
    _since: float | None = None

    def claim(self, name: str, claim: str, *, keep: bool) -> Slot:
        """Return what is in a slot, and put a claim into an empty one."""
        (slot,) = self.peek([name], keep=keep)
        if not slot.at:
            slot = Slot(at=claim)
            self._turns.pop(name, None)
            self._put(name, slot)
        return slot

    def swap(self, name: str, old: str, new: Slot, *, holder: str = "") -> Slot | None:
        """Replace what is in a slot if `old` is there and it is no other's turn."""
        (slot,) = self.peek([name], keep=False)
        if slot.at != old or slot.holder not in {"", holder}:
            return slot
        lineage = joined(new.lineage, slot.lineage, int(self.clock.now().timestamp()))
        self._turns.setdefault(name, _Turn()).holder = ""
        self._put(name, replace(new, lineage=lineage))
        return None

    def take(self, name: str, after: int, number: int, holder: str) -> Slot | None:
        """Begin a turn."""
        (slot,) = self.peek([name], keep=False)
        if slot.at != str(after) or slot.holder not in {"", holder}:
            return slot
        turn = self._turns.setdefault(name, _Turn())
        if number < turn.floor or (number == turn.floor and holder != turn.holder):
            return slot
        self._turns[name] = _Turn(number, holder, self.clock.monotonic() + TURN.total_seconds())
        return None

    def give(self, name: str, holder: str) -> None:
        """End a turn."""
        turn = self._turns.get(name)
        if turn is not None and turn.holder == holder:
            turn.holder = ""

    def peek(self, names: Sequence[str], *, keep: bool) -> Sequence[Slot]:
        """Return what is in some slots."""
        found = []
        for name in names:
            slot, until = self._slots.get(name, (Slot(), 0.0))
            slot = slot if until > self.clock.monotonic() else Slot()
            if keep and slot.settled:
                self._put(name, slot)
            turn = self._turns.get(name)
            if slot.at and turn is not None and turn.floor:
                holder = turn.holder if turn.until > self.clock.monotonic() else ""
                slot = replace(slot, floor=str(turn.floor), holder=holder)
            found.append(slot)
        return found

    def drop(self, name: str, old: str) -> None:
        """Empty a slot if `old` is there."""
        if self.peek([name], keep=False)[0].at == old:
            del self._slots[name]

    def kept_for(self) -> timedelta:
        """Return since when pointers are kept."""
        if self._since is None:
            self._since = self.clock.monotonic()
        return timedelta(seconds=self.clock.monotonic() - self._since)

    def trust(self) -> None:
        """Count pointers as kept for as long as they live."""
        self._since = self.clock.monotonic() - self.timeout.total_seconds()

    def flush(self) -> None:
        """Lose everything, as `FLUSHDB` does."""
        self._slots.clear()
        self._turns.clear()
        self._since = None

    def _put(self, name: str, slot: Slot) -> None:
        time = 2 * self.timeout if slot.value else CLAIM
        self._slots[name] = (slot, self.clock.monotonic() + time.total_seconds())


@dataclass(slots=True, kw_only=True)
class FaultyPointers:
    """`Pointers` around others that sometimes give no answer, or lose everything; every step lets others go on."""

    inner: MemoryPointers
    step: Callable[[], object]
    chance: random.Random
    no_answer: float = 0.0
    """Probability that a step gives no answer; half of those were done."""
    flush: float = 0.0
    """Probability that everything is lost before a step."""
    lost_at: float = float("-inf")
    """When everything was lost the last time, by the monotonic clock."""
    fired: Counter[str] = field(default_factory=Counter)

    def claim(self, name: str, claim: str, *, keep: bool) -> Slot:
        """Claim."""
        return self._do(lambda: self.inner.claim(name, claim, keep=keep))

    def swap(self, name: str, old: str, new: Slot, *, holder: str = "") -> Slot | None:
        """Swap."""
        return self._do(lambda: self.inner.swap(name, old, new, holder=holder))

    def take(self, name: str, after: int, number: int, holder: str) -> Slot | None:
        """Take."""
        return self._do(lambda: self.inner.take(name, after, number, holder))

    def give(self, name: str, holder: str) -> None:
        """Give."""
        self._do(lambda: self.inner.give(name, holder))

    def peek(self, names: Sequence[str], *, keep: bool) -> Sequence[Slot]:
        """Peek."""
        return self._do(lambda: self.inner.peek(names, keep=keep))

    def drop(self, name: str, old: str) -> None:
        """Drop."""
        self._do(lambda: self.inner.drop(name, old))

    def kept_for(self) -> timedelta:
        """Ask."""
        return self._do(self.inner.kept_for)

    def trust(self) -> None:
        """Trust."""
        self._do(self.inner.trust)

    def _do(self, call: Callable[[], Answer]) -> Answer:
        self.step()
        if self.chance.random() < self.flush:
            self.fired["pointers lost"] += 1
            self.inner.flush()
            self.lost_at = self.inner.clock.monotonic()
        if self.chance.random() < self.no_answer:
            applied = self.chance.random() < 0.5
            self.fired[f"pointer without answer, {'applied' if applied else 'not applied'}"] += 1
            if applied:
                call()
            raise IndexUnavailableError("The pointers gave no answer (planned).")
        answer = call()
        self.step()
        return answer
