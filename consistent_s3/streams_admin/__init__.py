"""Streams of events in the admin, to be looked at; importing it registers their pages."""

from consistent_s3.streams_admin import pages

__all__ = ["pages"]
