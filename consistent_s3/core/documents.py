"""How is a small value kept under a key, and changed by many without losing a change?

A document is a name whose versions are whole values. Reading is reading the newest version; writing may say which
version it replaces; updating is both:

1. Learn the newest version, as a writer does, and read its value.
2. Let the caller's function make the new value of it. The same value: nothing is written.
3. Write it as the version after the one that was read, and after no other. A value read longer than `grace` ago may be
   of an earlier life of its name, of which nothing is left, and whose numbers began again: go to 1.
4. Another was first: go to 1. The value is read anew and the function called again; nothing of the last round is kept.
5. Nobody knows whether it was written: that is an error, never a reason to go to 1. The change could count twice.
"""

from __future__ import annotations

import copy
import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

from consistent_s3.core.archive import Archive
from consistent_s3.core.errors import (
    ConflictError,
    CorruptDocumentError,
    PolicyError,
    UnserializableError,
    VersionNotFoundError,
)
from consistent_s3.core.protocol import Learned
from consistent_s3.core.seams import Attributes, CommittingIndex
from consistent_s3.core.versions import Details, Version
from consistent_s3.core.writing import spool

Value = TypeVar("Value")

COMPRESSED_ABOVE = 16 * 1024
"""Bytes above which a document is stored compressed: below, a request costs more than what is saved."""
LOOKS = 3
"""How often a version may be collected between learning of it and reading it."""
TRIES = 3
"""How often an update tries at least, however long it took."""
FIRST_PAUSE, LONGEST_PAUSE = 0.005, 1.0
"""Seconds between two tries of an update, half of them up or down by chance; each longer than the one before."""

_GZIP = b"\x1f\x8b"


class Serializer(Protocol[Value]):
    """Turns values into bytes and back.

    Guarantees wanted: `loads(dumps(value))` is as good as the value; equal values mostly have equal bytes, or an update
    that changes nothing writes a version all the same.
    """

    @property
    def content_type(self) -> str:
        """Return the media type of the bytes."""
        ...

    def dumps(self, value: Value, /) -> bytes:
        """Return the bytes of a value. Raises `TypeError` or `ValueError` for one that it cannot write."""
        ...

    def loads(self, data: bytes, /) -> Value:
        """Return the value of bytes. Raises `ValueError` for bytes that are none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(Generic[Value]):
    """A value, and the version that it is."""

    key: str
    value: Value
    version: Version | None = None
    """`None` where there is no document, and the value is a default."""

    @property
    def number(self) -> int:
        """Return the number to expect when this value is to be replaced; 0 for none yet."""
        return self.version.number if self.version else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDocument(Generic[Value]):
    """One version of a document, as its history tells it."""

    key: str
    version: Version
    _read: Callable[[Version], Value] = field(repr=False, compare=False)

    @property
    def number(self) -> int:
        """Return the version's number."""
        return self.version.number

    @property
    def deleted(self) -> bool:
        """Return whether this version is a deletion, which has no value."""
        return self.version.tombstone

    def read(self) -> Value:
        """Return the value: one GET.

        Raises: `VersionNotFoundError` for a deletion, or if it was collected meanwhile; `CorruptDocumentError`.
        """
        return self._read(self.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What was found under a key."""

    newest: Version | None
    """The newest version, also if it is a deletion."""
    value: Any
    data: bytes | None
    """The bytes of the value; `None` where it is a default."""

    @property
    def current(self) -> Version | None:
        return None if self.data is None else self.newest

    @property
    def number(self) -> int:
        return self.current.number if self.current else 0


def no_attributes(_: str) -> Attributes:
    """Return what a put tells beside the bytes, where nobody has anything to tell."""
    return Attributes()


@dataclass(frozen=True, kw_only=True)  # no slots: Python 3.11 then cannot make a `Documents[dict](...)`
class Documents(Generic[Value]):
    """The documents under one prefix of an archive.

    Guarantees:

    1. `read` returns the newest value, or the default if there is none or it was deleted; anything else is an error.
    2. Of two writers who expect the same version at most one succeeds, and the other is told.
    3. An `update` that returns has changed the value exactly once, on top of what its function was given.
    4. An `update` that raises has changed nothing, unless it raises `OutcomeUnknownError`.

    1 and 2 hold where they hold for the archive.
    """

    archive: Archive
    serializer: Serializer[Value]
    prefix: str = "state"
    """The directory of the archive in which the documents are."""
    attributes: Callable[[str], Attributes] = no_attributes
    """What is stored with the bytes of a name, beside the media type."""
    compressed_above: int = COMPRESSED_ABOVE

    def name(self, key: str) -> str:
        """Return the logical name of a document. Raises `InvalidNameError`."""
        return self.archive.layout.validate(f"{self.prefix}/{key}")

    # Reading

    def read(self, key: str, default: Any = None) -> Document[Any]:
        """Return the current value with its version, or a default.

        Raises: `CorruptDocumentError` for bytes that are no value; what a read of the archive raises.
        """
        found = self._look(key, default, self.archive.newest)
        return Document(key=key, value=found.value, version=found.current)

    def history(self, key: str, *, before: int | None = None) -> Iterator[PastDocument[Value]]:
        """Yield all versions, newest first, deletions included; values are read when they are asked for."""
        for version in self.archive.history(self.name(key), before=before):
            yield PastDocument(
                key=key, version=version, _read=lambda version: self._value(self._bytes(version), version)
            )

    def keys(self) -> Iterator[str]:
        """Yield the keys of all documents that are there, directory by directory, as they are asked for."""
        waiting = [self.prefix]
        while waiting:
            directory = waiting.pop()
            directories, files = self.archive.listdir(directory)
            waiting += [f"{directory}/{segment}" for segment in reversed(directories)]
            yield from (f"{directory}/{segment}".removeprefix(f"{self.prefix}/") for segment in files)

    # Writing

    def write(
        self, key: str, value: Value, *, expected: int | None = None, author: str = "", comment: str = ""
    ) -> Version:
        """Write a value and return its version.

        `expected` is the number of the version that it replaces; 0 says that there must be none.

        Raises: `UnserializableError` and, for another `expected`, `PolicyError` before any request; `ConflictError`,
        `OutcomeUnknownError`, and what the store raises.
        """
        _check_expected(expected)
        return self._write(key, self._dumps(key, value), expected, author=author, comment=comment)

    def update(
        self,
        key: str,
        function: Callable[[Any], Value],
        default: Any = None,
        *,
        author: str = "",
        comment: str = "",
    ) -> Document[Value]:
        """Replace the value by what a function makes of it, and return that with its version.

        The function is called once for each try, with a value that is its own to change, and must do nothing but make
        the new value. If that is the same, nothing is written, and the document is as it was read. Tries go on for the
        archive's `patience`.

        Raises: `ConflictError` when others were first at each of them, naming the first and the last version that was
        seen; `OutcomeUnknownError` when nobody knows whether the change counts; `PolicyError` where writers cannot be
        told of each other; `TypeError` for a function that returns `None`, unless that was the value; what the function
        raises.
        """
        archive = self.archive
        if not archive.committer.tells_of_races:
            raise PolicyError(
                f"{self.name(key)!r} cannot be updated: with numbering 'clock' nobody is told that another writer was "
                "first, so changes would be lost. Use index 'database' or 'redis', or numbering 'sequence'."
            )
        give_up = archive.clock.monotonic() + archive.timing.patience.total_seconds()
        first, pause, tries = None, FIRST_PAUSE, 0
        while True:
            tries += 1
            learned_at = archive.clock.monotonic()
            found = self._look(key, default, self._learn)
            first = found if first is None else first
            value = function(found.value)
            data = self._changed(key, value, found.data, default)
            if data is None:
                return Document(key=key, value=value, version=found.current)
            try:
                self._check_fresh(key, found, learned_at)
                learned = Learned(newest=found.newest, at=learned_at)
                version = self._write(key, data, found.number, learned=learned, author=author, comment=comment)
                return Document(key=key, value=value, version=version)
            except ConflictError as error:
                if tries >= TRIES and archive.clock.monotonic() > give_up:
                    raise self._gives_up(key, tries, first.number, found.number, error) from None
            archive.clock.sleep(pause * (0.5 + archive.chance.random()))
            pause = min(pause * 2, LONGEST_PAUSE)

    def delete(self, key: str, *, expected: int | None = None, author: str = "", comment: str = "") -> Version | None:
        """Write a tombstone and return it; `None` if there is no document. Raises as `write`."""
        _check_expected(expected)
        name = self.name(key)
        extra = self.attributes(name).extra
        return self.archive.delete(name, expected=expected, author=author, comment=comment, extra=extra)

    # How it is done

    def _learn(self, name: str) -> Version | None:
        """Return the newest version as one who is about to write must see it.

        Inside a transaction that is a locking read: nobody else writes the document before the transaction ends.
        """
        index = self.archive.index
        return index.relearn(name) if isinstance(index, CommittingIndex) else index.newest(name)

    def _check_fresh(self, key: str, found: _Found, learned_at: float) -> None:
        """Raise `ConflictError` if a number was learned so long ago that it may have been collected and used again."""
        if self.archive.clock.monotonic() - learned_at >= self.archive.timing.grace.total_seconds():
            name = self.name(key)
            raise ConflictError(
                f"{name!r} was read too long ago.", name=name, expected=found.number, actual=found.number
            )

    def _look(self, key: str, default: Any, newest: Callable[[str], Version | None]) -> _Found:
        """Return what is there now; a copy of the default where there is nothing."""
        name = self.name(key)
        for _ in range(LOOKS - 1):
            try:
                return self._look_once(default, newest(name))
            except VersionNotFoundError:
                continue  # it was replaced, and collected before it was read
        return self._look_once(default, newest(name))

    def _look_once(self, default: Any, newest: Version | None) -> _Found:
        if newest is None or newest.tombstone:
            return _Found(newest=newest, value=copy.deepcopy(default), data=None)
        data = self._bytes(newest)
        return _Found(newest=newest, value=self._value(data, newest), data=data)

    def _bytes(self, version: Version) -> bytes:
        """Return the bytes of a version as the serializer wrote them."""
        if version.tombstone:
            raise VersionNotFoundError(f"Version {version.number} of {version.name!r} is a deletion and has no value.")
        with self.archive.reader(version) as reader:
            data = reader.readall()
            # Some servers and proxies decompress on the way, and leave the header as it was.
            compressed = data.startswith(_GZIP) and reader.head().content_encoding == "gzip"
        try:
            return gzip.decompress(data) if compressed else data
        except (OSError, EOFError, zlib.error) as error:
            raise self._corrupt(version, error) from error

    def _value(self, data: bytes, version: Version) -> Value:
        try:
            return self.serializer.loads(data)
        except (ValueError, RecursionError) as error:
            raise self._corrupt(version, error) from error

    def _corrupt(self, version: Version, error: Exception) -> CorruptDocumentError:
        return CorruptDocumentError(
            f"Version {version.number} of {version.name!r} cannot be read as {self.serializer.content_type}: {error}. "
            "Read an earlier version out of its history, and write that.",
            name=version.name,
            number=version.number,
        )

    def _dumps(self, key: str, value: Value) -> bytes:
        try:
            return self.serializer.dumps(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise UnserializableError(
                f"The value for {self.name(key)!r} cannot be written as {self.serializer.content_type}: {error}. "
                "Change the value, or use a serializer that can write it."
            ) from error

    def _changed(self, key: str, value: Value, before: bytes | None, default: Any) -> bytes | None:
        """Return the bytes of a new value; `None` if it is the one that was there, or the default where none was."""
        if value is None and (before is None or self._written(None) != before):
            raise TypeError(
                f"The function given to update {self.name(key)!r} returned None. It must return the new value, also "
                "if it changed the old one in place."
            )
        if before is None and default is not None:
            before = self._written(default)
            if before is None and type(value) is type(default) and value == default:
                return None
        data = self._dumps(key, value)
        return None if data == before else data

    def _written(self, value: Any) -> bytes | None:
        """Return the bytes of a value that need not be one; `None` if it cannot be written."""
        try:
            return self.serializer.dumps(value)
        except (TypeError, ValueError, RecursionError):
            return None

    def _write(
        self,
        key: str,
        data: bytes,
        expected: int | None,
        *,
        learned: Learned | None = None,
        author: str,
        comment: str,
    ) -> Version:
        name = self.name(key)
        attributes = replace(self.attributes(name), content_type=self.serializer.content_type, content_encoding="")
        if len(data) > self.compressed_above:
            data = gzip.compress(data, mtime=0)
            attributes = replace(attributes, content_encoding="gzip")
        details = Details(author=author, comment=comment)
        with closing(spool([data])) as body:
            return self.archive.write(
                name, body, expected=expected, learned=learned, details=details, attributes=attributes
            )

    def _gives_up(self, key: str, tries: int, first: int, last: int, error: ConflictError) -> ConflictError:
        return ConflictError(
            f"{self.name(key)!r} was not updated: others were first at each of {tries} tries within "
            f"{self.archive.timing.patience}. Version {first} was current at the first try, {last} at the last. "
            "Try again later, or write it less often.",
            name=error.name,
            expected=last,
            actual=error.actual,
        )


def _check_expected(expected: int | None) -> None:
    if expected is not None and (isinstance(expected, bool) or not isinstance(expected, int) or expected < 0):
        raise PolicyError(
            f"expected is {expected!r}. Give the number of the version that is to be replaced, or 0 for none yet."
        )
