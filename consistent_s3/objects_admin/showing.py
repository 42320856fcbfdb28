"""What the lists of stored objects, deleted files and changes have in common: how they are addressed and shown."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_http_methods

from consistent_s3.models import StoredObject
from consistent_s3.objects_admin.places import Places
from consistent_s3.objects_admin.rights import ObjectRights

TEMPLATES = "admin/consistent_s3/objects/"


class ObjectsAdmin(ObjectRights):
    """A list of the project's files, or the page of one."""

    def versions_author(self, request: HttpRequest) -> str:
        """Return the name under which a user's versions are kept."""
        return request.user.get_username()

    def _readable(self, url: str, view: Any, name: str, *methods: str) -> URLPattern:
        """Return a page at an address below this admin's; it can be read, unless methods are named."""
        checked = require_http_methods([*(methods or ("GET", "HEAD"))])(view)
        found: URLPattern = path(
            url, self.admin_site.admin_view(checked), name=f"{self.opts.app_label}_{self.opts.model_name}_{name}"
        )
        return found

    def _url(self, page: str, *args: Any, model: str = "storedobject") -> str:
        return reverse(f"{self.admin_site.name}:consistent_s3_{model}_{page}", args=args)

    def _object_url(self, row: StoredObject) -> str:
        return object_url(self.admin_site, row.pk)

    def _show(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        return self._rendered(request, f"objects/{template}", context)


def object_url(site: AdminSite, pk: int) -> str:
    """Return the page of a stored object; empty on a site that has none."""
    if not site.is_registered(StoredObject):
        return ""
    return reverse(f"{site.name}:consistent_s3_storedobject_change", args=[pk])


def listed(rows: Any, known: Places, *, prefix: str = "") -> Any:
    """Return the rows that are to be shown: of names that have versions, and not of places that nobody keeps up."""
    rows = rows.filter(**{f"{prefix}newest__gt": 0})
    return rows.exclude(**{f"{prefix}place_digest__in": sorted(known.stale)}) if known.stale else rows
