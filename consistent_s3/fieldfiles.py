"""The file of a row: what `document.file` is, with its version, its history and its restorations.

Which name it keeps, whether another row shares it and which version the row is pinned to is decided by its field.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.db import models, router, transaction
from django.db.models.fields.files import FieldFile, FileDescriptor, ImageFieldFile, ImageFileDescriptor

from consistent_s3.core.errors import ConflictError, VersionNotFoundError
from consistent_s3.core.versions import Details, KnownDetails, Version
from consistent_s3.files import VersionFile

if TYPE_CHECKING:
    from consistent_s3.fields import VersionedFileField
    from consistent_s3.storage import ConsistentS3Storage


class VersionedFieldFile(FieldFile):
    """A row's file, with its history."""

    storage: ConsistentS3Storage
    field: VersionedFileField
    _file: Any
    inserting = False
    """The row is about to be inserted: whatever has its key is another row."""

    if TYPE_CHECKING:

        def _require_file(self) -> None: ...

        def _set_instance_attribute(self, name: str, content: Any) -> None: ...

    @property
    def version(self) -> Version:
        """Return the version that the row has: the pinned one, else the current one.

        Raises: `ValueError` without a file; `VersionNotFoundError` if it was deleted.
        """
        self._require_file()
        return self.storage.version(self._name(), self._pinned())

    def history(self, *, before: int | None = None) -> Iterator[Version]:
        """Yield all versions of the row's file, newest first. Raises `ValueError` without a file."""
        self._require_file()
        return self.storage.history(self._name(), before=before)

    def at(self, number: int) -> VersionFile:
        """Open an earlier version. Raises `VersionNotFoundError`."""
        self._require_file()
        return self._opened(self.storage.version(self._name(), number))

    def as_of(self, moment: datetime) -> VersionFile:
        """Open the version that was current at an aware moment. Raises `VersionNotFoundError`."""
        self._require_file()
        return self._opened(self.storage.as_of(self._name(), moment))

    @contextmanager
    def locked(self) -> Iterator[VersionedFieldFile]:
        """Give the file of the row as the database has it now, in a transaction that keeps the row locked.

        So the row can be saved without taking back what others saved in it since it was read.

        Raises: `ConflictError` if the row is gone, or has another file or another version by now.
        """
        row, name, pinned = self.instance, self._name(), self._pinned()
        using = router.db_for_write(type(row), instance=row)
        with transaction.atomic(using=using):
            rows: models.QuerySet[Any] = models.QuerySet(type(row)).using(using)
            now = rows.select_for_update().filter(pk=row.pk).first()
            if now is None:
                raise ConflictError(f"The row of {name!r} was deleted meanwhile.", name=name)
            file: VersionedFieldFile = getattr(now, self.field.attname)
            if (file.name, self.field.pinned(now)) != (name, pinned):
                raise ConflictError(
                    f"The row of {name!r} was given another file or another version meanwhile. Look at it and decide "
                    "again.",
                    name=name,
                )
            yield file

    def restore(
        self,
        number: int,
        *,
        expected: int | None = None,
        author: str | None = None,
        comment: str = "",
        save: bool = True,
    ) -> Version:
        """Make an earlier version's bytes the newest version, and save the row unless told otherwise.

        A row that shares its object with another gets the bytes as the first version of one of its own. Raises as
        `ConsistentS3Storage.restore`.
        """
        self._require_file()
        if self.field.is_shared(self.instance, self._name()):
            source = self.at(number)
            with source:
                version = self._write(
                    source.version.original_name, source, expected=expected, author=author, comment=comment
                )
        else:
            version = self.storage.restore(self._name(), number, expected=expected, author=author, comment=comment)
            self._forget_file()
            self.field.pin(self.instance, version)
            setattr(self.instance, self.field.attname, version.name)  # an image's row measures it anew
        if save:
            self.instance.save()
        return version

    restore.alters_data = True  # type: ignore[attr-defined]

    def save(
        self,
        name: str,
        content: Any,
        save: bool = True,  # noqa: FBT001, FBT002 - Django's signature
        *,
        expected: int | None = None,
        author: str | None = None,
        comment: str = "",
    ) -> None:
        """Save content as the next version of the row's file, or as the first of a new one.

        `expected` is the number of the version that is being replaced; a row without a file has version 0.

        Raises: as `ConsistentS3Storage.write`.
        """
        self._write(name, content, expected=expected, author=author, comment=comment)
        if save:
            self.instance.save()

    save.alters_data = True  # type: ignore[attr-defined]

    def delete(
        self,
        save: bool = True,  # noqa: FBT001, FBT002 - Django's signature
        *,
        author: str | None = None,
        comment: str = "",
    ) -> None:
        """Delete the file, reversibly, and take it off the row; another row's shared object is left alone."""
        if not self:
            return
        self._forget_file()
        if not self.field.is_shared(self.instance, self._name()):
            self.storage.delete(self._name(), author=author, comment=comment)
        self.name = None
        setattr(self.instance, self.field.attname, None)
        self._committed = False
        self.field.pin(self.instance, None)
        if save:
            self.instance.save()

    delete.alters_data = True  # type: ignore[attr-defined]

    def open(self, mode: str = "rb") -> VersionedFieldFile:  # type: ignore[override]
        """Open the row's version for reading. Raises `ValueError` for writing: use `save`."""
        self._require_file()
        if set(mode) & set("wax+"):
            raise ValueError(
                f"The file of a row cannot be opened with mode {mode!r}: the row would not know its new version. "
                "Use save() instead."
            )
        file = getattr(self, "_file", None)
        if isinstance(file, VersionFile) and (file.closed or file.mode != mode):
            file = None  # the row's version is settled anew
        if file is None:
            self.file = self._opened(self.version, mode)
        else:
            file.open(mode)
        return self

    @property
    def url(self) -> str:
        """Return an address of the row's version; one that answers 404 if that is gone, and never another's."""
        self._require_file()
        pinned = self._pinned()
        try:
            return self.storage.url(self._name(), version=pinned)
        except VersionNotFoundError:
            return self.storage.url(self._name(), version=self._gone(pinned or 0))

    @property
    def size(self) -> int:
        """Return the length of the row's version, or of what was assigned and is not saved yet, in bytes."""
        self._require_file()
        if not self._committed:
            return int(self.file.size)
        return self.version.size

    def _get_file(self) -> Any:
        self._require_file()
        if getattr(self, "_file", None) is None:
            self._file = self._opened(self.version)
        return self._file

    def _set_file(self, file: Any) -> None:
        self._file = file

    def _del_file(self) -> None:
        del self._file

    file = property(_get_file, _set_file, _del_file)

    def _write(self, name: str, content: Any, *, expected: int | None, author: str | None, comment: str) -> Version:
        """Write content under the name that the row keeps, or under a new one, and tell the instance."""
        storage = self.field.versioned_storage()
        original_name = str(name).replace("\\", "/").rpartition("/")[2]
        # What was typed beside an upload, and what its user saw: see `widgets` and `forms`.
        comment = comment or getattr(content, "comment", "")
        expected = getattr(content, "expected", None) if expected is None else expected
        said: dict[str, Any] = {"author": author, "comment": comment, "original_name": original_name}
        stored = None if self.inserting else self.field.stored_name(self.instance)
        if stored and not self.field.is_shared(self.instance, stored):
            version = storage.write(stored, content, expected=expected, **said)
        else:
            self._check_expected(stored, expected)
            generated = self.field.unused_name(self.instance, self.field.generate_filename(self.instance, name))
            version = storage.save_new(generated, content, max_length=self.field.max_length, unwritten=True, **said)
        self.name = version.name
        self._set_instance_attribute(self.name, content)
        self._forget_file()
        self._committed = True
        self.field.pin(self.instance, version)
        return version

    def _check_expected(self, stored: str | None, expected: int | None) -> None:
        """Compare what is expected with the row's version, where that is not what will be written on."""
        if expected is None:
            return
        newest = self.storage.archive.newest(stored) if stored else None
        current = newest.number if newest and not newest.tombstone else 0
        if expected not in {current, newest.number if newest else 0}:
            fact = f"Version {current} of {stored!r} is current" if current else "The row has no file"
            raise ConflictError(
                f"{fact}, but version {expected} was expected. Read the row and decide again.",
                name=stored or "",
                expected=expected,
                actual=current,
            )

    def _opened(self, version: Version, mode: str = "rb") -> VersionFile:
        return VersionFile(self.storage, version, mode)

    def _gone(self, number: int) -> Version:
        """Return what the index would have told of a version that was erased."""
        return Version(
            name=self._name(),
            number=number,
            key=self.storage.archive.layout.version_key(self._name(), number),
            size=0,
            modified=datetime.now(UTC),
            etag="",
            source=KnownDetails(Details()),
        )

    def _forget_file(self) -> None:
        """Drop what was opened or assigned before; an upload stays open, since it is its owner's."""
        file, self._file = getattr(self, "_file", None), None
        if isinstance(file, VersionFile):
            file.close()

    def _pinned(self) -> int | None:
        return self.field.pinned(self.instance)

    def _name(self) -> str:
        return str(self.name)


class VersionedFileDescriptor(FileDescriptor):
    """Keeps the pin and the file of a row together."""

    field: VersionedFileField

    def __set__(self, instance: models.Model, value: Any) -> None:
        """Assign a file; another name takes the pin away, and another row's file brings its own."""
        before = instance.__dict__.get(self.field.attname)
        super().__set__(instance, value)
        if before is None or not self.field.version_field:  # Model.__init__, or a deferred field that is loaded
            return
        if isinstance(value, VersionedFieldFile) and value.instance is not instance:
            setattr(instance, self.field.version_field, value.field.pinned(value.instance))
        elif getattr(value, "name", value) != getattr(before, "name", before):
            self.field.pin(instance, None)


class VersionedImageFieldFile(VersionedFieldFile, ImageFieldFile):  # type: ignore[misc]
    """A row's image, with its history."""

    def _forget_file(self) -> None:
        self.__dict__.pop("_dimensions_cache", None)
        super()._forget_file()


class VersionedImageFileDescriptor(ImageFileDescriptor, VersionedFileDescriptor):  # type: ignore[misc]
    """Takes the pin away before the new image is measured."""
