"""The storage backend for Django's `STORAGES`.

    STORAGES = {
        "default": {"BACKEND": "consistent_s3.storage.ConsistentS3Storage", "OPTIONS": {"bucket_name": "files"}},
    }

It takes all options of django-storages' `S3Storage` and its own (see `conf`), and behaves as `FileSystemStorage` does
wherever an object store can.
"""

from __future__ import annotations

import mimetypes
import os
import pathlib
import posixpath
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from botocore.config import Config
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, SuspiciousFileOperation
from django.core.files.base import File
from django.core.files.utils import validate_file_name
from django.utils.timezone import get_default_timezone, is_naive, make_aware, make_naive
from storages.backends.s3 import S3Storage

from consistent_s3 import conf
from consistent_s3.attribution import attribute
from consistent_s3.clients import POOL, shared_client
from consistent_s3.content import Content, base_name, compressed
from consistent_s3.core.archive import Archive, Erasure
from consistent_s3.core.errors import AlreadyExistsError, InvalidNameError, VersionNotFoundError
from consistent_s3.core.keys import Layout
from consistent_s3.core.numbers import Numbering
from consistent_s3.core.protocol import UNWRITTEN
from consistent_s3.core.retention import RetentionPolicy
from consistent_s3.core.s3 import READ_PARAMETERS, S3ObjectStore
from consistent_s3.core.seams import Attributes, Index, ObjectStore
from consistent_s3.core.versions import Details, Version
from consistent_s3.core.writing import spool
from consistent_s3.files import VersionFile, VersionWriter
from consistent_s3.index.caches import redis_client, redis_prefix
from consistent_s3.index.listing import ListingIndex

if TYPE_CHECKING:
    from consistent_s3.index.database import DatabaseIndex

CACHE_CONTROL = "max-age=31536000, immutable"
"""A version never changes: it may be cached for as long as HTTP can say (a year, RFC 9111)."""

MINIMUM_PART = 5 * 1024**2
"""Bytes below which S3 refuses a part. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""


class SuspiciousNameError(InvalidNameError, SuspiciousFileOperation):
    """A logical name that cannot be kept, as Django names such things: it answers such a request with 400."""


class ConsistentS3Storage(S3Storage):
    """Keeps every save of a name as a new, immutable version.

    Guarantees:

    1. A save is never an overwrite, and two racing saves are two versions, or two names with `file_overwrite=False`.
    2. A read shows the newest version, or raises; it never falls back to an older one.
    3. `write(..., expected=n)` succeeds only on top of version n.
    4. Deleting is undone by `undelete` until the retention policy lets the bytes go.

    They rest on a store with strongly consistent listings and conditional writes; with `numbering="clock"` also on
    one without conditional writes, where 3 is refused.

    Instances are cheap and safe in many threads; equal ones share one boto3 client.
    """

    def __init__(self, **options: Any) -> None:
        conf.check_known(options, [*self.get_default_settings(), "cloudfront_signer"], where=type(self).__name__)
        super().__init__(**options)
        ours = type(self)
        given = (options.get("client_config"), getattr(settings, "AWS_S3_CLIENT_CONFIG", None), ours.config)
        if not (any(given) or getattr(ours, "client_config", None)):
            self.client_config: Config = self.client_config.merge(Config(max_pool_connections=POOL))
        if not (self.bucket_name or isinstance(getattr(ours, "bucket_name", None), property)):
            raise ImproperlyConfigured(
                f"{ours.__name__} has no bucket. Set OPTIONS['bucket_name'], or AWS_STORAGE_BUCKET_NAME."
            )
        where = f"{ours.__name__} for bucket {self.bucket_name!r}"
        conf.check_known([] if self.index == "" else [self.index], conf.INDEXES, where=f"{where}['index']")
        conf.location(self.location, where=where)
        self.numbers: Numbering = conf.numbering(self.numbering, index=self.index, where=where)
        self.policy: RetentionPolicy = conf.policy(self.retention, where=where)
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
            kept = self._archive = (place, self._make_archive())
        return kept[1]

    def make_object_store(self) -> ObjectStore:
        """Return the bucket. Override it to wrap it."""
        read_parameters = {name: value for name, value in self.object_parameters.items() if name in READ_PARAMETERS}
        return S3ObjectStore(client=shared_client(self), bucket=self.bucket_name, read_parameters=read_parameters)

    def _make_archive(self) -> Archive:
        store = self.make_object_store()
        layout = Layout(location=conf.location(self.location, where=type(self).__name__))
        return Archive(
            store=store,
            index=self._make_index(store, layout),
            layout=layout,
            numbering=self.numbers,
            timing=self.timing,
        )

    def _make_index(self, store: ObjectStore, layout: Layout) -> Index:
        if self.index_kind == "listing":
            return ListingIndex(store=store, layout=layout)
        if self.index == "redis":
            return self._make_redis_index(store, layout)
        return self.make_database_index(layout)

    def _make_redis_index(self, store: ObjectStore, layout: Layout) -> Index:
        where = f"{type(self).__name__} for bucket {self.bucket_name!r}"
        prefix = redis_prefix(self.index_cache, where=where)
        from consistent_s3.index.redis import RedisIndex, RedisPointers  # noqa: PLC0415 - an extra

        return RedisIndex(
            store=store,
            layout=layout,
            kept=RedisPointers(
                lambda: redis_client(self.index_cache, where=where),
                place=f"{prefix}/{self.bucket_name}/{layout.location}",
                timeout=self.pointer_timeout,
            ),
            timeout=self.pointer_timeout,
            strong_listing=self.strong_listing,
            falls_back=self.index_fallback == "listing",
        )

    @property
    def index_kind(self) -> str:
        """Return which index is asked: the one that was named, else the database if this app is installed."""
        return self.index or ("database" if apps.is_installed("consistent_s3") else "listing")

    def make_database_index(self, layout: Layout) -> DatabaseIndex:
        """Return the rows of this place, whichever index reads ask. Raises `ImproperlyConfigured` without tables."""
        if not apps.is_installed("consistent_s3"):
            raise ImproperlyConfigured(
                "index 'database' needs the tables of this app. Add 'consistent_s3' to INSTALLED_APPS and migrate, or "
                "set index to 'listing'."
            )
        from consistent_s3.index.database import DatabaseIndex  # noqa: PLC0415 - its models need a ready registry

        return DatabaseIndex(place=f"{self.bucket_name}/{layout.location}", database=self.index_database)

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
        with self._content(name, content, author, comment, original_name) as ready:
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
            name, number, expected=expected, author=who.author, comment=who.comment, extra=self._extra(name)
        )

    def undelete(self, name: str, *, author: str | None = None, comment: str = "") -> Version:
        """Restore what was current before the name was deleted.

        Raises: `AlreadyExistsError` if it is not deleted; `VersionNotFoundError` if nothing is left.
        """
        name, who = self._clean(name), attribute(author, comment)
        return self.archive.undelete(name, author=who.author, comment=who.comment, extra=self._extra(name))

    def erase(self, name: str) -> Erasure:
        """Remove the bytes of all versions now and for good, whatever the retention policy says; return a receipt."""
        name = self._clean(name)
        return self.archive.erase(name, extra=self._extra(name))

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
        return self._writer(name, mode, expected=0 if kind == "x" else None)

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
        with self._content(candidate, content, author, comment, original_name) as ready:
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
        directory, root, extension = _parts(validate_file_name(name, allow_relative_path=True))
        excess = len(name) - max_length if max_length else 0
        return posixpath.join(directory, f"{_cut(root, excess, name)}{extension}") if excess > 0 else name

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
            name, expected=expected, author=who.author, comment=who.comment, extra=self._extra(name)
        )

    def exists(self, name: str) -> bool:
        """Return whether the name has a current version. The root directory exists; other directories are not asked."""
        cleaned = self._normalize(name)
        return cleaned == "" or self.archive.current(self._suspicious(cleaned)) is not None

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return the directories and the current files directly under a directory; both empty if there is none."""
        path = self._normalize(path)
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
        return self._suspicious(self._normalize(name))

    def _normalize(self, name: str | os.PathLike[str]) -> str:
        text = posixpath.normpath(os.fspath(name).replace("\\", "/"))
        if text.startswith("/") or ".." in pathlib.PurePosixPath(text).parts:
            raise SuspiciousNameError(f"{text[:80]!r} is outside of the storage. Use a relative path without '..'.")
        return "" if text == "." else text

    def _suspicious(self, name: str) -> str:
        try:
            return self.archive.layout.validate(name)
        except InvalidNameError as error:
            raise SuspiciousNameError(str(error)) from error

    def _alternative(self, name: Any, max_length: int | None) -> str:
        """Return the name with a random part, cut to fit, as Django does it, but without asking who exists."""
        directory, root, extension = _parts(self._normalize(name))
        candidate = posixpath.join(directory, self.get_alternative_name(root, extension))
        excess = len(candidate) - max_length if max_length is not None else 0
        if excess > 0:
            root = _cut(root, excess, name)
            candidate = posixpath.join(directory, self.get_alternative_name(root, extension))
        return self._clean(candidate)

    @contextmanager
    def _content(
        self, name: str, content: Any, author: str | None, comment: str, original_name: str
    ) -> Iterator[Content]:
        """Read content once, through its own `chunks()`, and drop the copy afterwards."""
        if not hasattr(content, "chunks"):
            content = File(content, name)
        original_name = original_name or base_name(content) or posixpath.basename(name)
        attributes = self._attributes(name, original_name, getattr(content, "content_type", None))
        chunks: Iterable[Any] = content.chunks()
        if self._compresses(attributes):
            attributes = replace(attributes, content_encoding="gzip")
            chunks = compressed(chunks)
        who = attribute(author, comment)
        details = Details(author=who.author, comment=who.comment, original_name=original_name)
        body = spool(chunks, directory=settings.FILE_UPLOAD_TEMP_DIR)
        try:
            yield Content(body=body, details=details, attributes=attributes)
        finally:
            body.close()

    def _write(self, name: str, ready: Content, expected: int | None) -> Version:
        return self.archive.write(
            name, ready.body, expected=expected, details=ready.details, attributes=ready.attributes
        )

    def _writer(self, name: str, mode: str, *, expected: int | None) -> VersionWriter:
        original_name = posixpath.basename(name)
        who = attribute(None, "")
        upload = self.archive.upload(
            name,
            details=Details(author=who.author, comment=who.comment, original_name=original_name),
            attributes=self._attributes(name, original_name, None),
            threshold=max(self.transfer_config.multipart_threshold, MINIMUM_PART),
            part_size=max(self.transfer_config.multipart_chunksize, MINIMUM_PART),
        )
        return VersionWriter(self, upload, mode, expected=expected)

    def _attributes(self, name: str, original_name: str, content_type: str | None) -> Attributes:
        given = self.get_object_parameters(name)
        guessed, encoding = mimetypes.guess_type(original_name)
        guessed = guessed or mimetypes.guess_type(name)[0] or self.default_content_type
        return Attributes(
            metadata=given.get("Metadata", {}),
            content_type=given.get("ContentType") or content_type or guessed,
            content_encoding=given.get("ContentEncoding", "" if "ContentType" in given else encoding or ""),
            extra=self._extra(name),
        )

    def _extra(self, name: str) -> dict[str, Any]:
        """Return the boto3 arguments of a put that say nothing of its content."""
        of_content = {"Metadata", "ContentType", "ContentEncoding"}
        extra = {key: value for key, value in self.get_object_parameters(name).items() if key not in of_content}
        extra.setdefault("CacheControl", CACHE_CONTROL)
        if self.default_acl:
            extra.setdefault("ACL", self.default_acl)
        return extra

    def _compresses(self, attributes: Attributes) -> bool:
        return bool(
            self.gzip and attributes.content_type in self.gzip_content_types and not attributes.content_encoding
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


def _parts(name: str | os.PathLike[str]) -> tuple[str, str, str]:
    """Return the directory of a name, the part of its file's name that may change, and the extensions."""
    directory, file_name = posixpath.split(os.fspath(name))
    extension = "".join(pathlib.PurePath(file_name).suffixes)
    return directory, file_name.removesuffix(extension), extension


def _cut(root: str, excess: int, name: Any) -> str:
    if len(root) <= excess:
        raise SuspiciousFileOperation(
            f"No available name fits {str(name)[:80]!r}: it is {excess} characters too long, and only {len(root)} of "
            "them may go. Raise the field's max_length."
        )
    return root[:-excess]
