"""Documents on a storage of the project.

    jobs = StateStore[dict[str, Any]]("default", prefix="jobs")
    jobs.update("import", lambda job: {**job, "done": job["done"] + 1}, {"done": 0})

A document is a version of the storage like any other: its history is in `storage.history`, retention rules match its
name (`"names": {"jobs/*": {"keep_last": 20}}`), holds keep it, and with `index="database"` it is written with the
caller's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast, overload

from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import InvalidStorageError, storages

from consistent_s3.attribution import attribute
from consistent_s3.content import put_arguments
from consistent_s3.core.documents import COMPRESSED_ABOVE, Document, Documents, PastDocument, Serializer
from consistent_s3.core.errors import InvalidNameError
from consistent_s3.core.names import validate_directory
from consistent_s3.core.seams import Attributes
from consistent_s3.core.versions import Version
from consistent_s3.state.serializing import JSONSerializer
from consistent_s3.storage import ConsistentS3Storage

Value = TypeVar("Value")
Other = TypeVar("Other")


@dataclass(frozen=True)  # no slots: Python 3.11 then cannot make a `StateStore[dict](...)`
class StateStore(Generic[Value]):
    """Documents under a directory of the storage with an alias.

    Guarantees: those of `core.documents.Documents`. It holds no connection and no credentials: it may be a constant
    of a module, and it may be pickled.

    With `index="database"`, inside `transaction.atomic` of the index's database: what is written is seen by this
    transaction at once, by others when it commits, and by nobody if it is rolled back. `update` locks the document
    until then, so that others who update it wait. A document that does not exist yet cannot be locked: of two
    transactions that make it the second waits for the first, and begins again on top of it.

    Raises: `ImproperlyConfigured` for a prefix that is no directory.
    """

    alias: str = "default"
    """The storage, as `STORAGES` calls it."""
    prefix: str = field(default="state", kw_only=True)
    """The directory of the storage in which the documents are."""
    serializer: Serializer[Value] = field(
        default_factory=lambda: cast("Serializer[Any]", JSONSerializer()), kw_only=True
    )
    """Turns values into bytes and back. All who read a document must use one that can read it."""
    compressed_above: int = field(default=COMPRESSED_ABOVE, kw_only=True)
    """Bytes above which a document is compressed."""

    def __post_init__(self) -> None:
        try:
            prefix = validate_directory(self.prefix)
        except InvalidNameError as error:
            raise ImproperlyConfigured(f"StateStore's prefix: {error}") from error
        if not prefix:
            raise ImproperlyConfigured(
                "StateStore's prefix is empty. Keep documents apart from files: use a directory."
            )
        object.__setattr__(self, "prefix", prefix)

    # Reading

    @overload
    def read(self, key: str) -> Value | None: ...
    @overload
    def read(self, key: str, default: Other) -> Value | Other: ...
    def read(self, key: str, default: Any = None) -> Any:
        """Return the current value; a copy of the default if there is none, or it was deleted.

        Raises: `CorruptDocumentError` naming key and version; what opening a file of the storage raises.
        """
        return self.documents.read(key, default).value

    @overload
    def read_versioned(self, key: str) -> Document[Value | None]: ...
    @overload
    def read_versioned(self, key: str, default: Other) -> Document[Value | Other]: ...
    def read_versioned(self, key: str, default: Any = None) -> Document[Any]:
        """Return the current value with its version: give `number` to `write` as `expected`. Raises as `read`."""
        return self.documents.read(key, default)

    def history(self, key: str, *, before: int | None = None) -> Iterator[PastDocument[Value]]:
        """Yield all versions, newest first, deletions included; `read()` of each gets its value.

        `before` skips to the versions below a number.
        """
        return self.documents.history(key, before=before)

    def keys(self) -> Iterator[str]:
        """Yield the keys of all documents that are there. Not a snapshot: others may write meanwhile."""
        return self.documents.keys()

    # Writing

    def write(
        self, key: str, value: Value, *, expected: int | None = None, author: str | None = None, comment: str = ""
    ) -> Version:
        """Write a value and return its version.

        `expected` is the number of the version that it replaces; 0 says that there must be none. Without it the newest
        is replaced, whatever it is. Without `author` the one of the surrounding `attribution` counts.

        Raises: `UnserializableError`, and `PolicyError` for another `expected`, before any request. `ConflictError`
        (`AlreadyExistsError` for 0) naming both numbers when another was first. `CommentTooLongError`.
        `OutcomeUnknownError` when no answer came: look in the history.
        """
        who = attribute(author, comment)
        return self.documents.write(key, value, expected=expected, author=who.author, comment=who.comment)

    @overload
    def update(
        self, key: str, function: Callable[[Value | None], Value], *, author: str | None = None, comment: str = ""
    ) -> Value: ...
    @overload
    def update(
        self,
        key: str,
        function: Callable[[Value], Value],
        default: Value,
        *,
        author: str | None = None,
        comment: str = "",
    ) -> Value: ...
    def update(
        self,
        key: str,
        function: Callable[[Any], Value],
        default: Any = None,
        *,
        author: str | None = None,
        comment: str = "",
    ) -> Value:
        """Replace the value by what a function makes of it, or of the default, and return that.

        Nothing is lost however many update at once: if another was first, the value is read anew and the function
        called again. It may change its argument in place, must return the new value, and should do nothing else, since
        it may be called several times. The same value: nothing is written. Tries go on for the storage's `patience`.

        Raises: `ConflictError` when others were first at each try. `OutcomeUnknownError` when nobody knows whether the
        change counts: it is never tried again by itself, since it might count twice. `PolicyError` with numbering
        'clock' and index 'listing', where writers cannot be told of each other. `TypeError` for a function that returns
        `None`, unless that was the value. What the function raises.
        """
        who = attribute(author, comment)
        return self.documents.update(key, function, default, author=who.author, comment=who.comment).value

    def delete(
        self, key: str, *, expected: int | None = None, author: str | None = None, comment: str = ""
    ) -> Version | None:
        """Write a tombstone and return it; `None` if there is no document. Raises as `write`."""
        who = attribute(author, comment)
        return self.documents.delete(key, expected=expected, author=who.author, comment=who.comment)

    # What it rests on

    def name(self, key: str) -> str:
        """Return the name that a document has in the storage, to hold, restore or erase it there."""
        return self.documents.name(key)

    @property
    def storage(self) -> ConsistentS3Storage:
        """Return the storage. Raises `ImproperlyConfigured` if the alias is none, or of another backend."""
        try:
            storage = storages[self.alias]
        except InvalidStorageError as error:
            known = ", ".join(repr(alias) for alias in storages.backends)
            raise ImproperlyConfigured(f"STORAGES has no {self.alias!r}. It has {known}.") from error
        if not isinstance(storage, ConsistentS3Storage):
            raise ImproperlyConfigured(
                f"STORAGES[{self.alias!r}] is a {type(storage).__name__}, which keeps no versions. "
                "Use consistent_s3.storage.ConsistentS3Storage, or the alias of one."
            )
        return storage

    @property
    def documents(self) -> Documents[Value]:
        """Return the documents of the core."""
        storage = self.storage

        def attributes(name: str) -> Attributes:
            metadata = storage.get_object_parameters(name).get("Metadata", {})
            return Attributes(metadata=metadata, extra=put_arguments(storage, name))

        return Documents(
            archive=storage.archive,
            serializer=self.serializer,
            prefix=self.prefix,
            attributes=attributes,
            compressed_above=self.compressed_above,
        )
