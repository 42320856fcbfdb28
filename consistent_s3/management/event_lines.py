"""How is an event written on a line, for people or for scripts?"""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from consistent_s3.core.errors import InvalidNameError
from consistent_s3.eventstore import Event
from consistent_s3.eventstore.names import Stream


def write_event(command: BaseCommand, stream: Stream, event: Event, *, as_json: bool) -> None:
    """Write an event on a line of its own."""
    if as_json:
        write_json(command, event_values(stream, event))
        return
    time = event.time.isoformat(timespec="milliseconds")
    command.stdout.write(
        f"{printable(stream.name)}  {event.position}  {time}  {printable(event.type)}  {compact_json(event.data)}"
    )


def write_json(command: BaseCommand, value: Any) -> None:
    """Write a value as JSON on a line of its own, and let it be seen at once."""
    command.stdout.write(json.dumps(value))


def event_values(stream: Stream, event: Event) -> dict[str, Any]:
    """Return all of an event, fit for JSON."""
    return {
        "stream": stream.name,
        "position": event.position,
        "id": str(event.id),
        "type": event.type,
        "time": event.time.isoformat(),
        "data": event.data,
        "metadata": dict(event.metadata),
    }


def compact_json(value: Any) -> str:
    """Return a value as JSON that people can read, on one line."""
    return printable(json.dumps(value, ensure_ascii=False))


def printable(text: str) -> str:
    """Return a text without anything that a terminal would obey."""
    return "".join(character if character.isprintable() else f"\\u{ord(character):04x}" for character in text)


def one_line(text: object) -> str:
    """Return an error's text, or another, on one line and printable."""
    return " ".join(printable(line) for line in str(text).splitlines())


def stream_argument(text: str) -> Stream:
    """Return the stream that is named `TYPE/ID` on the command line."""
    stream_type, slash, stream_id = text.partition("/")
    if not slash:
        raise ArgumentTypeError(f"{text!r} is no stream. Write TYPE/ID, as order/7.")
    try:
        return Stream(stream_type, stream_id)
    except InvalidNameError as error:
        raise ArgumentTypeError(str(error)) from error


def refuse(options: Mapping[str, object], *, where: str) -> None:
    """Raise `CommandError` for the first option that was given where it would mean nothing."""
    for option, given in options.items():
        if given:
            raise CommandError(f"{option} means nothing {where}. Leave it out.")
