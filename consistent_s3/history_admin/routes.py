"""At which addresses is a file's history found? One table for everything in the admin that has files."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.http.response import HttpResponseBase

from consistent_s3.history_admin.answering import AnsweringPages
from consistent_s3.history_admin.comparing import ComparePages
from consistent_s3.history_admin.deleting import DeletePages
from consistent_s3.history_admin.erasing import ErasePages
from consistent_s3.history_admin.history import HistoryPages
from consistent_s3.history_admin.holding import HoldPages
from consistent_s3.history_admin.linking import LinkPages
from consistent_s3.history_admin.reading import ReadingPages
from consistent_s3.history_admin.restoring import RestorePages

Page = tuple[str, Callable[..., HttpResponseBase]]
"""A page's address below the admin of a model, and its view."""


class HistoryRoutes(
    HistoryPages,
    LinkPages,
    ReadingPages,
    ComparePages,
    RestorePages,
    HoldPages,
    DeletePages,
    ErasePages,
    AnsweringPages,
):
    """All pages of a file's history."""

    def _versions_pages(self) -> Mapping[str, Page]:
        """Return the pages by their names."""
        file = "<path:object_id>/versions/<slug:field_name>/"
        version = f"{file}<int:number>/"
        pages: dict[str, Page] = {
            # The longest first: for a field that is called `versions` a shorter one would take its part for the object.
            "version_download": (f"{version}download/", self.version_download_view),
            "version_preview": (f"{version}preview/", self.version_preview_view),
            "version_restore": (f"{version}restore/", self.version_restore_view),
            "version_copy": (f"{version}copy/", self.version_copy_view),
            "version_hold": (f"{version}hold/", self.version_hold_view),
            "version_delete": (f"{version}delete/", self.version_delete_view),
            "versions_release": (f"{file}holds/<int:hold_id>/release/", self.versions_release_view),
            "file_download": (f"{file}download/", self.file_download_view),
            "versions_compare": (f"{file}compare/", self.versions_compare_view),
            "versions_hold": (f"{file}hold/", self.versions_hold_view),
            "versions_erase": (f"{file}erase/", self.versions_erase_view),
            "versions": (file, self.versions_view),
        }
        return {name: (route, self._answering(name, view)) for name, (route, view) in pages.items()}
