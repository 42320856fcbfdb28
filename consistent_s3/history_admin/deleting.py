"""Deleting one noncurrent version for good: asked with its facts, confirmed by typing its number."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import date, filesizeformat
from django.utils import timezone
from django.utils.translation import gettext as _

from consistent_s3.core.deleting import Deletion
from consistent_s3.core.versions import Version
from consistent_s3.errors import PolicyError, VersionKeptError, VersionNotFoundError
from consistent_s3.history_admin.answering import outside_of_transactions
from consistent_s3.history_admin.confirming import ConfirmPages
from consistent_s3.reasons import words


class DeleteVersionForm(forms.Form):
    """The number of what is to be deleted, typed by hand."""

    def __init__(self, *args: Any, number: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.number = number
        self.fields["confirmation"] = forms.CharField(
            label=_("Number of the version"),
            help_text=_("Type “%(number)d” to confirm.") % {"number": number},
            widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
        )

    def clean_confirmation(self) -> str:
        """Refuse any other number."""
        typed: str = self.cleaned_data["confirmation"]
        if typed != str(self.number):
            raise ValidationError(_("This is not the number of the version. Nothing was deleted."))
        return typed


class DeletePages(ConfirmPages):
    """Deletes single versions."""

    @outside_of_transactions
    def version_delete_view(self, request: HttpRequest, object_id: str, field_name: str, number: int) -> HttpResponse:
        """Ask on GET, and say why a version has to stay; on POST with its number delete it for good."""
        obj, file = self._file(request, object_id, field_name, "delete_version")
        version = self._version(file, number)
        name = str(file.name)
        form = DeleteVersionForm(request.POST or None, number=number)
        kept = self._why_kept(file.storage, name, number)
        if request.method == "POST" and not kept and form.is_valid():
            try:
                receipt = file.storage.delete_version(name, number)
            except VersionKeptError as error:
                messages.error(request, _("Nothing was deleted: %(reason)s.") % {"reason": words(error.reason)})
            except (PolicyError, VersionNotFoundError) as error:
                said = str(error).removesuffix(".")
                messages.error(request, _("Nothing was deleted: %(reason)s.") % {"reason": said})
            else:
                if receipt.left_over:
                    messages.warning(request, _("Its bytes stay for now: %(why)s") % {"why": receipt.left_over})
                return self._done(request, obj, file, told(receipt))
            return HttpResponseRedirect(self._versions_url(field_name, obj))
        says = [facts(version)]
        if kept:
            says.append(_("It cannot be deleted now: %(reason)s.") % {"reason": kept})
        else:
            says.append(
                _("Its bytes go at once and for good, whatever the retention policy says. Nobody can bring it back.")
            )
            says.append(_("All other versions stay, and numbers are never used again."))
        return self._ask(
            request,
            obj,
            file,
            form,
            title=_("Delete version %(number)d of “%(name)s” for good?") % {"number": number, "name": name},
            page_name=_("Delete a version"),
            says=says,
            button="" if kept else _("Delete it for good"),
            warns=True,
        )

    def _why_kept(self, storage: Any, name: str, number: int) -> str:
        """Return why a version has to stay; empty if it may go. Raises `Http404`."""
        try:
            fate = storage.deleter().may_go(name, number)
        except VersionNotFoundError as error:
            raise Http404(str(error)) from error
        return "" if fate.goes else words(fate.reason)


def facts(version: Version) -> str:
    """Return what somebody needs to know the version again."""
    said = _("%(size)s, written on %(when)s by %(author)s.") % {
        "size": filesizeformat(version.size),
        "when": date(timezone.localtime(version.modified), "DATETIME_FORMAT"),
        "author": version.author or "–",
    }
    return said + " " + _("“%(comment)s”") % {"comment": version.comment} if version.comment else said


def told(receipt: Deletion) -> str:
    """Return what went, in words."""
    return _("Deleted version %(number)d of “%(name)s” for good (%(size)s).") % {
        "number": receipt.number,
        "name": receipt.name,
        "size": filesizeformat(receipt.size),
    }
