"""Where the core touches the world: the object store, the index and the clock.

Faults, delays, counters and retries are wrappers around an `ObjectStore`; nothing inside the project knows of them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, BinaryIO, Protocol, runtime_checkable

if TYPE_CHECKING:
    from consistent_s3.core.lineage import Lineage
    from consistent_s3.core.versions import Version

_BOOT_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)
"""Linux's monotonic clock stands still while the machine is suspended; a write deadline must not."""


DELETE_BATCH = 1000
"""Keys per delete request. https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html"""


class PutMode(Enum):
    """The precondition of a put."""

    CREATE = "create"
    """Only if no object has the key (`If-None-Match: *`)."""
    OVERWRITE = "overwrite"
    """Whatever is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What is stored beside the bytes of an object."""

    metadata: Mapping[str, str] = field(default_factory=dict)
    """S3 user metadata: ASCII, 2 KB in all, names of lower-case letters and `-`."""
    content_type: str = "application/octet-stream"
    """The media type a browser is told."""
    content_encoding: str = ""
    """`gzip` or nothing."""
    extra: Mapping[str, object] = field(default_factory=dict)
    """Further boto3 arguments of PutObject: `ACL`, `CacheControl`, `StorageClass`, `ServerSideEncryption` ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """What a listing tells of one object."""

    key: str
    size: int
    """Bytes."""
    etag: str
    """Without quotes; may be empty or random on some stores."""
    modified: datetime
    """Aware UTC, by the store's clock, often truncated to the second. Never order by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectHead:
    """What the headers of one object tell."""

    info: ObjectInfo
    metadata: Mapping[str, str]
    content_type: str
    content_encoding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PutReceipt:
    """What the store answered to a put."""

    etag: str
    modified: datetime
    """By the store's clock where it said so."""
    repeated: bool = False
    """An earlier attempt of the same put gave no answer: it may land later, also after the object was deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """One answer to a list request; `objects` and `prefixes` are each in key order."""

    objects: tuple[ObjectInfo, ...]
    prefixes: tuple[str, ...] = ()
    """What the delimiter folded together, each ending in the delimiter."""
    token: str = ""
    """Pass it to get the next page; empty on the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteFailure:
    """One key that a batch delete kept."""

    key: str
    code: str
    """The store's error code, for instance `AccessDenied`."""
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedUpload:
    """A multipart upload that was begun and neither completed nor aborted."""

    key: str
    upload_id: str
    begun: datetime
    """Aware UTC, by the store's clock."""


class Download(Protocol):
    """The body of one get; close it when done, read or not."""

    @property
    def head(self) -> ObjectHead:
        """Return the object's headers; `head.info.size` is the size of the whole object, not of the range."""
        ...

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; fewer than asked only at the end of the range. `UnreachableError` if it breaks."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...


class ObjectStore(Protocol):
    """One bucket.

    Guarantees:

    1. `put` with `PutMode.CREATE` succeeds for at most one caller per key, ever, until the key is deleted.
    2. An object's bytes and attributes appear together or not at all.
    3. `list` answers in ascending order of the key's UTF-8 bytes.
    4. A returned `put` is seen by every later `list`, `head` and `get`.

    Not guaranteed: that a failed `put` was not applied. Guarantees 1, 3 and 4 do not hold on every real store; which
    index needs which is said in the README.

    Every method raises `BucketMissingError`, `AccessDeniedError` or `UnreachableError` for what their names say.
    """

    def put(
        self, key: str, body: BinaryIO, *, mode: PutMode, attributes: Attributes, deadline: float | None = None
    ) -> PutReceipt:
        """Write one object from a seekable file, from its beginning.

        `deadline` is a reading of the monotonic clock after which no attempt is begun any more.

        Raises: `PreconditionTrippedError`, `AnswerLostError`, `DeadlinePassedError`, `UnsupportedByStoreError`.
        """
        ...

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> Download:
        """Begin to read bytes `start` up to, not including, `end`. Raises `KeyMissingError`."""
        ...

    def head(self, key: str) -> ObjectHead:
        """Return the headers of an object. Raises `KeyMissingError`."""
        ...

    def list(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = "", limit: int = 1000
    ) -> ListPage:
        """Return one page of at most `limit` keys and folded prefixes."""
        ...

    def delete(self, keys: Sequence[str]) -> Sequence[DeleteFailure]:
        """Delete up to 1,000 keys in one request; a key that is not there counts as deleted."""
        ...

    def begin_upload(self, key: str, *, attributes: Attributes) -> str:
        """Begin a multipart upload to a key that nobody else uses; return its upload id."""
        ...

    def put_part(self, key: str, upload_id: str, number: int, data: bytes) -> str:
        """Upload part `number` (from 1); return its ETag."""
        ...

    def complete_upload(self, key: str, upload_id: str, etags: Sequence[str]) -> PutReceipt:
        """Make the object from its parts. Raises `AnswerLostError` when nobody can say whether it was made."""
        ...

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Throw the parts away; without error if there are none."""
        ...

    def unfinished(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """Yield the uploads under a prefix that were begun and neither completed nor aborted."""
        ...

    def move(self, key: str, storage_class: str, *, metadata: Mapping[str, str]) -> PutReceipt:
        """Move an object to another storage class, with new metadata; bytes, media type, encoding and caching stay.

        Its time and its ETag may be others afterwards, and its ACL and encryption are the bucket's defaults.

        Raises: `KeyMissingError`.
        """
        ...


def every_object(store: ObjectStore, prefix: str, *, start_after: str = "") -> Iterator[ObjectInfo]:
    """Yield what is listed under a prefix, page by page as it is asked for."""
    token = ""
    while True:
        page = store.list(prefix, start_after=start_after, token=token)
        yield from page.objects
        token = page.token
        if not token:
            return


class Index(Protocol):
    """Answers "which version of this name is the newest?".

    Guarantees:

    1. `newest` never answers with a lower number than an earlier answer, or than a write acknowledged before it began.
    2. `history` is in descending order of numbers and contains tombstones.

    Not guaranteed: that the object of the answer can be read already (see `NotYetVisibleError`).
    """

    def newest(self, name: str) -> Version | None:
        """Return the version with the greatest number, tombstones included; `None` if there is none."""
        ...

    def history(self, name: str, *, before: int | None = None, limit: int | None = None) -> Iterator[Version]:
        """Yield versions, newest first, beginning below the number `before`."""
        ...

    def at(self, name: str, number: int) -> Version | None:
        """Return the version with exactly this number."""
        ...

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return the directories and the current files directly under `path`, each sorted."""
        ...


@runtime_checkable
class CommittingIndex(Index, Protocol):
    """An `Index` that decides itself which version is the newest; the object is only where its bytes are.

    Guarantees, beside those of `Index`:

    3. Of all versions advanced after the same number at most one is accepted, ever.
    4. A version that was accepted is what `newest` answers, or something newer: for everybody, or for the same
       database transaction at once and for everybody when it commits.

    It needs no conditional put, so it holds on every store that shows a new object to whoever knows its key.
    """

    lists_names: bool
    """Whether `listdir` asks the bucket, so that a deletion needs its hint."""

    def relearn(self, name: str) -> Version | None:
        """Return the newest version once more, after `advance` was refused: as it is, not as a snapshot has it."""
        ...

    def advance(self, version: Version, *, after: int) -> None:
        """Make a version the newest of its name, if `after` is the number of the newest (0 for none).

        Raises: `NumberTakenError` if it is not, and nothing was changed; `OutcomeUnknownError` if nobody can say.
        """
        ...

    def committed(self, names: Sequence[str]) -> Mapping[str, Sequence[Version]]:
        """Return all committed versions of some names, newest first."""
        ...

    def forget(self, versions: Sequence[Version]) -> None:
        """Drop versions that are deleted, never the newest of a name that is not a tombstone."""
        ...


@runtime_checkable
class EnumeratingIndex(CommittingIndex, Protocol):
    """A `CommittingIndex` that knows all names, so that what may go is planned without a listing."""

    def page(self, *, after: int, until: int | None, limit: int) -> Sequence[tuple[int, str, Sequence[Version]]]:
        """Return the place, the name and all versions, newest first, of the next names in order of their places."""
        ...

    def bounds(self) -> tuple[int, int]:
        """Return the first and the last place; two zeros if there are no names."""
        ...

    def superseded(self, versions: Sequence[Version]) -> set[str]:
        """Return the keys of those versions that are still known, and not the newest of a name that exists."""
        ...

    def known(self, keys: Mapping[str, Sequence[str]]) -> set[str]:
        """Return which of some keys, given by name, are those of committed versions."""
        ...

    def amend(self, version: Version) -> None:
        """Note what moving a version to another storage class has changed."""
        ...


@runtime_checkable
class ForgetfulIndex(CommittingIndex, Protocol):
    """A `CommittingIndex` that may forget, and then learns from the bucket's listing what was the newest.

    So whatever object is listed above the newest may become a version, also one whose writer is still on its way. What
    was refused must therefore never lie above what was accepted: writers of one name take turns, with numbers that
    grow, and an attempt is thrown away only when a version with a greater number was accepted.
    """

    strong_listing: bool
    """Whether what the listing does not show is not there."""

    def take_turn(self, name: str, *, after: int, write_id: str) -> int:
        """Begin the turn of a write that saw the number `after`, for a few seconds; return the number to write.

        It is greater than that of every turn before, also of those that are forgotten: so it is drawn by one clock,
        that of the index, and not by those of the writers.

        Raises: `NumberTakenError` if it is another's turn, or `after` is not the newest.
        """
        ...

    def renew_turn(self, name: str, *, after: int, number: int, write_id: str) -> bool:
        """Begin a turn anew with the number it has; return whether no other was begun and nothing forgotten since."""
        ...

    def end_turn(self, name: str, write_id: str) -> None:
        """End the turn of a write that comes to nothing."""
        ...

    def disowns(self, version: Version, *, after: int) -> bool:
        """Return whether a version put after the number `after` can never be committed, whatever is forgotten."""
        ...

    def lineages(self, names: Sequence[str]) -> Mapping[str, Lineage]:
        """Return the last versions of those names that the index has not forgotten, and keep them for longer."""
        ...


class Clock(Protocol):
    """Time: `now` to tell people, `monotonic` to measure, `sleep` to wait."""

    def now(self) -> datetime:
        """Return the time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary point that never go back; time that the process stalls counts."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds from an arbitrary point that never go back, those asleep included where the system tells."""
        return time.monotonic() if _BOOT_CLOCK is None else time.clock_gettime(_BOOT_CLOCK)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def system_chance() -> random.Random:
    """Return the operating system's source of randomness; a simulation passes a seeded one instead."""
    return random.SystemRandom()
