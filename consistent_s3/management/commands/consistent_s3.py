"""`manage.py consistent_s3 VERB`: one command, many verbs."""

from __future__ import annotations

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
        VERBS[options["verb"]].handle(self, **options)
