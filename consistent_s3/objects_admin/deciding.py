"""Who may see which objects on the lists beside that of stored objects? Whoever the site's admin for those lets.

So a project that registers a `StoredObjectAdmin` of its own decides for deleted files and recent changes as well: for
one object by `has_..._permission(request, obj)`, and for all of them by `get_queryset`. A site that has no admin for
stored objects asks for the rights of Django.
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest

from consistent_s3.models import StoredObject
from consistent_s3.objects_admin.rights import ObjectRights
from consistent_s3.objects_admin.showing import ObjectsAdmin
from consistent_s3.objects_admin.stored import StoredObjectAdmin


class DecidedByObjects(ObjectsAdmin):
    """A list whose rows are, or belong to, stored objects; `obj` is always the stored object."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether a user may see stored objects, or this one."""
        decides = self._decides
        if decides is None:
            return super().has_view_permission(request, obj)
        return decides.has_view_permission(request, obj)

    def has_restore_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether a user may undelete stored objects, or this one."""
        decides = self._decides
        if decides is None:
            return super().has_restore_permission(request, obj)
        return isinstance(decides, ObjectRights) and decides.has_restore_permission(request, obj)

    @property
    def _decides(self) -> ModelAdmin[StoredObject] | None:
        site = self.admin_site
        return site.get_model_admin(StoredObject) if site.is_registered(StoredObject) else None

    def _narrowed(self, request: HttpRequest, rows: QuerySet[Any], *, by: str = "pk") -> QuerySet[Any]:
        """Return those rows whose object, which `by` has, is among those that a project lists."""
        decides = self._decides
        if decides is None or type(decides).get_queryset is StoredObjectAdmin.get_queryset:
            return rows
        return rows.filter(**{f"{by}__in": decides.get_queryset(request).order_by().values("pk")})
