"""What is a version, and what travels with it as S3 user metadata?

A `Version` is what a listing or an index row tells; its `Details` are what the object's headers tell. A version found
in a listing fetches its details when first asked (one HEAD), one found elsewhere has them already.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import quote, unquote

from consistent_s3.core.errors import CommentTooLongError
from consistent_s3.core.keys import body_beside
from consistent_s3.core.seams import ObjectHead

VALUE_BYTES = 250
"""Longest value of one metadata entry: OpenStack Swift refuses more than 256."""
ETAG_BYTES = 128
"""What is kept of a predecessor's ETag: those of S3 have at most 38 bytes, and all of our values must fit 2 KB."""
COMMENT_PARTS = 4
"""A comment may spread over this many entries."""

_PREFIX = "v-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What is known of a version beyond its listing."""

    write_id: str = ""
    """Random, unique to the write; tells a retry that met its own first attempt from another writer."""
    tombstone: bool = False
    """The version records a deletion."""
    author: str = ""
    """Who wrote it, as the project names people."""
    comment: str = ""
    """Why."""
    original_name: str = ""
    """What the file was called where it came from; downloads use it."""
    content_type: str = ""
    """The media type."""
    content_encoding: str = ""
    """`gzip` or nothing."""
    checksum: str = ""
    """SHA-256 of the stored bytes, in hexadecimal."""
    predecessor: int = 0
    """The number that the writer saw as newest; 0 for none."""
    predecessor_etag: str = ""
    """That version's ETag."""
    restored_from: int = 0
    """The number of the version whose bytes these are; 0 if they are new."""
    body_key: str = ""
    """The key of the bytes, where they were too large for one put; empty when the version's own key holds them."""
    body_size: int = 0
    """Bytes under `body_key`."""
    storage_class: str = ""
    """Where it was moved to when it was old; empty for where it was written."""
    written: str = ""
    """When it was written, in ISO 8601, where moving it made its object younger."""

    @property
    def written_at(self) -> datetime | None:
        """Return when it was written, where that is not its object's time."""
        try:
            return datetime.fromisoformat(self.written).astimezone(UTC) if self.written else None
        except ValueError:  # not ours
            return None


class DetailsSource(Protocol):
    """Something that has details, or gets them."""

    def __call__(self) -> Details:
        """Return the details."""
        ...


@dataclass(slots=True)
class LazyDetails:
    """Details that are fetched when first asked for, once, also when many threads ask."""

    fetch: Callable[[], Details]
    _known: Details | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> Details:
        """Return the details. Raises what the store raises."""
        with self._lock:
            if self._known is None:
                self._known = self.fetch()
            return self._known

    def __reduce__(self) -> tuple[type[KnownDetails], tuple[Details]]:
        """Pickle what is known, not where it came from."""
        return KnownDetails, (self(),)


@dataclass(frozen=True, slots=True)
class KnownDetails:
    """Details that are here already."""

    details: Details

    def __call__(self) -> Details:
        """Return the details."""
        return self.details


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One immutable object written for a name.

    Guarantees: two versions are equal if they are the same object; the bytes of a version never change.
    """

    name: str
    """The logical name."""
    number: int
    """Orders the versions of the name; from 1."""
    key: str
    """The S3 key that holds the version."""
    size: int = field(compare=False)
    """Bytes as stored."""
    modified: datetime = field(compare=False)
    """When it was written: aware, UTC, by the store's clock, to the second. For people, never for ordering."""
    etag: str = field(compare=False)
    """The store's ETag of `key`, without quotes."""
    tombstone: bool = field(compare=False, default=False)
    """The version records a deletion and has no bytes."""
    source: DetailsSource = field(compare=False, repr=False)
    """Where the details are; use the properties below."""

    @property
    def details(self) -> Details:
        """Return everything the object's headers tell; one HEAD the first time, for a version out of a listing."""
        return self.source()

    @property
    def author(self) -> str:
        """Return who wrote it."""
        return self.details.author

    @property
    def comment(self) -> str:
        """Return why."""
        return self.details.comment

    @property
    def original_name(self) -> str:
        """Return what the file was called where it came from, or else the last segment of the name."""
        return self.details.original_name or self.name.rpartition("/")[2]

    @property
    def content_type(self) -> str:
        """Return the media type."""
        return self.details.content_type

    @property
    def checksum(self) -> str:
        """Return the SHA-256 of the stored bytes, in hexadecimal."""
        return self.details.checksum

    @property
    def body_key(self) -> str:
        """Return the key that holds the bytes: `key`, or that of a large body. No request for a body in its place."""
        if self.size and isinstance(self.source, LazyDetails):
            return self.key
        return self.details.body_key or self.key


def to_metadata(details: Details) -> dict[str, str]:
    """Return details as S3 user metadata: lower-case names with `-`, percent-encoded ASCII values.

    Some servers turn `_` in a name into `-`, refuse a value of more than 256 bytes, or re-encode what looks like RFC
    2047; the whole may take 2 KB. The original file name and the author are shortened to fit.

    Raises: `CommentTooLongError` beyond 1,000 encoded bytes. Nothing a person wrote is cut in silence.
    """
    comment = _quote(details.comment)
    if len(comment) > VALUE_BYTES * COMMENT_PARTS:
        raise CommentTooLongError(
            f"The comment takes {len(comment)} bytes when encoded; {VALUE_BYTES * COMMENT_PARTS} is the most. "
            "Shorten it."
        )
    values = {
        "id": details.write_id,
        "kind": "tombstone" if details.tombstone else "",
        "author": _fit(details.author),
        "file": _fit_file_name(details.original_name),
        "sha": details.checksum,
        "prev": str(details.predecessor or ""),
        "prev-etag": _quote(details.predecessor_etag)[:ETAG_BYTES],
        "from": str(details.restored_from or ""),
        "body": details.body_key.rpartition("/")[2],
        "size": str(details.body_size) if details.body_key else "",
        "class": details.storage_class,
        "written": details.written,
    }
    for part in range(COMMENT_PARTS):
        values[f"comment-{part + 1}"] = comment[part * VALUE_BYTES : (part + 1) * VALUE_BYTES]
    return {_PREFIX + name: value for name, value in values.items() if value}


def from_head(head: ObjectHead) -> Details:
    """Return the details in an object's headers; what is missing or unreadable is empty."""
    values = {_plain(name).removeprefix(_PREFIX): value for name, value in head.metadata.items() if _is_ours(name)}
    body = values.get("body", "")
    return Details(
        write_id=values.get("id", ""),
        tombstone=values.get("kind") == "tombstone",
        author=unquote(values.get("author", "")),
        comment=unquote("".join(values.get(f"comment-{part + 1}", "") for part in range(COMMENT_PARTS))),
        original_name=unquote(values.get("file", "")),
        content_type=head.content_type,
        content_encoding=head.content_encoding,
        checksum=values.get("sha", ""),
        predecessor=_number(values.get("prev", "")),
        predecessor_etag=unquote(values.get("prev-etag", "")),
        restored_from=_number(values.get("from", "")),
        body_key=body_beside(head.info.key, body) if body else "",
        body_size=_number(values.get("size", "")),
        storage_class=values.get("class", ""),
        written=values.get("written", ""),
    )


def merge_metadata(own: Mapping[str, str], projects: Mapping[str, str]) -> dict[str, str]:
    """Return the project's own metadata together with ours; names that begin as ours do are ours alone."""
    return {**{name: value for name, value in projects.items() if not _is_ours(name)}, **own}


def projects_metadata(head: ObjectHead) -> dict[str, str]:
    """Return the metadata that is not ours."""
    return {name: value for name, value in head.metadata.items() if not _is_ours(name)}


def _plain(name: str) -> str:
    """Return a metadata name as we wrote it, whatever a server made of its case and dashes."""
    return name.lower().replace("_", "-")


def _is_ours(name: str) -> bool:
    return _plain(name).startswith(_PREFIX)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _quote(text: str) -> str:
    return quote(text, errors="replace")  # half of a surrogate pair, out of a badly encoded file name


def _fit(text: str) -> str:
    text = text[: VALUE_BYTES + 1]  # what is longer never fits, and would take long to shorten one by one
    encoded = _quote(text)
    while len(encoded) > VALUE_BYTES:
        text = text[:-1]
        encoded = _quote(f"{text}…")
    return encoded


def _fit_file_name(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    if not (stem and dot) or len(_quote(extension)) > VALUE_BYTES // 4:
        stem, dot, extension = name, "", ""
    stem, tail = stem[:VALUE_BYTES], _quote(dot + extension)
    while len(_quote(stem)) + len(tail) > VALUE_BYTES:
        stem = stem[:-1]
    return _quote(stem) + tail
