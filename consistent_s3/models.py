"""The rows of the database index: which objects there are, and all their versions; and what is held.

A name may be longer than a database can index, and databases disagree about which texts are equal (case, accents,
trailing spaces), so names are found by a digest of place and name, and compared by their bytes.
"""

from __future__ import annotations

import hashlib

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from consistent_s3.core.keys import STREAMS


def digest(place: str, *name: str) -> str:
    """Return what identifies a place, or a name or directory there: 64 hexadecimal digits."""
    return hashlib.sha256("\0".join((place, *name)).encode()).hexdigest()


class StoredPlace(models.Model):
    """A place whose rows were compared with its bucket by `reindex`."""

    digest = models.CharField(max_length=64, unique=True, editable=False)
    place = models.TextField(_("place"), help_text=_("Bucket and location."))
    complete = models.BooleanField(
        _("complete"), default=False, help_text=_("What these rows do not know was never saved.")
    )

    class Meta:
        verbose_name = _("stored place")
        verbose_name_plural = _("stored places")

    def __str__(self) -> str:
        return self.place


CONTENT_TYPE_LENGTH = 100
"""Characters of a media type that are kept with a name."""


class StoredObject(models.Model):
    """One logical name at one place, and its newest version.

    What lists are ordered and filtered by is kept with the name, as its newest version says it; whoever makes a version
    the newest notes it in the same statement.
    """

    digest = models.CharField(max_length=64, unique=True, editable=False)
    place_digest = models.CharField(max_length=64, db_index=True, editable=False)
    place = models.TextField(_("place"), help_text=_("Bucket and location."))
    name = models.TextField(_("name"))
    directory_digest = models.CharField(max_length=64, db_index=True, editable=False)
    directory = models.TextField(_("directory"), blank=True)
    newest = models.PositiveBigIntegerField(_("newest version"), default=0)
    deleted = models.BooleanField(_("deleted"), default=False, db_default=False)
    size = models.PositiveBigIntegerField(_("size"), default=0, db_default=0)
    changed = models.DateTimeField(_("changed at"), default=timezone.now, db_default=Now(), editable=False)
    content_type = models.CharField(
        _("content type"), max_length=CONTENT_TYPE_LENGTH, blank=True, default="", db_default=""
    )

    class Meta:
        verbose_name = _("stored object")
        verbose_name_plural = _("stored objects")
        indexes = [
            models.Index(fields=["changed"], name="consistent_s3_changed"),
            models.Index(fields=["deleted", "changed"], name="consistent_s3_deleted"),
        ]
        permissions = [
            ("download_storedobject", _("Can read every version of stored objects")),
            ("restore_storedobject", _("Can undelete stored objects, and restore their versions")),
            ("tombstone_storedobject", _("Can delete stored objects, which can be undone")),
        ]

    def __str__(self) -> str:
        return self.name


class StoredVersion(models.Model):
    """One version, with everything that its object tells."""

    stored_object = models.ForeignKey(StoredObject, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveBigIntegerField(_("version"))
    write_id = models.CharField(max_length=24, editable=False)
    key = models.TextField(_("key"))
    size = models.PositiveBigIntegerField(_("size"))
    modified = models.DateTimeField(_("written at"), db_index=True)
    etag = models.CharField(max_length=255, blank=True)
    tombstone = models.BooleanField(_("deletion"), default=False)
    author = models.TextField(_("author"), blank=True)
    comment = models.TextField(_("comment"), blank=True)
    original_name = models.TextField(_("original file name"), blank=True)
    content_type = models.TextField(_("content type"), blank=True)
    content_encoding = models.TextField(blank=True)
    checksum = models.CharField(_("SHA-256"), max_length=64, blank=True)
    predecessor = models.PositiveBigIntegerField(default=0)
    predecessor_etag = models.CharField(max_length=255, blank=True)
    restored_from = models.PositiveBigIntegerField(default=0)
    body_key = models.TextField(blank=True)
    body_size = models.PositiveBigIntegerField(default=0)
    storage_class = models.CharField(_("storage class"), max_length=64, blank=True)

    class Meta:
        verbose_name = _("stored version")
        verbose_name_plural = _("stored versions")
        ordering = ["stored_object", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["stored_object", "number"], name="consistent_s3_one_version_a_number")
        ]

    def __str__(self) -> str:
        return f"{self.stored_object} {self.number}"


class DeletedObject(StoredObject):
    """A logical name that is deleted: its newest version is a tombstone. Only a view of the rows, for the admin."""

    class Meta:
        proxy = True
        verbose_name = _("deleted file")
        verbose_name_plural = _("deleted files")
        default_permissions = ()  # who may see stored objects sees these


class RecentChange(StoredVersion):
    """A version as an event: who saved, deleted or restored what, and when. Only a view of the rows, for the admin."""

    class Meta:
        proxy = True
        verbose_name = _("recent change")
        verbose_name_plural = _("recent changes")
        default_permissions = ()  # likewise


class Hold(models.Model):
    """What keeps a version, or all versions of a name, from every policy and from `erase`, until it is released.

    A hold that ended or was released stays as a record; its row is never changed otherwise. It is found by the object's
    place in the bucket, so whichever storage collects there finds it, also one with another location.
    """

    digest = models.CharField(max_length=64, db_index=True, editable=False)
    place_digest = models.CharField(max_length=64, db_index=True, editable=False)
    place = models.TextField(_("place"), help_text=_("Bucket and location."))
    name = models.TextField(_("name"))
    number = models.PositiveBigIntegerField(
        _("version"), null=True, blank=True, help_text=_("Empty for all versions, also those to come.")
    )
    reason = models.TextField(_("reason"))
    author = models.TextField(_("author"), blank=True)
    created = models.DateTimeField(_("held since"), default=timezone.now, editable=False)
    until = models.DateTimeField(_("until"), null=True, blank=True, help_text=_("Empty for until it is released."))
    released_at = models.DateTimeField(_("released at"), null=True, blank=True, editable=False)
    released_by = models.TextField(_("released by"), blank=True)
    release_reason = models.TextField(_("reason for the release"), blank=True)

    class Meta:
        verbose_name = _("hold")
        verbose_name_plural = _("holds")
        ordering = ["-created", "-pk"]

    def __str__(self) -> str:
        return self.name if self.number is None else f"{self.name} {self.number}"

    @property
    def in_force(self) -> bool:
        """Return whether it keeps anything now, by this machine's clock."""
        return self.released_at is None and (self.until is None or self.until > timezone.now())


class CollectionRun(models.Model):
    """One collection of one storage: planned first, then carried out, in slices that any worker can go on with."""

    class State(models.TextChoices):
        """How far it is."""

        PLANNING = "planning", _("planning")
        SWEEPING = "sweeping", _("sweeping")
        DONE = "done", _("done")
        STOPPED = "stopped", _("stopped")
        REFUSED = "refused", _("refused: too much would go")
        FAILED = "failed", _("failed")

    storage = models.CharField(_("storage"), max_length=255, help_text=_("Its alias in STORAGES."))
    place = models.TextField(_("place"), help_text=_("Bucket and location."))
    active = models.CharField(max_length=64, unique=True, null=True, editable=False)  # noqa: DJ001 - unique but for NULLs
    state = models.CharField(_("state"), max_length=16, choices=State.choices, default=State.PLANNING, db_index=True)
    dry_run = models.BooleanField(_("dry run"), default=False, help_text=_("Nothing is deleted."))
    started_by = models.TextField(_("started by"), blank=True)
    policy = models.JSONField(_("policy"), default=dict)
    lists_bucket = models.BooleanField(
        _("looks at the bucket"), default=True, help_text=_("If not, what may go is planned from the index alone.")
    )
    max_delete_ratio = models.FloatField(
        _("refuses beyond"), null=True, help_text=_("The part of all objects that may go; empty for any.")
    )
    ratio_counts_from = models.PositiveBigIntegerField(
        default=0, editable=False, help_text=_("Fewer objects than this may always go.")
    )
    max_objects = models.PositiveBigIntegerField(_("stops after objects"), null=True)
    stops_at = models.DateTimeField(_("stops at"), null=True)
    stop_requested = models.BooleanField(_("to be stopped"), default=False)
    started = models.DateTimeField(_("started"), default=timezone.now)
    swept_from = models.DateTimeField(_("sweeping since"), null=True)
    finished = models.DateTimeField(_("finished"), null=True)
    message = models.TextField(_("message"), blank=True)
    planned = models.JSONField(_("plan"), default=dict)
    summary = models.JSONField(_("result"), default=dict)
    approves = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="approved_by", verbose_name=_("approved dry run")
    )

    class Meta:
        verbose_name = _("collection")
        verbose_name_plural = _("collections")
        ordering = ["-pk"]
        permissions = [
            ("start_collection", _("Can plan collections, and carry out what was planned")),
            ("stop_collection", _("Can stop collections")),
        ]

    def __str__(self) -> str:
        return f"{self.storage} {self.pk}"

    @property
    def is_active(self) -> bool:
        """Return whether there is something left to do."""
        return self.state in {self.State.PLANNING, self.State.SWEEPING}


class CollectionSlice(models.Model):
    """A part of a run that one worker goes through at a time."""

    run = models.ForeignKey(CollectionRun, on_delete=models.CASCADE, related_name="slices")
    sweeps = models.BooleanField(default=False)
    streams = models.BooleanField(default=False, db_default=False)
    after = models.TextField(blank=True)
    until = models.TextField(blank=True)
    cursor = models.TextField(blank=True)
    owner = models.CharField(max_length=32, blank=True)
    leased_until = models.DateTimeField(null=True)
    turns = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    finished = models.DateTimeField(null=True)
    intended = models.JSONField(default=list)
    counted = models.JSONField(default=dict)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.run} {self.cursor or self.after}–{self.until}"


class CollectedObject(models.Model):
    """What a run would take: kept for looking through, of plans that nobody has carried out, up to a number."""

    run = models.ForeignKey(CollectionRun, on_delete=models.CASCADE, related_name="objects_to_go")
    name = models.TextField(_("name"))
    number = models.PositiveBigIntegerField(_("version"), default=0)
    key = models.TextField(_("key"))
    size = models.PositiveBigIntegerField(_("size"))
    reason = models.CharField(_("reason"), max_length=100)
    storage_class = models.CharField(_("moves to"), max_length=64, blank=True)

    class Meta:
        verbose_name = _("object to be collected")
        verbose_name_plural = _("objects to be collected")
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.key

    @property
    def is_of_streams(self) -> bool:
        """Return whether it holds events, and no version of a file."""
        return f"/{STREAMS}/" in f"/{self.key}"


class EventStream(models.Model):
    """A stream of events in the bucket of a storage. It has no row: only rights, and a place in the admin."""

    class Meta:
        managed = False
        verbose_name = _("event stream")
        verbose_name_plural = _("event streams")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return str(self._meta.verbose_name)
