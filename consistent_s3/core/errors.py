"""What can go wrong, one sentence each.

Every error of this package is a `ConsistentS3Error`; each also inherits the builtin that a caller would catch anyway
(`FileNotFoundError`, `FileExistsError`, `ValueError`, `PermissionError`, `ConnectionError`). A message says the fact,
the values and the next step. Errors carry plain values only, so they survive pickling (Celery results).
"""

from __future__ import annotations


class ConsistentS3Error(Exception):
    """The root of every error that this package raises on purpose."""


class InvalidNameError(ConsistentS3Error, ValueError):
    """A logical name that cannot be kept: empty, too long, leaving its directory, or confusable with a key."""


class PolicyError(ConsistentS3Error, ValueError):
    """A setting, or a combination of settings, that would break the promise."""


class CommentTooLongError(ConsistentS3Error, ValueError):
    """A comment that does not fit beside a version; nothing a person wrote is cut in silence."""


class VersionNotFoundError(ConsistentS3Error, FileNotFoundError):
    """The name has no such version: never written, deleted, or already collected."""


class ConflictError(ConsistentS3Error):
    """Another writer was first; nothing of this write is visible."""

    def __init__(self, message: str, *, name: str = "", expected: int | None = None, actual: int = 0) -> None:
        super().__init__(message)
        self.name = name
        """The logical name."""
        self.expected = expected
        """The number that the writer believed to be current; `None` when it gave up without expecting one."""
        self.actual = actual
        """The number that is current; 0 when the name has no current version."""


class AlreadyExistsError(ConflictError, FileExistsError):
    """The name was expected not to exist yet, and it does."""


class OutcomeUnknownError(ConsistentS3Error):
    """A write was sent and nobody can say whether it was applied; nothing was cleaned up after it."""

    def __init__(self, message: str, *, name: str = "", number: int = 0, write_id: str = "") -> None:
        super().__init__(message)
        self.name = name
        """The logical name."""
        self.number = number
        """The number that the write tried to take."""
        self.write_id = write_id
        """The write id to look for in the history later."""


class NumberTakenError(ConsistentS3Error):
    """An index was not advanced, since another writer had been: go back and learn the newest number again."""


class PreconditionFailedError(ConsistentS3Error):
    """What a read rests on does not hold now; nothing is wrong with the request."""


class NotYetVisibleError(PreconditionFailedError):
    """The index names a version whose object the store does not show yet."""


class PointerLostError(PreconditionFailedError):
    """The index may have lost which version is the newest, and the store's listing is not to be trusted for it."""


class IndexUnavailableError(ConsistentS3Error, ConnectionError):
    """The index gave no answer."""


class UnserializableError(ConsistentS3Error, TypeError, ValueError):
    """A value that the serializer of a document cannot write; nothing was sent."""


class CorruptDocumentError(ConsistentS3Error, ValueError):
    """The bytes of a document are no value that its serializer can read."""

    def __init__(self, message: str, *, name: str = "", number: int = 0) -> None:
        super().__init__(message)
        self.name = name
        """The logical name."""
        self.number = number
        """The number of the version."""


class UploadTooSlowError(ConsistentS3Error):
    """A body was not published in the time that `grace` allows: the collector may have taken it for garbage."""


class StoreError(ConsistentS3Error, OSError):
    """The object store refused or failed a request."""


class BucketMissingError(StoreError):
    """The bucket does not exist. (Not a `FileNotFoundError`: a missing bucket is no missing file.)"""


class AccessDeniedError(StoreError, PermissionError):
    """The credentials do not allow the request."""


class ObjectArchivedError(StoreError):
    """An object in a storage class that cannot be read at once."""


class UnreachableError(StoreError, ConnectionError):
    """No answer came from the store."""


class PreconditionsIgnoredError(StoreError):
    """The store created a key that exists: it ignores preconditions, and the listing index is not safe on it."""


class UnsupportedByStoreError(StoreError):
    """The store says that it does not implement the request."""


class KeyMissingError(StoreError):
    """No object is visible under the key."""


class PreconditionTrippedError(StoreError):
    """A conditional request was answered with 304, 409 or 412: look at the write id before believing anything."""

    def __init__(self, message: str, *, sent_before: bool = False) -> None:
        super().__init__(message)
        self.sent_before = sent_before
        """Whether an earlier attempt of the same request was sent and not answered, so that it may still land."""


class AnswerLostError(StoreError):
    """A write was sent and no usable answer came back: it may have been applied, or may be applied later."""


class DeadlinePassedError(StoreError):
    """The write deadline passed before the request was signed."""

    def __init__(self, message: str, *, sent_before: bool = False) -> None:
        super().__init__(message)
        self.sent_before = sent_before
        """Whether an earlier attempt of the same request had already been sent."""
