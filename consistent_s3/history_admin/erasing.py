"""Erasing: every version of a file removed for good, but for what is held."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from consistent_s3.core.erasing import Erasure
from consistent_s3.core.errors import ConsistentS3Error
from consistent_s3.fieldfiles import VersionedFieldFile
from consistent_s3.history_admin.answering import outside_of_transactions
from consistent_s3.history_admin.confirming import ConfirmPages
from consistent_s3.referring import rows_with

NAMED = 20
"""Held versions that a receipt names; the rest is counted."""


class EraseForm(forms.Form):
    """The name of what is to be erased, typed by hand."""

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.name = name
        self.fields["confirmation"] = forms.CharField(
            label=_("Name of the file"),
            strip=False,
            help_text=_("Type “%(name)s” to confirm.") % {"name": name},
            widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off", "spellcheck": "false"}),
        )

    def clean_confirmation(self) -> str:
        """Refuse any other name."""
        typed: str = self.cleaned_data["confirmation"]
        if typed != self.name:
            raise ValidationError(_("This is not the name of the file. Nothing was erased."))
        return typed


class ErasePages(ConfirmPages):
    """Erases files."""

    @outside_of_transactions
    def versions_erase_view(self, request: HttpRequest, object_id: str, field_name: str) -> HttpResponse:
        """Ask on GET; on POST with the file's name remove all versions that no hold covers."""
        obj, file = self._file(request, object_id, field_name, "erase_versions")
        name = str(file.name)
        form = EraseForm(request.POST or None, name=name)
        rows = rows_with(file.storage, name)
        of_row = isinstance(file, VersionedFieldFile)  # else a stored object is meant, whoever has it
        shared = of_row and rows > 1
        if request.method == "POST" and form.is_valid() and not shared:
            try:
                receipt = file.storage.erase(name)
            except ConsistentS3Error as error:
                broke_off = _("Erasing “%(name)s” broke off: %(error)s") % {"name": name, "error": error}
                self.log_change(request, obj, broke_off)  # something may be gone already
                messages.error(request, _("Not everything may be erased: %(error)s") % {"error": error})
                return HttpResponseRedirect(self._versions_url(field_name, obj))
            if receipt.failures:
                messages.warning(request, unfinished(receipt))
            return self._done(request, obj, file, told(receipt))
        refusal = _("Another row has the same file. It would lose it, so the file cannot be erased here.")
        return self._ask(
            request,
            obj,
            file,
            form,
            title=_("Erase all versions of “%(name)s”?") % {"name": name},
            page_name=_("Erase"),
            says=[refusal] if shared else consequences(0 if of_row else rows),
            button="" if shared else _("Erase for good"),
            warns=True,
        )


def consequences(rows: int) -> list[str]:
    """Return what erasing does, also to some rows that use the file."""
    says = [
        _(
            "Every version of this file goes at once and for good, also the current one, whatever the retention "
            "policy says. Nobody can bring it back."
        ),
        _("What a hold covers stays. The row stays, too, and will have no file to show."),
    ]
    if rows:
        lose = ngettext("%(count)d row uses this file and loses it.", "%(count)d rows use this file and lose it.", rows)
        says.append(lose % {"count": rows})
    return says


def told(receipt: Erasure) -> str:
    """Return what went and what stayed, in words."""
    said = ngettext(
        "Erased %(count)d version of “%(name)s” for good (%(size)s).",
        "Erased %(count)d versions of “%(name)s” for good (%(size)s).",
        receipt.versions,
    ) % {"count": receipt.versions, "name": receipt.name, "size": filesizeformat(receipt.size)}
    if receipt.held:
        named = "; ".join(
            _("version %(number)d (%(reason)s)") % {"number": held.number, "reason": held.reason}
            for held in receipt.held[:NAMED]
        )
        more = len(receipt.held) - NAMED
        if more > 0:
            named += "; " + ngettext("%(count)d more", "%(count)d more", more) % {"count": more}
        said += " " + _("Kept, since held: %(named)s.") % {"named": named}
    return said


def unfinished(receipt: Erasure) -> str:
    """Return what the store kept, in words."""
    return ngettext(
        "The store kept %(count)d object: %(message)s. Erase again.",
        "The store kept %(count)d objects: %(message)s. Erase again.",
        len(receipt.failures),
    ) % {"count": len(receipt.failures), "message": receipt.failures[0].message or receipt.failures[0].code}
