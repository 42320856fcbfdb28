"""Which rows of the project have a stored object as their file, and may this user see them?

Rows are found through the admin of their model, so what it hides from a user stays hidden, and each row is asked for
its own right. Where a model has no admin, or the user may not see it, nothing is told of its rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.admin.utils import quote
from django.db import models
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from consistent_s3.history_admin.routes import HistoryRoutes
from consistent_s3.policies import called_there, root_of
from consistent_s3.referring import fields
from consistent_s3.storage import ConsistentS3Storage

MOST = 200
"""Rows that are looked at for one field and one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Referrer:
    """A row that has a stored object as its file."""

    label: str
    model: str
    """What rows of its kind are called."""
    field: str
    """What the field is called."""
    url: str
    """Its history, or else its page."""
    pinned: int | None = None
    """The version that it shows, whatever is newest."""


def referrers(
    request: HttpRequest, site: AdminSite, storage: ConsistentS3Storage, names: Sequence[str]
) -> Mapping[str, list[Referrer]]:
    """Return the rows that have some names of a storage, by name: one query for each field with files there."""
    found: dict[str, list[Referrer]] = {}
    for field in fields(storage):
        admin = _admin(request, site, field)
        if admin is not None:
            for name, referrer in _of_field(request, admin, field, storage, names):
                found.setdefault(name, []).append(referrer)
    return found


def _admin(request: HttpRequest, site: AdminSite, field: models.FileField) -> ModelAdmin[Any] | None:
    if not site.is_registered(field.model):
        return None
    admin = site.get_model_admin(field.model)
    return admin if admin.has_view_or_change_permission(request) else None


def _of_field(
    request: HttpRequest,
    admin: ModelAdmin[Any],
    field: models.FileField,
    storage: ConsistentS3Storage,
    names: Sequence[str],
) -> Iterator[tuple[str, Referrer]]:
    called = called_there(names, here=root_of(storage), there=root_of(field.storage))
    rows = admin.get_queryset(request).filter(**{f"{field.attname}__in": [*called]}).order_by("pk")
    for row in rows[:MOST]:
        name = called.get(str(getattr(row, field.attname)))  # a database may find names that differ in case
        if name is not None and admin.has_view_or_change_permission(request, row):
            yield (
                name,
                Referrer(
                    label=str(row),
                    model=str(admin.opts.verbose_name),
                    field=str(field.verbose_name),
                    url=_url(request, admin, field, row),
                    pinned=_pinned(field, row),
                ),
            )


def _pinned(field: models.FileField, row: Any) -> int | None:
    version_field = getattr(field, "version_field", None)
    return getattr(row, version_field) if version_field else None


def _url(request: HttpRequest, admin: ModelAdmin[Any], field: models.FileField, row: Any) -> str:
    if isinstance(admin, HistoryRoutes) and admin.has_history_permission(request, row):
        url = admin._versions_url(field.name, row)
        if url:
            return url
    try:
        page = f"{admin.admin_site.name}:{admin.opts.app_label}_{admin.opts.model_name}_change"
        return reverse(page, args=[quote(row.pk)])
    except NoReverseMatch:
        return ""
