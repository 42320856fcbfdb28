"""What all our pages in the admin have in common, and those admins of which nobody adds, edits or deletes anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import django
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.template.response import TemplateResponse

if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Any]
else:
    AnyModelAdmin = admin.ModelAdmin

TEMPLATES = "admin/consistent_s3/"


class AdminPages(AnyModelAdmin):
    """Shows pages of its own."""

    def _rendered(
        self, request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200
    ) -> TemplateResponse:
        """Return a page of this admin; its template is below `TEMPLATES`."""
        request.current_app = self.admin_site.name
        common = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "breadcrumbs_are_a_list": django.VERSION >= (6, 1),
        }
        return TemplateResponse(request, TEMPLATES + template, common | context, status=status)

    def _require(self, allowed: bool) -> None:  # noqa: FBT001 - a right is all it is about
        if not allowed:
            raise PermissionDenied


class ReadOnlyAdmin(AdminPages):
    """Shows what a project's code and our pages write; nobody adds, edits or deletes it by hand."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return whether the admin's index tells of it: to whoever may see it."""
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False
