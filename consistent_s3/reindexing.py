"""What does the database not know of a bucket, and what is to become of it?

The rows are compared with the bucket's listing. Of an object without a row nobody can say, from the bucket alone,
whether its save was committed: it may have been rolled back, be on its way, or have lost its row with the database. So:

1. A key without a write id was written with `index="listing"`, where the key is the commit: it is taken if its number
   is greater than the newest that the rows know. (A number that was collected must not come back.)
2. Where no row was ever written, everything is taken, since that is a database that was lost, or is new.
3. Elsewhere a key with a write id is reported, until it is said what such keys are (`unknown`): `adopt` after a
   database was lost or restored from a backup, `garbage` if nothing was.
4. Of several objects with one number, the row that exists counts; without one, the object that the next version names
   as its predecessor; else the youngest. The others are reported.
5. All versions of a name are taken in one transaction, and its newest only goes forwards. So a rebuilding that was
   killed begins where it ended, and what was written meanwhile stays newest.

The collector takes what the rows do not know only after a rebuilding ended with nothing left to say (`is_complete`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from typing import Any

from consistent_s3.core.archive import Archive
from consistent_s3.core.errors import KeyMissingError, NumberTakenError, PolicyError
from consistent_s3.core.keys import ParsedKey
from consistent_s3.core.seams import DELETE_BATCH, ObjectInfo, every_object
from consistent_s3.core.versions import KnownDetails, Version, from_head
from consistent_s3.index.database import DatabaseIndex

AT_ONCE = 16
"""HEAD requests on their way at the same time."""
NAMES = 200
"""Names whose rows are asked for together."""
MAX_FINDINGS = 1000
"""Findings told one by one in a summary; the rest is counted."""


class Unknown(StrEnum):
    """What keys with a write id and without a row are."""

    REPORT = "report"
    """Nobody said."""
    ADOPT = "adopt"
    """Versions whose rows were lost."""
    GARBAGE = "garbage"
    """Saves that were rolled back: the collector may take them."""


class Problem(StrEnum):
    """What is the matter with a key."""

    UNKNOWN = "no row: rolled back, on its way, or lost with a database"
    SAME_NUMBER = "another object is the version with this number"
    BEFORE_NEWEST = "no row, and newer versions have one: collected, or lost with a database"
    CHANGED = "others wrote this name meanwhile: run reindex again"
    FOREIGN = "no key of this project"
    NO_OBJECT = "a row without an object"
    NO_HINT = "a deleted name without the hint that index='listing' needs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One key that was not taken, or is missing."""

    key: str
    problem: Problem
    name: str = ""
    number: int = 0


@dataclass(slots=True, kw_only=True)
class Summary:
    """What a rebuilding saw and did, or would do."""

    dry_run: bool
    names: int = 0
    scanned: int = 0
    """Keys seen."""
    known: int = 0
    """Versions that had a row already."""
    adopted: int = 0
    """Versions that got a row, or would get one."""
    deleted: int = 0
    """Objects without a row that were deleted to prepare for `index="listing"`."""
    hints: int = 0
    """Hints that were written to prepare for it."""
    complete: bool = False
    """Whether what the rows do not know now counts as never saved."""
    problems: dict[str, int] = field(default_factory=dict)
    """How many keys have each problem."""
    findings: list[Finding] = field(default_factory=list)
    """The keys themselves; at most `MAX_FINDINGS`."""
    missing: list[Version] = field(default_factory=list)
    """Versions of the name at hand whose objects are gone."""

    def report(self, finding: Finding) -> None:
        """Note a key."""
        self.problems[finding.problem.value] = self.problems.get(finding.problem.value, 0) + 1
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)

    def count(self, *problems: Problem) -> int:
        """Return how many keys have one of some problems."""
        return sum(self.problems.get(problem.value, 0) for problem in problems)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, fit for JSON."""
        return {
            "dry_run": self.dry_run,
            "names": self.names,
            "scanned": self.scanned,
            "known": self.known,
            "adopted": self.adopted,
            "deleted": self.deleted,
            "hints": self.hints,
            "complete": self.complete,
            "problems": dict(sorted(self.problems.items())),
            "findings": [
                {"key": found.key, "problem": found.problem.value, "name": found.name, "number": found.number}
                for found in self.findings
            ],
        }


@dataclass(frozen=True, slots=True)
class _Object:
    info: ObjectInfo
    parsed: ParsedKey

    @property
    def number(self) -> int:
        return self.parsed.number or 0


@dataclass(slots=True, kw_only=True)
class Reindexer:
    """Compares the rows of one archive with its bucket, and fills in what is missing."""

    archive: Archive
    index: DatabaseIndex
    unknown: Unknown = Unknown.REPORT
    forget_missing: bool = False
    """Forget rows whose objects are gone, but never what is current."""
    tell: Callable[[Summary], object] = lambda _: None
    """Hears how far it is, after each batch of names."""

    def run(self, *, dry_run: bool = False) -> Summary:
        """Rebuild the rows, or only say what would be done; idempotent, and resumable after a kill.

        Raises: what the store raises for a listing or a HEAD, and what the database raises. Run it again.
        """
        summary = Summary(dry_run=dry_run)
        adopts = self.unknown is Unknown.ADOPT or self.index.is_empty or self.index.is_rebuilding
        was_complete = self.index.is_complete
        if adopts and not dry_run:
            self.index.mark(complete=False)
        seen: set[str] = set()
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="reindex") as pool:
            for names in _batches(self._names(summary)):
                known = self.index.committed([name for name, _ in names])
                for name, objects in names:
                    summary.names += 1
                    seen.add(name)
                    self._name(name, objects, known[name], summary, pool, adopts=adopts)
                    self._miss(known[name], {found.info.key for found in objects}, summary, pool)
                self.tell(summary)
            self._miss_names(seen, summary, pool)
        open_questions = summary.count(Problem.UNKNOWN, Problem.BEFORE_NEWEST) if self.unknown is Unknown.REPORT else 0
        summary.complete = was_complete or not (open_questions or summary.count(Problem.CHANGED))
        if adopts and summary.count(Problem.CHANGED):
            summary.complete = False
        if summary.complete and not dry_run:
            self.index.mark(complete=True)
        return summary

    def check(self, *, prepare: bool = False) -> Summary:
        """Say what a switch to `index="listing"` would make visible or lose.

        `prepare` makes the bucket ready: it writes missing hints and deletes what has no row. No process may write
        with `index="database"` meanwhile: its saves have no rows before they are committed.

        Raises: `PolicyError` if the rows may be incomplete, since what has no row may then be all that is left.
        """
        if prepare and not self.index.is_complete:
            raise PolicyError(
                "The rows were never compared with the bucket, or not to the end, so what has no row may have been "
                "saved. Run reindex first."
            )
        summary = Summary(dry_run=not prepare, complete=self.index.is_complete)
        for names in _batches(self._names(summary, everything=True)):
            known = self.index.committed([name for name, _ in names])
            for name, objects in names:
                summary.names += 1
                self._check_name(name, objects, known[name], summary, prepare=prepare)
            self.tell(summary)
        return summary

    def _names(self, summary: Summary, *, everything: bool = False) -> Iterator[tuple[str, list[_Object]]]:
        """Yield each name of the bucket with the objects of its versions; with its hints, too, if asked."""
        for name, objects in groupby(self._objects(summary), key=lambda found: found.parsed.name):
            yield name, [found for found in objects if found.parsed.number or (everything and found.parsed.hint)]

    def _objects(self, summary: Summary) -> Iterator[_Object]:
        layout = self.archive.layout
        for info in every_object(self.archive.store, layout.root):
            summary.scanned += 1
            parsed = layout.parse(info.key)
            if parsed is not None:
                yield _Object(info, parsed)
            elif not (layout.is_selftest(info.key) or layout.is_of_streams(info.key)):
                summary.report(Finding(key=info.key, problem=Problem.FOREIGN))

    def _name(
        self,
        name: str,
        objects: Sequence[_Object],
        known: Sequence[Version],
        summary: Summary,
        pool: ThreadPoolExecutor,
        *,
        adopts: bool,
    ) -> None:
        """Take what is missing of one name."""
        newest = known[0].number if known else 0
        keys, taken = {version.key for version in known}, {version.number for version in known}
        missing = [found for found in objects if found.info.key not in keys]
        summary.known += len(objects) - len(missing)
        wanted: list[_Object] = []
        for found in missing:
            problem = self._problem(found, newest, taken, adopts=adopts)
            if problem is None:
                wanted.append(found)
            else:
                summary.report(_finding(found, problem))
        found_versions = list(pool.map(self._version, wanted))
        chosen, others = choose([version for version in found_versions if version is not None], known)
        for version in others:
            summary.report(Finding(key=version.key, problem=Problem.SAME_NUMBER, name=name, number=version.number))
        if not chosen:
            return
        if not summary.dry_run:
            try:
                self.index.adopt(name, chosen, newest=newest)
            except NumberTakenError:
                for version in chosen:
                    summary.report(Finding(key=version.key, problem=Problem.CHANGED, name=name, number=version.number))
                return
        summary.adopted += len(chosen)

    def _problem(self, found: _Object, newest: int, taken: set[int], *, adopts: bool) -> Problem | None:
        """Return why an object without a row is not taken; `None` if it is."""
        if found.number in taken:
            return Problem.SAME_NUMBER
        if adopts and (self.unknown is Unknown.ADOPT or not newest):
            return None
        if found.number < newest:
            return Problem.BEFORE_NEWEST
        return Problem.UNKNOWN if found.parsed.write_id else None

    def _version(self, found: _Object) -> Version | None:
        """Return what an object's headers tell; `None` if it was collected meanwhile."""
        try:
            head = self.archive.store.head(found.info.key)
        except KeyMissingError:
            return None
        details = from_head(head)
        return Version(
            name=found.parsed.name,
            number=found.number,
            key=found.info.key,
            size=details.body_size if details.body_key else head.info.size,
            modified=details.written_at or head.info.modified,
            etag=head.info.etag,
            tombstone=details.tombstone,
            source=KnownDetails(details),
        )

    def _check_name(
        self, name: str, objects: Sequence[_Object], known: Sequence[Version], summary: Summary, *, prepare: bool
    ) -> None:
        keys = {version.key for version in known}
        strays = [found for found in objects if found.parsed.number and found.info.key not in keys]
        summary.known += sum(found.info.key in keys for found in objects)
        if prepare:
            strays = self._delete(strays, summary)
        for found in strays:
            summary.report(_finding(found, Problem.UNKNOWN))
        if not (known and known[0].tombstone) or any(found.parsed.hint for found in objects):
            return
        if prepare:
            self.archive.write_hint(name)
            summary.hints += 1
        else:
            summary.report(Finding(key=known[0].key, problem=Problem.NO_HINT, name=name, number=known[0].number))

    def _delete(self, strays: Sequence[_Object], summary: Summary) -> list[_Object]:
        """Delete objects and return those that the store kept."""
        kept: set[str] = set()
        for begin in range(0, len(strays), DELETE_BATCH):
            batch = [found.info.key for found in strays[begin : begin + DELETE_BATCH]]
            kept.update(failure.key for failure in self.archive.store.delete(batch))
        summary.deleted += len(strays) - len(kept)
        return [found for found in strays if found.info.key in kept]

    def _miss(
        self, known: Sequence[Version], listed: Container[str], summary: Summary, pool: ThreadPoolExecutor
    ) -> None:
        """Report the rows whose objects are gone; a listing may be older than a row, so each object is asked for."""
        unlisted = [version for version in known if version.key not in listed]
        for version, there in zip(unlisted, pool.map(self._is_there, unlisted), strict=True):
            if not there:
                summary.report(
                    Finding(key=version.key, problem=Problem.NO_OBJECT, name=version.name, number=version.number)
                )
                summary.missing.append(version)
        if self.forget_missing and not summary.dry_run and summary.missing:
            self.index.forget(summary.missing)
        summary.missing.clear()

    def _is_there(self, version: Version) -> bool:
        try:
            self.archive.store.head(version.key)
        except KeyMissingError:
            return False
        return True

    def _miss_names(self, seen: Container[str], summary: Summary, pool: ThreadPoolExecutor) -> None:
        """Look after names of which the bucket's listing showed nothing at all."""
        for names in _batches((name, []) for name in self.index.names() if name not in seen):
            for versions in self.index.committed([name for name, _ in names]).values():
                self._miss(versions, (), summary, pool)


def choose(found: Sequence[Version], known: Sequence[Version]) -> tuple[list[Version], list[Version]]:
    """Return one version for each number, ascending, and the others: whom the next version names, else the youngest.

    Pure.
    """
    chosen: list[Version] = []
    others: list[Version] = []
    following: dict[int, str] = {version.details.predecessor: version.details.predecessor_etag for version in known}
    ordered = sorted(found, key=lambda version: (version.number, version.modified, version.key), reverse=True)
    for _, group in groupby(ordered, key=lambda version: version.number):
        candidates = list(group)
        named = [version for version in candidates if version.etag == following.get(version.number)]
        winner = (named or candidates)[0]
        following[winner.details.predecessor] = winner.details.predecessor_etag
        chosen.append(winner)
        others += [version for version in candidates if version is not winner]
    return chosen[::-1], others[::-1]


def _finding(found: _Object, problem: Problem) -> Finding:
    return Finding(key=found.info.key, problem=problem, name=found.parsed.name, number=found.number)


def _batches(names: Iterable[tuple[str, list[_Object]]]) -> Iterator[list[tuple[str, list[_Object]]]]:
    batch: list[tuple[str, list[_Object]]] = []
    for item in names:
        batch.append(item)
        if len(batch) == NAMES:
            yield batch
            batch = []
    if batch:
        yield batch
