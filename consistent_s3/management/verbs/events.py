"""`manage.py consistent_s3 events ACTION`: look at streams of events, compact them, and see whether they are sound.

    events show                     which types of streams there are
    events show order               which streams of a type
    events show order/7             the events of a stream; with --state what they fold to
    events tail --follow            what happened last, and what happens
    events compact --dry-run        many small chunks become few
    events verify                   every chunk is read and compared; exit code 1 if something is wrong

With --json each line is one JSON value.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from consistent_s3.core.errors import ConsistentS3Error
from consistent_s3.management.common import add_common_arguments
from consistent_s3.management.event_lines import one_line
from consistent_s3.management.verbs import events_compact, events_show, events_tail, events_verify
from consistent_s3.streams import event_store

HELP = "Look at streams of events, compact them, and verify them."

ACTIONS = {
    "compact": events_compact,
    "show": events_show,
    "tail": events_tail,
    "verify": events_verify,
}
INTERRUPTED = 130
"""The exit code of a shell command that Ctrl-C ended."""


def add_arguments(parser: ArgumentParser) -> None:
    """Let each action add its own."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, action in ACTIONS.items():
        added = actions.add_parser(name, help=action.HELP, description=action.HELP)
        added.add_argument("--storage", default="default", metavar="ALIAS", help="The storage; default: 'default'.")
        added.add_argument("--json", action="store_true", help="Print JSON, one value a line, for scripts.")
        action.add_arguments(added)
        add_common_arguments(added)


def handle(command: BaseCommand, *, action: str, storage: str, **options: Any) -> None:
    """Run the action. Raises `CommandError` with what went wrong."""
    try:
        ACTIONS[action].handle(command, event_store(storage), **options)
    except (ConsistentS3Error, ImproperlyConfigured, DatabaseError) as error:
        raise CommandError(one_line(f"{storage}: {error}")) from error
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
