"""What is told of the storages that are collected: their rules, and what they keep."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError

from consistent_s3 import collection, policies, runs
from consistent_s3.collection_words import Fact, rules
from consistent_s3.index.database import DatabaseIndex
from consistent_s3.models import CollectionRun
from consistent_s3.totals import Totals, totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A storage, by its alias."""

    alias: str
    place: str = ""
    rules: list[Fact] = field(default_factory=list)
    problem: str = ""
    """Why nothing is known of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a storage keeps, as far as it is known."""

    place: str = ""
    totals: Totals | None = None
    """By the rows; `None` where the index has none."""
    index: str = ""
    last: CollectionRun | None = None
    """The last run that went through all of it."""
    problem: str = ""


def described(alias: str) -> Described:
    """Return where a storage keeps its files, and by what rules."""
    try:
        storage = collection.versioned_storage(alias)
        return Described(alias=alias, place=runs.place_of(storage), rules=rules(policies.told(storage)))
    except ImproperlyConfigured as error:
        return Described(alias=alias, problem=str(error))


def kept(alias: str) -> Kept:
    """Return what a storage keeps: four queries, no request."""
    try:
        storage = collection.versioned_storage(alias)
        place = runs.place_of(storage)
        index = storage.archive.index
        ended = CollectionRun.objects.filter(place=place, state=CollectionRun.State.DONE)
        return Kept(
            place=place,
            index=storage.index_kind,
            totals=totals(index.place, using=index.using) if isinstance(index, DatabaseIndex) else None,
            last=ended.first(),
        )
    except (ImproperlyConfigured, DatabaseError) as error:
        return Kept(problem=str(error))
