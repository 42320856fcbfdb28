"""What is there, name by name? Asked of the bucket's listing, or of an index that knows every name.

A survey goes through a `Span`, and can be broken off after any name and taken up again there, also by somebody else.
It is done in one pass: memory holds the objects of one name, and one page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from consistent_s3.core.archive import Archive
from consistent_s3.core.errors import KeyMissingError, PreconditionFailedError
from consistent_s3.core.keys import ParsedKey
from consistent_s3.core.lineage import FORGOTTEN, Lineage, Link, sort_out
from consistent_s3.core.names import MARKER
from consistent_s3.core.pace import Pace
from consistent_s3.core.seams import (
    Clock,
    CommittingIndex,
    EnumeratingIndex,
    ForgetfulIndex,
    ObjectInfo,
    ObjectStore,
)
from consistent_s3.core.span import Span
from consistent_s3.core.versions import Version

PAGE = 500
"""Names that are asked for together."""
FIRST_PAGE = 50
"""How many of them at first, when nobody knows how many versions they have."""
VERSIONS = 5_000
"""Versions that a page of names should have: names are asked for in smaller pages where they have many."""
FOREIGN = 5_000
"""Keys of other software, in a row, that are passed at a time."""
LEVELS = 12
"""How deep below the location directories are looked into, to find a place to halve."""


@dataclass(slots=True, kw_only=True)
class Group:
    """All objects of one name."""

    name: str
    """Empty for a rest in which no name has anything."""
    seen: datetime
    """A moment before the name was looked at: all ages are counted up to it."""
    end: str = ""
    """The place in the survey right after this name."""
    versions: list[tuple[int, ObjectInfo]] = field(default_factory=list)
    """Newest first."""
    bodies: list[ObjectInfo] = field(default_factory=list)
    hints: list[ObjectInfo] = field(default_factory=list)
    strays: list[ObjectInfo] = field(default_factory=list)
    """What the index does not know: rolled back, refused, or on its way."""
    newest_since: Mapping[str, datetime] = field(default_factory=dict)
    """When versions were the newest already, at the latest, by their keys; else when they were written."""
    foreign: int = 0
    """Keys of other software."""
    committed: Sequence[Version] | None = None
    """The versions that the index knows, newest first, where it decides; `None` where the listing does."""
    by_index: bool = False
    """Nothing was listed: all that is here is known."""

    @property
    def objects(self) -> int:
        """Return how many objects of ours were found."""
        return len(self.versions) + len(self.bodies) + len(self.hints) + len(self.strays)

    def add(self, parsed: ParsedKey, info: ObjectInfo) -> None:
        """Take one listed object."""
        if parsed.number is not None:
            self.versions.append((parsed.number, info))
        elif parsed.body:
            self.bodies.append(info)
        else:
            self.hints.append(info)

    def commit(self, versions: Sequence[Version]) -> None:
        """Take the versions from the index that decides."""
        self.committed = versions
        self.versions = [
            (
                version.number,
                ObjectInfo(
                    key=version.key,
                    size=0 if version.body_key != version.key else version.size,
                    etag=version.etag,
                    modified=version.modified,
                ),
            )
            for version in versions
        ]


class Survey(Protocol):
    """Goes through an archive, name by name."""

    def groups(self, span: Span) -> Iterator[Group]:
        """Yield what is there of each name, every name once."""
        ...

    def complete(self, groups: Sequence[Group]) -> None:
        """Add to some names what is asked for together."""
        ...

    def halve(self, span: Span) -> str:
        """Return a place about half-way, between two names; empty if there is none."""
        ...


def listed(
    store: ObjectStore, root: str, span: Span, *, clock: Clock, pace: Pace, alive: Callable[[], object]
) -> Iterator[tuple[datetime, ObjectInfo]]:
    """Yield what is listed under a prefix in a span, each with a moment before it was listed."""
    token, until = "", span.until.encode()
    while True:
        seen = clock.now()
        pace.wait()
        page = store.list(root, start_after=span.after, token=token)
        alive()
        for info in page.objects:
            if until and info.key.encode() > until:
                return
            yield seen, info
        token = page.token
        if not token:
            return


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingSurvey:
    """Asks the bucket: one LIST for a thousand keys. All keys of a name are neighbours. Its places are keys."""

    archive: Archive
    pace: Pace = field(default_factory=Pace)
    alive: Callable[[], object] = lambda: None
    """Hears of every page."""

    def groups(self, span: Span) -> Iterator[Group]:
        """Yield what is listed of each name; and what belongs to none, in groups without a name."""
        layout, group, end = self.archive.layout, None, b""
        for seen, info in self._listed(span):
            parsed = layout.parse(info.key)
            if parsed is None:
                key = info.key.encode()
                # What lies between a name's keys is that name's, so that it is passed once, wherever one breaks off.
                if group is None or (key > end and (group.name or group.foreign >= FOREIGN)):
                    if group is not None:
                        yield group
                    group, end = Group(name="", seen=seen), key
                if not group.name:
                    group.end = info.key
                group.foreign += 1
                continue
            if group is None or group.name != parsed.name:
                if group is not None:
                    yield group
                group = Group(name=parsed.name, seen=seen, end=_end(layout.root, parsed.name))
                end = group.end.encode()
            group.add(parsed, info)
        if group is not None:
            yield group

    def _listed(self, span: Span) -> Iterator[tuple[datetime, ObjectInfo]]:
        """Yield what is listed in a span, but jump over this location's streams of events: they may be very many."""
        archive = self.archive
        streams = f"{archive.layout.streams_prefix}/"
        for begin in (span, replace(span, after=f"{streams[:-1]}0")):  # "0" follows "/"
            jumps = False
            for seen, info in listed(
                archive.store, archive.layout.root, begin, clock=archive.clock, pace=self.pace, alive=self.alive
            ):
                jumps = info.key.startswith(streams)
                if jumps:
                    break
                yield seen, info
            if not jumps:
                return

    def complete(self, groups: Sequence[Group]) -> None:
        """Where the index decides, take the versions from it; whatever else was listed is a stray.

        Asked after the listing: what was committed in between is known, and what is on its way is younger than grace.
        """
        index = self.archive.index
        groups = [group for group in groups if group.name]
        if not groups or not isinstance(index, CommittingIndex):
            return
        if isinstance(index, ForgetfulIndex):
            self._ask_pointers(groups, index)
            return
        known = index.committed([group.name for group in groups])
        for group in groups:
            listed = group.versions
            group.commit(list(known[group.name]))
            keys = {version.key for version in known[group.name]}
            group.strays = [info for _, info in listed if info.key not in keys]

    def _ask_pointers(self, groups: Sequence[Group], index: ForgetfulIndex) -> None:
        """Where the index remembers only the last versions, they tell what was superseded when, and what is none."""
        lineages = index.lineages([group.name for group in groups])
        for group in groups:
            lineage = lineages.get(group.name)
            if lineage is None:
                lineage = self._learn_again(group, index) if len(group.versions) > 1 else FORGOTTEN
            sorted_out = sort_out(group.versions, lineage, layout=self.archive.layout, seen=group.seen)
            group.versions, group.newest_since, group.strays = sorted_out

    def _learn_again(self, group: Group, index: ForgetfulIndex) -> Lineage:
        """Let the index learn what it forgot, so that a later run knows since when; one LIST, and perhaps one HEAD.

        Until then the newest tells of the version that its writer saw: what is under that one was superseded before.
        """
        try:
            newest = index.relearn(group.name)
            known = newest is not None and newest.key == group.versions[0][1].key and len(group.versions) > 2
            predecessor = newest.details.predecessor if newest is not None and known else 0
        except (PreconditionFailedError, KeyMissingError):
            return FORGOTTEN
        if newest is None or not predecessor:
            return FORGOTTEN
        links = (
            Link(number=newest.number, write_id="", since=group.seen),
            Link(number=predecessor, write_id="", since=group.versions[0][1].modified),
        )
        return Lineage(links=links, dense=1)

    def halve(self, span: Span) -> str:
        """Return the middle one of the directories and names of a span: one LIST, and one for each level below.

        Of more than a thousand it is the last that a page shows: the rest can be halved again.
        """
        directory = self.archive.layout.root
        for _ in range(LEVELS):
            inside = span.after.startswith(directory)
            self.pace.wait()
            page = self.archive.store.list(directory, delimiter="/", start_after=span.after if inside else "")
            entries = [_entry_place(prefix) for prefix in page.prefixes]
            places = sorted({place for place in entries if span.holds(place)}, key=str.encode)
            begun = span.after.removeprefix(directory).partition("/") if inside else ("", "", "")
            if len(places) > 1 or (places and begun[1]):
                return places[-1 if page.token else len(places) // 2]
            if not places and begun[1]:
                directory += f"{begun[0]}/"
            elif places and places[0].endswith("/"):
                directory = places[0]
            else:
                break
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSurvey:
    """Asks an index that knows all names, and the store nothing. Its places are the index's own, in decimal."""

    archive: Archive
    index: EnumeratingIndex

    def groups(self, span: Span) -> Iterator[Group]:
        """Yield what the index knows of each name."""
        after = int(span.after or 0)
        until = int(span.until) if span.until else None
        limit = FIRST_PAGE
        while True:
            seen = self.archive.clock.now()
            page = self.index.page(after=after, until=until, limit=limit)
            known = 0
            for place, name, versions in page:
                group = Group(name=name, seen=seen, end=str(place), by_index=True)
                group.commit(versions)
                group.bodies = [
                    ObjectInfo(key=version.body_key, size=version.size, etag="", modified=version.modified)
                    for version in versions
                    if version.body_key != version.key
                ]
                known += len(versions)
                yield group
                after = place
            if len(page) < limit:
                return
            limit = max(1, min(PAGE, 2 * limit, limit * VERSIONS // max(known, 1)))

    def complete(self, groups: Sequence[Group]) -> None:
        """Nothing is missing."""

    def halve(self, span: Span) -> str:
        """Return the place in the middle of the numbers that are left."""
        low, high = self.index.bounds()
        low = max(low - 1, int(span.after or 0))
        high = min(high, int(span.until)) if span.until else high
        middle = (low + high) // 2
        return str(middle) if low < middle < high else ""


def _end(root: str, name: str) -> str:
    """Return a place after all keys of a name and before those of every other: `w` follows `v`."""
    return f"{root}{name}{MARKER[:-1]}w"


def _entry_place(prefix: str) -> str:
    """Return a place right before all keys of what a directory's listing folded together."""
    name, marker, _ = prefix.rpartition(MARKER)
    return f"{name}{MARKER}" if marker and "/" not in prefix[len(name) : -1] else prefix
