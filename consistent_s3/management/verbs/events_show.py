"""`events show`: the types of streams, the streams of a type, or the events of a stream."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from consistent_s3.eventstore import Event, EventStore
from consistent_s3.eventstore.names import Stream
from consistent_s3.eventstore.serializing import encoded
from consistent_s3.management.event_lines import (
    compact_json,
    one_line,
    printable,
    refuse,
    stream_argument,
    write_event,
    write_json,
)
from consistent_s3.streams.kinds import SETTING, stream_kind

HELP = "Show which streams there are, the events of one, or its state."


def add_arguments(parser: ArgumentParser) -> None:
    """Add the action's options."""
    parser.add_argument("what", nargs="?", default="", metavar="TYPE[/ID]", help="A type, or a stream; else all types.")
    parser.add_argument("--after", type=_position, default=0, metavar="POSITION", help="Only events after this one.")
    parser.add_argument("--until", type=_position, metavar="POSITION", help="Only events up to this one.")
    parser.add_argument("--limit", type=_position, metavar="COUNT", help="At most so many.")
    parser.add_argument("--backwards", action="store_true", help="The newest first.")
    parser.add_argument(
        "--state", action="store_true", help=f"What the events fold to, as {SETTING} says. Writes nothing."
    )


def handle(
    command: BaseCommand,
    events: EventStore,
    *,
    what: str,
    after: int,
    until: int | None,
    limit: int | None,
    backwards: bool,
    state: bool,
    json: bool,
    **_: Any,
) -> None:
    """Show it. Raises `CommandError` for a stream that does not exist, and for options that mean nothing here."""
    of_events = {"--after": after, "--until": until is not None, "--limit": limit is not None, "--backwards": backwards}
    if "/" not in what:
        refuse({**of_events, "--state": state}, where="where no stream TYPE/ID is named")
        names = events.streams(what) if what else events.types()
        for name in names:
            shown = f"{what}/{name}" if what else name
            write_json(command, shown) if json else command.stdout.write(printable(shown))
        return
    try:
        stream = stream_argument(what)
    except ArgumentTypeError as error:
        raise CommandError(str(error)) from error
    if state:
        refuse(of_events, where="with --state, which folds all events")
        _show_state(command, events, stream, as_json=json)
        return
    found = False
    read = events.read(stream.type, stream.id, after=after, until=until, limit=limit, backwards=backwards)
    for event in read:
        found = True
        write_event(command, stream, event, as_json=json)
    if not found and not events.exists(stream.type, stream.id):
        raise CommandError(f"There is no stream {stream.name!r}. See `events show {stream.type}`.")


def _show_state(command: BaseCommand, events: EventStore, stream: Stream, *, as_json: bool) -> None:
    kind = stream_kind(stream.type)
    if kind is None:
        raise CommandError(f"Nothing says how streams of type {stream.type!r} are folded. Name it in {SETTING}.")

    def fold(state: Any, event: Event) -> Any:
        try:
            return kind.fold(state, event)
        except Exception as error:
            said = one_line(f"{type(error).__name__}: {error}")
            raise CommandError(
                f"{stream.name!r} has no state: its fold failed at event {event.position}: {said}"
            ) from error

    folded = events.state(
        stream.type, stream.id, fold, kind.initial, schema_version=kind.schema_version, snapshot_every=None
    )
    plain = encoded(events.serializer, folded.state, "The state")
    if as_json:
        write_json(command, {"stream": stream.name, "version": folded.version, "state": plain})
    else:
        command.stdout.write(f"{printable(stream.name)}  {folded.version}  {compact_json(plain)}")


def _position(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ArgumentTypeError(f"{text!r} is no whole number from 0.")
    return int(text)
