"""The history of a file on a project's own pages: as JSON, and each version to download.

    urlpatterns = [
        path("contracts/<int:pk>/versions/", HistoryView.as_view(model=Contract, field="file", allowed=may_read)),
        path(
            "contracts/<int:pk>/versions/<int:number>/",
            DownloadView.as_view(model=Contract, field="file", allowed=may_read),
            name="contract-version",
        ),
    ]

`allowed(request, row)` says who may see the history of a row. There is no default: nobody forgets to think of it.

What is gone is 404. Where the store fails, or cannot send a version now, the answer is 503 and says so in words.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Callable
from typing import Any

from django.core.exceptions import ImproperlyConfigured, PermissionDenied, SuspiciousOperation
from django.db.models import Model, QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBadRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.generic import View

from consistent_s3.core.errors import (
    ConsistentS3Error,
    KeyMissingError,
    NotYetVisibleError,
    ObjectArchivedError,
    VersionNotFoundError,
)
from consistent_s3.core.fetching import details_of
from consistent_s3.core.numbers import read_number
from consistent_s3.core.versions import Details, Version
from consistent_s3.fieldfiles import VersionedFieldFile
from consistent_s3.files import VersionFile

logger = logging.getLogger("consistent_s3.views")

PAGE = 50
"""Versions in one answer."""


class FileView(View):
    """Finds the file of a row for somebody who is allowed to see it. Read-only: GET and HEAD."""

    http_method_names = ["get", "head", "options"]
    model: type[Model] | None = None
    queryset: QuerySet[Any] | None = None
    """The rows to choose from, instead of all of the model."""
    field: str = ""
    """The name of the `VersionedFileField`."""
    allowed: Callable[[HttpRequest, Any], bool] | None = None

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        """Return the view. Raises `ImproperlyConfigured` if it does not know what to show, or to whom."""
        given = {word: initkwargs.get(word, getattr(cls, word)) for word in ("field", "allowed")}
        for word, value in given.items():
            if not value:
                raise ImproperlyConfigured(f"{cls.__name__} needs {word}=. See the documentation of its module.")
        return super().as_view(**initkwargs)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer, also where a version is gone or the store fails."""
        try:
            return super().dispatch(request, *args, **kwargs)
        except SuspiciousOperation:
            raise
        except (VersionNotFoundError, KeyMissingError) as error:
            raise Http404(_("There is no such version.")) from error
        except ConsistentS3Error as error:
            logger.exception("%s could not be answered.", request.path)
            answer = self.unanswered(said_of(error))
            answer["Cache-Control"] = "private, no-store"
            return answer

    def unanswered(self, said: str) -> HttpResponse:
        """Return the answer that says why there is no other now."""
        return HttpResponse(said, content_type="text/plain; charset=utf-8", status=503)

    def file(self, request: HttpRequest, pk: Any) -> VersionedFieldFile:
        """Return the file. Raises `Http404` if there is none, `PermissionDenied`."""
        rows = self.queryset if self.queryset is not None else self.model
        if rows is None or self.allowed is None:
            raise ImproperlyConfigured(f"{type(self).__name__} needs model= or queryset=, and allowed=.")
        row = get_object_or_404(rows, pk=pk)
        if not self.allowed(request, row):
            raise PermissionDenied
        file = getattr(row, self.field)
        if not file:
            raise Http404(_("The row has no file."))
        return file  # type: ignore[no-any-return]


class HistoryView(FileView):
    """Answers with the versions of a file, newest first, as JSON.

    `{"name": ..., "versions": [{"number", "modified", "size", "author", "comment", "original_name", "content_type",
    "deleted", "current", "in_use", "url"}, ...], "next": ...}`. `current` is what a read of the name returns, `in_use`
    what the row has: another version where the row is pinned to one. `next` is what to ask for to get older ones
    (`?before=`), or `null`. `url` leads to `download`, the name of a URL that takes the row's `pk` and the `number`, if
    it was given. Where the store fails: `{"error": ...}`.
    """

    download: str = ""

    def get(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Answer."""
        asked = request.GET.get("before", "")
        before = read_number(asked)
        if asked and before is None:
            return HttpResponseBadRequest("before is no number.")
        file = self.file(request, pk)
        found: list[Version] = []
        for version in file.history(before=before):
            found.append(version)
            if len(found) > PAGE:
                break
        shown = found[:PAGE]
        current = shown[0].number if shown and before is None and not shown[0].tombstone else None
        in_use = file.field.pinned(file.instance) or current
        answer = JsonResponse(
            {
                "name": file.name,
                "versions": [
                    {
                        **self._values(version, details, pk),
                        "current": version.number == current,
                        "in_use": version.number == in_use,
                    }
                    for version, details in zip(shown, details_of(shown), strict=True)
                ],
                "next": shown[-1].number if len(found) > PAGE else None,
            }
        )
        answer["Cache-Control"] = "private, no-store"
        return answer

    def unanswered(self, said: str) -> HttpResponse:
        """Return it as JSON."""
        return JsonResponse({"error": said}, status=503)

    def _values(self, version: Version, details: Details, pk: Any) -> dict[str, Any]:
        url = reverse(self.download, args=[pk, version.number]) if self.download and not version.tombstone else None
        return {
            "number": version.number,
            "modified": version.modified.isoformat(),
            "size": version.size,
            "author": details.author,
            "comment": details.comment,
            "original_name": details.original_name or version.name.rpartition("/")[2],
            "content_type": details.content_type,
            "deleted": version.tombstone,
            "url": url,
        }


class DownloadView(FileView):
    """Sends one version under its original name, as an attachment that no browser interprets."""

    def get(self, request: HttpRequest, pk: Any, number: int) -> HttpResponse | FileResponse:
        """Answer."""
        file = self.file(request, pk)
        return attachment(file.storage.version(str(file.name), number), file.storage)


def said_of(error: ConsistentS3Error) -> str:
    """Return why nobody can be answered now, for people who know nothing of the store."""
    if isinstance(error, ObjectArchivedError):
        return _("This version is in the archive and cannot be read at once.")
    if isinstance(error, NotYetVisibleError):
        return _("The bytes of this version cannot be found now. Try again later.")
    return _("The store does not answer now. Try again later.")


def attachment(version: Version, storage: Any) -> FileResponse:
    """Return an answer that sends a version: nothing in it runs in the origin of the page that links to it.

    The first bytes are fetched here, so that an answer that says 200 has them.

    Raises: as reading does.
    """
    file = VersionFile(storage, version, "rb")
    response = FileResponse(
        file, as_attachment=True, filename=file_name(version), content_type="application/octet-stream"
    )
    try:
        file.read(1)
    except ConsistentS3Error:
        file.close()
        raise
    file.seek(0)
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["Cache-Control"] = "private, no-store"
    return response


def file_name(version: Version) -> str:
    """Return what a version is called when it is sent: without control characters, which no header may have."""
    return "".join(character for character in version.original_name if unicodedata.category(character) != "Cc")
