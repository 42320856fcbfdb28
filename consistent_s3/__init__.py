"""Files on S3 from Django: every change is a new version, every read the newest, nothing is lost."""

from consistent_s3.attribution import attribution

__version__ = "0.1.0"

__all__ = ["__version__", "attribution"]
