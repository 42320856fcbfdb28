"""Collections in the admin: what would go and why, how far it is, what went; to plan, to approve and to stop them.

1. Nothing is changed on GET. What changes something asks first, is a POST, and lands in Django's `LogEntry`.
2. Looking needs `view_collectionrun`; planning and approving `start_collection` as well, stopping `stop_collection`.
3. A page only begins a run or has it stop. Workers carry it out; where none can be reached, the page says by what
   command somebody can.
4. The number of queries of a page does not depend on how many runs, slices or objects there are.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from consistent_s3 import approving, collection, runs
from consistent_s3.admin_pages import ReadOnlyAdmin
from consistent_s3.collection_storages import described, kept
from consistent_s3.collection_words import ending, facts, figures, number, rules, sentence, took
from consistent_s3.local_times import moment
from consistent_s3.models import CollectedObject, CollectionRun, CollectionSlice
from consistent_s3.progress import progress
from consistent_s3.reasons import words
from consistent_s3.runs import Order
from consistent_s3.workers import hand_over

PAGE = 100
"""Objects of a plan on one page."""
PAGES = ("change", "history", "progress", "objects", "approve", "stop")
"""The pages of a run."""
TEMPLATES = "admin/consistent_s3/collections/"

State = CollectionRun.State


class StartForm(forms.Form):
    """Which storage is to be looked through."""

    def __init__(self, *args: Any, aliases: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["storage"] = forms.ChoiceField(choices=[(alias, alias) for alias in aliases])


@admin.register(CollectionRun)
class CollectionRunAdmin(ReadOnlyAdmin):
    """The collections of all storages, newest first."""

    list_display = ("title", "state_words", "how_far", "outcome", "error_count", "when", "started_by")
    list_filter = ("state", "dry_run", "storage")
    list_per_page = 50
    actions = None
    change_list_template = TEMPLATES + "list.html"

    # Rights

    def has_start_permission(self, request: HttpRequest) -> bool:
        """Return whether a user may plan collections, and carry out what was planned."""
        return self.has_view_permission(request) and request.user.has_perm("consistent_s3.start_collection")

    def has_stop_permission(self, request: HttpRequest) -> bool:
        """Return whether a user may stop collections."""
        return self.has_view_permission(request) and request.user.has_perm("consistent_s3.stop_collection")

    # The list

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[CollectionRun]:
        """Fetch with the runs what tells how far they are."""
        slices = CollectionSlice.objects.only("run", "sweeps", "counted")
        return (
            super().get_queryset(request).select_related("approves").prefetch_related(models.Prefetch("slices", slices))
        )

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """List the runs."""
        shown = {"title": _("Collections"), "may_start": self.has_start_permission(request)}
        return super().changelist_view(request, {**shown, **(extra_context or {})})

    @admin.display(description=gettext_lazy("collection"), ordering="pk")
    def title(self, run: CollectionRun) -> str:
        """Return what a run is called."""
        said = _("Dry run %(number)d of “%(storage)s”") if run.dry_run else _("Collection %(number)d of “%(storage)s”")
        return said % {"number": run.pk, "storage": run.storage}

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_words(self, run: CollectionRun) -> str:
        """Return the state as a badge."""
        return format_html(
            '<span class="consistent-s3-badge consistent-s3-{}">{}</span>', run.state, run.get_state_display()
        )

    @admin.display(description=gettext_lazy("done or took"))
    def how_far(self, run: CollectionRun) -> str:
        """Return how much of a run is done, or how long it took."""
        told = progress(run)
        if not run.is_active:
            return took(told)
        return "" if told.percent is None else _("%(percent)d %%") % {"percent": told.percent}

    @admin.display(description=gettext_lazy("outcome"))
    def outcome(self, run: CollectionRun) -> str:
        """Return how many objects and bytes went, or would go."""
        told = progress(run)
        said = _("%(count)s would go, %(size)s") if told.is_plan else _("%(count)s went, %(size)s")
        return said % {"count": number(told.counted.deleted), "size": filesizeformat(told.counted.bytes_freed)}

    @admin.display(description=gettext_lazy("errors"))
    def error_count(self, run: CollectionRun) -> str:
        """Return how many objects the store kept."""
        return number(progress(run).counted.error_count)

    @admin.display(description=gettext_lazy("started"), ordering="started")
    def when(self, run: CollectionRun) -> str:
        """Return when a run was begun, short enough for a line of the list."""
        return moment(run.started, "SHORT_DATETIME_FORMAT")

    # Pages

    def get_urls(self) -> list[URLPattern]:
        """Add the pages of a run, and those that begin one."""

        def page(url: str, view: Any, name: str, *methods: str) -> URLPattern:
            wrapped = self.admin_site.admin_view(require_http_methods(["GET", "HEAD", *methods])(view))
            pattern: URLPattern = path(url, wrapped, name=f"consistent_s3_collectionrun_{name}")
            return pattern

        return [
            page("start/", self.start_view, "start", "POST"),
            page("totals/", self.totals_view, "totals"),
            page("<int:run>/change/", self.run_view, "change"),
            page("<int:run>/progress/", self.progress_view, "progress"),
            page("<int:run>/objects/", self.objects_view, "objects"),
            page("<int:run>/approve/", self.approve_view, "approve", "POST"),
            page("<int:run>/stop/", self.stop_view, "stop", "POST"),
            *super().get_urls(),
        ]

    def run_view(self, request: HttpRequest, run: int) -> HttpResponse:
        """Show a run."""
        found = self._run(request, run)
        told = progress(found)
        context = {
            "title": self.title(found),
            "told": told,
            "figures": figures(told),
            "facts": facts(told),
            "ending": ending(told.run),
            "sentence": sentence(told),
            "policy": rules(found.policy),
            "reasons": sorted((words(reason), number(count)) for reason, count in told.counted.reasons.items()),
            "waits": found.is_active and runs.is_left(found),
            "objects": found.objects_to_go.count(),
            "approved_by": found.approved_by.all()[:10],
            "may_start": self.has_start_permission(request),
            "may_stop": self.has_stop_permission(request),
            "approvable": approving.is_plan(found) and bool(told.counted.deleted or told.counted.archived),
        }
        return self._respond(request, "run.html", context, found)

    def progress_view(self, request: HttpRequest, run: int) -> HttpResponse:
        """Tell a page that is open how far a run is."""
        told = progress(self._run(request, run))
        values = {
            "active": told.run.is_active,
            "state": told.run.state,
            "percent": told.percent,
            "sentence": sentence(told),
            "figures": {figure.key: figure.text for figure in figures(told)},
        }
        return JsonResponse(values)  # not cached: no page of the admin is

    def objects_view(self, request: HttpRequest, run: int) -> HttpResponse:
        """Show what a plan would take, or move."""
        found = self._run(request, run)
        name, reason = request.GET.get("q", "").strip(), request.GET.get("reason", "")
        planned = found.objects_to_go.all()
        reasons = planned.order_by("reason").values_list("reason", flat=True).distinct()
        shown: models.QuerySet[CollectedObject] = planned
        if name:
            shown = shown.filter(name__icontains=name.replace("\0", ""))
        if reason:
            shown = shown.filter(reason=reason.replace("\0", ""))
        page = Paginator(shown, PAGE).get_page(request.GET.get("page"))
        counted = progress(found).counted
        told, whole = planned.count(), counted.deleted + counted.archived
        context = {
            "title": _("What would go of “%(storage)s”") % {"storage": found.storage},
            "page_name": _("Objects"),
            "page": page,
            "rows": [(planned, words(planned.reason)) for planned in page],
            "query": name,
            "reason": reason,
            "reasons": [(each, words(each)) for each in reasons],
            "told": number(told),
            "cut": number(whole) if told < whole else "",
        }
        return self._respond(request, "objects.html", context, found)

    def start_view(self, request: HttpRequest) -> HttpResponse:
        """Ask which storage is to be planned; on POST begin a dry run."""
        self._require(self.has_start_permission(request))
        aliases = collection.storage_aliases()
        form = StartForm(request.POST if request.method == "POST" else None, aliases=aliases)
        if request.method == "POST" and form.is_valid():
            order = Order(dry_run=True, started_by=request.user.get_username())
            return self._begin(request, form.cleaned_data["storage"], order, reverse(self._name("start")))
        context = {
            "title": _("Plan a collection"),
            "page_name": _("Plan a collection"),
            "form": form,
            "storages": [described(alias) for alias in aliases],
            "chosen": form.data.get("storage") or (aliases[0] if len(aliases) == 1 else ""),
        }
        return self._respond(request, "start.html", context)

    def approve_view(self, request: HttpRequest, run: int) -> HttpResponse:
        """Ask whether a plan is to be carried out; on POST begin to."""
        found = self._run(request, run)
        self._require(self.has_start_permission(request))
        obstacle = approving.obstacle(found)
        if request.method == "POST":
            here = self._url("change", found)
            if obstacle:
                messages.error(request, obstacle)
                return HttpResponseRedirect(here)
            order = Order(approves=found, started_by=request.user.get_username(), lists_bucket=found.lists_bucket)
            return self._begin(request, found.storage, order, here)
        context = {
            "title": _("Run this plan of “%(storage)s” for real?") % {"storage": found.storage},
            "page_name": _("Run for real"),
            "obstacle": obstacle,
            "counted": progress(found).counted,
            "beyond": _("%(percent)d %%") % {"percent": runs.APPROVED * 100},
        }
        return self._respond(request, "approve.html", context, found)

    def stop_view(self, request: HttpRequest, run: int) -> HttpResponse:
        """Ask whether a run is to stop; on POST have it stop."""
        found = self._run(request, run)
        self._require(self.has_stop_permission(request))
        here = self._url("change", found)
        if not found.is_active:
            messages.info(request, _("Collection %(number)d has ended already.") % {"number": found.pk})
            return HttpResponseRedirect(here)
        if request.method == "POST":
            collection.stop(found)
            self.log_change(request, found, _("Asked it to stop."))
            said = _("Collection %(number)d has stopped.")
            if found.finished is None:
                said = _("Collection %(number)d stops after the objects that it is at.")
                if runs.is_left(found):  # a worker died at them, and another one is to count them
                    hand_over(found)
            messages.success(request, said % {"number": found.pk})
            return HttpResponseRedirect(here)
        context = {
            "title": _("Stop collection %(number)d?") % {"number": found.pk},
            "page_name": _("Stop"),
            "counted": progress(found).counted,
        }
        return self._respond(request, "stop.html", context, found)

    def totals_view(self, request: HttpRequest) -> HttpResponse:
        """Show what a storage keeps."""
        self._require(self.has_view_permission(request))
        aliases = collection.storage_aliases()
        alias = request.GET.get("storage", aliases[0] if aliases else "")
        if aliases and alias not in aliases:
            raise Http404(_("There is no such storage."))
        context = {
            "title": _("What storages keep"),
            "page_name": _("What storages keep"),
            "aliases": aliases,
            "alias": alias,
            "kept": kept(alias) if aliases else None,
        }
        return self._respond(request, "totals.html", context)

    # How it is done

    def _begin(self, request: HttpRequest, alias: str, order: Order, back: str) -> HttpResponse:
        try:
            run = collection.begin(alias, order)
        except collection.FAILURES as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(back)
        if not order.dry_run and run.approves != order.approves:
            messages.warning(
                request, _("Collection %(number)d is under way there. Let it end, or stop it.") % {"number": run.pk}
            )
            return HttpResponseRedirect(self._url("change", run))
        if order.approves is None:
            self.log_addition(request, run, _("Planned."))
        else:
            self.log_addition(request, run, _("Runs collection %(number)d for real.") % {"number": order.approves.pk})
            self.log_change(request, order.approves, _("Run for real, by collection %(number)d.") % {"number": run.pk})
        transaction.on_commit(partial(self._hand_over, request, run), using=run._state.db)
        return HttpResponseRedirect(self._url("change", run))

    def _hand_over(self, request: HttpRequest, run: CollectionRun) -> None:
        if hand_over(run):
            messages.success(
                request, _("Collection %(number)d has begun. A worker goes on with it.") % {"number": run.pk}
            )
            return
        messages.warning(
            request,
            _("Collection %(number)d has begun, and no Celery worker can be reached. Go on with it by: %(command)s")
            % {"number": run.pk, "command": f"manage.py consistent_s3 collect --run {run.pk}"},
        )

    def _run(self, request: HttpRequest, pk: int) -> CollectionRun:
        self._require(self.has_view_permission(request))
        found = self.get_queryset(request).filter(pk=pk).first()
        if found is None:
            raise Http404(_("There is no such collection."))
        return found

    def _name(self, page: str) -> str:
        return f"{self.admin_site.name}:consistent_s3_collectionrun_{page}"

    def _url(self, page: str, run: CollectionRun) -> str:
        return reverse(self._name(page), args=[run.pk])

    def _respond(
        self, request: HttpRequest, template: str, context: dict[str, Any], run: CollectionRun | None = None
    ) -> HttpResponse:
        about = {
            "run": run,
            "run_name": self.title(run) if run else "",
            "urls": {name: self._url(name, run) for name in PAGES} if run else {},
        }
        return self._rendered(request, f"collections/{template}", about | context)
