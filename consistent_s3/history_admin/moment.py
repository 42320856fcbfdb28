"""Files of chosen rows brought back to what they were at a moment: asked, shown, and only then done.

1. The first page asks for the moment, the second shows what would happen to each file. Neither writes anything.
2. What is confirmed is what was shown: it travels signed. It is planned once more, and a file about which the plan is
   another by now is left alone and named; what changes even later than that is a conflict of the storage.
3. Each file is asked for its own right, on the page and again when it is done; one failure stops none of the others.
4. A page takes at most `MOST` rows, since somebody waits for it; the command takes any number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from consistent_s3.admin_pages import AdminPages
from consistent_s3.attribution import attribution
from consistent_s3.core.errors import ConsistentS3Error
from consistent_s3.core.rewinding import Action
from consistent_s3.core.seams import SystemClock
from consistent_s3.history_admin import moment_words
from consistent_s3.history_admin.moment_form import MomentForm
from consistent_s3.history_admin.moment_lines import Line

MOST = 100
"""Rows that one request plans or acts on: each file that is restored costs a GET and a PUT."""
NAMED = 20
"""Failures that are told one by one; the rest is counted."""
VALID = 24 * 60 * 60
"""Seconds for which a plan that was shown can be confirmed."""


class MomentPages(AdminPages):
    """Brings files of chosen rows back to a moment; what a row's files are is said by whoever inherits it."""

    def _moment_lines(self, request: HttpRequest, rows: Sequence[Any], moment: datetime) -> Iterable[Line]:
        """Return what is to be done with each file of some rows, and whether this user may have it done."""
        raise NotImplementedError

    def _offers_moment(self, request: HttpRequest) -> bool:
        """Return whether a user is offered it at all; each file is asked for its own right later."""
        raise NotImplementedError

    def _moment_needs_comment(self, request: HttpRequest, rows: Iterable[Any]) -> bool:
        """Return whether a file of some rows that this user may restore needs a comment for each new version."""
        raise NotImplementedError

    def _moment_title(self, count: int) -> str:
        """Return what the first page is called."""
        return ngettext(
            "Restore the files of %(count)d row as they were", "Restore the files of %(count)d rows as they were", count
        ) % {"count": count}

    def _moment_says(self) -> list[str]:
        """Return what the first page says."""
        return [
            _(
                "These files are brought back to what they were at a moment. First it is only shown what would happen "
                "to each; nothing is changed before you confirm it."
            )
        ]

    def get_urls(self) -> list[URLPattern]:
        """Add the page that shows a plan and carries it out."""
        view = self.admin_site.admin_view(self.moment_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_moment"
        return [path("restore-as-it-was/", view, name=name), *super().get_urls()]

    if TYPE_CHECKING:

        def comment_is_required(self, request: HttpRequest, field_name: str) -> bool:
            """Return whether a new version of a file needs a comment."""
            ...

        def versions_author(self, request: HttpRequest) -> str:
            """Return the name under which a user's versions are kept."""
            ...

    def _begin_moment(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        """Ask for the moment."""
        if not self._offers_moment(request):
            raise PermissionDenied
        chosen = [str(pk) for pk in queryset.values_list("pk", flat=True)[: MOST + 1]]
        if len(chosen) > MOST:
            self._refuse_many(request, queryset.count())
            return None
        today = timezone.localtime(SystemClock().now()).date()
        return self._ask_moment(request, chosen, self._moment_form(request, chosen, initial={"day": today}))

    def moment_view(self, request: HttpRequest) -> HttpResponse:
        """Show the plan for a moment; on a POST that confirms one that was shown, carry it out."""
        if not self._offers_moment(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseRedirect(self._moment_back())
        if "plan" in request.POST:
            return self._confirmed(request)
        chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if not chosen or len(chosen) > MOST:
            self._refuse_many(request, len(chosen))
            return HttpResponseRedirect(self._moment_back())
        if "again" in request.POST:
            return self._ask_moment(request, chosen, self._moment_form(request, chosen, initial=request.POST.dict()))
        form = self._moment_form(request, chosen, request.POST)
        if not form.is_valid():
            return self._ask_moment(request, chosen, form)
        return self._show_plan(request, chosen, form.cleaned_data["moment"], form.cleaned_data["comment"])

    # How it is done

    def _moment_form(self, request: HttpRequest, chosen: Sequence[str], *args: Any, **kwargs: Any) -> MomentForm:
        required = self._moment_needs_comment(request, self._chosen_rows(request, chosen))
        return MomentForm(*args, comment_required=required, **kwargs)

    def _ask_moment(self, request: HttpRequest, chosen: Sequence[str], form: forms.Form) -> HttpResponse:
        context = {
            "title": self._moment_title(len(chosen)),
            "says": self._moment_says(),
            "chosen": chosen,
            "form": form,
        }
        return self._respond_moment(request, "moment.html", context)

    def _show_plan(self, request: HttpRequest, chosen: Sequence[str], moment: datetime, comment: str) -> HttpResponse:
        context: dict[str, Any] = {
            "title": _("As it was at %(moment)s") % {"moment": moment_words.told(moment)},
            "chosen": chosen,
            "comment": comment,
            "day": timezone.localtime(moment).strftime("%Y-%m-%d"),
            "time": timezone.localtime(moment).strftime("%H:%M:%S"),
        }
        try:
            lines = self._lines(request, chosen, moment)
        except ConsistentS3Error as error:
            return self._respond_moment(request, "moment_plan.html", {**context, "store_error": str(error)})
        plan = {
            "user": str(request.user.pk),
            "moment": moment.isoformat(),
            "comment": comment,
            "chosen": list(chosen),
            "shown": {line.key: line.shown for line in lines if line.goes_ahead},
        }
        context |= {
            "lines": lines,
            "count": len(plan["shown"]),
            "plan": self._signer().sign_object(plan, compress=True),
        }
        return self._respond_moment(request, "moment_plan.html", context)

    def _confirmed(self, request: HttpRequest) -> HttpResponse:
        """Carry out what was shown, and tell of each file that is left alone."""
        try:
            plan = self._signer().unsign_object(request.POST["plan"], max_age=VALID)
        except signing.BadSignature:
            plan = {"user": ""}
        if plan["user"] != str(request.user.pk):
            messages.error(request, _("This plan is too old, or not yours. Nothing was changed: plan again."))
            return HttpResponseRedirect(self._moment_back())
        moment = datetime.fromisoformat(plan["moment"])
        try:
            lines = {line.key: line for line in self._lines(request, plan["chosen"], moment)}
        except ConsistentS3Error as error:
            messages.error(
                request, _("The store does not answer, so nothing was changed: %(error)s") % {"error": error}
            )
            return HttpResponseRedirect(self._moment_back())
        counts: Counter[Action] = Counter()
        failures: list[str] = []
        with attribution(author=self.versions_author(request)):
            for key, shown in plan["shown"].items():
                failure = self._carry_out(request, lines.get(key), shown, moment, plan["comment"], counts)
                if failure:
                    failures.append(failure)
        tell(request, counts, failures, moment_words.told(moment))
        return HttpResponseRedirect(self._moment_back())

    def _carry_out(
        self,
        request: HttpRequest,
        line: Line | None,
        shown: Sequence[Any],
        moment: datetime,
        comment: str,
        counts: Counter[Action],
    ) -> str:
        """Do one step that was shown; return why it was not done."""
        name = shown[0]
        if line is None or line.carry_out is None:
            return _("“%(name)s”: it is gone by now, or you may not restore it.") % {"name": name}
        if line.shown != list(shown):
            if line.step.action is Action.NOTHING:
                counts[Action.NOTHING] += 1
                return ""
            return _("“%(name)s” changed since the plan was shown, and was left alone. Plan again.") % {"name": name}
        when = moment_words.told(moment)
        outcome = line.carry_out(comment or _("as it was at %(moment)s") % {"moment": when})
        if outcome.error:
            return _("“%(name)s”: %(why)s") % {"name": name, "why": outcome.error}
        number = outcome.version.number if outcome.version else 0
        self.log_change(request, line.row, moment_words.done(line.step, number, when))
        counts[line.step.action] += 1
        return ""

    def _lines(self, request: HttpRequest, chosen: Sequence[str], moment: datetime) -> list[Line]:
        return list(self._moment_lines(request, self._chosen_rows(request, chosen), moment))

    def _chosen_rows(self, request: HttpRequest, chosen: Sequence[str]) -> list[Any]:
        try:
            return list(self.get_queryset(request).filter(pk__in=list(chosen)[:MOST]).order_by("pk"))
        except (ValueError, ValidationError):  # no such keys
            return []

    def _refuse_many(self, request: HttpRequest, count: int) -> None:
        if not count:
            messages.error(request, _("Choose at least one row."))
            return
        said = _(
            "%(count)d rows were chosen, and at most %(most)d are taken at once. Nothing was changed. For more there "
            "is “manage.py consistent_s3 rewind”."
        )
        messages.error(request, said % {"count": count, "most": MOST})

    def _signer(self) -> signing.TimestampSigner:
        return signing.TimestampSigner(salt=f"consistent_s3.moment.{self.opts.label_lower}")

    def _moment_url(self) -> str:
        return reverse(f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_moment")

    def _moment_back(self) -> str:
        return reverse(f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_changelist")

    def _respond_moment(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        about = {
            "page_name": _("Restore as it was"),
            "moment_url": self._moment_url(),
            "back_url": self._moment_back(),
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return self._rendered(request, template, about | context)


def tell(request: HttpRequest, counts: Counter[Action], failures: Sequence[str], moment: str) -> None:
    """Tell what was done, and of each failure, up to some."""
    restored, deleted, nothing = (counts[action] for action in (Action.RESTORE, Action.DELETE, Action.NOTHING))
    said = []
    if restored:
        said.append(ngettext("Restored %(count)d file.", "Restored %(count)d files.", restored) % {"count": restored})
    if deleted:
        said.append(ngettext("Deleted %(count)d file.", "Deleted %(count)d files.", deleted) % {"count": deleted})
    if nothing:
        were = ngettext("%(count)d file was so already.", "%(count)d files were so already.", nothing)
        said.append(were % {"count": nothing})
    if said:
        messages.success(request, _("As it was at %(moment)s:") % {"moment": moment} + " " + " ".join(said))
    for failure in failures[:NAMED]:
        messages.warning(request, failure)
    more = len(failures) - NAMED
    if more > 0:
        messages.warning(request, ngettext("%(count)d more failed.", "%(count)d more failed.", more) % {"count": more})
    if not said and not failures:
        messages.info(request, _("There was nothing to do."))
