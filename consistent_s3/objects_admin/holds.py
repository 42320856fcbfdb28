"""Holds of the whole project: those in force, and those that ended as a record.

A hold is placed on the page of its file, and released here or there with a reason. Nobody edits or deletes one.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from consistent_s3.admin_pages import ReadOnlyAdmin
from consistent_s3.attribution import attribution
from consistent_s3.history_admin.holding import ReleaseForm, described
from consistent_s3.models import Hold, StoredObject, digest
from consistent_s3.objects_admin.acting import FAILURES
from consistent_s3.objects_admin.places import any_storage, database
from consistent_s3.objects_admin.showing import TEMPLATES, object_url


class ForceFilter(admin.SimpleListFilter):
    """By whether a hold keeps anything now."""

    title = gettext_lazy("in force")
    parameter_name = "force"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return what a hold may be."""
        return [
            ("now", gettext_lazy("in force")),
            ("released", gettext_lazy("released")),
            ("over", gettext_lazy("over")),
        ]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Return the holds of one kind."""
        over = models.Q(until__isnull=False, until__lte=timezone.now())
        if self.value() == "now":
            return queryset.filter(released_at__isnull=True).exclude(over)
        if self.value() == "released":
            return queryset.filter(released_at__isnull=False)
        return queryset.filter(over, released_at__isnull=True) if self.value() == "over" else queryset


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    """The holds, newest first."""

    list_display = ("what", "file_link", "state_words", "reason_words", "author", "created", "until", "released_by")
    list_display_links = ("what",)
    list_filter = (ForceFilter, "place")
    list_per_page = 100
    search_fields = ("name", "reason", "author", "release_reason")
    show_full_result_count = False
    actions = None
    change_list_template = TEMPLATES + "holds.html"
    change_form_template = TEMPLATES + "hold.html"
    fields = (
        "name",
        "place",
        "number",
        "reason",
        "author",
        "created",
        "until",
        "released_at",
        "released_by",
        "release_reason",
    )

    # Rights

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether a user may see all holds; who may release them may."""
        return any(request.user.has_perm(f"consistent_s3.{right}_hold") for right in ("view", "change"))

    def has_release_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether a user may release holds."""
        return request.user.has_perm("consistent_s3.change_hold")

    # The list

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Hold]:
        """Return the holds that the primary database has."""
        return super().get_queryset(request).using(database())

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Find with a page of holds the pages of their files: one query."""
        found = super().get_changelist_instance(request)
        rows = list(found.result_list)
        sees = request.user.has_perm("consistent_s3.view_storedobject")
        pages = _pages(rows) if sees else {}
        for row in rows:
            pk = pages.get(digest(row.place, row.name))
            row.file_url = object_url(self.admin_site, pk) if pk else ""
        found.result_list = rows
        return found

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """List the holds."""
        return super().changelist_view(request, {"title": _("Holds"), **(extra_context or {})})

    @admin.display(description=gettext_lazy("hold"), ordering="name")
    def what(self, hold: Hold) -> str:
        """Return what is held."""
        return format_html('<span class="consistent-s3-words">{}</span>', described(hold.number, hold.name))

    @admin.display(description=gettext_lazy("file"))
    def file_link(self, hold: Any) -> str:
        """Return a link to the page of the file."""
        if not hold.file_url:
            return "–"
        return format_html('<a href="{}">{}</a>', hold.file_url, _("Versions"))

    @admin.display(description=gettext_lazy("state"))
    def state_words(self, hold: Hold) -> str:
        """Return whether it keeps anything now, as a badge."""
        return format_html('<span class="consistent-s3-badge">{}</span>', _state(hold))

    @admin.display(description=gettext_lazy("reason"), ordering="reason")
    def reason_words(self, hold: Hold) -> str:
        """Return the reason, which may be long."""
        return format_html('<span class="consistent-s3-words">{}</span>', hold.reason)

    # Pages

    def get_urls(self) -> list[URLPattern]:
        """Add the page that asks whether to release a hold."""
        view = require_http_methods(["GET", "HEAD", "POST"])(self.release_view)
        name = "consistent_s3_hold_release"
        return [
            path("<int:hold_id>/release/", self.admin_site.admin_view(view), name=name),
            *super().get_urls(),
        ]

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Tell the page of a hold where its file is, and whether it may be released."""
        hold = kwargs.get("obj") or context.get("original")
        if hold is not None:
            pk = _pages([hold]).get(digest(hold.place, hold.name))
            sees = request.user.has_perm("consistent_s3.view_storedobject")
            context["file_url"] = object_url(self.admin_site, pk) if pk and sees else ""
            context["may_release"] = hold.in_force and self.has_release_permission(request, hold)
            context["release_url"] = self._release_url(hold.pk)
        return super().render_change_form(request, context, *args, **kwargs)

    def release_view(self, request: HttpRequest, hold_id: int) -> HttpResponse:
        """Ask on GET; on POST release the hold, with a reason."""
        if not self.has_release_permission(request):
            raise PermissionDenied
        hold = self.get_queryset(request).filter(pk=hold_id).first()
        if hold is None or not hold.in_force:
            raise Http404(_("There is no such hold in force."))
        if not self.has_release_permission(request, hold):
            raise PermissionDenied
        form = ReleaseForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            self._release(request, hold, form.cleaned_data["reason"])
            return HttpResponseRedirect(reverse(f"{self.admin_site.name}:consistent_s3_hold_changelist"))
        context = {
            "title": _("Release the hold on %(what)s?") % {"what": described(hold.number, hold.name)},
            "page_name": _("Release"),
            "hold": hold,
            "form": form,
        }
        return self._rendered(request, "objects/release.html", context)

    # How it is done

    def _release(self, request: HttpRequest, hold: Hold, reason: str) -> None:
        what = described(hold.number, hold.name)
        storage = any_storage(hold.place_digest)
        if storage is None:
            said = _("No storage in STORAGES has the place “%s” any more, so nothing there is collected or erased.")
            messages.error(request, said % hold.place)
            return
        try:
            with attribution(author=request.user.get_username()):
                storage.release(hold, reason=reason)
        except FAILURES as error:  # somebody else was faster
            messages.error(request, str(error))
            return
        said = _("Released the hold on %(what)s: %(reason)s") % {"what": what, "reason": reason}
        self.log_change(request, hold, said)
        messages.success(request, said)

    def _release_url(self, pk: int) -> str:
        return reverse(f"{self.admin_site.name}:consistent_s3_hold_release", args=[pk])


def _pages(holds: list[Hold]) -> dict[str, int]:
    """Return the keys of the stored objects that are held, by their digests."""
    digests = {digest(hold.place, hold.name) for hold in holds}
    rows = StoredObject.objects.using(database()).filter(digest__in=digests)
    return dict(rows.values_list("digest", "pk"))


def _state(hold: Hold) -> str:
    if hold.released_at is not None:
        return _("released")
    return _("in force") if hold.in_force else _("over")
