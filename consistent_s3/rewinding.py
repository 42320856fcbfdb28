"""Names brought back to what they were at a moment: planned first, then carried out.

    rewinder = Rewinder(storage=storage, moment=tuesday)
    for step in rewinder.plan(["a.txt", "b.txt"]):
        print(step.name, step.action, step.why)
        rewinder.carry_out(step, author="ann", comment="before the bad import")

1. A plan writes nothing. It comes name by name, and memory holds one batch of names, however many there are.
2. With rows it costs two queries for a batch. Elsewhere the bucket is listed: once for all names under a location, or
   once for each name that is given; and up to three HEADs for each name that changed since.
3. A step is done on top of the very version that the plan saw, or not at all: then it is a conflict, and what somebody
   wrote meanwhile stays. With `numbering="clock"` nobody can be told of a race, so the newest is compared right before.
4. No name's error keeps another from being brought back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cache
from itertools import islice
from typing import TypeVar

from django.db import DatabaseError

from consistent_s3.core.errors import ConflictError, ConsistentS3Error, KeyMissingError
from consistent_s3.core.rewinding import Action, Around, Step, around, lying_around, plan
from consistent_s3.core.seams import CommittingIndex, ObjectInfo
from consistent_s3.core.span import Span
from consistent_s3.core.survey import ListingSurvey
from consistent_s3.core.versions import Version
from consistent_s3.index.database import DatabaseIndex
from consistent_s3.index.listing import ListingIndex
from consistent_s3.index.moments import NAMES, all_names, around_rows
from consistent_s3.storage import ConsistentS3Storage

AT_ONCE = 8
"""Names that the store is asked about at once."""
FAILURES = (ConsistentS3Error, DatabaseError, ValueError, TypeError)
"""What may keep one name from being brought back, and must not keep the others from it."""

Some = TypeVar("Some")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a step."""

    step: Step
    version: Version | None = None
    """What was written; `None` if nothing was."""
    error: str = ""
    """Why it was not done."""
    conflict: bool = False
    """Somebody was faster: what the plan saw is not the newest any more. Plan again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewinder:
    """Brings the names of one storage back to a moment."""

    storage: ConsistentS3Storage
    moment: datetime
    """Aware."""

    def plan(self, names: Iterable[str]) -> Iterator[Step]:
        """Yield what is to be done with each of some names, in their order.

        Raises: `InvalidNameError` for what can be no name; what the index and the store raise.
        """
        for batch in batches(names, NAMES):
            known = self.around(batch)
            yield from self._each(lambda item: plan(*item), [(name, known[name]) for name in batch])

    def plan_matching(self, patterns: Sequence[str]) -> Iterator[Step]:
        """Yield what is to be done with each name that is one of some patterns, or matches one.

        As everywhere, a pattern is compared with the whole name, case and all, and `*` also crosses slashes. Patterns
        without any of `*?[` are taken for names, and nothing else is looked for.
        """
        if not any(set(pattern) & set("*?[") for pattern in patterns):
            yield from self.plan(dict.fromkeys(patterns))
            return

        def matches(name: str) -> bool:
            return matching(name, patterns)

        archive = self.storage.archive
        if isinstance(archive.index, DatabaseIndex):
            yield from self.plan(name for name in all_names(archive.index) if matches(name))
            return
        listed = self._listed(matches)
        if isinstance(archive.index, ListingIndex) and not isinstance(archive.index, CommittingIndex):
            for batch in batches(listed, NAMES):
                yield from self._each(lambda found: plan(found.name, self._read(found)), batch)
        else:  # of what is listed some may be no version, which only the index knows
            yield from self.plan(found.name for found in listed)

    def around(self, names: Sequence[str]) -> dict[str, Around]:
        """Return what of each name lies around the moment: two queries for a batch, or one LIST or more for each."""
        archive = self.storage.archive
        for name in names:
            archive.layout.validate(name)
        if isinstance(archive.index, DatabaseIndex):
            return around_rows(archive.index, names, self.moment)
        found = self._each(lambda name: around(archive.history(name), self.moment), names)
        return dict(zip(names, found, strict=True))

    def carry_out(self, step: Step, *, author: str | None = None, comment: str = "") -> Outcome:
        """Do a step, if what it rests on still is so, and return what came of it. Errors are told, not raised."""
        try:
            if not step.changes:
                return Outcome(step=step)
            expected = expected_by(self.storage, step)
            if step.action is Action.DELETE:
                version = self.storage.delete(step.name, expected=expected, author=author, comment=comment)
            else:
                number = step.then.number if step.then else 0
                version = self.storage.restore(step.name, number, expected=expected, author=author, comment=comment)
        except FAILURES as error:
            return Outcome(step=step, error=str(error), conflict=isinstance(error, ConflictError))
        return Outcome(step=step, version=version)

    # How it is done

    def _listed(self, matches: Callable[[str], bool]) -> Iterator[_Listed]:
        """Yield what lies around the moment of each name in the bucket: one LIST for each thousand keys."""
        for group in ListingSurvey(archive=self.storage.archive).groups(Span()):
            if matches(group.name):
                newest, then, after = lying_around((info for _, info in group.versions), self.moment)
                if newest:
                    yield _Listed(name=group.name, newest=newest, then=then, after=after)

    def _read(self, found: _Listed) -> Around:
        """Return the versions that were listed: one HEAD for each without bytes, which may be a tombstone."""
        archive = self.storage.archive
        index = ListingIndex(store=archive.store, layout=archive.layout)

        @cache  # the newest is often the one right after
        def version(info: ObjectInfo | None) -> Version | None:
            parsed = archive.layout.parse(info.key) if info else None
            return index.version(info, parsed) if info and parsed else None

        try:
            return Around(newest=version(found.newest), then=version(found.then), after=version(found.after))
        except KeyMissingError:  # collected since it was listed
            return around(archive.history(found.name), self.moment)

    def _each(self, work: Callable[[Some], Result], batch: Sequence[Some]) -> Iterator[Result]:
        """Yield what comes of some work on each of a batch; side by side where the store may be asked."""
        if isinstance(self.storage.archive.index, DatabaseIndex):
            yield from map(work, batch)
            return
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from pool.map(work, batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """What of a name was listed around a moment, and is not read yet."""

    name: str
    newest: ObjectInfo
    then: ObjectInfo | None
    after: ObjectInfo | None


def expected_by(storage: ConsistentS3Storage, step: Step) -> int | None:
    """Return what the write of a step is to expect. Raises `ConflictError` where only asking first can tell."""
    if storage.archive.committer.tells_of_races:
        return step.expected
    newest = storage.archive.newest(step.name)
    number = newest.number if newest else 0
    if number != step.expected:
        raise ConflictError(
            f"Version {number} of {step.name!r} is the newest, but {step.expected} was expected. Look at it and "
            "decide again.",
            name=step.name,
            expected=step.expected,
            actual=number,
        )
    return None


def matching(name: str, patterns: Sequence[str]) -> bool:
    """Return whether a name is one of some patterns, or matches one."""
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


def batches(items: Iterable[Some], size: int) -> Iterator[list[Some]]:
    """Yield the items, so many at a time."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
