"""Model fields whose files have a history.

1. A row keeps its logical name as long as it has a file. What an upload was called is remembered with its version,
   for downloads.
2. The first file of a row never lands on an object that exists or that another row has: its name is taken, not asked
   for. A row that is inserted has no file before, also when its key is already taken and the insertion fails.
3. A row that shares its object with another (a copy made with `pk = None`) gets one of its own when it is next
   replaced or restored, and deleting its file leaves the other's alone.
4. With `version_field` the row says which version it has, as `ImageField`'s `width_field` says how wide it is. Then a
   rolled-back transaction leaves row and file as they were, and whoever restores an old row gets its old bytes. The
   pin belongs to the file: a row that is given another name starts without one.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core import checks
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import models, router
from django.db.models.signals import class_prepared, post_save

from consistent_s3.core.retention import RetentionPolicy
from consistent_s3.core.versions import Version
from consistent_s3.fieldfiles import (
    VersionedFieldFile,
    VersionedFileDescriptor,
    VersionedImageFieldFile,
    VersionedImageFileDescriptor,
)
from consistent_s3.rules import policy as keep_rules

if TYPE_CHECKING:
    from consistent_s3.storage import ConsistentS3Storage

MAX_LENGTH = 512
"""Characters of a name by default: a directory, a date and a file name of 255 fit, and MySQL can still index it."""
SHORT = 255
"""Characters below which a check warns: file systems allow file names of this length."""


class VersionedFileField(models.FileField):
    """A `FileField` whose storage is a `ConsistentS3Storage` and whose file has a history.

    `version_field` names a `PositiveBigIntegerField(null=True, editable=False)` of the same model, declared after this
    one, which pins the row to the version that it saved. The field is indexed by default: replacing a file asks
    whether another row has the same one.

    `retention` is what may be collected of this field's files, for example `{"keep_last": 3}`; it replaces what the
    storage and its patterns say. It counts for the names that rows have, and for all under the constant part of
    `upload_to` (a text up to its first `%`), so that a file whose row was deleted keeps its rules. Without such a part,
    or with a callable, the storage's count for those. It is no part of migrations.

    `pinned_by` names further models ("app.Model") whose rows point to versions by columns that are called like this
    field and its `version_field`, such as the history of the model that django-simple-history keeps: what they point to
    is never collected. It is no part of migrations.
    """

    attr_class = VersionedFieldFile
    descriptor_class = VersionedFileDescriptor

    def __init__(
        self,
        *args: Any,
        version_field: str | None = None,
        retention: Mapping[str, Any] | None = None,
        pinned_by: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        self.version_field = version_field
        self.retention = retention
        self.pinned_by = pinned_by
        kwargs.setdefault("max_length", MAX_LENGTH)
        kwargs.setdefault("db_index", True)
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        """Return what migrations write: only what differs from this field's defaults."""
        name, path, args, kwargs = super().deconstruct()
        for option, default in (("max_length", MAX_LENGTH), ("db_index", True)):
            kwargs[option] = getattr(self, option)
            if kwargs[option] == default:
                del kwargs[option]
        if self.version_field:
            kwargs["version_field"] = self.version_field
        return name, path, args, kwargs

    def contribute_to_class(self, cls: type[models.Model], name: str, **kwargs: Any) -> None:  # type: ignore[override]
        """Watch for saves that name the file but not its version."""
        super().contribute_to_class(cls, name, **kwargs)
        if self.version_field and not cls._meta.abstract:
            class_prepared.connect(self._watch)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:  # noqa: FBT001 - Django's signature
        """Commit what was assigned; a row without a file is pinned to nothing."""
        file = getattr(model_instance, self.attname)
        file.inserting = add
        try:
            file = super().pre_save(model_instance, add)
        finally:
            file.inserting = False
        if not file.name:
            self.pin(model_instance, None)
        return file

    def versioned_storage(self) -> ConsistentS3Storage:
        """Return the storage. Raises `ImproperlyConfigured` if it keeps no versions."""
        if not hasattr(self.storage, "save_new"):
            raise ImproperlyConfigured(
                f"{self} needs a ConsistentS3Storage, but its storage is {type(self.storage).__name__}. "
                "Set STORAGES['default'] or the field's storage= to consistent_s3.storage.ConsistentS3Storage."
            )
        return self.storage  # type: ignore[return-value]

    def policy(self) -> RetentionPolicy | None:
        """Return what may be collected of this field's files; `None` if that is left to the storage.

        Raises: `ImproperlyConfigured` for rules that make no sense.
        """
        if self.retention is None:
            return None
        storage = self.versioned_storage()
        return keep_rules(self.retention, index=lambda: storage.index_kind, where=f"{self} retention=")

    def pinning_models(self) -> Iterator[type[models.Model]]:
        """Yield the further models whose rows point to versions of this field's files.

        Raises: `LookupError` for a model that does not exist, `FieldDoesNotExist` for one without the two columns.
        """
        for label in self.pinned_by:
            if not self.version_field:
                raise LookupError("The field has no version_field.")
            if label.count(".") != 1:
                raise LookupError(f"{label!r} is no label of a model.")
            model = apps.get_model(label)
            for name in (self.name, self.version_field):
                model._meta.get_field(name)
            yield model

    def pin(self, instance: models.Model, version: Version | None) -> None:
        """Make the row say which version it has, if it has a field for that."""
        if self.version_field:
            setattr(instance, self.version_field, version.number if version else None)

    def pinned(self, instance: models.Model) -> int | None:
        """Return the number of the version that the row says it has."""
        return getattr(instance, self.version_field) if self.version_field else None

    def stored_name(self, instance: models.Model) -> str | None:
        """Return the logical name that the instance's row has in the database; `None` without a row or a file."""
        if self._key(instance) is None or self._will_be_inserted(instance):
            return None
        names = self._rows(instance).filter(pk=self._key(instance)).values_list(self.attname, flat=True)
        return names.first() or None

    def unused_name(self, instance: models.Model, name: str) -> str:
        """Return a name that no other row has; a row may have one whose object is long gone."""
        if not self.is_shared(instance, name):
            return name
        directory, file_name = posixpath.split(name)
        root, extension = posixpath.splitext(file_name)
        return posixpath.join(directory, self.versioned_storage().get_alternative_name(root, extension))

    def is_shared(self, instance: models.Model, name: str) -> bool:
        """Return whether another row of the table has the same object."""
        others = self._rows(instance).filter(**{self.attname: name})
        key = self._key(instance)
        return (others if key is None else others.exclude(pk=key)).exists()

    def _rows(self, instance: models.Model) -> models.QuerySet[Any]:
        """Return every row, whatever its managers hide, of the primary and not of a replica that lags behind."""
        return models.QuerySet(self.model).using(router.db_for_write(self.model, instance=instance))

    def _key(self, instance: models.Model) -> Any:
        """Return the instance's primary key, also a composite one; `None` while it has none."""
        values = tuple(getattr(instance, field.attname) for field in self.model._meta.pk_fields)
        if None in values:
            return None
        return values if len(values) > 1 else values[0]

    def _will_be_inserted(self, instance: models.Model) -> bool:
        """Say whether Django will insert the row and not update it, by the rule of `Model.save`."""
        keys = self.model._meta.pk_fields
        return instance._state.adding and all(key.has_default() or key.has_db_default() for key in keys)

    def _watch(self, sender: type[models.Model], **_: Any) -> None:
        """Listen to saves of the model, its proxies and its children: each is a sender of its own."""
        if issubclass(sender, self.model):
            post_save.connect(self._save_pin, sender=sender)

    def _save_pin(
        self,
        sender: type[models.Model],
        instance: models.Model,
        update_fields: frozenset[str] | None = None,
        using: str | None = None,
        raw: bool = False,  # noqa: FBT001, FBT002 - a signal's signature
        **_: Any,
    ) -> None:
        """After `save(update_fields=["file"])`: the version belongs to the file and is saved with it."""
        if raw or update_fields is None or self.version_field is None:
            return
        if {self.name, self.attname} & update_fields and self.version_field not in update_fields:
            rows: models.QuerySet[Any] = models.QuerySet(sender).using(using).filter(pk=instance.pk)
            rows.update(**{self.version_field: self.pinned(instance)})

    # Checks

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """Return Django's findings and ours."""
        return [
            *super().check(**kwargs),
            *self._check_storage(),
            *self._check_max_length_value(),
            *self._check_pin(),
            *self._check_retention(),
            *self._check_pinned_by(),
        ]

    def _check_storage(self) -> Iterator[checks.CheckMessage]:
        try:
            self.versioned_storage()
        except ImproperlyConfigured as error:
            yield checks.Error(str(error), obj=self, id="consistent_s3.E001")

    def _check_max_length_value(self) -> Iterator[checks.CheckMessage]:
        if self.max_length is not None and self.max_length < SHORT:
            yield checks.Warning(
                f"max_length={self.max_length} is short for the name of a file in its directory: longer ones are cut.",
                hint=f"Use at least {SHORT}, or leave it out for {MAX_LENGTH}.",
                obj=self,
                id="consistent_s3.W002",
            )

    def _check_pin(self) -> Iterator[checks.CheckMessage]:
        if self.version_field is None:
            return
        hint = f"{self.version_field} = models.PositiveBigIntegerField(null=True, editable=False)"
        try:
            field = self.model._meta.get_field(self.version_field)
        except FieldDoesNotExist:
            yield checks.Error(
                f"version_field={self.version_field!r} names no field of {self.model.__name__}.",
                hint=f"Add it after this field: {hint}",
                obj=self,
                id="consistent_s3.E002",
            )
            return
        if not isinstance(field, models.BigIntegerField | models.PositiveBigIntegerField) or not field.null:
            yield checks.Error(
                f"version_field={self.version_field!r} must hold 63-bit numbers and null.",
                hint=f"Declare it so: {hint}",
                obj=self,
                id="consistent_s3.E003",
            )
        elif field.creation_counter < self.creation_counter:
            yield checks.Error(
                f"version_field={self.version_field!r} is declared before {self.name!r}, so it would be saved first.",
                hint="Declare it after the file, in the same model.",
                obj=self,
                id="consistent_s3.E004",
            )

    def _check_retention(self) -> Iterator[checks.CheckMessage]:
        if self.retention is None or [*self._check_storage()]:
            return
        try:
            self.policy()
        except ImproperlyConfigured as error:
            yield checks.Error(
                str(error),
                hint="It takes the rules of a storage's retention that say which versions stay, such as keep_last.",
                obj=self,
                id="consistent_s3.E005",
            )

    def _check_pinned_by(self) -> Iterator[checks.CheckMessage]:
        try:
            list(self.pinning_models())
        except (LookupError, FieldDoesNotExist) as error:
            yield checks.Error(
                f"pinned_by={self.pinned_by!r} does not say which rows point to versions: {error}",
                hint='It takes models as ["app.Model"], with columns called like this field and its version_field.',
                obj=self,
                id="consistent_s3.E006",
            )


class VersionedImageField(VersionedFileField, models.ImageField):
    """An `ImageField` with a history; see `VersionedFileField`."""

    attr_class = VersionedImageFieldFile
    descriptor_class = VersionedImageFileDescriptor
