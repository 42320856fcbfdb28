"""Indexes in memory that decide what is committed, as a database or Redis does; and their faults."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from consistent_s3.core.errors import IndexUnavailableError, NumberTakenError, OutcomeUnknownError
from consistent_s3.core.seams import Clock, EnumeratingIndex
from consistent_s3.core.versions import Version
from consistent_s3.index.slots import CLAIM, TURN, Slot, joined

Answer = TypeVar("Answer")

SAVES = 0.2
"""Probability that a faulty Redis saves what it holds, at each step."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class MemoryIndex:
    """An `EnumeratingIndex` in memory. Guarantees those of `EnumeratingIndex`, in one thread."""

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

    def page(self, *, after: int, until: int | None, limit: int) -> list[tuple[int, str, Sequence[Version]]]:
        """Return the next names in the order in which they were first written."""
        places = enumerate(self._versions, start=1)
        within = [(place, name) for place, name in places if place > after and (until is None or place <= until)]
        return [(place, name, list(self.history(name))) for place, name in within[:limit]]

    def bounds(self) -> tuple[int, int]:
        """Return the first and the last place."""
        return (1, len(self._versions)) if self._versions else (0, 0)

    def superseded(self, versions: Sequence[Version]) -> set[str]:
        """Return the keys of those that may still go."""
        may_go = set()
        for version in versions:
            newest = self.newest(version.name)
            known = self.at(version.name, version.number)
            if newest is not None and known == version and (newest.number != version.number or newest.tombstone):
                may_go.add(version.key)
        return may_go

    def known(self, keys: Mapping[str, Sequence[str]]) -> set[str]:
        """Return which keys are those of committed versions."""
        known = {key for name in keys for version in self.history(name) for key in (version.key, version.body_key)}
        return known & {key for some in keys.values() for key in some}

    def amend(self, version: Version) -> None:
        """Keep a version as it is now."""
        if self.at(version.name, version.number) is not None:
            self._versions[version.name][version.number] = version


@dataclass(slots=True, kw_only=True)
class FaultyIndex:
    """An `EnumeratingIndex` around another whose commits sometimes give no answer; every call lets others go on."""

    inner: EnumeratingIndex
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

    def page(self, *, after: int, until: int | None, limit: int) -> Sequence[tuple[int, str, Sequence[Version]]]:
        """Ask."""
        return self._stepped(lambda: self.inner.page(after=after, until=until, limit=limit))

    def bounds(self) -> tuple[int, int]:
        """Ask."""
        return self._stepped(self.inner.bounds)

    def superseded(self, versions: Sequence[Version]) -> set[str]:
        """Ask."""
        return self._stepped(lambda: self.inner.superseded(versions))

    def known(self, keys: Mapping[str, Sequence[str]]) -> set[str]:
        """Ask."""
        return self._stepped(lambda: self.inner.known(keys))

    def amend(self, version: Version) -> None:
        """Note."""
        self._stepped(lambda: self.inner.amend(version))

    def _stepped(self, call: Callable[[], Answer]) -> Answer:
        self.step()
        answer = call()
        self.step()
        return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What is kept of one name."""

    slot: Slot
    until: float
    run: int
    """The run of Redis in which it was begun."""
    turn_until: float = 0.0


@dataclass(slots=True, kw_only=True)
class MemoryPointers:
    """`Pointers` in memory, as Redis keeps them. Guarantees those of `Pointers`, in one thread.

    Its `clock` is that of Redis: one for all clients, whatever theirs say.
    """

    clock: Clock
    timeout: timedelta = timedelta(days=1)
    run: int = 0
    """Counts how often it was started."""
    evicted: int = 0
    _kept: dict[str, _Kept] = field(default_factory=dict)
    _guard: tuple[int, int, float] | None = None

    def claim(self, name: str, claim: str, *, keep: bool) -> Slot:
        """Return what is in a slot, and put a claim into an empty one."""
        (slot,) = self.peek([name], keep=keep)
        if not slot.at:
            slot = Slot(at=claim)
            self._put(name, slot)
        return slot

    def swap(self, name: str, old: str, new: Slot, *, holder: str = "") -> Slot | None:
        """Replace what is in a slot if `old` is there and it is no other's turn."""
        (slot,) = self.peek([name], keep=False)
        if slot.at != old or slot.holder not in {"", holder} or int(slot.floor or 0) > int(new.at):
            return slot
        lineage = joined(new.lineage, slot.lineage, int(self.clock.now().timestamp()))
        self._put(name, replace(new, lineage=lineage, floor=slot.floor))
        return None

    def take(self, name: str, after: int, ahead: int, holder: str) -> int | Slot:
        """Begin a turn, and return its number."""
        (slot,) = self.peek([name], keep=False)
        if slot.at != str(after) or slot.holder not in {"", holder}:
            return slot
        least = max(after, int(slot.floor or 0)) + 1
        time = (self.clock.now() - _EPOCH) // timedelta(microseconds=1)
        number = time if time >= least else ahead
        if number < least:
            return slot
        self._begin(name, replace(slot, floor=str(number), holder=holder))
        return number

    def renew(self, name: str, after: int, number: int, holder: str) -> Slot | None:
        """Begin a turn anew, with its number."""
        (slot,) = self.peek([name], keep=False)
        if slot.at != str(after) or slot.floor != str(number) or self._kept[name].slot.holder != holder:
            return slot
        self._begin(name, replace(slot, holder=holder))
        return None

    def _begin(self, name: str, slot: Slot) -> None:
        until = self.clock.monotonic() + TURN.total_seconds()
        self._kept[name] = replace(self._kept[name], slot=slot, turn_until=until)

    def give(self, name: str, holder: str) -> None:
        """End a turn."""
        kept = self._kept.get(name)
        if kept is not None and kept.slot.holder == holder:
            self._kept[name] = replace(kept, slot=replace(kept.slot, holder=""))

    def peek(self, names: Sequence[str], *, keep: bool) -> Sequence[Slot]:
        """Return what is in some slots."""
        now, found = self.clock.monotonic(), []
        for name in names:
            kept = self._kept.get(name)
            if kept is None or kept.until <= now or kept.run != self.run:
                self._kept.pop(name, None)
                found.append(Slot())
                continue
            if keep and kept.slot.settled:
                self._kept[name] = replace(kept, until=now + self._life(kept.slot))
            found.append(kept.slot if kept.turn_until > now else replace(kept.slot, holder=""))
        return found

    def drop(self, name: str, old: str) -> None:
        """Empty a slot if `old` is there."""
        if self.peek([name], keep=False)[0].at == old:
            del self._kept[name]

    def kept_for(self) -> timedelta:
        """Return since when pointers are kept."""
        now = self.clock.monotonic()
        if self._guard is None or self._guard[:2] != (self.run, self.evicted):
            self._guard = (self.run, self.evicted, now)
        return timedelta(seconds=now - self._guard[2])

    def trust(self) -> None:
        """Count pointers as kept for as long as they live."""
        self._guard = (self.run, self.evicted, self.clock.monotonic() - self.timeout.total_seconds())

    # What may befall a Redis

    def flush(self) -> None:
        """Lose everything, as `FLUSHDB` does."""
        self._kept.clear()
        self._guard = None

    @property
    def names(self) -> list[str]:
        """Return the names with a slot."""
        return sorted(self._kept)

    def evict(self, name: str) -> None:
        """Lose one pointer, as for want of memory."""
        if self._kept.pop(name, None) is not None:
            self.evicted += 1

    def saved(self) -> Callable[[], None]:
        """Return what starts it anew with what it holds now, as a restart from disk or a failover does."""
        kept, guard = dict(self._kept), self._guard

        def restart() -> None:
            self._kept, self._guard = dict(kept), guard
            self.run += 1

        return restart

    def _life(self, slot: Slot) -> float:
        return (2 * self.timeout if slot.value else CLAIM).total_seconds()

    def _put(self, name: str, slot: Slot) -> None:
        self._kept[name] = _Kept(slot=slot, until=self.clock.monotonic() + self._life(slot), run=self.run)


@dataclass(slots=True, kw_only=True)
class FaultyPointers:
    """`Pointers` around others that sometimes give no answer, or lose everything; every step lets others go on."""

    inner: MemoryPointers
    step: Callable[[], object]
    chance: random.Random
    no_answer: float = 0.0
    """Probability that a step gives no answer; half of those were done."""
    lost: float = 0.0
    """Probability that pointers are lost before a step: all, one, or what changed since some step before."""
    fired: Counter[str] = field(default_factory=Counter)
    _saved: Callable[[], None] | None = None

    def claim(self, name: str, claim: str, *, keep: bool) -> Slot:
        """Claim."""
        return self._do(lambda: self.inner.claim(name, claim, keep=keep))

    def swap(self, name: str, old: str, new: Slot, *, holder: str = "") -> Slot | None:
        """Swap."""
        return self._do(lambda: self.inner.swap(name, old, new, holder=holder))

    def take(self, name: str, after: int, ahead: int, holder: str) -> int | Slot:
        """Take."""
        return self._do(lambda: self.inner.take(name, after, ahead, holder))

    def renew(self, name: str, after: int, number: int, holder: str) -> Slot | None:
        """Renew."""
        return self._do(lambda: self.inner.renew(name, after, number, holder))

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
        if self.chance.random() < self.lost:
            self._lose()
        if self._saved is None or self.chance.random() < SAVES:
            self._saved = self.inner.saved()
        if self.chance.random() < self.no_answer:
            applied = self.chance.random() < 0.5
            self.fired[f"pointer without answer, {'applied' if applied else 'not applied'}"] += 1
            if applied:
                call()
            raise IndexUnavailableError("The pointers gave no answer (planned).")
        answer = call()
        self.step()
        return answer

    def _lose(self) -> None:
        match self.chance.randrange(3):
            case 0:
                self.fired["pointers lost"] += 1
                self.inner.flush()
            case 1 if self._saved is not None:
                self.fired["pointers turned back"] += 1
                self._saved()
            case _:
                names = self.inner.names
                self.fired["pointer evicted"] += bool(names)
                if names:
                    self.inner.evict(self.chance.choice(names))
