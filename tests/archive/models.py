"""The models of the tests: one for each way to use the fields."""

import uuid

from django.db import models

from consistent_s3.fields import VersionedFileField, VersionedImageField


class Document(models.Model):
    title = models.CharField(max_length=100, blank=True)
    file = VersionedFileField(upload_to="documents", blank=True)

    def __str__(self):
        return self.title


class ProxyDocument(Document):
    class Meta:
        proxy = True


class SignedDocument(Document):
    signer = models.CharField(max_length=100, blank=True)


class Contract(models.Model):
    """A row that is pinned to the version that it saved."""

    title = models.CharField(max_length=100, blank=True)
    file = VersionedFileField(upload_to="contracts", blank=True, version_field="file_version")
    file_version = models.PositiveBigIntegerField(null=True, editable=False)

    def __str__(self):
        return self.title


class ContractRecord(models.Model):
    """What a contract was, as packages that keep histories of rows write it down: the name is a mere text."""

    file = models.TextField()
    file_version = models.PositiveBigIntegerField(null=True)


class Picture(models.Model):
    image = VersionedImageField(
        upload_to="pictures", blank=True, width_field="width", height_field="height", version_field="image_version"
    )
    image_version = models.PositiveBigIntegerField(null=True, editable=False)
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)


class Attachment(models.Model):
    """Shown inline in a document's admin page."""

    document = models.ForeignKey(Document, on_delete=models.CASCADE)
    file = VersionedFileField(upload_to="attachments", blank=True)


class ProxyContract(Contract):
    class Meta:
        proxy = True


class SignedContract(Contract):
    signer = models.CharField(max_length=100, blank=True)


class Record(models.Model):
    """An abstract base whose children have the pinned field."""

    file = VersionedFileField(upload_to="records", blank=True, version_field="file_version")
    file_version = models.PositiveBigIntegerField(null=True, editable=False)

    class Meta:
        abstract = True


class ShownManager(models.Manager):
    def get_queryset(self):
        return super().get_queryset().filter(hidden=False)


class Report(Record):
    """Rows that its only manager hides."""

    hidden = models.BooleanField(default=False)

    objects = ShownManager()


class Letter(models.Model):
    """A row whose key is made in Python."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    file = VersionedFileField(upload_to="letters", blank=True)


class Ticket(models.Model):
    """A row whose key is made by the database."""

    code = models.CharField(primary_key=True, max_length=20, db_default="first")
    file = VersionedFileField(upload_to="tickets", blank=True)


class Page(models.Model):
    """A row whose key has two columns."""

    pk = models.CompositePrimaryKey("book", "sheet")
    book = models.IntegerField()
    sheet = models.IntegerField()
    file = VersionedFileField(upload_to="pages", blank=True)


class Plan(models.Model):
    """A rather short name that no other row may have."""

    file = VersionedFileField(upload_to="plans", blank=True, max_length=255, unique=True)
