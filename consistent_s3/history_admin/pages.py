"""What all pages of a file's history rest on: which file is meant, who may do what with it, how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.utils import flatten_fieldsets, quote, unquote
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from consistent_s3.admin_pages import AdminPages
from consistent_s3.core.errors import KeyMissingError, VersionNotFoundError
from consistent_s3.core.versions import Version
from consistent_s3.fieldfiles import VersionedFieldFile
from consistent_s3.fields import VersionedFileField
from consistent_s3.history_admin.rights import Right, VersionRights
from consistent_s3.widgets import Links


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressed:
    """Where in the admin a row's pages are."""

    opts: Any
    """Of the model whose admin has the pages: its own, or that of the row in whose form it is an inline."""
    object_id: str
    """What stands for the row in the pages' addresses."""
    row: Any
    """The row whose change form shows the file."""
    row_id: str
    """What stands for that one."""


class FilePages(VersionRights, AdminPages):
    """Finds files and answers for their pages."""

    def versions_author(self, request: HttpRequest) -> str:
        """Return the name under which a user's versions are kept; a project may override it."""
        return request.user.get_username()

    # Which file

    def _file(
        self, request: HttpRequest, object_id: str, field_name: str, *rights: Right
    ) -> tuple[Any, VersionedFieldFile]:
        """Return a row and its file, for a user who may see its history, and has further rights to it.

        Raises: `Http404`, `PermissionDenied`.
        """
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404(_("There is no such object."))
        allowed = self.has_view_or_change_permission(request, obj) and self.has_history_permission(request, obj)
        if not (allowed and all(self._may(request, obj, right) for right in rights)):
            raise PermissionDenied
        try:
            field = self.opts.get_field(field_name)
        except FieldDoesNotExist as error:
            raise Http404(_("There is no such file.")) from error
        if field not in self._shown_fields(request, obj):
            raise Http404(_("There is no such file."))
        if "restore_version" in rights and not self._may_restore(request, obj, field_name):
            raise PermissionDenied
        file = getattr(obj, field_name)
        if not file:
            raise Http404(_("There is no such file."))
        return obj, file

    def _shown_fields(self, request: HttpRequest, obj: Any) -> Sequence[VersionedFileField]:
        names = flatten_fieldsets(self.get_fieldsets(request, obj))
        return [
            field for field in self.opts.get_fields() if isinstance(field, VersionedFileField) and field.name in names
        ]

    def _version(self, file: VersionedFieldFile, number: int) -> Version:
        """Return a version that has bytes, its details fetched. Raises `Http404`."""
        try:
            version = file.storage.version(str(file.name), number)
            version.details  # noqa: B018 - fetched here, where its absence is a 404
        except (VersionNotFoundError, KeyMissingError) as error:
            raise Http404(str(error)) from error
        return version

    # How it is shown

    def _addressed(self, obj: Any) -> Addressed:
        """Return below which admin page the pages of a row are."""
        return Addressed(opts=self.opts, object_id=quote(obj.pk), row=obj, row_id=quote(obj.pk))

    def _page_name(self, page: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"

    def _page_url(self, page: str, field_name: str, obj: Any, *args: Any) -> str:
        addressed = self._addressed(obj)
        name = f"{addressed.opts.app_label}_{addressed.opts.model_name}_{page}"
        return reverse(f"{self.admin_site.name}:{name}", args=[addressed.object_id, field_name, *args])

    def _versions_url(self, field_name: str, obj: Any) -> str:
        if obj is None or obj.pk is None:
            return ""
        try:
            return self._page_url("versions", field_name, obj)
        except NoReverseMatch:
            return ""

    def _file_link(self, request: HttpRequest, field_name: str) -> Links:
        """Return what tells a form where the pages of a file are: nowhere for a user who may not go there."""

        def link(obj: Any, page: str, *args: Any) -> str:
            right: Right = "history" if page == "versions" else "download_version"
            if obj is None or obj.pk is None or not self._may(request, obj, right):
                return ""
            try:
                return self._page_url(page, field_name, obj, *args)
            except NoReverseMatch:
                return ""

        return link

    def _respond(
        self, request: HttpRequest, template: str, obj: Any, file: VersionedFieldFile, context: dict[str, Any]
    ) -> HttpResponse:
        addressed = self._addressed(obj)
        about = {
            "opts": addressed.opts,
            "object": addressed.row,
            "object_id": addressed.object_id,
            "row_id": addressed.row_id,
            "file": file,
            "field_label": capfirst(file.field.verbose_name),
            "versions_url": self._versions_url(file.field.name, obj),
        }
        return self._rendered(request, template, about | context)
