"""Two versions of a file beside each other."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from consistent_s3.comparing.comparison import LIMIT, Comparison, Side, compare
from consistent_s3.core.errors import ConsistentS3Error
from consistent_s3.core.numbers import MAX_NUMBER
from consistent_s3.fieldfiles import VersionedFieldFile
from consistent_s3.history_admin.pages import FilePages
from consistent_s3.history_admin.reading import PREVIEW


class ChosenForm(forms.Form):
    """Which two versions are to be compared."""

    old = forms.IntegerField(min_value=1, max_value=MAX_NUMBER)
    new = forms.IntegerField(min_value=1, max_value=MAX_NUMBER)


class ComparePages(FilePages):
    """Compares versions."""

    def versions_compare_view(self, request: HttpRequest, object_id: str, field_name: str) -> HttpResponse:
        """Show what is different in `?old=` and `?new=`; the smaller number is always the older version.

        Without them it is the newest version that has bytes, and the one before.
        """
        obj, file = self._file(request, object_id, field_name, "download_version")
        form = ChosenForm(request.GET)
        numbers = sorted(form.cleaned_data.values()) if form.is_valid() else newest_two(file)
        if len(numbers) < 2:
            return HttpResponseRedirect(self._versions_url(field_name, obj))
        old, new = (self._side(file, number) for number in numbers)
        context: dict[str, Any] = {
            "title": _("Versions %(old)d and %(new)d of “%(name)s”")
            % {"old": numbers[0], "new": numbers[1], "name": file.name},
            "page_name": _("Comparison"),
            "old": old,
            "new": new,
            "limit": LIMIT,
            "may_restore": self.has_restore_version_permission(request, obj),
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
