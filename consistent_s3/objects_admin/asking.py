"""What did somebody ask of a list: which storage, which person, which days, which words?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.db import models
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from consistent_s3.index.row_times import as_kept
from consistent_s3.local_times import begin_of, end_of
from consistent_s3.objects_admin.places import Places


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What rows must be like; each part may be empty."""

    name: str = ""
    """A part of the name, whatever its case."""
    person: str = ""
    """A part of the author's name."""
    words: str = ""
    """A part of the comment."""
    storage: str = ""
    """The digest of a place."""
    since: date | None = None
    """The first day, where the user is."""
    until: date | None = None
    """The last day."""

    def within(self, rows: Any, *, by: str, place: str, name: str) -> Any:
        """Return the rows of names or versions of the right time, storage and name, by the columns that have them."""
        if self.since:
            rows = rows.filter(**{f"{by}__gte": as_kept(begin_of(self.since))})
        if self.until:
            rows = rows.filter(**{f"{by}__lt": as_kept(end_of(self.until))})
        if self.storage:
            rows = rows.filter(**{place: self.storage})
        if self.name:
            rows = rows.filter(**{f"{name}__icontains": self.name})
        return rows

    def said(self, prefix: str = "") -> models.Q:
        """Return what a version must say; `prefix` leads to it."""
        found = models.Q()
        if self.person:
            found &= models.Q(**{f"{prefix}author__icontains": self.person})
        if self.words:
            found &= models.Q(**{f"{prefix}comment__icontains": self.words})
        return found


class AskedForm(forms.Form):
    """Asks. What makes no sense asks for nothing, and is told beside its box."""

    def __init__(self, *args: Any, places: Places, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        day = {"type": "date", "class": "vDateField"}
        self.fields["name"] = forms.CharField(label=_("Name contains"), required=False, max_length=250)
        self.fields["person"] = forms.CharField(label=_("Who"), required=False, max_length=250)
        self.fields["words"] = forms.CharField(label=_("Comment contains"), required=False, max_length=250)
        storages = [(source.digest, source.label) for source in places.sources.values()]
        if len(storages) > 1:
            self.fields["storage"] = forms.ChoiceField(
                label=_("Storage"), required=False, choices=[("", _("All")), *storages]
            )
        for field, label in (("since", _("From day")), ("until", _("To day"))):
            self.fields[field] = forms.DateField(
                label=label, required=False, widget=forms.DateInput(attrs=day, format="%Y-%m-%d")
            )

    @cached_property
    def asked(self) -> Asked:
        """Return what was asked for."""
        self.is_valid()
        return Asked(**{field: value for field, value in self.cleaned_data.items() if value})

    @property
    def filtered(self) -> bool:
        """Return whether anything was asked for."""
        return self.asked != Asked()

    @property
    def query(self) -> str:
        """Return what was asked for as an address has it."""
        return urlencode({field: self.data[field] for field in self.fields if self.data.get(field)})
