"""One address for a row's file, whichever version it has: making the link asks neither store nor index."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from consistent_s3.history_admin.pages import FilePages


class LinkPages(FilePages):
    """Leads to the version that a row has."""

    def file_download_view(self, request: HttpRequest, object_id: str, field_name: str) -> HttpResponse:
        """Lead to the download of the version that the row has; 404 if that is gone."""
        obj, file = self._file(request, object_id, field_name, "download_version")
        return HttpResponseRedirect(self._page_url("version_download", field_name, obj, file.version.number))
