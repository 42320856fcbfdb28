"""Who may do what with versions? Each right is a method that a project may override, on an admin and on an inline."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Literal

from django.http import HttpRequest

if TYPE_CHECKING:
    from django.contrib.admin.options import BaseModelAdmin

    AnyAdmin = BaseModelAdmin[Any]
else:
    AnyAdmin = object

Right = Literal[
    "history",
    "download_version",
    "restore_version",
    "hold_version",
    "release_version",
    "delete_version",
    "erase_versions",
]
"""What a user may do with the versions of a file: each is a method `has_..._permission`."""


class VersionRights(AnyAdmin):
    """Answers for a model's admin, and for an inline, which is asked with the row that it belongs to.

    Rights are asked for on the server at every address, each for the very row.
    """

    versions_comment_required: bool | Collection[str] = False
    """Whether each new version needs a comment, or the names of the fields whose versions do."""

    def comment_is_required(self, request: HttpRequest, field_name: str) -> bool:
        """Return whether a new version of a file needs a comment; by default what `versions_comment_required` says."""
        required = self.versions_comment_required
        return required if isinstance(required, bool) else field_name in required

    def has_history_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Return whether a user may see which versions there are; by default who may see the row."""
        return self.has_view_or_change_permission(request, obj)

    def has_download_version_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Return whether a user may read versions: download, compare and look at them; by default who may see them."""
        return self.has_history_permission(request, obj)

    def has_restore_version_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Return whether a user may restore versions, also as a copy; by default who may change the row."""
        return self.has_change_permission(request, obj)

    def has_hold_version_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Return whether a user may place holds; by default who may change the row and add holds."""
        return self.has_change_permission(request, obj) and request.user.has_perm("consistent_s3.add_hold")

    def has_release_version_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Return whether a user may release holds; by default who may change the row, and holds."""
        return self.has_change_permission(request, obj) and request.user.has_perm("consistent_s3.change_hold")

    def has_delete_version_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Return whether a user may delete one version for good; by default who may delete the row, and versions."""
        return self.has_delete_permission(request, obj) and request.user.has_perm("consistent_s3.delete_storedversion")

    def has_erase_versions_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Return whether a user may erase all versions; by default who may delete the row, and stored objects."""
        return self.has_delete_permission(request, obj) and request.user.has_perm("consistent_s3.delete_storedobject")

    # How it is asked

    def _may(self, request: HttpRequest, obj: Any, right: Right) -> bool:
        return bool(getattr(self, f"has_{right}_permission")(request, obj))

    def _may_restore(self, request: HttpRequest, obj: Any, field_name: str) -> bool:
        """Return whether a user may restore a file that the form shows: not one that it shows read-only."""
        may = self._may(request, obj, "restore_version")
        return may and field_name not in self.get_readonly_fields(request, obj)
