"""All stored objects of the project: found by name, storage, state, type, size and date.

1. Everything that a list is ordered and filtered by lies in the rows of the names, so a page costs the same few queries
   however many versions there are, and the store is asked nothing.
2. Nothing is edited here. What is done with objects goes through their storages, and is told of each.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from consistent_s3.index.row_times import as_aware
from consistent_s3.local_times import moment
from consistent_s3.models import StoredObject
from consistent_s3.objects_admin.bulk import ACTIONS, BulkPages
from consistent_s3.objects_admin.exporting import OF_OBJECTS, batches, exported
from consistent_s3.objects_admin.filters import ChangedFilter, SizeFilter, StateFilter, StorageFilter, TypeFilter
from consistent_s3.objects_admin.hidden import newest_versions
from consistent_s3.objects_admin.moment import ObjectMoments
from consistent_s3.objects_admin.object_pages import ObjectPages
from consistent_s3.objects_admin.places import database, places
from consistent_s3.objects_admin.showing import TEMPLATES, listed
from consistent_s3.objects_admin.totals import TotalsPaginator


@admin.register(StoredObject)
class StoredObjectAdmin(ObjectMoments, BulkPages, ObjectPages):
    """The stored objects, what was changed last first."""

    list_display = ("name_words", "state_words", "number", "size_and_type", "when_and_who", "storage")
    list_display_links = ("name_words",)
    list_filter = (StorageFilter, StateFilter, TypeFilter, SizeFilter, ("changed", ChangedFilter))
    list_per_page = 100
    search_fields = ("name",)
    search_help_text = gettext_lazy("A part of the name, with its directories.")
    ordering = ("-changed", "-pk")
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = [*ACTIONS, "restore_chosen_as_of", "export_csv_chosen", "export_json_chosen"]
    change_list_template = TEMPLATES + "list.html"

    # The list

    def get_queryset(self, request: HttpRequest) -> QuerySet[StoredObject]:
        """Return the objects of all places that are kept up to date."""
        return listed(super().get_queryset(request).using(database()), places())  # type: ignore[no-any-return]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Leave out the storage where there is one only."""
        columns = super().get_list_display(request)
        return [column for column in columns if column != "storage" or len(places().sources) > 1]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Fetch with a page of objects the newest version of each: one query. Leave out what a user may not see."""
        found = super().get_changelist_instance(request)
        rows, known = [row for row in found.result_list if self.has_view_permission(request, row)], places()
        newest = newest_versions(rows, using=database())
        for row in rows:
            row.author, row.storage_label = getattr(newest.get(row.pk), "author", ""), known.label(row)
        found.result_list = rows
        return found

    def get_paginator(self, request: HttpRequest, queryset: Any, *args: Any, **kwargs: Any) -> Paginator[Any]:
        """Count and sum stored objects together; an object's log has nothing to sum."""
        if getattr(queryset, "model", None) is StoredObject:
            return TotalsPaginator(queryset, *args, **kwargs)
        return super().get_paginator(request, queryset, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """List the objects, with totals of what was found."""
        answer = super().changelist_view(request, {"title": _("Stored objects"), **(extra_context or {})})
        context = getattr(answer, "context_data", None)
        if context and "cl" in context:
            totals = context["cl"].paginator.totals
            context |= {
                "totals": totals,
                "missing": places().missing,
                "query": request.GET.urlencode(),
                "csv_url": self._url("export", "csv"),
                "json_url": self._url("export", "json"),
            }
        return answer

    @admin.display(description=gettext_lazy("name"), ordering="name")
    def name_words(self, row: StoredObject) -> str:
        """Return the name, which may be long, as something that may be broken anywhere."""
        return format_html('<span class="consistent-s3-words">{}</span>', row.name)

    @admin.display(description=gettext_lazy("storage"))
    def storage(self, row: Any) -> str:
        """Return which storage has it."""
        return str(row.storage_label)

    @admin.display(description=gettext_lazy("state"), ordering="deleted")
    def state_words(self, row: StoredObject) -> str:
        """Return whether it can be read."""
        if row.deleted:
            return format_html('<span class="consistent-s3-badge">{}</span>', _("deleted"))
        return _("exists")

    @admin.display(description=gettext_lazy("size and type"), ordering="size")
    def size_and_type(self, row: StoredObject) -> str:
        """Return the size of what a read gives, and what it is said to be."""
        if row.deleted:
            return "–"
        size = filesizeformat(row.size)
        return format_html('{}<br><span class="consistent-s3-quiet">{}</span>', size, row.content_type)

    @admin.display(description=gettext_lazy("version"), ordering="newest")
    def number(self, row: StoredObject) -> int:
        """Return the number of the newest version."""
        return int(row.newest)

    @admin.display(description=gettext_lazy("when and who"), ordering="changed")
    def when_and_who(self, row: Any) -> str:
        """Return when the newest version was written, and by whom."""
        when = moment(as_aware(row.changed), "SHORT_DATETIME_FORMAT")
        return format_html("{}<br><bdi>{}</bdi>", when, row.author or "–")

    # Exports

    def export_view(self, request: HttpRequest, form: str) -> HttpResponseBase:
        """Send what the list's address finds as a file."""
        self._require(self.has_view_permission(request))
        try:
            found = super().get_changelist_instance(request).queryset
        except IncorrectLookupParameters as error:
            raise Http404(_("There is no such filter.")) from error
        return self._exported(request, form, found)

    @admin.action(permissions=["view"], description=gettext_lazy("Export as CSV"))
    def export_csv_chosen(self, request: HttpRequest, queryset: QuerySet[StoredObject]) -> HttpResponseBase:
        """Send what was chosen as CSV."""
        return self._exported(request, "csv", queryset)

    @admin.action(permissions=["view"], description=gettext_lazy("Export as JSON"))
    def export_json_chosen(self, request: HttpRequest, queryset: QuerySet[StoredObject]) -> HttpResponseBase:
        """Send what was chosen as JSON."""
        return self._exported(request, "json", queryset)

    def _exported(self, request: HttpRequest, form: str, found: QuerySet[StoredObject]) -> HttpResponseBase:
        lines = batches(found, "changed", places(), may_view=partial(self.has_view_permission, request))
        return exported(form, "stored-objects", OF_OBJECTS, lines)

    # Addresses

    def get_urls(self) -> list[URLPattern]:
        """Add the pages of an object, and those that ask before many are changed."""
        view = self.admin_site.admin_view
        return [
            self._readable("export/<str:form>/", self.export_view, "export"),
            *self._bulk_urls(),
            *(
                path(route, view(shown), name=self._page_name(name))
                for name, (route, shown) in self._object_pages().items()
            ),
            *super().get_urls(),
        ]
