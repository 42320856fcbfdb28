"""What our pages bring along where a theme has replaced Django's; see `consistent_s3.theming`."""

from __future__ import annotations

from django import template

from consistent_s3.theming import is_themed

register = template.Library()


@register.inclusion_tag("admin/consistent_s3/theme_styles.html")
def theme_styles() -> dict[str, bool]:
    """Link the styles that a theme does not bring."""
    return {"themed": is_themed()}


@register.inclusion_tag("admin/consistent_s3/theme_heading.html", takes_context=True)
def theme_heading(context: template.Context) -> dict[str, object]:
    """Show the page's title, and the way back to a file's history, where the theme does neither."""
    request = context.get("request")
    back = context.get("versions_url", "")
    return {
        "themed": is_themed(),
        "title": context.get("title", ""),
        "versions_url": "" if request is not None and request.path == back else back,
    }
