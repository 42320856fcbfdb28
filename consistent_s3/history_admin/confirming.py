"""A page that asks before something is changed: on GET it only asks, on POST it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from consistent_s3.fieldfiles import VersionedFieldFile
from consistent_s3.history_admin.pages import FilePages


class ConfirmPages(FilePages):
    """Asks, and tells what was done."""

    def _ask(
        self,
        request: HttpRequest,
        obj: Any,
        file: VersionedFieldFile,
        form: forms.Form,
        *,
        title: str,
        page_name: str,
        says: Sequence[str],
        button: str,
        warns: bool = False,
    ) -> HttpResponse:
        context = {"title": title, "page_name": page_name, "says": says, "form": form, "button": button, "warns": warns}
        return self._respond(request, "confirm.html", obj, file, context)

    def _done(self, request: HttpRequest, obj: Any, file: VersionedFieldFile, said: str) -> HttpResponse:
        """Tell what was done, to the user and to Django's log, and go back to the history."""
        self.log_change(request, obj, said)
        messages.success(request, said)
        return HttpResponseRedirect(self._versions_url(file.field.name, obj))
