"""What do the pages of a file answer when the store fails, and which of them run outside of transactions?

1. A store, or an index, that fails or refuses gives a page with status 503, which says what happened and leads back.
   After a POST of which nobody knows whether it was carried out, it says so: look before you try again.
2. With `ATOMIC_REQUESTS`, what such a request did in the database is rolled back, as after any other error.
3. A version that is gone is a 404.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.core.exceptions import SuspiciousOperation
from django.db import connections, transaction
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import resolve, reverse
from django.utils.translation import gettext as _

from consistent_s3.admin_pages import AdminPages
from consistent_s3.core.errors import (
    AccessDeniedError,
    BucketMissingError,
    ConflictError,
    ConsistentS3Error,
    ObjectArchivedError,
    PolicyError,
    UnsupportedByStoreError,
    VersionNotFoundError,
)

logger = logging.getLogger("consistent_s3.admin")

REFUSALS = (
    AccessDeniedError,
    BucketMissingError,
    ConflictError,
    ObjectArchivedError,
    PolicyError,
    UnsupportedByStoreError,
)
"""After these nothing was written; after any other error nobody knows."""

View = TypeVar("View", bound=Callable[..., Any])


def outside_of_transactions(view: View) -> View:
    """Let a view run without the transaction of `ATOMIC_REQUESTS`: no rollback brings back what it deletes."""
    for using in connections:
        transaction.non_atomic_requests(using=using)(view)
    return view


class AnsweringPages(AdminPages):
    """Answers also when the store fails."""

    def _answering(self, page: str, view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        """Return the view of a page that answers also then."""

        @wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                return view(request, *args, **kwargs)
            except SuspiciousOperation:
                raise
            except VersionNotFoundError as error:
                raise Http404(str(error)) from error
            except ConsistentS3Error as error:
                logger.exception("The page %s of %s could not answer.", page, request.path)
                return self._unanswered(request, page, error)

        return answer

    def _unanswered(self, request: HttpRequest, page: str, error: ConsistentS3Error) -> HttpResponseBase:
        unknown = request.method == "POST" and not isinstance(error, REFUSALS)
        context = {
            "title": _("Nobody knows whether this was done") if unknown else _("This cannot be done now"),
            "page_name": _("No answer"),
            "error": error,
            "unknown": unknown,
            "versions_url": _versions_url(request, page),
        }
        for connection in connections.all(initialized_only=True):
            if connection.settings_dict["ATOMIC_REQUESTS"] and connection.in_atomic_block:
                connection.set_rollback(True)
        return self._rendered(request, "unanswered.html", context, status=503)


def _versions_url(request: HttpRequest, page: str) -> str:
    """Return the history of the file that a page is about; its address begins as the page's own."""
    match = resolve(request.path_info)
    args = [match.kwargs["object_id"], match.kwargs["field_name"]]
    return reverse(match.view_name.removesuffix(page) + "versions", args=args)
