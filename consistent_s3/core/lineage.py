"""Which of the listed objects of a name were ever its newest version, and since when was each?

An index that forgets (Redis) remembers of each name its last versions, without a gap, and of those before them some:
its lineage. From that follows, for what a listing shows:

1. What lies between remembered versions and is not one of them was never a version: it was passed over. Nobody takes it
   for the newest any more, since a version with a greater number is listed.
2. What lies above the newest may be taken for the newest at any moment, should the index forget. So it is never old.
3. A version was superseded when the next one that is remembered became the newest; without one, not at all so far.
   An attempt of unknown outcome supersedes nothing: it may lie above a version that was current for another year.
4. The last tombstone stays while anything was passed over: without it that would be the newest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from consistent_s3.core.keys import Layout
from consistent_s3.core.seams import ObjectInfo

Listed = tuple[int, ObjectInfo]
"""A number, and the object that was listed under it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One version that was the newest."""

    number: int
    """0: there was no version."""
    write_id: str
    """Empty where only the number is known."""
    since: datetime
    """When it was the newest already, at the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """The versions that were the newest of a name, newest first, as far as an index remembers."""

    links: tuple[Link, ...]
    dense: int
    """So many of the first have nothing between them that was ever the newest."""

    @property
    def newest(self) -> int:
        """Return the number of the newest; 0 if there is none."""
        return self.links[0].number if self.links else 0

    def named(self, number: int, write_id: str = "") -> bool:
        """Return whether a version is one of them."""
        return any(link.number == number and (not write_id or link.write_id in {"", write_id}) for link in self.links)

    def passed_over(self, number: int, write_id: str) -> bool:
        """Return whether an object was certainly never the newest, and never can be."""
        if not self.links or not self.links[self.dense - 1].number <= number <= self.newest:
            return False
        return not self.named(number, write_id)

    def superseded(self, number: int) -> datetime | None:
        """Return when whatever is below a number was superseded, at the latest; `None` if that is not known."""
        return next((link.since for link in reversed(self.links) if link.number >= number), None)


FORGOTTEN = Lineage(links=(), dense=0)
"""Nothing is remembered."""


def sort_out(
    listed: Sequence[Listed], lineage: Lineage, *, layout: Layout, seen: datetime
) -> tuple[list[Listed], dict[str, datetime], list[ObjectInfo]]:
    """Return what are versions, since when each was the newest, and what is none, of all that was listed. Pure.

    What may still be the newest, or is not known to have been, is so since `seen`.
    """
    versions: list[Listed] = []
    strays: list[ObjectInfo] = []
    for number, info in listed:
        parsed = layout.parse(info.key)
        if lineage.links and number > lineage.newest:
            strays.append(replace(info, modified=seen))
        elif lineage.passed_over(number, parsed.write_id if parsed else ""):
            strays.append(info)
        else:
            versions.append((number, info))
    if len(versions) == 1:
        return versions, {info.key: seen for _, info in versions if strays}, strays
    return versions, {info.key: _since(number, info, lineage, seen) for number, info in versions}, strays


def _since(number: int, info: ObjectInfo, lineage: Lineage, seen: datetime) -> datetime:
    superseded = lineage.superseded(number)
    return seen if superseded is None else max(superseded, info.modified)
