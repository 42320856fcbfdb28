"""A stored object as the pages of a file's history know files, though no row of the project has to point to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from consistent_s3.core.versions import Version
from consistent_s3.models import StoredObject
from consistent_s3.storage import ConsistentS3Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredField:
    """What a field is to its file: here nothing but a name in addresses."""

    name: str = "file"

    @property
    def verbose_name(self) -> str:
        """Return what people call it."""
        return _("File")

    def pinned(self, instance: Any) -> int | None:
        """Return none: what rows point to is asked for by name."""
        return None

    def is_shared(self, instance: Any, name: str) -> bool:
        """Return no: the object itself is meant, whoever has it."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """The file of a stored object."""

    instance: StoredObject
    storage: ConsistentS3Storage
    field: StoredField = StoredField()

    @property
    def name(self) -> str:
        """Return the logical name."""
        return str(self.instance.name)

    @property
    def version(self) -> Version:
        """Return the current version. Raises: `VersionNotFoundError` if it is deleted."""
        return self.storage.version(self.name)

    def history(self, *, before: int | None = None) -> Iterator[Version]:
        """Yield versions, newest first, as `ConsistentS3Storage.history`."""
        return self.storage.history(self.name, before=before)

    @contextmanager
    def locked(self) -> Iterator[StoredFile]:
        """Give itself: no row of the project is saved."""
        yield self

    def restore(self, number: int, *, expected: int | None = None, comment: str = "") -> Version:
        """Make an earlier version's bytes the newest, as `ConsistentS3Storage.restore`. Rows' pins stay."""
        return self.storage.restore(self.name, number, expected=expected, comment=comment)
