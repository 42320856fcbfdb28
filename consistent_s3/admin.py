"""The history of a row's files in its own admin page.

    @admin.register(Document)
    class DocumentAdmin(VersionHistoryMixin, admin.ModelAdmin): ...

Beside each `VersionedFileField` the change form shows the version, its size, who and when, a link to its history and a
box for a comment. The history page lists all versions, downloads any and restores any. Nothing is written on GET.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.text import capfirst

from consistent_s3 import (
    collection_admin,  # noqa: F401 - registers the admin of collections
    objects_admin,  # noqa: F401 - registers stored objects, deleted files, changes and holds
    streams_admin,  # noqa: F401 - registers the pages of streams of events
)
from consistent_s3.fields import VersionedFileField
from consistent_s3.history_admin.inlines import VersionHistoryInline, routed
from consistent_s3.history_admin.moment_rows import RowMoments
from consistent_s3.history_admin.read_only import ReadOnlyFiles
from consistent_s3.history_admin.routes import HistoryRoutes
from consistent_s3.history_admin.saving import SavingForms, form_field

__all__ = ["VersionHistoryInline", "VersionHistoryMixin"]


class VersionHistoryMixin(SavingForms, ReadOnlyFiles, RowMoments, HistoryRoutes):
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
        return [
            *(
                path(route, self.admin_site.admin_view(routed(self, page)), name=self._page_name(page))
                for page, (route, _) in self._versions_pages().items()
            ),
            *super().get_urls(),
        ]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Give versioned files their input."""
        if not isinstance(db_field, VersionedFileField):
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        return form_field(
            db_field,
            request=request,
            links=self._file_link(request, db_field.name),
            says_who=partial(self.has_history_permission, request),
            comment_required=self.comment_is_required(request, db_field.name),
            **kwargs,
        )

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
        context["inlined_histories"] = [
            history
            for shown in context["inline_admin_formsets"]
            if isinstance(shown.opts, VersionHistoryInline)
            for history in shown.opts.shown_histories(
                request,
                [form.instance for form in shown.formset.initial_forms],
                changes=shown.has_change_permission,
            )
        ]
        return super().render_change_form(request, context, *args, **kwargs)

    # How it is done

    def _shows_history(self, request: HttpRequest, obj: Any) -> bool:
        return obj is not None and self.has_history_permission(request, obj)
