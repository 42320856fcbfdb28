"""The admin, and beside it one that nobody touched: what it does wrong is not ours."""

from django.contrib import admin
from django.urls import path

from tests.archive.models import Attachment, Document, Picture
from tests.urls import urlpatterns as usual


class AttachmentInline(admin.TabularInline):
    model = Attachment
    extra = 1


class DocumentAdmin(admin.ModelAdmin):
    inlines = [AttachmentInline]
    search_fields = ["title"]
    search_help_text = "A part of the title."


stock = admin.AdminSite(name="stock")
stock.register(Document, DocumentAdmin)
stock.register(Picture)

urlpatterns = [*usual, path("stock/", stock.urls)]
