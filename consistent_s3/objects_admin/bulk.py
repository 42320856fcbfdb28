"""What is done with many stored objects at once: each is asked for its own right, and told of by itself.

1. Nothing happens before somebody confirmed a page that names the objects; undeleting alone needs no page, since it
   loses nothing.
2. What was confirmed goes with the version and the holds that were seen of each, so nothing that was written meanwhile
   is touched, and no hold ends that nobody was shown.
3. One failure stops none of the others.

A further action is a `Bulk` in `BULKS`, and a method of `BulkPages` that is named in `ACTIONS`; or only the latter,
with pages of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from consistent_s3 import holds
from consistent_s3.attribution import attribution
from consistent_s3.core.numbers import MAX_NUMBER
from consistent_s3.history_admin.holding import HoldForm, ReleaseForm
from consistent_s3.local_times import end_of
from consistent_s3.models import DeletedObject, Hold, StoredObject
from consistent_s3.objects_admin import acting
from consistent_s3.objects_admin.acting import FAILURES, BrokeOffError, Chosen
from consistent_s3.objects_admin.hidden import hidden_versions
from consistent_s3.objects_admin.places import Places, database, places
from consistent_s3.objects_admin.referring import referrers
from consistent_s3.objects_admin.showing import ObjectsAdmin
from consistent_s3.widgets import comment_field

MOST = 500
"""Objects that one request acts on: each costs requests to the store, and somebody waits."""
NAMED = 20
"""Failures that are told one by one; the rest is counted."""
ACTIONS = ["undelete_chosen", "delete_chosen", "hold_chosen", "release_chosen"]
"""What the list of stored objects offers."""


class CommentForm(forms.Form):
    """Why."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["comment"] = comment_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """Something that is done with each of many objects."""

    right: str
    act: Callable[[Chosen, Mapping[str, Any]], str]
    """Does it with one. Raises: one of `FAILURES`."""
    form: type[forms.Form]
    title: Callable[[int], str]
    done: Callable[[int], str]
    says: Callable[[], str]
    button: Callable[[], str]
    warns: bool = False
    left: Callable[[Chosen], str] = lambda _chosen: ""
    """Says what is not done with one, though the rest is."""


def _hold(chosen: Chosen, data: Mapping[str, Any]) -> str:
    until = data["until"]
    return acting.hold(chosen, reason=data["reason"], until=end_of(until) if until else None)


BULKS = {
    "undelete": Bulk(
        right="restore",
        act=lambda chosen, data: acting.undelete(chosen, comment=data["comment"]),
        form=CommentForm,
        title=lambda count: ngettext("Undelete %(count)d file?", "Undelete %(count)d files?", count),
        done=lambda count: ngettext("Undeleted %(count)d file.", "Undeleted %(count)d files.", count),
        says=lambda: _("What each was before it was deleted becomes its newest version. Nothing is rewritten."),
        button=lambda: _("Undelete them"),
    ),
    "delete": Bulk(
        right="tombstone",
        act=lambda chosen, data: acting.delete(chosen, comment=data["comment"]),
        form=CommentForm,
        title=lambda count: ngettext("Delete %(count)d file?", "Delete %(count)d files?", count),
        done=lambda count: ngettext("Deleted %(count)d file.", "Deleted %(count)d files.", count),
        says=lambda: _(
            "Each can be undeleted until the retention policy lets its versions go. Rows that use a file stay, and "
            "have no file to show meanwhile; a row that is pinned to a version goes on showing that."
        ),
        button=lambda: _("Delete them"),
        warns=True,
    ),
    "hold": Bulk(
        right="hold",
        act=_hold,
        form=HoldForm,
        title=lambda count: ngettext(
            "Hold all versions of %(count)d file?", "Hold all versions of %(count)d files?", count
        ),
        done=lambda count: ngettext("Held %(count)d file.", "Held %(count)d files.", count),
        says=lambda: _(
            "What is held stays, whatever the retention policy says and whoever erases, until it is released. The "
            "files can still be replaced and deleted: that loses nothing."
        ),
        button=lambda: _("Hold them"),
    ),
    "release": Bulk(
        right="release",
        act=lambda chosen, data: acting.release(chosen, reason=data["reason"]),
        form=ReleaseForm,
        title=lambda count: ngettext(
            "Release what holds %(count)d file?", "Release what holds %(count)d files?", count
        ),
        done=lambda count: ngettext("Released %(count)d file.", "Released %(count)d files.", count),
        says=lambda: _("The holds that are named here end. Then retention and erasing may take the files."),
        button=lambda: _("Release them"),
        left=acting.unseen,
    ),
}
"""By the word in their address."""


class BulkPages(ObjectsAdmin):
    """Asks what is to be done with many objects, does it, and tells of each."""

    # Actions of the list

    @admin.action(permissions=["restore"], description=gettext_lazy("Undelete…"))
    def undelete_chosen(self, request: HttpRequest, queryset: QuerySet[StoredObject]) -> HttpResponse | None:
        """Ask whether to undelete."""
        return self._begin(request, "undelete", queryset)

    @admin.action(permissions=["tombstone"], description=gettext_lazy("Delete, so that it can be undone…"))
    def delete_chosen(self, request: HttpRequest, queryset: QuerySet[StoredObject]) -> HttpResponse | None:
        """Ask whether to delete."""
        return self._begin(request, "delete", queryset)

    @admin.action(permissions=["hold"], description=gettext_lazy("Hold all versions…"))
    def hold_chosen(self, request: HttpRequest, queryset: QuerySet[StoredObject]) -> HttpResponse | None:
        """Ask whether to hold."""
        return self._begin(request, "hold", queryset)

    @admin.action(permissions=["release"], description=gettext_lazy("Release holds…"))
    def release_chosen(self, request: HttpRequest, queryset: QuerySet[StoredObject]) -> HttpResponse | None:
        """Ask whether to release."""
        return self._begin(request, "release", queryset)

    # Pages

    def _bulk_urls(self) -> list[URLPattern]:
        return [self._readable("bulk/<slug:action>/", self.bulk_view, "bulk", "POST")]

    def bulk_view(self, request: HttpRequest, action: str) -> HttpResponse:
        """Do what was confirmed, or ask whether to; each object is named with the version that was seen of it."""
        bulk = BULKS.get(action)
        if bulk is None:
            raise Http404(_("There is no such action."))
        self._require(self._may_act(request, bulk))
        chosen = request.POST.getlist("only") or request.POST.getlist("chosen")
        seen = _tokens(chosen[: MOST + 1])
        found = list(self.get_queryset(request).filter(pk__in=[*seen]).order_by("-changed", "-pk"))
        if len(chosen) > MOST or not found:
            messages.error(request, self._too_many(len(chosen)) if found else _("Choose at least one file."))
            return HttpResponseRedirect(self._back(request))
        form = bulk.form(request.POST if "confirmed" in request.POST else None)
        if form.is_bound and form.is_valid():
            self._act(request, bulk, found, seen, form.cleaned_data)
            return HttpResponseRedirect(self._back(request))
        return self._ask_bulk(request, action, found, seen, form)

    # How it is done

    def _begin(self, request: HttpRequest, action: str, queryset: QuerySet[StoredObject]) -> HttpResponse | None:
        found = list(queryset[: MOST + 1])
        if len(found) > MOST:
            messages.error(request, self._too_many(queryset.count()))
            return None
        bulk = BULKS[action]
        self._require(self._may_act(request, bulk))
        return self._ask_bulk(request, action, found, {row.pk: row.newest for row in found}, bulk.form())

    def _may_act(self, request: HttpRequest, bulk: Bulk, obj: Any = None) -> bool:
        return bool(getattr(self, f"has_{bulk.right}_permission")(request, obj))

    def _ask_bulk(
        self,
        request: HttpRequest,
        action: str,
        found: Sequence[StoredObject],
        seen: Mapping[int, int],
        form: forms.Form,
    ) -> HttpResponse:
        bulk, known = BULKS[action], places()
        used = self._used(request, found, known) if action == "delete" else {}
        held = _held(found, known) if action == "release" else {}
        context = {
            "title": bulk.title(len(found)) % {"count": len(found)},
            "page_name": bulk.button(),
            "says": bulk.says(),
            "button": bulk.button(),
            "warns": bulk.warns,
            "form": form,
            "url": self._url("bulk", action),
            "back": request.POST.get("back", ""),
            "query": _query(request),
            "cancel_url": self._back(request),
            "shows_use": bool(used),
            "shows_holds": action == "release",
            "holds": ",".join(str(hold.pk) for each in held.values() for hold in each),
            "rows": [
                {
                    "row": row,
                    "token": f"{row.pk}-{seen[row.pk]}",
                    "storage": known.label(row),
                    "used": used.get(row.pk, []),
                    "holds": held.get(row.pk, []),
                }
                for row in found
            ],
        }
        return self._show(request, "bulk.html", context)

    def _used(self, request: HttpRequest, found: Sequence[StoredObject], known: Places) -> dict[int, list[Any]]:
        """Return the rows that use some objects, by the key of the object: one query for each field and storage."""
        used: dict[int, list[Any]] = {}
        for source in known.sources.values():
            here = {row.name: row.pk for row in found if row.place_digest == source.digest}
            if here:
                by_name = referrers(request, self.admin_site, source.storage, [*here])
                used |= {here[name]: rows for name, rows in by_name.items()}
        return used

    def _act(
        self,
        request: HttpRequest,
        bulk: Bulk,
        found: Sequence[StoredObject],
        seen: Mapping[int, int],
        data: Mapping[str, Any],
    ) -> None:
        known = places()
        hidden = hidden_versions([row for row in found if row.deleted], using=database())
        shown = frozenset(_numbers(request.POST.get("holds", "").split(",")))
        done, failures = 0, []
        with attribution(author=self.versions_author(request)):
            for row in found:
                storage = known.storage(row)
                if not self._may_act(request, bulk, row):
                    failures.append((row.name, _("You may not do this.")))
                elif storage is None:
                    failures.append((row.name, _("No storage in STORAGES has the place “%s” any more.") % row.place))
                else:
                    chosen = Chosen(row=row, seen=seen[row.pk], storage=storage, hidden=hidden.get(row.pk), holds=shown)
                    try:
                        left = bulk.left(chosen)
                        said = bulk.act(chosen, data)
                    except FAILURES as error:
                        for one in error.done if isinstance(error, BrokeOffError) else ():
                            self.log_change(request, row, one)
                        failures.append((row.name, str(error)))
                    else:
                        self.log_change(request, row, said)
                        done += 1
                        if left:
                            failures.append((row.name, left))
        _tell(request, bulk, done, failures)

    def _too_many(self, count: int) -> str:
        said = _("%(count)d files were chosen, and at most %(most)d are taken at once. Nothing was changed.")
        return said % {"count": count, "most": MOST}

    def _back(self, request: HttpRequest) -> str:
        """Return where the user came from: one of our own pages."""
        back = request.POST.get("back", "")
        if back == "object":
            seen = [*_tokens(request.POST.getlist("chosen"))]
            return self._url("change", seen[0]) if seen else self._url("changelist")
        deleted = back == "deleted" and self.admin_site.is_registered(DeletedObject)
        url = self._url("changelist", model="deletedobject" if deleted else "storedobject")
        query = _query(request)
        return f"{url}?{query}" if query else url


def _query(request: HttpRequest) -> str:
    """Return what the list was filtered by when somebody chose from it."""
    return request.POST.get("query", "") or request.GET.urlencode()


def _tokens(words: Sequence[str]) -> dict[int, int]:
    """Return the newest version that was seen of each object, by its key; what cannot be understood is left out."""
    found = {}
    for word in words:
        numbers = _numbers(word.split("-"))
        if len(numbers) == 2 and word.count("-") == 1:
            found[numbers[0]] = numbers[1]
    return found


def _numbers(words: Sequence[str]) -> list[int]:
    """Return what databases take as numbers; anything else is left out."""
    numbers = [int(word) for word in words if word.isascii() and word.isdigit() and len(word) < 20]
    return [number for number in numbers if number <= MAX_NUMBER]


def _held(found: Sequence[StoredObject], known: Places) -> dict[int, list[Hold]]:
    """Return what holds some objects or their versions, by the key of the object: one query for each storage."""
    held: dict[int, list[Hold]] = {}
    for source in known.sources.values():
        here = {row.name: row.pk for row in found if row.place_digest == source.digest}
        if here:
            held |= {here[name]: rows for name, rows in holds.on_each(source.storage, [*here]).items()}
    return held


def _tell(request: HttpRequest, bulk: Bulk, done: int, failures: Sequence[tuple[str, str]]) -> None:
    if done:
        messages.success(request, bulk.done(done) % {"count": done})
    for name, why in failures[:NAMED]:
        messages.warning(request, why if name in why else _("“%(name)s”: %(why)s") % {"name": name, "why": why})
    more = len(failures) - NAMED
    if more > 0:
        messages.warning(request, ngettext("%(count)d more failed.", "%(count)d more failed.", more) % {"count": more})
