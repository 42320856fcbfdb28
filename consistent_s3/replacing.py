"""Was a file replaced while somebody had its form open?

1. A form carries what was there when it was opened: the name that the row had, and that name's newest number. When it
   comes back, it is compared with what is there then.
2. Who was told of version 8 and goes on anyway says so of version 8 only: version 9 asks again.
3. The number that was compared travels on with the upload, as `expected`: who is first between the comparison and the
   save is not overwritten in silence either, where the storage can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from django.template.defaultfilters import date
from django.utils import timezone
from django.utils.translation import gettext as _

from consistent_s3.core.errors import ConsistentS3Error, KeyMissingError
from consistent_s3.core.numbers import read_number
from consistent_s3.core.versions import Details, Version
from consistent_s3.fieldfiles import VersionedFieldFile

AT_ONCE = 8
"""Files of a form that are looked up side by side, where each costs requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Which version of which name somebody looked at."""

    name: str
    """Empty for a row without a file."""
    number: int
    """The newest of the name, tombstones included; 0 if there is none."""

    def __str__(self) -> str:
        return f"{self.number}:{self.name}"

    @classmethod
    def read(cls, text: Any) -> Seen | None:
        """Return what a form says was seen; `None` for one that says nothing, or nonsense."""
        digits, colon, name = str(text or "").partition(":")
        number = read_number(digits)
        return cls(name=name, number=number) if colon and number is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a row's file is now."""

    seen: Seen
    newest: Version | None
    """The newest version of its name, maybe a tombstone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meanwhile:
    """What happened since a form was opened."""

    before: Seen
    now: Standing

    @property
    def comparable(self) -> bool:
        """Return whether both are versions of one name, so that they can be laid side by side."""
        same = self.before.name == self.now.seen.name and 0 < self.before.number < self.now.seen.number
        return same and self.shown is not None

    @property
    def shown(self) -> Version | None:
        """Return the version that can be looked at now."""
        newest = self.now.newest
        return None if newest is None or newest.tombstone else newest


def standing(file: VersionedFieldFile) -> Standing:
    """Look up the newest version of a row's name: one look into the index, none for a row without a file."""
    if not file:
        return Standing(seen=Seen(name="", number=0), newest=None)
    newest = file.storage.archive.newest(str(file.name))
    return Standing(seen=Seen(name=str(file.name), number=newest.number if newest else 0), newest=newest)


def standings(files: Sequence[VersionedFieldFile]) -> list[Standing | None]:
    """Look up what several files are, and who wrote that: together where the index has rows, else side by side.

    `None` stands for what could not be looked up: whoever looks it up alone is told why.
    """
    rows: dict[int, dict[str, Version]] = {}
    for file in files:
        index = file.storage.archive.index if file else None
        if index is not None and hasattr(index, "newest_of") and id(index) not in rows:
            same = [str(other.name) for other in files if other and other.storage.archive.index is index]
            rows[id(index)] = index.newest_of(same)

    def look(file: VersionedFieldFile) -> Standing | None:
        known = rows.get(id(file.storage.archive.index)) if file else None
        if known is not None:
            newest = known.get(str(file.name))
            return Standing(seen=Seen(name=str(file.name), number=newest.number if newest else 0), newest=newest)
        try:
            found = standing(file)
            if found.newest is not None:
                found.newest.details  # noqa: B018 - fetched here, beside the others
        except ConsistentS3Error:
            return None
        return found

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(look, files))


def happened(before: Seen | None, anyway: Seen | None, now: Standing) -> Meanwhile | None:
    """Return what its user must be told of; `None` if nothing happened, or they know and go on anyway."""
    if before is None or now.seen in {before, anyway}:
        return None
    return Meanwhile(before=before, now=now)


def told(meanwhile: Meanwhile, *, says_who: bool) -> str:
    """Return what happened, in a sentence; who and why only for who may see the history."""
    before, now, newest = meanwhile.before, meanwhile.now.seen, meanwhile.now.newest
    if not now.name:
        return _("Somebody took the file off this row while you had this form open.")
    if newest is None:
        return _("Somebody erased this file while you had this form open.")
    details = _details(newest) if says_who else Details()
    words = {"before": before.number, "now": now.number, "facts": _facts(newest, details)}
    if newest.tombstone:
        return _("Somebody deleted this file while you had this form open (%(facts)s).") % words
    if not before.name or not before.number:
        return _("There was no file here when you opened this form, but now there is version %(now)d (%(facts)s).") % (
            words
        )
    if before.name != now.name:
        return _("Somebody gave this row another file while you had this form open: version %(now)d (%(facts)s).") % (
            words
        )
    return _("You are replacing version %(before)d, but version %(now)d is current (%(facts)s).") % words


def _facts(version: Version, details: Details) -> str:
    """Return who, when and why, as far as it is known."""
    facts = [_("by %(author)s") % {"author": details.author}] if details.author else []
    facts.append(date(timezone.localtime(version.modified), "DATETIME_FORMAT"))
    facts += [_("“%(comment)s”") % {"comment": details.comment}] if details.comment else []
    return ", ".join(facts)


def _details(version: Version) -> Details:
    try:
        return version.details
    except KeyMissingError:  # collected or erased a moment ago
        return Details()
