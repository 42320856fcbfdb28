"""The history of a row's files in its own admin page.

    @admin.register(Document)
    class DocumentAdmin(VersionHistoryMixin, admin.ModelAdmin): ...

Beside each `VersionedFileField` the change form shows the version, its size, who and when, a link to its history and a
box for a comment. The history page lists all versions, downloads any and restores any. Nothing is written on GET.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from consistent_s3 import collection_admin  # noqa: F401 - registers the admin of collections
from consistent_s3.attribution import attribution
from consistent_s3.core.errors import ConflictError, ConsistentS3Error, KeyMissingError
from consistent_s3.core.versions import Details, Version
from consistent_s3.fieldfiles import VersionedFieldFile
from consistent_s3.fields import VersionedFileField
from consistent_s3.history_admin.comparing import ComparePages
from consistent_s3.history_admin.reading import ReadingPages
from consistent_s3.widgets import VersionedFileInput, comment_field, validate_comment

if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Any]
else:
    AnyModelAdmin = admin.ModelAdmin

PAGE = 20
"""Versions on one page of a history."""
AT_ONCE = 8
"""Requests for details that a history page has under way at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One line of a history page."""

    version: Version
    details: Details
    current: bool
    """It is what a read of the name returns."""
    pinned: bool
    """It is what the row points to."""

    @property
    def file_name(self) -> str:
        """Return what the file was called, or else the last segment of its name; never a request."""
        return self.details.original_name or self.version.name.rpartition("/")[2]


class RestoreForm(forms.Form):
    """What somebody says when restoring."""

    expected = forms.IntegerField(widget=forms.HiddenInput, min_value=0)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["comment"] = comment_field()


class VersionHistoryMixin(ReadingPages, ComparePages):
    """Shows and restores the versions of a model's files.

    Guarantees:

    1. Every page asks for rights to the very object, and only for files that this admin's form shows to this user; see
       the `has_..._permission` methods.
    2. A file is only ever sent as an attachment that browsers do not interpret, or as a picture that holds nothing to
       run, so nothing uploaded runs in the admin.
    3. What is saved, replaced, deleted or restored through it carries the user's name.
    """

    change_form_template = "admin/consistent_s3/change_form.html"

    # Hooks of ModelAdmin

    def get_urls(self) -> list[URLPattern]:
        """Add the history, the download and the restoration of versions."""
        file = "<path:object_id>/versions/<slug:field_name>/"
        version = f"{file}<int:number>/"
        pages: dict[str, tuple[str, Callable[..., HttpResponseBase]]] = {
            "versions": (file, self.versions_view),
            "versions_compare": (f"{file}compare/", self.versions_compare_view),
            "version_download": (f"{version}download/", self.version_download_view),
            "version_preview": (f"{version}preview/", self.version_preview_view),
            "version_restore": (f"{version}restore/", self.version_restore_view),
        }
        return [
            *(
                path(route, self.admin_site.admin_view(view), name=self._page_name(page))
                for page, (route, view) in pages.items()
            ),
            *super().get_urls(),
        ]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Give versioned files their input."""
        if isinstance(db_field, VersionedFileField):
            kwargs["widget"] = VersionedFileInput(history_url=partial(self._versions_url, db_field.name))
            field = db_field.formfield(**kwargs)
            if field is not None:
                field.validators.append(validate_comment)
            return field
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Tell the page which files have a history, also for those who may only look."""
        obj = kwargs.get("obj") or context.get("original")
        context["version_histories"] = [
            {"label": capfirst(field.verbose_name), "url": self._versions_url(field.name, obj)}
            for field in (self._shown_fields(request, obj) if self._shows_history(request, obj) else [])
            if getattr(obj, field.name)
        ]
        return super().render_change_form(request, context, *args, **kwargs)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Attribute what is saved."""
        with attribution(author=self.versions_author(request)):
            return super().changeform_view(request, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Attribute what actions and editable lists do."""
        with attribution(author=self.versions_author(request)):
            return super().changelist_view(request, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Attribute what deleting a row does."""
        with attribution(author=self.versions_author(request)):
            return super().delete_view(request, *args, **kwargs)

    # Views

    def versions_view(self, request: HttpRequest, object_id: str, field_name: str) -> HttpResponse:
        """List the versions of a file, newest first; `?before=` a number goes on from there."""
        obj, file = self._file(request, object_id, field_name)
        before = request.GET.get("before", "")
        context: dict[str, Any] = {"rows": [], "before": before, "choices": []}
        may_download = self.has_download_version_permission(request, obj)
        try:
            context |= self._page(file, int(before) if before.isascii() and before.isdigit() else None)
        except ConsistentS3Error as error:
            context["store_error"] = str(error)
        context |= {
            "title": _("Versions of “%(name)s”") % {"name": file.name},
            "page_name": _("Versions"),
            "may_download": may_download,
            "may_compare": may_download and len(context["choices"]) > 1,
            "may_restore": self.has_restore_version_permission(request, obj),
        }
        return self._respond(request, "versions.html", obj, file, context)

    def version_restore_view(self, request: HttpRequest, object_id: str, field_name: str, number: int) -> HttpResponse:
        """Ask on GET; on POST write the version's bytes as a new version."""
        obj, file = self._file(request, object_id, field_name, "restore_version")
        version = self._version(file, number)
        newest = next(file.history(), None)
        form = RestoreForm(request.POST or None, initial={"expected": newest.number if newest else 0})
        if request.method == "POST" and form.is_valid():
            try:
                restored = self._restore(request, file, number, **form.cleaned_data)
            except ConflictError as error:
                messages.error(request, _("Somebody else was faster: %(error)s") % {"error": error})
            else:
                said = _("Restored version %(number)d of “%(name)s” as version %(new)d.") % {
                    "number": number,
                    "name": file.name,
                    "new": restored.number,
                }
                self.log_change(request, obj, said)
                messages.success(request, said)
            return HttpResponseRedirect(self._versions_url(field_name, obj))
        context = {
            "title": _("Restore version %(number)d of “%(name)s”?") % {"number": number, "name": file.name},
            "page_name": _("Restore"),
            "version": version,
            "newest": newest,
            "form": form,
        }
        return self._respond(request, "restore.html", obj, file, context)

    # How it is done

    def _shows_history(self, request: HttpRequest, obj: Any) -> bool:
        return obj is not None and self.has_history_permission(request, obj)

    def _restore(
        self, request: HttpRequest, file: VersionedFieldFile, number: int, *, expected: int, comment: str
    ) -> Version:
        told = file.storage.archive.committer.tells_of_races
        with attribution(author=self.versions_author(request)):
            return file.restore(number, expected=expected if told else None, comment=comment)

    def _page(self, file: VersionedFieldFile, before: int | None) -> dict[str, Any]:
        versions: list[Version] = []
        for version in file.history(before=before):
            versions.append(version)
            if len(versions) > PAGE:
                break
        shown = versions[:PAGE]
        newest = shown[0] if before is None and shown else next(file.history(), None)
        pinned = file.field.pinned(file.instance)
        rows = [
            HistoryRow(
                version=version,
                details=details,
                current=newest is not None and version.number == newest.number and not version.tombstone,
                pinned=version.number == pinned,
            )
            for version, details in zip(shown, _details(shown), strict=True)
        ]
        choices = [version.number for version in shown if not version.tombstone]
        return {
            "rows": rows,
            "choices": choices,
            "default_new": choices[0] if choices else None,
            "default_old": choices[1] if len(choices) > 1 else None,
            "older": shown[-1].number if len(versions) > PAGE else None,
            "deleted": newest is not None and newest.tombstone,
        }


def _details(versions: Sequence[Version]) -> list[Details]:
    """Return the details of some versions, fetched side by side; those of a version just collected are empty."""

    def details(version: Version) -> Details:
        try:
            return version.details
        except KeyMissingError:
            return Details()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(details, versions))
