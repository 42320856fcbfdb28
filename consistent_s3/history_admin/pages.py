"""What all pages of a file's history rest on: which file is meant, who may do what with it, how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import django
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets, quote, unquote
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from consistent_s3.core.errors import KeyMissingError, VersionNotFoundError
from consistent_s3.core.versions import Version
from consistent_s3.fieldfiles import VersionedFieldFile
from consistent_s3.fields import VersionedFileField

if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Any]
else:
    AnyModelAdmin = admin.ModelAdmin

TEMPLATES = "admin/consistent_s3/"


class FilePages(AnyModelAdmin):
    """Finds files and answers for their pages.

    Rights are asked for on the server at every address, each for the very row. A project may override any of them.
    """

    # What a project may override

    def versions_author(self, request: HttpRequest) -> str:
        """Return the name under which a user's versions are kept."""
        return request.user.get_username()

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

    def has_erase_versions_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Return whether a user may erase all versions; by default who may delete the row, and stored objects."""
        return self.has_delete_permission(request, obj) and request.user.has_perm("consistent_s3.delete_storedobject")

    # Which file

    def _file(
        self, request: HttpRequest, object_id: str, field_name: str, *rights: str
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
        file = getattr(obj, field_name)
        if not file:
            raise Http404(_("There is no such file."))
        return obj, file

    def _may(self, request: HttpRequest, obj: Any, right: str) -> bool:
        return bool(getattr(self, f"has_{right}_permission")(request, obj))

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

    def _page_name(self, page: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"

    def _page_url(self, page: str, field_name: str, obj: Any, *args: Any) -> str:
        return reverse(f"{self.admin_site.name}:{self._page_name(page)}", args=[quote(obj.pk), field_name, *args])

    def _versions_url(self, field_name: str, obj: Any) -> str:
        if obj is None or obj.pk is None:
            return ""
        try:
            return self._page_url("versions", field_name, obj)
        except NoReverseMatch:
            return ""

    def _respond(
        self, request: HttpRequest, template: str, obj: Any, file: VersionedFieldFile, context: dict[str, Any]
    ) -> HttpResponse:
        request.current_app = self.admin_site.name
        return TemplateResponse(
            request,
            f"{TEMPLATES}{template}",
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
