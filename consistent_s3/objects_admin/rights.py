"""Who may do what with stored objects, whichever row they belong to?

| right | allows |
|---|---|
| `view_storedobject` | to see all lists, a file's page, and exports; needed for everything else |
| `download_storedobject` | to read versions: download, preview, compare |
| `restore_storedobject` | to undelete, and to restore versions, also as a copy, or as they were at a moment |
| `tombstone_storedobject` | to delete, which can be undone; also what was not there at a moment that one restores |
| `delete_storedobject` | to erase all versions for good |
| `delete_storedversion` | to delete single versions for good |
| `add_hold`, `change_hold`, `view_hold` | to place holds, to release them, to see all of them |

Nobody adds, edits or deletes rows of the index by hand. A project may override any method, for single objects, too.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from consistent_s3.admin_pages import ReadOnlyAdmin


class ObjectRights(ReadOnlyAdmin):
    """Answers for the rights to stored objects."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether a user may see stored objects."""
        return request.user.has_perm("consistent_s3.view_storedobject")

    def has_download_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether a user may read versions."""
        return self._sees_and(request, obj, "download_storedobject")

    def has_restore_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether a user may undelete, and restore versions."""
        return self._sees_and(request, obj, "restore_storedobject")

    def has_tombstone_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether a user may delete, reversibly."""
        return self._sees_and(request, obj, "tombstone_storedobject")

    def has_erase_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether a user may erase all versions for good."""
        return self._sees_and(request, obj, "delete_storedobject")

    def has_hold_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether a user may place holds."""
        return self._sees_and(request, obj, "add_hold")

    def has_release_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether a user may release holds."""
        return self._sees_and(request, obj, "change_hold")

    def _sees_and(self, request: HttpRequest, obj: Any, right: str) -> bool:
        return self.has_view_permission(request, obj) and request.user.has_perm(f"consistent_s3.{right}")
