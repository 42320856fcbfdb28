"""The part of a storage that deletes one version for good: `delete_version`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from consistent_s3.core.deleting import Deleter, Deletion

if TYPE_CHECKING:
    from consistent_s3.core.archive import Archive


class DeletesVersions:
    """What a storage can do beside deleting names, which is undone by `undelete`, and erasing them."""

    def delete_version(self, name: str, number: int) -> Deletion:
        """Delete one noncurrent version for good, whatever the retention policy says, and return a receipt.

        It goes as a collection would take it: not the newest, nothing held, nothing that a row points to, nothing
        that was superseded less than `grace` ago.

        Raises: `VersionKeptError` (in `consistent_s3.core.deleting`) with the reason why it stays;
        `VersionNotFoundError` for what is not there, and for a tombstone; `PolicyError` in a transaction of the
        database that has the rows, since objects cannot be brought back by a rollback.
        """
        return self.deleter().delete(self._clean(name), number)

    def deleter(self) -> Deleter:
        """Return what decides and deletes: it knows what is held, and what the rows of all fields point to."""
        from consistent_s3.policies import circumstances  # noqa: PLC0415 - it looks at fields, which have storages

        return Deleter(archive=self.archive, circumstances=circumstances(self))  # type: ignore[arg-type]

    if TYPE_CHECKING:

        @property
        def archive(self) -> Archive:
            """Return the core."""
            ...

        def _clean(self, name: Any) -> str: ...
