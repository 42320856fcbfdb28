"""Two versions of a file beside each other."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from consistent_s3.comparing.comparison import Comparison, Side, compare
from consistent_s3.core.errors import ConsistentS3Error
from consistent_s3.core.numbers import MAX_NUMBER
from consistent_s3.fieldfiles import VersionedFieldFile
from consistent_s3.history_admin.pages import FilePages
from consistent_s3.kinds import PREVIEW

DELETIONS = 20
"""Versions that are looked through for the one before, should they be deletions."""


class ChosenForm(forms.Form):
    """Which two versions are to be compared."""

    old = forms.IntegerField(min_value=1, max_value=MAX_NUMBER, required=False)
    new = forms.IntegerField(min_value=1, max_value=MAX_NUMBER)


class ComparePages(FilePages):
    """Compares versions."""

    def versions_compare_view(self, request: HttpRequest, object_id: str, field_name: str) -> HttpResponse:
        """Show what is different in `?old=` and `?new=`; the smaller number is always the older version.

        Without `old` it is the one before, and without either the newest version that has bytes and the one before.
        """
        obj, file = self._file(request, object_id, field_name, "download_version")
        form = ChosenForm(request.GET)
        if not form.is_valid():
            numbers = newest_two(file)
        elif form.cleaned_data["old"]:
            numbers = sorted(form.cleaned_data.values())
        else:
            numbers = [*before(file, form.cleaned_data["new"]), form.cleaned_data["new"]]
        if len(numbers) < 2:
            messages.info(request, _("There is no version before it that could be compared."))
            return HttpResponseRedirect(self._versions_url(field_name, obj))
        old, new = (self._side(file, number) for number in numbers)
        context: dict[str, Any] = {
            "title": _("Versions %(old)d and %(new)d of “%(name)s”")
            % {"old": numbers[0], "new": numbers[1], "name": file.name},
            "page_name": _("Comparison"),
            "old": old,
            "new": new,
            "may_restore": self._may_restore(request, obj, field_name),
        }
        try:
            found = compare(old, new)
            context |= {"found": found, "shows_pictures": shows_pictures(found), "facts": facts(found)}
        except ConsistentS3Error as error:
            context["store_error"] = str(error)
        return self._respond(request, "compare.html", obj, file, context)

    def _side(self, file: VersionedFieldFile, number: int) -> Side:
        version = self._version(file, number)
        opened = partial(file.storage.open, version.name, version=version)
        return Side(version=version, open=cast("Any", opened))


def before(file: VersionedFieldFile, number: int) -> list[int]:
    """Return the number of the version with bytes before another; nothing if there is none."""
    older = islice(file.history(before=number), DELETIONS)
    return [version.number for version in older if not version.tombstone][:1]


def newest_two(file: VersionedFieldFile) -> list[int]:
    """Return the numbers of the two newest versions that have bytes, the older first; fewer if there are fewer."""
    found: list[int] = []
    for version in file.history():
        if not version.tombstone:
            found.insert(0, version.number)
        if len(found) == 2:
            break
    return found


def shows_pictures(found: Comparison) -> bool:
    """Return whether both versions are pictures that are small enough to be shown."""
    return found.pictures and max(found.old.version.size, found.new.version.size) <= PREVIEW


def facts(found: Comparison) -> list[tuple[str, str, str]]:
    """Return what documents say of themselves, in the language of the page."""
    words = {"pages": _("Pages"), "title": _("Title"), "creator": _("Author"), "modified": _("Changed")}
    return [(words.get(word, word), old, new) for word, old, new in found.facts]
