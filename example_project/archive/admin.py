"""One mixin more than without versions."""

from django.contrib import admin

from archive.models import Document
from consistent_s3.admin import VersionHistoryMixin


@admin.register(Document)
class DocumentAdmin(VersionHistoryMixin, admin.ModelAdmin):
    list_display = ["title", "file", "file_version"]
    search_fields = ["title"]
    actions = ["withdraw"]

    @admin.action(description="Withdraw selected documents", permissions=["change"])
    def withdraw(self, request, queryset):
        for document in queryset:
            document.withdraw()
        self.message_user(request, "They are withdrawn. The versions of each can bring it back.")
