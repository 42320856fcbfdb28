"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _


class ConsistentS3Config(AppConfig):
    """Registers the system checks."""

    name = "consistent_s3"
    verbose_name = _("Versioned files")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks; nothing else happens at start-up."""
        from consistent_s3.checks import (  # noqa: PLC0415 - needs loaded apps
            check_known_to_rows,
            check_plain_file_fields,
            check_pointers_stay,
            check_probed,
            check_storages,
            check_streams,
        )

        checks.register(check_storages, "files")
        checks.register(check_streams, "files")
        checks.register(check_plain_file_fields, "files")
        checks.register(check_probed, "files", deploy=True)
        checks.register(check_known_to_rows, "files", deploy=True)
        checks.register(check_pointers_stay, "files", deploy=True)
