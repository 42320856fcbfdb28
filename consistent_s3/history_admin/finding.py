"""Which versions of a file did somebody ask for: by person, by day, by words of the comment?

One page of answers, and a bound on what is looked through for it: `ROWS` versions where an index knows all about them
(one query), else `LISTED`, each of which may cost a HEAD.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _

from consistent_s3.core.fetching import details_of
from consistent_s3.core.seams import CommittingIndex
from consistent_s3.core.versions import Details, Version

if TYPE_CHECKING:
    from consistent_s3.storage import ConsistentS3Storage

PAGE = 20
"""Versions on one page of a history."""
ROWS = 10_000
"""Versions that are looked through for one page, where an index knows all about them."""
LISTED = 200
"""Versions that are looked through for one page, where the store is asked about each."""


class FilterForm(forms.Form):
    """What somebody looks for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        day = {"type": "date", "class": "vDateField"}
        self.fields["person"] = forms.CharField(label=_("Who"), required=False, max_length=250)
        self.fields["words"] = forms.CharField(label=_("Comment contains"), required=False, max_length=250)
        self.fields["since"] = forms.DateField(
            label=_("From day"), required=False, widget=forms.DateInput(attrs=day, format="%Y-%m-%d")
        )
        self.fields["until"] = forms.DateField(
            label=_("To day"), required=False, widget=forms.DateInput(attrs=day, format="%Y-%m-%d")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What versions must be like; each part may be empty."""

    person: str = ""
    """A part of their author's name, whatever its case."""
    words: str = ""
    """A part of their comment, whatever its case."""
    since: date | None = None
    """The first day, where the user is."""
    until: date | None = None
    """The last day."""

    @property
    def anything(self) -> bool:
        """Return whether every version will do."""
        return not (self.person or self.words or self.since or self.until)

    def on_its_day(self, version: Version) -> bool:
        """Return whether a version was written in time."""
        day = timezone.localtime(version.modified).date()
        return (self.since is None or day >= self.since) and (self.until is None or day <= self.until)

    def as_said(self, details: Details) -> bool:
        """Return whether a version's author and comment are wanted."""
        author, comment = details.author.casefold(), details.comment.casefold()
        return self.person.casefold() in author and self.words.casefold() in comment


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One page of versions, newest first."""

    versions: Sequence[Version]
    next_older: Version | None = None
    """The version right under the last one, of an unfiltered page."""
    before: int | None = None
    """Where the next page begins; `None` if there is none."""
    looked_at: int | None = None
    """How many versions were looked through before it was given up; `None` if it was not."""


def knows_all(storage: ConsistentS3Storage) -> bool:
    """Return whether the index knows all about every version, so that looking costs the store nothing."""
    index = storage.archive.index
    return isinstance(index, CommittingIndex) and not index.lists_names


def find(storage: ConsistentS3Storage, name: str, wanted: Wanted, *, before: int | None) -> Found:
    """Return a page of the versions that are wanted, below a number."""
    if wanted.anything:
        found = list(storage.archive.history(name, before=before, limit=PAGE + 1))
        more = len(found) > PAGE
        return Found(
            versions=found[:PAGE],
            next_older=found[PAGE] if more else None,
            before=found[PAGE - 1].number if more else None,
        )
    most = ROWS if knows_all(storage) else LISTED
    history = islice(storage.archive.history(name, before=before, limit=most + 1), most)
    found, looked_at, last = [], 0, None
    for batch in _batches(history):
        looked_at, last = looked_at + len(batch), batch[-1]
        dated = [version for version in batch if wanted.on_its_day(version)]
        if wanted.person or wanted.words:
            said = zip(dated, details_of(dated), strict=True)
            dated = [version for version, details in said if wanted.as_said(details)]
        found += dated
        if len(found) > PAGE:
            return Found(versions=found[:PAGE], before=found[PAGE - 1].number)
    if looked_at == most and last is not None:
        return Found(versions=found, before=last.number, looked_at=looked_at)
    return Found(versions=found)


def _batches(versions: Iterator[Version]) -> Iterator[list[Version]]:
    while batch := list(islice(versions, PAGE)):
        yield batch
