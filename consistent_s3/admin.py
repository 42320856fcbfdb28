"""The history of a row's files in its own admin page.

    @admin.register(Document)
    class DocumentAdmin(VersionHistoryMixin, admin.ModelAdmin): ...

Beside each `VersionedFileField` the change form shows the version, its size, who and when, a link to its history and a
box for a comment. The history page lists all versions, downloads any and restores any. Nothing is written on GET.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils.text import capfirst

from consistent_s3 import collection_admin  # noqa: F401 - registers the admin of collections
from consistent_s3.attribution import attribution
from consistent_s3.fields import VersionedFileField
from consistent_s3.history_admin.comparing import ComparePages
from consistent_s3.history_admin.erasing import ErasePages
from consistent_s3.history_admin.history import HistoryPages
from consistent_s3.history_admin.holding import HoldPages
from consistent_s3.history_admin.reading import ReadingPages
from consistent_s3.history_admin.restoring import RestorePages
from consistent_s3.widgets import VersionedFileInput, validate_comment

if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Any]
else:
    AnyModelAdmin = admin.ModelAdmin


class VersionHistoryMixin(HistoryPages, ReadingPages, ComparePages, RestorePages, HoldPages, ErasePages):
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
            "version_copy": (f"{version}copy/", self.version_copy_view),
            "version_hold": (f"{version}hold/", self.version_hold_view),
            "versions_hold": (f"{file}hold/", self.versions_hold_view),
            "versions_release": (f"{file}holds/<int:hold_id>/release/", self.versions_release_view),
            "versions_erase": (f"{file}erase/", self.versions_erase_view),
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
            kwargs["widget"] = VersionedFileInput(history_url=partial(self._history_url, request, db_field.name))
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

    # How it is done

    def _history_url(self, request: HttpRequest, field_name: str, obj: Any) -> str:
        return self._versions_url(field_name, obj) if self._shows_history(request, obj) else ""

    def _shows_history(self, request: HttpRequest, obj: Any) -> bool:
        return obj is not None and self.has_history_permission(request, obj)
