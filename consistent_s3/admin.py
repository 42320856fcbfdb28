"""The history of a row's files in its own admin page.

    @admin.register(Document)
    class DocumentAdmin(VersionHistoryMixin, admin.ModelAdmin): ...

Beside each `VersionedFileField` the change form shows the version, its size, who and when, a link to its history and a
box for a comment. The history page lists all versions, downloads any and restores any. Nothing is written on GET.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import django
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import flatten_fieldsets, quote, unquote
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from consistent_s3 import collection_admin as collection_admin  # registers the admin of collections
from consistent_s3.attribution import attribution
from consistent_s3.core.errors import ConflictError, ConsistentS3Error, KeyMissingError, VersionNotFoundError
from consistent_s3.core.versions import Details, Version
from consistent_s3.fieldfiles import VersionedFieldFile
from consistent_s3.fields import VersionedFileField
from consistent_s3.files import VersionFile
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


class VersionHistoryMixin(AnyModelAdmin):
    """Shows and restores the versions of a model's files.

    Guarantees:

    1. Every page asks for the same rights as Django's own: viewing for history and downloads, changing for restoring,
       both for the very object; and only for files that this admin's form shows to this user.
    2. A file is only ever sent as an attachment that browsers do not interpret, so nothing uploaded runs in the admin.
    3. What is saved, replaced, deleted or restored through it carries the user's name.
    """

    change_form_template = "admin/consistent_s3/change_form.html"

    # What a project may override

    def versions_author(self, request: HttpRequest) -> str:
        """Return the name under which a user's versions are kept."""
        return request.user.get_username()

    # Hooks of ModelAdmin

    def get_urls(self) -> list[URLPattern]:
        """Add the history, the download and the restoration of versions."""
        model = f"{self.opts.app_label}_{self.opts.model_name}"
        wrap = self.admin_site.admin_view
        file = "<path:object_id>/versions/<slug:field_name>/"
        return [
            path(file, wrap(self.versions_view), name=f"{model}_versions"),
            path(f"{file}<int:number>/download/", wrap(self.version_download_view), name=f"{model}_version_download"),
            path(f"{file}<int:number>/restore/", wrap(self.version_restore_view), name=f"{model}_version_restore"),
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
            for field in (self._shown_fields(request, obj) if obj is not None else [])
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
        context: dict[str, Any] = {"rows": [], "before": before}
        try:
            context |= self._page(file, int(before) if before.isascii() and before.isdigit() else None)
        except ConsistentS3Error as error:
            context["store_error"] = str(error)
        context |= {
            "title": _("Versions of “%(name)s”") % {"name": file.name},
            "page_name": _("Versions"),
            "may_restore": self.has_change_permission(request, obj),
        }
        return self._respond(request, "admin/consistent_s3/versions.html", obj, file, context)

    def version_download_view(
        self, request: HttpRequest, object_id: str, field_name: str, number: int
    ) -> FileResponse | HttpResponse:
        """Send one version under its original name, as an attachment."""
        _obj, file = self._file(request, object_id, field_name)
        try:
            version = file.storage.version(str(file.name), number)
        except VersionNotFoundError as error:
            raise Http404(str(error)) from error
        response = FileResponse(
            VersionFile(file.storage, version, "rb"),
            as_attachment=True,
            filename=version.original_name,
            content_type="application/octet-stream",
        )
        response["X-Content-Type-Options"] = "nosniff"
        response["Content-Security-Policy"] = "sandbox; default-src 'none'"
        response["Cache-Control"] = "private, no-store"
        return response

    def version_restore_view(self, request: HttpRequest, object_id: str, field_name: str, number: int) -> HttpResponse:
        """Ask on GET; on POST write the version's bytes as a new version."""
        obj, file = self._file(request, object_id, field_name)
        if not self.has_change_permission(request, obj):
            raise PermissionDenied
        try:
            version = file.storage.version(str(file.name), number)
            newest = next(file.history(), None)
        except VersionNotFoundError as error:
            raise Http404(str(error)) from error
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
        return self._respond(request, "admin/consistent_s3/restore.html", obj, file, context)

    # How it is done

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
        return {
            "rows": rows,
            "older": shown[-1].number if len(versions) > PAGE else None,
            "deleted": newest is not None and newest.tombstone,
        }

    def _file(self, request: HttpRequest, object_id: str, field_name: str) -> tuple[Any, VersionedFieldFile]:
        """Return a row and its file, for a user who may see both. Raises `Http404`, `PermissionDenied`."""
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404(_("There is no such object."))
        if not self.has_view_or_change_permission(request, obj):
            raise PermissionDenied
        try:
            field = self.opts.get_field(field_name)
        except FieldDoesNotExist as error:
            raise Http404(_("There is no such file.")) from error
        if field not in self._shown_fields(request, obj):
            raise Http404(_("There is no such file."))
        file = getattr(obj, field_name)
        if not file:
            raise Http404(_("There is no such file."))
        return obj, file

    def _shown_fields(self, request: HttpRequest, obj: Any) -> Sequence[VersionedFileField]:
        names = flatten_fieldsets(self.get_fieldsets(request, obj))
        return [
            field for field in self.opts.get_fields() if isinstance(field, VersionedFileField) and field.name in names
        ]

    def _versions_url(self, field_name: str, obj: Any) -> str:
        if obj is None or obj.pk is None:
            return ""
        name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_versions"
        try:
            return reverse(name, args=[quote(obj.pk), field_name])
        except NoReverseMatch:
            return ""

    def _respond(
        self, request: HttpRequest, template: str, obj: Any, file: VersionedFieldFile, context: dict[str, Any]
    ) -> HttpResponse:
        request.current_app = self.admin_site.name
        return TemplateResponse(
            request,
            template,
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "object": obj,
                "object_id": quote(obj.pk),
                "file": file,
                "field_label": capfirst(file.field.verbose_name),
                "versions_url": self._versions_url(file.field.name, obj),
                "breadcrumbs_are_a_list": django.VERSION >= (6, 1),
                **context,
            },
        )


def _details(versions: Sequence[Version]) -> list[Details]:
    """Return the details of some versions, fetched side by side; those of a version just collected are empty."""

    def details(version: Version) -> Details:
        try:
            return version.details
        except KeyMissingError:
            return Details()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(details, versions))
