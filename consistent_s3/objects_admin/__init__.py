"""The files of the whole project in the admin, whichever row has them; importing it registers their pages."""

from consistent_s3.objects_admin import changes, deleted, holds, stored

__all__ = ["changes", "deleted", "holds", "stored"]
