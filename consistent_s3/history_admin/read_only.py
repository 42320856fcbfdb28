"""Files that an admin shows without an input: in read-only fields, and in the columns of a list.

Django would link to the storage's own address there, which may ask the store, for each file, and whoever sees it could
read it. Here nothing is asked, however many rows there are: who may download the file gets its name with a link to the
page that sends it, others get its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import AdminField, AdminReadonlyField
from django.contrib.admin.utils import NotRelationField, get_fields_from_path, label_for_field
from django.core.exceptions import FieldDoesNotExist
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html

from consistent_s3.fields import VersionedFileField
from consistent_s3.history_admin.inlines import VersionHistoryInline
from consistent_s3.history_admin.pages import FilePages
from consistent_s3.history_admin.saving import context_of

Shown = Callable[[Any], Any]
"""Returns what is shown of a row: to Django a column, or a read-only field, of its own."""


class ReadOnlyFiles(FilePages):
    """Shows files without inputs."""

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show the read-only files of the form, and of its inlines that have histories."""
        context["adminform"] = Part(context["adminform"], shown_files(request, self, self))
        context["inline_admin_formsets"] = [
            Part(formset, shown_files(request, pages, formset.opts))
            if isinstance(formset.opts, VersionHistoryInline) and (pages := formset.opts._rows())
            else formset
            for formset in context["inline_admin_formsets"]
        ]
        return super().render_change_form(request, context, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Show the files of the list."""
        response = super().changelist_view(request, *args, **kwargs)
        listed = context_of(response).get("cl")
        if listed is not None:
            show_columns(request, self, listed)
        return response


class Part:
    """A form as Django shows it, or a part of it, with its read-only files as they are shown here."""

    def __init__(self, part: Any, files: Mapping[str, Shown]) -> None:
        self._part = part
        self._files = files

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)

    def __iter__(self) -> Iterator[Any]:
        for part in self._part:
            if isinstance(part, AdminReadonlyField):
                field: Any = part.field
                shown = self._files.get(field["field"])
                yield part if shown is None else type(part)(part.form, shown, part.is_first, part.model_admin)
            elif isinstance(part, AdminField):
                yield part
            else:
                yield Part(part, self._files)


def shown_files(request: HttpRequest, pages: FilePages, shown_in: Any) -> dict[str, Shown]:
    """Return how the files of a model are shown, by the names of their fields; `shown_in` is an admin or an inline."""
    fields = [field for field in pages.opts.get_fields() if isinstance(field, VersionedFileField)]
    return {field.name: _file_of_row(request, pages, shown_in, field) for field in fields}


def show_columns(request: HttpRequest, model_admin: FilePages, listed: Any) -> None:
    """Show the files of a list in their columns, with their inputs where it is an editable one."""
    files = shown_files(request, model_admin, model_admin)
    linked = listed.list_display_links
    forms = {form.instance.pk: form for form in listed.formset.forms} if listed.formset else {}
    columns: dict[Any, Shown] = {}
    for name in listed.list_display:
        if name in files:
            columns[name] = _input_or(
                forms, name, _name_at(model_admin, name) if name in (linked or ()) else files[name]
            )
        elif _leads_to_file(listed.model, name):
            columns[name] = _name_at(model_admin, name)
    listed.list_display = [columns.get(name, name) for name in listed.list_display]
    listed.list_display_links = linked and [columns.get(name, name) for name in linked]
    listed.sortable_by = listed.sortable_by and [columns.get(name, name) for name in listed.sortable_by]


def _file_of_row(request: HttpRequest, pages: FilePages, shown_in: Any, field: VersionedFileField) -> Shown:
    link = pages._file_link(request, field.name)

    def shown(row: Any) -> Any:
        file = getattr(row, field.name)
        if not file:
            return shown_in.get_empty_value_display()
        reads = pages.has_history_permission(request, row) and field in pages._shown_fields(request, row)
        url = link(row, "file_download") if reads else ""
        return format_html('<a href="{}">{}</a>', url, file) if url else str(file)

    return _column(shown, field.name, label=field.verbose_name)


def _name_at(model_admin: FilePages, path: str) -> Shown:
    """Return what shows the mere name of a file, of a row or of one that is related to it."""

    def shown(row: Any) -> Any:
        file = reduce(lambda found, part: getattr(found, part, None), path.split(LOOKUP_SEP), row)
        return str(file) if file else model_admin.get_empty_value_display()

    return _column(shown, path, label=label_for_field(path, model_admin.model, model_admin))


def _input_or(forms: Mapping[Any, Any], name: str, shown: Shown) -> Shown:
    """Return what shows the input of a list's row, where the user may change the row."""

    def input_or_shown(row: Any) -> Any:
        form = forms.get(row.pk)
        if form is None or name not in form.fields:
            return shown(row)
        return format_html("{}{}", form[name].errors, form[name])

    return _column(input_or_shown, name, label=shown.short_description)  # type: ignore[attr-defined]


def _column(shown: Shown, name: str, *, label: Any) -> Shown:
    shown.__name__ = name  # the column's class
    return admin.display(shown, description=label, ordering=name)


def _leads_to_file(model: Any, name: Any) -> bool:
    if not isinstance(name, str) or LOOKUP_SEP not in name:
        return False
    try:
        return isinstance(get_fields_from_path(model, name)[-1], VersionedFileField)
    except (FieldDoesNotExist, NotRelationField):
        return False
