"""The office's admin: `VersionHistoryMixin` comes first, then the library's class, then the theme's."""

from django.apps import apps
from django.contrib import admin
from reversion.admin import VersionAdmin
from simple_history.admin import SimpleHistoryAdmin

from consistent_s3.admin import VersionHistoryMixin
from tests.coexistence.office.models import Contract, Leaflet, Notice, PriceList

if apps.is_installed("unfold"):
    from unfold.admin import ModelAdmin
else:
    ModelAdmin = admin.ModelAdmin


@admin.register(Contract, Leaflet)
class RevisedAdmin(VersionHistoryMixin, VersionAdmin, ModelAdmin):
    pass


@admin.register(PriceList, Notice)
class RecordedAdmin(VersionHistoryMixin, SimpleHistoryAdmin, ModelAdmin):
    pass
