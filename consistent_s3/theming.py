"""Is this the admin as Django ships it, or did a theme replace its pages?

Our pages are made of what Django's styles know. Where a theme has a template of its own for all pages, they bring along
what they need of those styles, a heading and the way back.
"""

from __future__ import annotations

from pathlib import Path

from django.contrib import admin
from django.template.loader import get_template

OWN = Path(admin.__file__).parent / "templates"


def is_themed() -> bool:
    """Return whether somebody replaced the template of all pages of the admin; loaded once, asked often."""
    origin = getattr(get_template("admin/base.html"), "origin", None)
    return origin is not None and not Path(str(origin.name)).is_relative_to(OWN)
