"""What was chosen for upload in a form that could not be saved yet: kept, since no browser fills a file input again.

1. It is kept in the field's own bucket as a large body that no version points to: no name shows it, nobody but its
   owner's signed token leads to it, and the collector removes it by the rule for such bodies once it is older than
   `grace`.
2. A token is good for one user, one field and a day. What cannot be brought back is said, never passed over.
3. Nothing is kept on GET, and nothing of a form that was saved.
"""

from __future__ import annotations

import logging
import secrets
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from django.apps import apps
from django.conf import settings
from django.core import signing
from django.core.exceptions import FieldDoesNotExist
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.http import HttpRequest

from consistent_s3.content import put_arguments
from consistent_s3.core.errors import ConsistentS3Error
from consistent_s3.core.seams import Attributes, PutMode
from consistent_s3.core.writing import pieces, spool

if TYPE_CHECKING:
    from consistent_s3.fields import VersionedFileField

logger = logging.getLogger("consistent_s3.uploads")

KEPT_FOR = timedelta(days=1)
"""How long a token is good, if the storage's `grace` is not shorter."""
MOST = 1024**3
"""Bytes of an upload that is kept; who chose a larger file is asked to choose it again."""
NAME = "upload"
"""The name under which uploads are kept. It has no versions, so no listing shows it."""

_SALT = "consistent_s3.kept_uploads"
_PUBLIC = frozenset({"ACL", "StorageClass", "CacheControl", "ContentDisposition", "Tagging"})
"""What is said of a project's files and must not be said of what waits: it is nobody else's, and is read soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptUpload:
    """One upload that waits for its form."""

    field: str
    """The model's label and the field's name."""
    owner: str
    """Who uploaded it."""
    key: str
    name: str
    """What the file was called."""
    content_type: str
    size: int
    """Bytes."""

    @property
    def token(self) -> str:
        """Return what the form carries."""
        return signing.dumps(asdict(self), salt=_SALT, compress=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What keeps the uploads of a form's input, for the user who sent it."""

    field: VersionedFileField
    request: HttpRequest

    def keep(self, upload: UploadedFile[Any]) -> KeptUpload | None:
        """Put an upload aside, or leave it where it is already kept; `None` if that cannot be done."""
        return _put(self.field, upload, owner=_owner(self.request))

    def claim(self, token: str, name: str) -> UploadedFile[Any] | None:
        """Bring back what a token stands for, as the request's upload `name`, unless another was chosen; return that.

        Each is brought back once, however often its token came.
        """
        uploads: Any = self.request.FILES
        kept = read(token, owner=_owner(self.request))
        if kept is not None and kept.field == _label(self.field) and kept not in claimed(self.request):
            upload: Any = uploads.get(name) or _fetched(kept)
            if upload is not None:
                upload.claimed = kept
                uploads[name] = upload
        return cast("UploadedFile[Any] | None", uploads.get(name))


def claimed(request: HttpRequest) -> list[KeptUpload]:
    """Return what was claimed in a request: once its form is saved, nobody needs it any more."""
    return [upload.claimed for upload in request.FILES.values() if hasattr(upload, "claimed")]


def _put(field: VersionedFileField, upload: UploadedFile[Any], *, owner: str) -> KeptUpload | None:
    kept = getattr(upload, "kept", None)
    if isinstance(kept, KeptUpload):
        return kept
    if upload.closed or (upload.size or 0) > MOST:
        return None
    storage = field.versioned_storage()
    archive = storage.archive
    key = archive.layout.body_key(NAME, secrets.token_hex(12))
    extra = {name: value for name, value in put_arguments(storage, NAME).items() if name not in _PUBLIC}
    attributes = Attributes(extra={**extra, "CacheControl": "private, no-store"})
    try:
        with closing(spool(upload.chunks(), directory=settings.FILE_UPLOAD_TEMP_DIR)) as body:
            archive.store.put(key, cast("Any", body.file), mode=PutMode.OVERWRITE, attributes=attributes)
            size = body.size
    except ConsistentS3Error as error:
        logger.warning("an upload was not kept: %s", error)
        return None
    return KeptUpload(
        field=_label(field),
        owner=owner,
        key=key,
        name=str(upload.name),
        content_type=upload.content_type or "",
        size=size,
    )


def read(token: str, *, owner: str) -> KeptUpload | None:
    """Return what a token stands for; `None` if it is too old, somebody else's or forged."""
    try:
        kept = KeptUpload(**signing.loads(token, salt=_SALT, max_age=KEPT_FOR))
    except (signing.BadSignature, TypeError):
        return None
    return kept if kept.owner == owner else None


def drop(kept: KeptUpload) -> None:
    """Delete what is not needed any more; what the store keeps goes with the collector."""
    try:
        _field(kept).versioned_storage().archive.store.delete([kept.key])
    except (ConsistentS3Error, LookupError, FieldDoesNotExist) as error:
        logger.warning("a kept upload was left: %s", error)


def _fetched(kept: KeptUpload) -> UploadedFile[Any] | None:
    upload = TemporaryUploadedFile(NAME, kept.content_type, kept.size, None)
    upload.name = kept.name  # as the temporary file's own, it may be too long
    try:
        with closing(_field(kept).versioned_storage().archive.store.get(kept.key)) as download:
            for piece in pieces(cast("Any", download)):
                upload.write(piece)
        upload.seek(0)
    except (ConsistentS3Error, LookupError, FieldDoesNotExist) as error:
        upload.close()
        logger.warning("a kept upload cannot be brought back: %s", error)
        return None
    upload.kept = kept  # type: ignore[attr-defined]
    return upload


def _owner(request: HttpRequest) -> str:
    return str(request.user.pk)


def _label(field: VersionedFileField) -> str:
    return f"{field.model._meta.label}.{field.name}"


def _field(kept: KeptUpload) -> VersionedFileField:
    label, _, name = kept.field.rpartition(".")
    return cast("VersionedFileField", apps.get_model(label)._meta.get_field(name))
