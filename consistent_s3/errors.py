"""Every error that a project meets with files, documents and collections; those of streams are in `streams`.

from consistent_s3.errors import ConflictError

All are `ConsistentS3Error`. Those of the core know no Django and are made there.
"""

from __future__ import annotations

from django.core.exceptions import SuspiciousFileOperation

from consistent_s3.core.deleting import VersionKeptError
from consistent_s3.core.errors import (
    AccessDeniedError,
    AlreadyExistsError,
    BucketMissingError,
    CommentTooLongError,
    ConflictError,
    ConsistentS3Error,
    CorruptDocumentError,
    IndexUnavailableError,
    InvalidNameError,
    NotYetVisibleError,
    ObjectArchivedError,
    OutcomeUnknownError,
    PointerLostError,
    PolicyError,
    PreconditionsIgnoredError,
    StoreError,
    UnreachableError,
    UnserializableError,
    UnsupportedByStoreError,
    UploadTooSlowError,
    VersionNotFoundError,
)


class SuspiciousNameError(InvalidNameError, SuspiciousFileOperation):
    """A logical name that cannot be kept, as Django names such things: it answers such a request with 400."""


class BeingCollectedError(ConsistentS3Error):
    """A collection is deleting at this moment what was to be held; nothing was held."""


class CollectionRunningError(ConsistentS3Error):
    """The place is being collected by somebody else at the moment."""


class CollectionRefusedError(ConsistentS3Error):
    """More would go than the project lets go at once; nothing was deleted."""


class CollectionFailedError(ConsistentS3Error):
    """At least one storage could not be collected to its end; the others were."""


class CompactionFailedError(ConsistentS3Error):
    """At least one stream could not be compacted; the others were, or will be."""


__all__ = [
    "AccessDeniedError",
    "AlreadyExistsError",
    "BeingCollectedError",
    "BucketMissingError",
    "CollectionFailedError",
    "CollectionRefusedError",
    "CollectionRunningError",
    "CommentTooLongError",
    "CompactionFailedError",
    "ConflictError",
    "ConsistentS3Error",
    "CorruptDocumentError",
    "IndexUnavailableError",
    "InvalidNameError",
    "NotYetVisibleError",
    "ObjectArchivedError",
    "OutcomeUnknownError",
    "PointerLostError",
    "PolicyError",
    "PreconditionsIgnoredError",
    "StoreError",
    "SuspiciousNameError",
    "UnreachableError",
    "UnserializableError",
    "UnsupportedByStoreError",
    "UploadTooSlowError",
    "VersionKeptError",
    "VersionNotFoundError",
]
