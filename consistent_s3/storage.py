"""The storage backend for Django's `STORAGES`.

    STORAGES = {
        "default": {"BACKEND": "consistent_s3.storage.ConsistentS3Storage", "OPTIONS": {"bucket_name": "files"}},
    }

It takes all options of django-storages' `S3Storage` and its own (see `conf`), and behaves as `FileSystemStorage` does
wherever an object store can.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from botocore.config import Config
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.utils import validate_file_name
from django.utils.timezone import get_default_timezone, is_naive, make_aware, make_naive
from storages.backends.s3 import S3Storage

from consistent_s3 import conf
from consistent_s3.assembly import index_kind, make_archive, make_bucket, make_database_index, pooled
from consistent_s3.attribution import attribute
from consistent_s3.clients import shared_client
from consistent_s3.content import Content, begin_upload, put_arguments, taken_in
from consistent_s3.core.archive import Archive
from consistent_s3.core.erasing import Erasure
from consistent_s3.core.errors import AlreadyExistsError, InvalidNameError, VersionNotFoundError
from consistent_s3.core.keys import Layout
from consistent_s3.core.numbers import Numbering
from consistent_s3.core.protocol import UNWRITTEN
from consistent_s3.core.retention import RetentionPolicy
from consistent_s3.core.seams import ObjectStore
from consistent_s3.core.versions import Version
from consistent_s3.deleting import DeletesVersions
from consistent_s3.errors import SuspiciousNameError
from consistent_s3.filenames import alternative, normalized, shortened
from consistent_s3.files import VersionFile, VersionWriter
from consistent_s3.holding import HoldsVersions
from consistent_s3.rules import Rules, rules

if TYPE_CHECKING:
    from consistent_s3.index.database import DatabaseIndex


class ConsistentS3Storage(HoldsVersions, DeletesVersions, S3Storage):
    """Keeps every save of a name as a new, immutable version.

    Guarantees:

    1. A save is never an overwrite, and two racing saves are two versions, or two names with `file_overwrite=False`.
    2. A read shows the newest version, or raises; it never falls back to an older one.
    3. `write(..., expected=n)` succeeds only on top of version n.
    4. Deleting is undone by `undelete` until the retention policy lets the bytes go.

    What they ask of the store follows from the index: with the database nothing but that it shows a new object to
    whoever knows its key; with the listing strongly consistent listings and conditional writes, or with
    `numbering="clock"` the former alone, where 3 is refused.

    Instances are cheap and safe in many threads; equal ones share one boto3 client.
    """

    def __init__(self, **options: Any) -> None:
        conf.check_known(options, [*self.get_default_settings(), "cloudfront_signer"], where=type(self).__name__)
        super().__init__(**options)
        ours = type(self)
        self.client_config: Config = pooled(self, options)
        if not (self.bucket_name or isinstance(getattr(ours, "bucket_name", None), property)):
            raise ImproperlyConfigured(
                f"{ours.__name__} has no bucket. Set OPTIONS['bucket_name'], or AWS_STORAGE_BUCKET_NAME."
            )
        where = f"{ours.__name__} for bucket {self.bucket_name!r}"
        conf.check_known([] if self.index == "" else [self.index], conf.INDEXES, where=f"{where}['index']")
        conf.location(self.location, where=where)
        self.numbers: Numbering = conf.numbering(self.numbering, index=self.index, where=where)
        self.rules: Rules = rules(self.retention, index=lambda: self.index_kind, where=where)
        self.policy: RetentionPolicy = self.rules.policy
        self.timing = conf.timing(self.write_deadline, self.patience, self.retention, where=where)
        self.pointer_timeout = conf.index_timeout(self.index_timeout, self.timing, where=where)
        conf.check_fallback(self.index_fallback, self.strong_listing, where=where)
        self._archive: tuple[tuple[int, str, str], Archive] | None = None

    def get_default_settings(self) -> dict[str, Any]:
        """Return all options with their defaults."""
        return {**super().get_default_settings(), **conf.defaults()}

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_archive": None}

    # What we rest on

    @property
    def archive(self) -> Archive:
        """Return the core that does the work: one for each process, and for each place of a subclass that moves.

        A project that keeps its tenants apart makes `location` or `bucket_name` a property.
        """
        place = (os.getpid(), self.bucket_name, self.location)
        kept = self._archive
        if kept is None or kept[0] != place:
            kept = self._archive = (place, make_archive(self))
        return kept[1]

    def make_object_store(self) -> ObjectStore:
        """Return the bucket. Override it to wrap it."""
        return make_bucket(self)

    @property
    def index_kind(self) -> str:
        """Return which index is asked: the one that was named, else the database if this app is installed."""
        return index_kind(self.index)

    def make_database_index(self, layout: Layout) -> DatabaseIndex:
        """Return the rows of this place, whichever index reads ask. Raises `ImproperlyConfigured` without tables."""
        return make_database_index(self, layout)

    # Versions

    def write(
        self,
        name: str,
        content: Any,
        *,
        expected: int | None = None,
        author: str | None = None,
        comment: str = "",
        original_name: str = "",
    ) -> Version:
        """Save content as the next version of exactly this name and return it.

        `expected` is the number of the version that this one replaces; 0 says that there must be none. Without it
        the newest is replaced whatever it is. Without `author` the one of the surrounding `attribution` counts.

        Raises: `ConflictError` (`AlreadyExistsError` for 0) naming both numbers when another writer was first: read
        the current version and decide again. `OutcomeUnknownError` when no answer came: look in the history.
        """
        name = self._clean(name)
        with taken_in(self, name, content, author, comment, original_name) as ready:
            return self._write(name, ready, expected)

    def current(self, name: str) -> Version | None:
        """Return the version that a read returns; `None` if the name was never written or is deleted."""
        return self.archive.current(self._clean(name))

    def history(self, name: str, *, before: int | None = None) -> Iterator[Version]:
        """Yield all versions, newest first, tombstones included, as they are asked for.

        A version knows its number, size and time at once; asking it for more (author, comment, original name, media
        type, checksum) costs one HEAD. `before` skips to the versions below a number.
        """
        return self.archive.history(self._clean(name), before=before)

    def version(self, name: str, number: int | None = None) -> Version:
        """Return the current version, or the one with a number. Raises `VersionNotFoundError` if it has no bytes."""
        return self.archive.require(self._clean(name), number)

    def as_of(self, name: str, moment: datetime) -> Version:
        """Return the version that was current at a moment: aware with `USE_TZ`, else local time will do.

        Raises: `VersionNotFoundError`; `ValueError` for a naive moment with `USE_TZ`.
        """
        if is_naive(moment):
            if settings.USE_TZ:
                raise ValueError(f"{moment!r} has no time zone. Use an aware datetime, as timezone.now() returns.")
            moment = make_aware(moment, get_default_timezone())
        return self.archive.as_of(self._clean(name), moment)

    def restore(
        self,
        name: str,
        number: int,
        *,
        expected: int | None = None,
        author: str | None = None,
        comment: str = "",
    ) -> Version:
        """Write the bytes of version `number` as a new version and return it; nothing is rewritten.

        Raises: `VersionNotFoundError`, and as `write`.
        """
        name, who = self._clean(name), attribute(author, comment)
        return self.archive.restore(
            name, number, expected=expected, author=who.author, comment=who.comment, extra=put_arguments(self, name)
        )

    def undelete(self, name: str, *, author: str | None = None, comment: str = "") -> Version:
        """Restore what was current before the name was deleted.

        Raises: `AlreadyExistsError` if it is not deleted; `VersionNotFoundError` if nothing is left.
        """
        name, who = self._clean(name), attribute(author, comment)
        return self.archive.undelete(name, author=who.author, comment=who.comment, extra=put_arguments(self, name))

    def erase(self, name: str) -> Erasure:
        """Remove the bytes of all versions now and for good, whatever the retention policy says; return a receipt.

        What a hold covers stays, and the receipt says why: there is no way around it but to release the hold.
        """
        name = self._clean(name)
        return self.archive.erase(name, holding=lambda: self.holding(name), extra=put_arguments(self, name))

    # Django's storage API

    def open(self, name: str, mode: str = "rb", version: int | Version | None = None) -> VersionFile | VersionWriter:
        """Open the current version for reading, one with a number, or (`w`, `x`) a new one for writing.

        Reading settles at once which version it is, and raises `FileNotFoundError` at once; bytes are fetched as they
        are needed. `x` raises `FileExistsError` on close if the name exists. An open version is never appended to.
        """
        name = self._clean(name)
        kind = mode.replace("b", "").replace("t", "")
        if kind == "r":
            return VersionFile(self, self._find(name, version), mode)
        if kind not in {"w", "x"} or version is not None:
            raise ValueError(
                f"A version cannot be opened with mode {mode!r}: it never changes. "
                "Read with 'rb', or write a whole new version with 'wb' or 'xb'."
            )
        return VersionWriter(self, begin_upload(self, name), mode, expected=0 if kind == "x" else None)

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        """Save content and return its name: the same one, or with `file_overwrite=False` one that was free.

        Freedom is decided by the store when the version is created, never by asking first: two racing savers get two
        names.
        """
        if self.file_overwrite:
            return cast("str", super().save(name, content, max_length=max_length))
        return self.save_new(name, content, max_length=max_length).name

    def save_new(
        self,
        name: str | None,
        content: Any,
        *,
        max_length: int | None = None,
        author: str | None = None,
        comment: str = "",
        original_name: str = "",
        unwritten: bool = False,
    ) -> Version:
        """Save content as the first version of a name that is free: the given one, or an alternative to it.

        A name whose file was deleted is free, and its history goes on; with `unwritten` it is not, so whoever gets the
        name gets nobody else's history.

        With `numbering="clock"`, where nobody can tell whether a name is free, it is always an alternative: a random
        part keeps two savers apart.

        Raises: `SuspiciousFileOperation` when `max_length` leaves no room, and as `write`.
        """
        name = os.fspath(content.name if name is None else name).replace("\\", "/")
        validate_file_name(name, allow_relative_path=True)
        original_name = original_name or posixpath.basename(name)
        candidate = self._clean(name)
        expected = UNWRITTEN if unwritten else 0
        told_of_races = self.archive.committer.tells_of_races
        if not told_of_races or (max_length is not None and len(candidate) > max_length):
            candidate = self._alternative(name, max_length)
        with taken_in(self, candidate, content, author, comment, original_name) as ready:
            while True:
                try:
                    return self._write(candidate, ready, expected if told_of_races else None)
                except AlreadyExistsError:
                    candidate = self._alternative(name, max_length)

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Return the name, cut to `max_length` as `FileSystemStorage(allow_overwrite=True)` cuts it.

        With `file_overwrite=False` it is one that nobody has now; `save` does not rest on it.
        """
        if not self.file_overwrite:
            return cast("str", super().get_available_name(name, max_length))
        name = str(name).replace("\\", "/")
        return shortened(str(validate_file_name(name, allow_relative_path=True)), max_length)

    def _save(self, name: str, content: Any) -> str:
        return self.write(name, content).name

    def delete(
        self, name: str, *, expected: int | None = None, author: str | None = None, comment: str = ""
    ) -> Version | None:
        """Write a tombstone and return it; `None` if there is nothing to delete. `undelete` undoes it."""
        if not name:
            raise ValueError("The name must be given to delete().")
        who = attribute(author, comment)
        name = self._clean(name)
        return self.archive.delete(
            name, expected=expected, author=who.author, comment=who.comment, extra=put_arguments(self, name)
        )

    def exists(self, name: str) -> bool:
        """Return whether the name has a current version. The root directory exists; other directories are not asked."""
        cleaned = normalized(name)
        return cleaned == "" or self.archive.current(self._suspicious(cleaned)) is not None

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return the directories and the current files directly under a directory; both empty if there is none."""
        path = normalized(path)
        if path:
            self._suspicious(path)
        return self.archive.listdir(path)

    def size(self, name: str) -> int:
        """Return the length of the current version in bytes. Raises `FileNotFoundError`."""
        return self.archive.require(self._clean(name)).size

    def url(
        self,
        name: str,
        parameters: dict[str, Any] | None = None,
        expire: int | None = None,
        http_method: str | None = None,
        version: int | Version | None = None,
    ) -> str:
        """Return an address of the current version, or of the one with a number; it never shows another version.

        For a name without a current version it is an address that answers 404, as with Django's own storages. All
        options of `S3Storage.url` count: signing, CloudFront, `custom_domain`, `parameters`, `expire`.
        """
        key = self._body_key(self._clean(name), version)
        if self.custom_domain:
            relative = key.removeprefix(self.archive.layout.root)
            return cast("str", super().url(relative, parameters, expire, http_method))
        client = shared_client(self, signed=self.querystring_auth)
        return client.generate_presigned_url(
            "get_object",
            Params={**(parameters or {}), "Bucket": self.bucket_name, "Key": key},
            ExpiresIn=self.querystring_expire if expire is None else expire,
            HttpMethod=http_method,  # type: ignore[arg-type]
        )

    def get_modified_time(self, name: str) -> datetime:
        """Return when the current version was written: aware in UTC with `USE_TZ`, else naive in local time."""
        modified = self.archive.require(self._clean(name)).modified
        return modified if settings.USE_TZ else make_naive(modified, get_default_timezone())

    def get_created_time(self, name: str) -> datetime:
        """Return the same: a version is created when it is written and never modified."""
        return self.get_modified_time(name)

    def get_accessed_time(self, name: str) -> datetime:
        """Return the same: S3 keeps no time of access."""
        return self.get_modified_time(name)

    # How it is done

    def _clean(self, name: str | os.PathLike[str]) -> str:
        """Return the logical name that a caller means. Raises `SuspiciousFileOperation`."""
        return self._suspicious(normalized(name))

    def _suspicious(self, name: str) -> str:
        try:
            return self.archive.layout.validate(name)
        except InvalidNameError as error:
            raise SuspiciousNameError(str(error)) from error

    def _alternative(self, name: Any, max_length: int | None) -> str:
        """Return the name with a random part, cut to fit, as Django does it, but without asking who exists."""
        return self._clean(alternative(normalized(name), max_length, vary=self.get_alternative_name))

    def _write(self, name: str, ready: Content, expected: int | None) -> Version:
        return self.archive.write(
            name, ready.body, expected=expected, details=ready.details, attributes=ready.attributes
        )

    def _find(self, name: str, version: int | Version | None) -> Version:
        """Return the version that a caller means, if it has bytes. Raises `VersionNotFoundError`."""
        if not isinstance(version, Version):
            return self.archive.require(name, version)
        if version.name != name:
            raise ValueError(f"{version.name!r} was given a version of, but {name!r} was asked for. Use its own.")
        if version.tombstone:
            raise VersionNotFoundError(f"Version {version.number} of {name!r} is a deletion and has no bytes.")
        return version

    def _body_key(self, name: str, version: int | Version | None) -> str:
        try:
            return self._find(name, version).body_key
        except VersionNotFoundError:
            if version is not None:
                raise
            return self.archive.layout.plain_key(name)
