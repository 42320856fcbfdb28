"""The part of a storage that keeps versions from every policy: `hold`, `release`, `holds`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from consistent_s3.attribution import attribute
from consistent_s3.core.erasing import Holding

if TYPE_CHECKING:
    from consistent_s3.models import Hold


class HoldsVersions:
    """What a storage with versions can put on hold; its rows are those of `consistent_s3.models.Hold`."""

    def hold(
        self,
        name: str,
        number: int | None = None,
        *,
        reason: str,
        until: datetime | None = None,
        author: str | None = None,
    ) -> Hold:
        """Keep a version, or all versions that a name has and will have, whatever policies and `erase` say.

        In force when this returns, or when the transaction around it commits; until it is released, or until `until`.
        Deleting stays possible, since it loses nothing. Without `author` the one of the surrounding `attribution`
        counts.

        Raises: `VersionNotFoundError` for what is not there; `BeingCollectedError` for what a collection is deleting at
        this moment (a hold in a transaction may be too late for that); `ValueError` without a reason, and for an end
        that is over or has no time zone; `TypeError` for an end that is no datetime;
        `ImproperlyConfigured` if this app is not installed.
        """
        author = attribute(author, "").author
        made: Hold = _rows().place(self, self._clean(name), number, reason=reason, until=until, author=author)
        return made

    def release(self, hold: Hold | int, *, reason: str = "", author: str | None = None) -> Hold:
        """End a hold, given itself or by its id, and return it as it is then; it stays as a record.

        Raises: `ValueError` if there is none, if it was released before, or if it belongs to another place.
        """
        released: Hold = _rows().release(self, hold, reason=reason, author=attribute(author, "").author)
        return released

    def holds(self, name: str) -> list[Hold]:
        """Return the holds that are in force on a name or on versions of it, newest first."""
        found: list[Hold] = _rows().on(self, self._clean(name))
        return found

    def holding(self, name: str) -> Holding:
        """Return what is held of a name, and why. Raises `DatabaseError` when nobody can say."""
        if not apps.is_installed("consistent_s3"):
            return Holding()  # there is no table, so nothing was ever held
        found: Holding = _rows().in_force(self, [self._clean(name)]).get(self._clean(name), Holding())
        return found

    if TYPE_CHECKING:

        def _clean(self, name: str) -> str: ...


def _rows() -> Any:
    if not apps.is_installed("consistent_s3"):
        raise ImproperlyConfigured(
            "Holds are kept in a table of this app. Add 'consistent_s3' to INSTALLED_APPS and migrate."
        )
    from consistent_s3 import holds  # noqa: PLC0415 - its models need an installed app

    return holds
