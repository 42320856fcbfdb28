"""The page of one stored object: the same history that a row's file has, for names that no row points to as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.contrib.admin.utils import unquote
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _

from consistent_s3.fieldfiles import VersionedFieldFile
from consistent_s3.history_admin.rights import Right
from consistent_s3.history_admin.routes import HistoryRoutes
from consistent_s3.index.row_times import as_aware
from consistent_s3.models import StoredObject
from consistent_s3.objects_admin.file import StoredField, StoredFile
from consistent_s3.objects_admin.hidden import hidden_versions
from consistent_s3.objects_admin.places import database, places
from consistent_s3.objects_admin.referring import referrers
from consistent_s3.objects_admin.showing import ObjectsAdmin


class ObjectPages(ObjectsAdmin, HistoryRoutes):
    """Shows the versions of a stored object, and lets its pages act on it."""

    # The rights of a history, as those to stored objects

    def has_history_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Return whether a user may see which versions there are."""
        return self.has_view_permission(request, obj)

    def has_download_version_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Return whether a user may read versions: download, compare and look at them."""
        return self.has_download_permission(request, obj)

    def has_restore_version_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Return whether a user may restore versions, also as a copy."""
        return self.has_restore_permission(request, obj)

    def has_hold_version_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Return whether a user may place holds."""
        return self.has_hold_permission(request, obj)

    def has_release_version_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Return whether a user may release holds."""
        return self.has_release_permission(request, obj)

    def has_erase_versions_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Return whether a user may erase all versions."""
        return self.has_erase_permission(request, obj)

    def has_delete_version_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Return whether a user may delete single versions for good."""
        return self._sees_and(request, obj, "delete_storedversion")

    # Pages

    def _object_pages(self) -> dict[str, tuple[str, Callable[..., HttpResponseBase]]]:
        """Return the pages of one object by their names."""
        return {"change": ("<path:object_id>/change/", self.object_view), **self._versions_pages()}

    def object_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show an object and its versions, newest first."""
        return self.versions_view(request, object_id, StoredField().name)

    def versions_view(self, request: HttpRequest, object_id: str, field_name: str) -> HttpResponse:
        """List the versions of an object; where no storage has its place any more, say so."""
        stored = self._stored(request, object_id)
        if places().storage(stored) is not None:
            return super().versions_view(request, object_id, field_name)
        context = {"title": stored.name, "page_name": stored.name, "stored": self._facts(stored)}
        return self._show(request, "lost.html", context)

    # How it is done

    def _stored(self, request: HttpRequest, object_id: str) -> StoredObject:
        """Return a row, for a user who may see it. Raises: `PermissionDenied`, `Http404`."""
        self._require(self.has_view_permission(request))
        found = self.get_object(request, unquote(object_id))
        if found is None:
            raise Http404(_("There is no such object."))
        self._require(self.has_view_permission(request, found))
        return cast("StoredObject", found)

    def _file(
        self, request: HttpRequest, object_id: str, field_name: str, *rights: Right
    ) -> tuple[Any, VersionedFieldFile]:
        stored = self._stored(request, object_id)
        self._require(all(self._may(request, stored, right) for right in rights))
        storage = places().storage(stored)
        if field_name != StoredField().name or storage is None:
            raise Http404(_("There is no such file."))
        return stored, cast("VersionedFieldFile", StoredFile(instance=stored, storage=storage))

    def _versions_url(self, field_name: str, obj: Any) -> str:
        return reverse(f"{self.admin_site.name}:{self._page_name('change')}", args=[obj.pk])

    def _respond(
        self, request: HttpRequest, template: str, obj: Any, file: VersionedFieldFile, context: dict[str, Any]
    ) -> HttpResponse:
        if template == "versions.html":
            template = "objects/object.html"
            context |= {"stored": self._facts(obj), **self._object_context(request, obj, file)}
        return super()._respond(request, template, obj, file, context)

    def _object_context(self, request: HttpRequest, obj: StoredObject, file: VersionedFieldFile) -> dict[str, Any]:
        hidden = hidden_versions([obj], using=database()).get(obj.pk) if obj.deleted else None
        return {
            "title": obj.name,
            "page_name": "",
            "hidden": hidden,
            "token": f"{obj.pk}-{obj.newest}",
            "may_undelete": hidden is not None and self.has_restore_permission(request, obj),
            "may_tombstone": not obj.deleted and self.has_tombstone_permission(request, obj),
            "referrers": referrers(request, self.admin_site, file.storage, [obj.name]).get(obj.name, []),
        }

    def _facts(self, obj: StoredObject) -> dict[str, Any]:
        return {"storage": places().label(obj), "place": obj.place, "row": obj, "when": as_aware(obj.changed)}
