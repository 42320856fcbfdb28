"""What does a key look like?

For the name `invoices/7/report.pdf` under the location `media`:

    media/invoices/7/report.pdf.-v/9999999999999999997.pdf             version 2
    media/invoices/7/report.pdf.-v/9999999999999999998.pdf             version 1
    media/invoices/7/report.pdf.-v-body/0a1b2c3d...pdf                 a large body, which a version points to
    media/invoices/7/report.pdf.-v-deleted/4e5f6a7b...                 hint: this name may be deleted

1. The number is written as its nines' complement, so the newest version is the first key below `report.pdf.-v/`: one
   LIST with `MaxKeys=1` finds it, however many versions there are.
2. No key of a name starts with `<other name>.-v`, since no segment of a name may contain `.-v` (see `names`).
   All keys of one name are neighbours in a listing.
3. With the delimiter `/` a directory's listing folds all versions of a name into one entry, its bodies into another and
   its hints into a third. So a body whose version never came does not make a name appear.
4. Two writers who reach for the same number reach for the same key, whatever they write: bytes, a pointer or a
   tombstone. That is what a conditional put decides on. (Clock numbering adds the write id, so keys never meet.)
5. A tombstone is therefore invisible in a folded listing. The hint beside it is written *before* the tombstone and
   tells a listing which names to look at; a hint alone deletes nothing. Each deletion has a hint of its own: the
   collector that removes an old one cannot hit the one that a deletion has just written.
6. What is added to a name is made of letters, digits, `-`, `.` and the `/`. The key ends in the name's extension.
7. `media/.-v-streams/` is the event store's, and `media/.-v-selftest` that of `selftest`: no name has keys there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from consistent_s3.core.errors import InvalidNameError
from consistent_s3.core.names import MARKER, shorten, validate_directory, validate_name
from consistent_s3.core.numbers import MAX_NUMBER, from_digits, to_digits

MAX_KEY_BYTES = 1024
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""

STREAMS = f"{MARKER}-streams"
"""The directory of streams of events: one that no name can be in."""

_VERSIONS = "/"
_BODIES = "-body/"
_HINTS = "-deleted/"
_VERSION = re.compile(r"/(?P<digits>[0-9]{19})(?:-(?P<write_id>[0-9a-f]{24}))?(?:\.[A-Za-z0-9]{1,16})?")
_BODY = re.compile(r"-body/(?P<write_id>[0-9a-f]{24})(?:\.[A-Za-z0-9]{1,16})?")
_HINT = re.compile(r"-deleted/(?P<write_id>[0-9a-f]{24})")
_EXTENSION = re.compile(r".+(\.[A-Za-z0-9]{1,16})")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedKey:
    """What a key says about itself: exactly one of `number`, `body` and `hint` is set."""

    name: str
    number: int | None = None
    """The number of the version that the key holds."""
    write_id: str = ""
    """The write id, where the key carries one."""
    body: bool = False
    """The key holds a large body that a version points to."""
    hint: bool = False
    """The key says that the name may be deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Names to keys and back, under one location."""

    location: str = ""
    """A prefix without slashes at its ends; empty for the whole bucket."""

    @property
    def root(self) -> str:
        """Return the prefix of every key."""
        return f"{self.location}/" if self.location else ""

    def validate(self, name: str) -> str:
        """Return a name that can be kept here. Raises `InvalidNameError`."""
        validate_name(name)
        longest = len(self.version_key(name, MAX_NUMBER, write_id="0" * 24).encode())
        if longest > MAX_KEY_BYTES:
            raise InvalidNameError(
                f"{shorten(name)!r} has {len(name.encode())} bytes, {longest - MAX_KEY_BYTES} too many for a key of "
                f"{MAX_KEY_BYTES} bytes. Choose a shorter name."
            )
        return name

    def versions_prefix(self, name: str) -> str:
        """Return the prefix under which the newest version is the first key."""
        return f"{self.root}{name}{MARKER}{_VERSIONS}"

    def bodies_prefix(self, name: str) -> str:
        """Return the prefix of a name's large bodies."""
        return f"{self.root}{name}{MARKER}{_BODIES}"

    def number_prefix(self, name: str, number: int) -> str:
        """Return the prefix of the one version with this number; every newer version's key sorts before it."""
        return self.versions_prefix(name) + to_digits(number)

    def version_key(self, name: str, number: int, *, write_id: str = "") -> str:
        """Return the key of a version; with a write id it is one that no other write can meet."""
        suffix = f"-{write_id}" if write_id else ""
        return f"{self.number_prefix(name, number)}{suffix}{extension(name)}"

    def body_key(self, name: str, write_id: str) -> str:
        """Return the key of a large body."""
        return f"{self.bodies_prefix(name)}{write_id}{extension(name)}"

    def hint_key(self, name: str, write_id: str) -> str:
        """Return the key whose presence says that a name may be deleted; each attempt to delete has its own."""
        return f"{self.root}{name}{MARKER}{_HINTS}{write_id}"

    @property
    def selftest_key(self) -> str:
        """Return a key that belongs to no name, to be created again and again: see `selftest`."""
        return f"{self.root}{MARKER}-selftest"

    def is_selftest(self, key: str) -> bool:
        """Return whether a key is that of a self-test, of this location or of one inside it."""
        return key.startswith(self.root) and key.rpartition("/")[2] == f"{MARKER}-selftest"

    @property
    def streams_prefix(self) -> str:
        """Return the prefix of the event store of this location, without the slash at its end."""
        return f"{self.root}{STREAMS}"

    def is_of_streams(self, key: str) -> bool:
        """Return whether a key is in the event store of this location, or of one inside it."""
        return key.startswith(self.root) and STREAMS in key.removeprefix(self.root).split("/")[:-1]

    def plain_key(self, name: str) -> str:
        """Return a key that no version of any name ever has."""
        return f"{self.root}{name}"

    def directory_prefix(self, path: str) -> str:
        """Return the prefix of a directory's entries; the empty path is the root. Raises `InvalidNameError`."""
        path = validate_directory(path)
        return f"{self.root}{path}/" if path else self.root

    def parse(self, key: str) -> ParsedKey | None:
        """Return what a key holds, or `None` for a key that is not ours."""
        if not key.startswith(self.root):
            return None
        name, marker, rest = key.removeprefix(self.root).rpartition(MARKER)
        if not (name and marker) or MARKER in name:
            return None
        if match := _VERSION.fullmatch(rest):
            number = from_digits(match["digits"])
            return ParsedKey(name=name, number=number, write_id=match["write_id"] or "") if number else None
        if match := _BODY.fullmatch(rest):
            return ParsedKey(name=name, body=True, write_id=match["write_id"])
        if match := _HINT.fullmatch(rest):
            return ParsedKey(name=name, hint=True, write_id=match["write_id"])
        return None


class Entry(Enum):
    """What a directory's listing folds together."""

    DIRECTORY = "directory"
    FILE = "file"
    """The versions of a name."""
    BODIES = "bodies"
    """Its large bodies, which say nothing of whether it exists."""
    HINTS = "hints"
    """It may be deleted."""
    STREAMS = "streams"
    """Streams of events: no name."""


_FOLDED = {
    MARKER + _VERSIONS: Entry.FILE,
    MARKER + _BODIES: Entry.BODIES,
    MARKER + _HINTS: Entry.HINTS,
}


def entry(folded: str) -> tuple[str, Entry]:
    """Return the last segment of the name that a folded prefix stands for, and what was folded."""
    if folded.rstrip("/").rpartition("/")[2] == STREAMS:
        return STREAMS, Entry.STREAMS
    for ending, kind in _FOLDED.items():
        segment = folded.removesuffix(ending).rpartition("/")[2]
        if folded.endswith(ending) and segment:
            return segment, kind
    return folded.removesuffix("/").rpartition("/")[2], Entry.DIRECTORY


def body_beside(version_key: str, body: str) -> str:
    """Return the key of a body from that of the version that points to it and the last segment of its own."""
    return f"{version_key.rpartition('/')[0]}{_BODIES}{body}"


def extension(name: str) -> str:
    """Return the extension that browsers and CDNs go by, with its dot; empty if there is none fit for a key."""
    match = _EXTENSION.fullmatch(name.rpartition("/")[2])
    return match[1] if match else ""
