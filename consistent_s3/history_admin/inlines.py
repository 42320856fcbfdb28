"""Files of rows that are edited inline: their pages lie below the form that shows them.

    class AttachmentInline(VersionHistoryInline, admin.TabularInline):
        model = Attachment

1. The row in whose form they are must have an admin with `VersionHistoryMixin`, whose pages answer for them, at
   `<row>/inlines/<formset>/<inlined row>/versions/...`; whether the inlined model has an admin of its own counts for
   nothing.
2. There is a page only for what that form shows to this user: the row, the inline, an inlined row that the formset
   itself has, and a file that is a field of the inline.
3. Each right is asked of the inline, with the row in whose form it is, as Django asks for inlines; and who may not
   change that row changes nothing in its inlines either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from consistent_s3.fields import VersionedFileField
from consistent_s3.history_admin.pages import Addressed
from consistent_s3.history_admin.rights import VersionRights
from consistent_s3.history_admin.routes import HistoryRoutes
from consistent_s3.history_admin.saving import form_field

if TYPE_CHECKING:
    AnyInline = admin.options.InlineModelAdmin[Any, Any]
else:
    AnyInline = object

INLINES = "/inlines/"
"""Between a row and what is inlined in its form. No key of a row has a slash in an address: the admin quotes it."""


class VersionHistoryInline(VersionRights, AnyInline):
    """Shows the versions of files in an inline: put it before `TabularInline` or `StackedInline`."""

    _parent: Any = None
    _prefix = ""

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        """Remember in whose form the rows are."""
        formset = super().get_formset(request, obj, **kwargs)
        self._parent, self._prefix = obj, formset.get_default_prefix()
        return formset

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Give versioned files their input."""
        if not isinstance(db_field, VersionedFileField):
            return super().formfield_for_dbfield(db_field, request, **kwargs)

        def link(obj: Any, page: str, *args: Any) -> str:
            rows = self._rows()
            return rows._file_link(request, db_field.name)(obj, page, *args) if rows else ""

        required = self.comment_is_required(request, db_field.name)
        return form_field(
            db_field,
            request=request,
            links=link,
            says_who=lambda _: self.has_history_permission(request, self._parent),
            comment_required=required,
            **kwargs,
        )

    def shown_histories(self, request: HttpRequest, rows: Any, *, changes: bool) -> Iterator[dict[str, str]]:
        """Yield what leads to the histories of files that are shown without their inputs."""
        pages = self._rows()
        if pages is None:
            return
        read_only = self.get_readonly_fields(request, self._parent)
        for row in rows:
            for field in pages._shown_fields(request, row):
                file = getattr(row, field.name)
                url = pages._file_link(request, field.name)(row, "versions") if file else ""
                if url and (not changes or field.name in read_only):
                    yield {"label": str(file), "url": url}

    def _rows(self) -> InlinedRows | None:
        """Return what answers for the rows; `None` while the row in whose form they are is not saved."""
        try:
            parent_admin = self.admin_site.get_model_admin(self.parent_model)
        except NotRegistered:
            return None
        if self._parent is None or not isinstance(parent_admin, HistoryRoutes):
            return None
        return InlinedRows(parent_admin, self._parent, self, self._prefix)


class InlinedRows(HistoryRoutes):
    """The pages of the files of inlined rows."""

    def __init__(self, parent_admin: HistoryRoutes, parent: Any, inline: VersionHistoryInline, prefix: str) -> None:
        super().__init__(inline.model, parent_admin.admin_site)
        self.parent_admin, self.parent, self.inline, self.prefix = parent_admin, parent, inline, prefix

    # Which rows, and who may do what with them

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return a row that the formset has; `None` if it has none such."""
        formset = self.inline.get_formset(request, self.parent)(
            instance=self.parent, queryset=self.inline.get_queryset(request)
        )
        rows = formset.get_queryset()
        if rows.query.is_sliced:
            return next((row for row in rows if str(row.pk) == object_id), None)
        try:
            return rows.filter(pk=object_id).first()
        except (ValueError, ValidationError):
            return None

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what the inline shows."""
        return self.inline.get_fieldsets(request, self.parent)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what the inline shows read-only."""
        return self.inline.get_readonly_fields(request, self.parent)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the inline shows the rows."""
        return self._sees_parent(request) and self.inline.has_view_or_change_permission(request, self.parent)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the rows can be changed in the form."""
        return self._changes_parent(request) and self.inline.has_change_permission(request, self.parent)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the rows can be deleted in the form."""
        may = self._changes_parent(request) and self.inline.has_delete_permission(request, self.parent)
        return bool(may and self.inline.can_delete)

    def has_history_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Ask the inline."""
        return self._sees_parent(request) and self.inline.has_history_permission(request, self.parent)

    def has_download_version_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Ask the inline."""
        return self._sees_parent(request) and self.inline.has_download_version_permission(request, self.parent)

    def has_restore_version_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Ask the inline."""
        return self._changes_parent(request) and self.inline.has_restore_version_permission(request, self.parent)

    def has_hold_version_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Ask the inline."""
        return self._changes_parent(request) and self.inline.has_hold_version_permission(request, self.parent)

    def has_release_version_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Ask the inline."""
        return self._changes_parent(request) and self.inline.has_release_version_permission(request, self.parent)

    def has_delete_version_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Ask the inline, which must let rows be deleted."""
        may = self.has_delete_permission(request, obj)
        return may and self.inline.has_delete_version_permission(request, self.parent)

    def has_erase_versions_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Ask the inline, which must let rows be deleted."""
        may = self.has_delete_permission(request, obj)
        return may and self.inline.has_erase_versions_permission(request, self.parent)

    def comment_is_required(self, request: HttpRequest, field_name: str) -> bool:
        """Ask the inline."""
        return self.inline.comment_is_required(request, field_name)

    def versions_author(self, request: HttpRequest) -> str:
        """Ask the admin of the form."""
        return self.parent_admin.versions_author(request)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Log with the row in whose form it is: that is where the log is read."""
        return self.parent_admin.log_change(request, self.parent, message)

    # How it is done

    def _addressed(self, obj: Any) -> Addressed:
        row_id = quote(self.parent.pk)
        object_id = f"{row_id}{INLINES}{self.prefix}/{quote(obj.pk)}"
        return Addressed(opts=self.parent_admin.opts, object_id=object_id, row=self.parent, row_id=row_id)

    def _sees_parent(self, request: HttpRequest) -> bool:
        return self.parent_admin.has_view_or_change_permission(request, self.parent)

    def _changes_parent(self, request: HttpRequest) -> bool:
        return self.parent_admin.has_change_permission(request, self.parent)


def routed(model_admin: HistoryRoutes, page: str) -> Callable[..., HttpResponseBase]:
    """Return the view of a page, for the rows of an admin and for those that are inlined in its form."""
    of_rows = model_admin._versions_pages()[page][1]

    @wraps(of_rows)
    def view(request: HttpRequest, object_id: str, field_name: str, **kwargs: Any) -> HttpResponseBase:
        row_id, inlined, path = object_id.partition(INLINES)
        if not inlined:
            return of_rows(request, object_id, field_name, **kwargs)
        prefix, _slash, inlined_id = path.partition("/")
        rows = _inlined(model_admin, request, row_id, prefix, inlined_id, field_name)
        return rows._versions_pages()[page][1](request, inlined_id, field_name, **kwargs)

    return view


def _inlined(
    model_admin: HistoryRoutes, request: HttpRequest, row_id: str, prefix: str, inlined_id: str, field_name: str
) -> InlinedRows:
    """Return what answers for an inlined row. Raises `Http404`, `PermissionDenied`."""
    parent = model_admin.get_object(request, unquote(row_id))
    if parent is None:
        raise Http404(_("There is no such object."))
    if not model_admin.has_view_or_change_permission(request, parent):
        raise PermissionDenied
    for formset, inline in model_admin.get_formsets_with_inlines(request, parent):
        if not isinstance(inline, VersionHistoryInline) or formset.get_default_prefix() != prefix:
            continue
        rows = InlinedRows(model_admin, parent, inline, prefix)
        obj = rows.get_object(request, unquote(inlined_id))
        if obj is not None and field_name in {field.name for field in rows._shown_fields(request, obj)}:
            return rows
    raise Http404(_("There is no such object."))
