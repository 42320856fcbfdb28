"""A Django project as any other; `archive` is its app, `demo` puts it on show."""

from project.celery import app

__all__ = ["app"]
