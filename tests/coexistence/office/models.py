"""What an office keeps: each kind of row under one library's eyes, with a pinned file and without."""

from django.db import models
from simple_history.models import HistoricalRecords

from consistent_s3.fields import VersionedFileField


class Contract(models.Model):
    """Registered with django-reversion by its admin."""

    title = models.CharField(max_length=100)
    file = VersionedFileField(upload_to="contracts", blank=True, version_field="file_version")
    file_version = models.PositiveBigIntegerField(null=True, editable=False)

    def __str__(self):
        return self.title


class Leaflet(models.Model):
    """Registered with django-reversion by its admin, and not pinned."""

    title = models.CharField(max_length=100)
    file = VersionedFileField(upload_to="leaflets", blank=True)

    def __str__(self):
        return self.title


class PriceList(models.Model):
    """Recorded by django-simple-history."""

    title = models.CharField(max_length=100)
    file = VersionedFileField(upload_to="prices", blank=True, version_field="file_version")
    file_version = models.PositiveBigIntegerField(null=True, editable=False)
    history = HistoricalRecords()

    def __str__(self):
        return self.title


class Notice(models.Model):
    """Recorded by django-simple-history, and not pinned."""

    title = models.CharField(max_length=100)
    file = VersionedFileField(upload_to="notices", blank=True)
    history = HistoricalRecords()

    def __str__(self):
        return self.title
