"""A version's bytes, sent so that nothing uploaded ever runs in the admin: as an attachment, or as a picture."""

from __future__ import annotations

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _

from consistent_s3.comparing.documents import picture_type
from consistent_s3.comparing.thumbnails import thumbnail
from consistent_s3.files import VersionFile
from consistent_s3.history_admin.pages import FilePages
from consistent_s3.kinds import PREVIEW
from consistent_s3.views import attachment, file_name

HARMLESS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}
"""What every answer with uploaded bytes says: nothing in them may run, be framed with rights, or be kept by others."""


class ReadingPages(FilePages):
    """Sends versions."""

    def version_download_view(
        self, request: HttpRequest, object_id: str, field_name: str, number: int
    ) -> FileResponse | HttpResponse:
        """Send one version under its original name, as an attachment."""
        _obj, file = self._file(request, object_id, field_name, "download_version")
        response = attachment(self._version(file, number), file.storage)
        for header, value in HARMLESS.items():
            response[header] = value
        return response

    def version_preview_view(self, request: HttpRequest, object_id: str, field_name: str, number: int) -> HttpResponse:
        """Send a picture to be shown in a page: by its bytes one of `RASTER`, whatever its name or type says.

        Anything else, and what has more than `PREVIEW` bytes, is 404. With `?small` it is made small where Pillow is
        installed and can do it.
        """
        _obj, file = self._file(request, object_id, field_name, "download_version")
        version = self._version(file, number)
        with VersionFile(file.storage, version, "rb") as opened:
            data = b"" if version.size > PREVIEW else opened.read(PREVIEW + 1)
        media_type = "" if len(data) > PREVIEW else picture_type(data)
        if not media_type:
            raise Http404(_("This version cannot be shown as a picture."))
        small = thumbnail(data) if "small" in request.GET else None
        if small is not None:
            data, media_type = small, "image/png"
        disposition = content_disposition_header(False, file_name(version)) or "inline"  # noqa: FBT003 - Django's
        return HttpResponse(data, content_type=media_type, headers={**HARMLESS, "Content-Disposition": disposition})
