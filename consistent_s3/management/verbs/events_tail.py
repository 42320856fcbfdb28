"""`events tail`: what happened last, and with --follow what happens."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand

from consistent_s3.core.errors import UnreachableError
from consistent_s3.eventstore import EventStore
from consistent_s3.eventstore.names import Stream, validate_segment
from consistent_s3.management.event_lines import one_line, printable, refuse, stream_argument, write_event, write_json
from consistent_s3.streams.tailing import Tail, Told

HELP = "Show the last events of all streams, of a type, or of some; with --follow go on as they are appended."


def add_arguments(parser: ArgumentParser) -> None:
    """Add the action's options."""
    parser.add_argument("streams", nargs="*", type=stream_argument, metavar="TYPE/ID", help="Streams; default: all.")
    parser.add_argument("--type", default="", metavar="TYPE", help="Only streams of this type.")
    parser.add_argument("-n", "--lines", type=_count, default=10, metavar="COUNT", help="How many; default: 10.")
    parser.add_argument(
        "-f",
        "--follow",
        action="store_true",
        help="Go on until Ctrl-C, also where the store does not answer for a while.",
    )
    parser.add_argument(
        "--every",
        type=_seconds,
        default=timedelta(seconds=2),
        metavar="SECONDS",
        help="How often to look: a LIST for each stream, or for a thousand chunks of all; default: 2.",
    )


def handle(
    command: BaseCommand,
    events: EventStore,
    *,
    streams: list[Stream],
    type: str,  # noqa: A002 - the option's name
    lines: int,
    follow: bool,
    every: timedelta,
    json: bool,
    **_: Any,
) -> None:
    """Show them."""
    if streams:
        refuse({"--type": type}, where="where streams are named")
    if type:
        validate_segment(type, "The type of a stream")
    tail = Tail(events=events, streams=streams, stream_type=type)
    _write(command, tail.last(lines), as_json=json)
    if follow:

        def unreachable(error: UnreachableError) -> None:
            command.stderr.write(one_line(error))

        _write(command, tail.follow(every, unreachable=unreachable), as_json=json)


def _write(command: BaseCommand, told: Iterable[Told], *, as_json: bool) -> None:
    for stream, event in told:
        if event is not None:
            write_event(command, stream, event, as_json=as_json)
        elif as_json:
            write_json(command, {"stream": stream.name, "ended": True})
        else:
            command.stdout.write(f"{printable(stream.name)}  was ended")
        command.stdout.flush()


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ArgumentTypeError(f"{text!r} is no whole number from 0.")
    return int(text)


def _seconds(text: str) -> timedelta:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0.1 <= seconds <= 86400:
        raise ArgumentTypeError(f"{text!r} is no number of seconds from 0.1 to 86400.")
    return timedelta(seconds=seconds)
