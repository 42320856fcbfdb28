"""The pages of streams: storages and types, the streams of a type, events, one event, the folded state.

1. Nothing is written, whatever is asked: the bucket is behind a `ReadingBudget`.
2. Every page needs `view_eventstream`; a project may override `has_view_permission`, which gets the `Stream`.
3. No page asks the bucket more than a bounded number of times, however many streams and events there are.
4. What is in events was written by anybody: it is shown as text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from consistent_s3.admin_pages import ReadOnlyAdmin
from consistent_s3.core.errors import ConsistentS3Error, InvalidNameError
from consistent_s3.core.numbers import read_number
from consistent_s3.eventstore import EventStore
from consistent_s3.eventstore.names import Stream, validate_segment
from consistent_s3.eventstore.serializing import encoded
from consistent_s3.models import EventStream
from consistent_s3.streams.kinds import stream_kind
from consistent_s3.streams_admin import looking

UNREADABLE = 503
"""The status of a page that says that the store could not be asked, or what is there could not be read."""

Crumbs = list[tuple[str, str]]
"""What stands above a page: words and addresses."""


@admin.register(EventStream)
class EventStreamAdmin(ReadOnlyAdmin):
    """The streams of all storages."""

    # Rights

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether a user may see streams; `obj` is a `Stream` where it is about one."""
        return request.user.has_perm("consistent_s3.view_eventstream")

    # Pages

    def get_urls(self) -> list[URLPattern]:
        """Return these pages and no other: there are no rows."""
        of_type = "<str:alias>/<str:stream_type>/"
        of_stream = f"{of_type}<str:stream_id>/"
        return [
            self._page("", self.changelist_view, "changelist"),
            self._page(of_type, self.type_view, "type"),
            self._page(of_stream, self.stream_view, "stream"),
            self._page(f"{of_stream}state/", self.state_view, "state"),
            self._page(f"{of_stream}events/<int:position>/", self.event_view, "event"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """List the storages and the types of their streams."""
        self._require_view(request)
        found = [
            (source, [(text, self._url("type", source.alias, text)) for text in source.types])
            for source in looking.sources()
        ]
        context = {"title": _("Event streams"), "sources": found, **(extra_context or {})}
        return self._show(request, "sources.html", [], context)

    def type_view(self, request: HttpRequest, alias: str, stream_type: str) -> HttpResponse:
        """List the streams of a type, in the order of their keys."""
        self._require_view(request)
        alias, stream_type, events = self._of_type(alias, stream_type)
        prefix, after = request.GET.get("q", "").strip(), request.GET.get("after", "")
        context: dict[str, Any] = {
            "title": _("Streams of type “%(type)s”") % {"type": stream_type},
            "alias": alias,
            "query": prefix,
            "begun": bool(after),
        }

        def page() -> dict[str, Any]:
            try:
                found = looking.streams(events, stream_type, prefix=prefix, after=after)
            except InvalidNameError as error:
                return {"mistake": str(error)}
            shown = [(text, self._url("stream", alias, stream_type, text)) for text in found.ids]
            return {"streams": shown, "after": found.after}

        return self._show(request, "streams.html", self._crumbs(), context, page)

    def stream_view(self, request: HttpRequest, alias: str, stream_type: str, stream_id: str) -> HttpResponse:
        """List the events of a stream, the newest first."""
        alias, stream, events = self._of_stream(request, alias, stream_type, stream_id)
        until, event_type = _position(request.GET.get("until", "")), request.GET.get("type", "").strip()
        args = (alias, stream.type, stream.id)
        context: dict[str, Any] = {"title": stream.name, "alias": alias, "stream": stream, "event_type": event_type}

        def page() -> dict[str, Any]:
            found = looking.lines(events, stream, until=until, event_type=event_type)
            if not found.version:
                raise Http404(_("There is no such stream."))
            lines = [(line, self._url("event", *args, line.event.position)) for line in found.lines]
            newer = min(found.last + found.last - found.first + 1, found.version)
            return {
                "found": found,
                "lines": lines,
                "newer": newer if found.last < found.version and not found.ended else 0,
                "older": found.first - 1,
                "kind": stream_kind(stream.type),
                "state_url": self._url("state", *args),
            }

        return self._show(request, "events.html", self._crumbs(alias, stream.type), context, page)

    def event_view(
        self, request: HttpRequest, alias: str, stream_type: str, stream_id: str, position: int
    ) -> HttpResponse:
        """Show all of an event."""
        alias, stream, events = self._of_stream(request, alias, stream_type, stream_id)
        args = (alias, stream.type, stream.id)
        context: dict[str, Any] = {
            "title": _("Event %(position)s of %(stream)s") % {"position": position, "stream": stream.name},
            "alias": alias,
            "stream": stream,
        }

        def page() -> dict[str, Any]:
            version, event = looking.one(events, stream, position)
            if event is None:
                raise Http404(_("There is no such event."))
            data, cut = looking.pretty(event.data)
            return {
                "event": event,
                "data": data,
                "cut": cut,
                "metadata": looking.pretty(dict(event.metadata))[0] if event.metadata else "",
                "earlier": self._url("event", *args, position - 1) if position > 1 else "",
                "later": self._url("event", *args, position + 1) if position < version else "",
            }

        return self._show(request, "event.html", self._crumbs(*args), context, page)

    def state_view(self, request: HttpRequest, alias: str, stream_type: str, stream_id: str) -> HttpResponse:
        """Show what the events of a stream fold to, if the settings say how."""
        alias, stream, events = self._of_stream(request, alias, stream_type, stream_id)
        context: dict[str, Any] = {
            "title": _("State of %(stream)s") % {"stream": stream.name},
            "alias": alias,
            "stream": stream,
        }

        def page() -> dict[str, Any]:
            kind = stream_kind(stream.type)
            if kind is None:
                raise Http404(_("Nobody said how streams of this type are folded."))
            folded = looking.state(events, stream, kind)
            if isinstance(folded, str):
                return {"problem": folded}
            if not folded.version:
                raise Http404(_("There is no such stream."))
            shown, cut = looking.pretty(encoded(events.serializer, folded.state, "The state"))
            return {"kind": kind, "folded": folded, "state": shown, "cut": cut}

        return self._show(request, "state.html", self._crumbs(alias, stream.type, stream.id), context, page)

    # How it is done

    def _require_view(self, request: HttpRequest, stream: Stream | None = None) -> None:
        if not self.has_view_permission(request, stream):
            raise PermissionDenied

    def _of_type(self, alias: str, stream_type: str) -> tuple[str, str, EventStore]:
        alias, stream_type = unquote(alias), unquote(stream_type)
        try:
            events = looking.reading(alias)
            validate_segment(stream_type, "The type of a stream")
        except (ImproperlyConfigured, InvalidNameError) as error:
            raise Http404(str(error)) from error
        if events is None:
            raise Http404(_("There is no such storage, or streams are not safe on it."))
        return alias, stream_type, events

    def _of_stream(
        self, request: HttpRequest, alias: str, stream_type: str, stream_id: str
    ) -> tuple[str, Stream, EventStore]:
        """Return what an address names, for a user who may see it. Raises: `PermissionDenied`, `Http404`."""
        self._require_view(request)
        alias, stream_type, events = self._of_type(alias, stream_type)
        stream = looking.stream_of(stream_type, unquote(stream_id))
        if stream is None:
            raise Http404(_("There is no such stream."))
        self._require_view(request, stream)
        return alias, stream, events

    def _page(self, route: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
        checked = require_http_methods(["GET", "HEAD"])(view)
        found: URLPattern = path(route, self.admin_site.admin_view(checked), name=f"consistent_s3_eventstream_{name}")
        return found

    def _url(self, page: str, *args: Any) -> str:
        return reverse(f"{self.admin_site.name}:consistent_s3_eventstream_{page}", args=[*map(_quoted, args)])

    def _crumbs(self, *names: str) -> Crumbs:
        """Return the way to a page: to all streams, to a storage's type, to a stream."""
        crumbs: Crumbs = [(str(capfirst(self.opts.verbose_name_plural)), self._url("changelist"))]
        if len(names) > 1:
            crumbs.append((names[1], self._url("type", *names[:2])))
        if len(names) > 2:
            crumbs.append((names[2], self._url("stream", *names[:3])))
        return crumbs

    def _show(
        self,
        request: HttpRequest,
        template: str,
        crumbs: Crumbs,
        context: dict[str, Any],
        page: Callable[[], dict[str, Any]] = dict,
    ) -> HttpResponse:
        """Return a page; where the store cannot be asked, or something cannot be read, one that says so."""
        status = 200
        try:
            context |= page()
        except (ConsistentS3Error, ImproperlyConfigured) as error:
            context["problem"], status = str(error), UNREADABLE
        return self._rendered(
            request, f"streams/{template}", {"crumbs": crumbs, "page_name": context["title"], **context}, status=status
        )


def _quoted(part: Any) -> Any:
    return quote(part) if isinstance(part, str) else part


def _position(text: str) -> int | None:
    """Return the position that an address names; `None` for the newest."""
    return read_number(text) or None
