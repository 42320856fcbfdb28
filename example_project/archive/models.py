"""A document: a file with a history, and if there is one a picture of it, with a history of its own."""

from django.db import models

from consistent_s3.fields import VersionedFileField, VersionedImageField


class Document(models.Model):
    title = models.CharField(max_length=200)

    file = VersionedFileField(upload_to="documents", version_field="file_version")
    # The version that this row saved: a rolled-back transaction leaves row and file as they were.
    file_version = models.PositiveBigIntegerField(null=True, editable=False)

    cover = VersionedImageField(
        upload_to="covers",
        blank=True,
        width_field="cover_width",
        height_field="cover_height",
        version_field="cover_version",
    )
    cover_version = models.PositiveBigIntegerField(null=True, editable=False)
    cover_width = models.PositiveIntegerField(null=True, editable=False)
    cover_height = models.PositiveIntegerField(null=True, editable=False)

    class Meta:
        ordering = ["title"]

    def __str__(self):
        return self.title

    def withdraw(self):
        """Delete the file, reversibly: the row keeps its name, so that its history can bring it back."""
        self.file.storage.delete(self.file.name)
        self.file_version = None  # it has whatever is current: nothing now, and what is brought back later
        self.save(update_fields=["file_version"])
