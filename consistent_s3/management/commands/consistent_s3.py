"""`manage.py consistent_s3 VERB`: one command, many verbs."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from consistent_s3.management.common import add_common_arguments
from consistent_s3.management.verbs import collect, events, install_schedule, probe, reindex, rewind

VERBS = {
    "collect": collect,
    "events": events,
    "install-schedule": install_schedule,
    "probe": probe,
    "reindex": reindex,
    "rewind": rewind,
}

NOBODY_READS = 141
"""The status of a program that wrote to a pipe whose reader had gone, as shells tell it: 128 and SIGPIPE."""


class Command(BaseCommand):
    """Dispatches to the module of the verb."""

    help = "Look after the versioned files of this project."

    def add_arguments(self, parser: CommandParser) -> None:
        """Let each verb add its own."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for name, verb in VERBS.items():
            added = verbs.add_parser(name, help=verb.HELP, description=verb.HELP)
            verb.add_arguments(added)
            add_common_arguments(added)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the verb."""
        try:
            VERBS[options["verb"]].handle(self, **options)
            self.stdout.flush()
        except BrokenPipeError:
            # As in `... | head`. Whatever is still to be written as Python ends goes nowhere, too.
            # https://docs.python.org/3/library/signal.html#note-on-sigpipe
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(NOBODY_READS) from None
