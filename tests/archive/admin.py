from django.contrib import admin

from consistent_s3.admin import VersionHistoryInline, VersionHistoryMixin
from tests.archive.models import Attachment, Contract, Document, Picture


class AttachmentInline(VersionHistoryInline, admin.TabularInline):
    model = Attachment
    extra = 1


@admin.register(Document)
class DocumentAdmin(VersionHistoryMixin, admin.ModelAdmin):
    inlines = [AttachmentInline]


@admin.register(Contract)
class ContractAdmin(VersionHistoryMixin, admin.ModelAdmin):
    pass


@admin.register(Picture)
class PictureAdmin(VersionHistoryMixin, admin.ModelAdmin):
    pass
