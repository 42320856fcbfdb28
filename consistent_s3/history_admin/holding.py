"""Holds: what keeps a version, or all of them, until somebody releases it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from django import forms
from django.apps import apps
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from consistent_s3.attribution import attribution
from consistent_s3.core.errors import VersionNotFoundError
from consistent_s3.fieldfiles import VersionedFieldFile
from consistent_s3.history_admin.confirming import ConfirmPages
from consistent_s3.local_times import end_of, today

if TYPE_CHECKING:
    from consistent_s3.models import Hold

REASON_LENGTH = 1000
"""Characters of a reason that are taken."""


class HoldForm(forms.Form):
    """Why something is held, and until when."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"] = forms.CharField(
            label=_("Reason"),
            max_length=REASON_LENGTH,
            help_text=_("Whoever wants to release the hold one day reads it."),
            widget=forms.TextInput(attrs={"class": "vTextField"}),
        )
        self.fields["until"] = forms.DateField(
            label=_("Held until"),
            required=False,
            help_text=_("The last day. Leave it empty to hold until somebody releases it."),
            widget=forms.DateInput(attrs={"class": "vDateField", "type": "date"}, format="%Y-%m-%d"),
        )

    def clean_until(self) -> date | None:
        """Refuse an end that is over."""
        until: date | None = self.cleaned_data["until"]
        if until is not None and until < today():
            raise ValidationError(_("This day is over, so nothing would be held."))
        return until


class ReleaseForm(forms.Form):
    """Why a hold is released."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"] = forms.CharField(
            label=_("Reason"),
            max_length=REASON_LENGTH,
            help_text=_("Why may it go again? It is kept with the hold."),
            widget=forms.TextInput(attrs={"class": "vTextField"}),
        )


class HoldPages(ConfirmPages):
    """Places and releases holds."""

    def version_hold_view(self, request: HttpRequest, object_id: str, field_name: str, number: int) -> HttpResponse:
        """Ask on GET; on POST hold one version."""
        return self._hold(request, object_id, field_name, number)

    def versions_hold_view(self, request: HttpRequest, object_id: str, field_name: str) -> HttpResponse:
        """Ask on GET; on POST hold all versions, also those to come."""
        return self._hold(request, object_id, field_name, None)

    def versions_release_view(
        self, request: HttpRequest, object_id: str, field_name: str, hold_id: int
    ) -> HttpResponse:
        """Ask on GET; on POST release a hold that is in force on this very file."""
        obj, file = self._file(request, object_id, field_name, "release_version")
        hold = next((hold for hold in self._holds(file) if hold.pk == hold_id), None)
        if hold is None:
            raise Http404(_("There is no such hold in force."))
        what = described(hold.number, str(file.name))
        form = ReleaseForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                with attribution(author=self.versions_author(request)):
                    file.storage.release(hold, reason=form.cleaned_data["reason"])
            except ValueError as error:  # somebody else was faster
                messages.error(request, str(error))
                return HttpResponseRedirect(self._versions_url(field_name, obj))
            said = _("Released the hold on %(what)s: %(reason)s") % {"what": what, **form.cleaned_data}
            return self._done(request, obj, file, said)
        says = [
            _("Held by %(author)s: %(reason)s") % {"author": hold.author or "–", "reason": hold.reason},
            _("Once released, retention and erasing may take it."),
        ]
        return self._ask(
            request,
            obj,
            file,
            form,
            title=_("Release the hold on %(what)s?") % {"what": what},
            page_name=_("Release"),
            says=says,
            button=_("Release the hold"),
        )

    # How it is done

    def _hold(self, request: HttpRequest, object_id: str, field_name: str, number: int | None) -> HttpResponse:
        obj, file = self._file(request, object_id, field_name, "hold_version")
        if not apps.is_installed("consistent_s3"):
            raise Http404(_("Holds need the app consistent_s3 in INSTALLED_APPS."))
        what = described(number, str(file.name))
        form = HoldForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            reason, until = form.cleaned_data["reason"], form.cleaned_data["until"]
            try:
                with attribution(author=self.versions_author(request)):
                    file.storage.hold(str(file.name), number, reason=reason, until=end_of(until) if until else None)
            except VersionNotFoundError as error:
                raise Http404(str(error)) from error
            return self._done(request, obj, file, _("Held %(what)s: %(reason)s") % {"what": what, "reason": reason})
        says = [
            _("What is held stays, whatever the retention policy says and whoever erases, until it is released."),
            _("The file can still be replaced and deleted: that loses nothing."),
        ]
        return self._ask(
            request,
            obj,
            file,
            form,
            title=_("Hold %(what)s?") % {"what": what},
            page_name=_("Hold"),
            says=says,
            button=_("Hold"),
        )

    def _holds(self, file: VersionedFieldFile) -> list[Hold]:
        """Return the holds in force on a file: one query; none where there is no table for them."""
        return file.storage.holds(str(file.name)) if apps.is_installed("consistent_s3") else []


def described(number: int | None, name: str) -> str:
    """Return what a hold covers, in words."""
    if number is None:
        return _("all versions of “%(name)s”") % {"name": name}
    return _("version %(number)d of “%(name)s”") % {"number": number, "name": name}
