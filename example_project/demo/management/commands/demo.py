"""`manage.py demo`: the whole archive on this machine, for a person to use; with `--check`, for nobody."""

import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from signal import SIGTERM
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from consistent_s3.core.errors import ConsistentS3Error
from demo import bucket, filling, show
from demo.browser import Browser
from demo.checklist import Checklist, NotSoError, wait_until
from demo.environment import COLLECT_EVERY, Environment, prepare_and_start_anew, prepared
from demo.interruption import Interrupted, Interruption
from demo.ports import USUAL, PortTakenError, listen
from demo.processes import ChildDiedError, Children
from demo.services import Services, make_folders, start_services
from demo.walk import Surroundings, walk

START_PATIENCE = 120
"""Seconds for the web server to answer."""


class Command(BaseCommand):
    help = "Start the whole example on this machine: a bucket, a web server, a Celery worker and beat."
    requires_system_checks = []  # of the settings that are about to be replaced

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, help=f"The web server's port; {USUAL} or, if taken, another.")
        parser.add_argument("--check", action="store_true", help="Walk through everything, say what was seen, and end.")

    def handle(self, *, port: int | None, check: bool, **_: Any) -> None:
        environment = prepared()
        if environment is None:
            prepare_and_start_anew()
            raise AssertionError("unreachable")
        began = time.monotonic()
        try:
            with Interruption() as interruption:
                seen = self._run(environment, interruption, port, check=check)
        except Interrupted as signal:
            if check:
                raise CommandError(f"The check did not get to its end: {signal}.", returncode=130) from None
        except (NotSoError, ChildDiedError, PortTakenError) as error:
            raise CommandError(str(error)) from None
        except (ConsistentS3Error, LookupError, OSError) as error:
            raise CommandError(f"{type(error).__name__}: {error}") from error
        else:
            self.say(f"\nAll {seen} were so, in {time.monotonic() - began:.0f} s.")

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def _run(self, environment: Environment, interruption: Interruption, port: int | None, *, check: bool) -> int:
        with ExitStack() as stack:
            listening = stack.enter_context(listen(port))
            chosen = listening.getsockname()[1]
            if port is None and chosen != USUAL:
                self.say(f"Port {USUAL} is taken, so this is port {chosen}.")
            stack.callback(self.say, "Everything is stopped.")
            stack.enter_context(_directory(environment.directory))
            self._serve_bucket(stack, environment)
            make_folders()
            call_command("check")
            call_command("migrate", verbosity=0)
            # Last in, first out: the processes end before the bucket and the directory that they use.
            children = stack.enter_context(Children(environment.directory, interruption))
            services = start_services(children, environment.directory, listening)
            for child in services.all:
                self.say(f"Started         {child}")
            password = secrets.token_urlsafe(6)
            self._fill(environment, password)
            self._wait_for_web(services, children)
            if check:
                return self._walk(environment, services, children, password)
            self._show(environment, services, children, password)
        raise AssertionError("unreachable: showing ends with an interruption")

    def _serve_bucket(self, stack: ExitStack, environment: Environment) -> None:
        if environment.s3_port is None:
            place = settings.STORAGES["default"]["OPTIONS"]["location"]
            self.say(f"Bucket          yours: {environment.bucket}, under {place}/. What is saved stays there.")
        else:
            stack.enter_context(bucket.served_bucket(environment.bucket, environment.s3_port))
            self.say(f"Bucket          moto's, in memory, on port {environment.s3_port}")

    def _fill(self, environment: Environment, password: str) -> None:
        filling.add_people(password)
        documents = filling.add_documents()
        self.say(f"Archived        {', '.join(document.title for document in documents)}")
        if environment.s3_port is not None:
            aged = bucket.age(environment.bucket, show.MONTH, keys=filling.keys_to_age())
            self.say(f"Dated back      the first {aged} versions of {documents[0].title}, by a month: two are too old")

    def _wait_for_web(self, services: Services, children: Children) -> None:
        browser = Browser(services.address)

        def answers() -> bool:
            try:
                return browser.get("/").status == 200
            except OSError:
                return False

        if wait_until(answers, seconds=START_PATIENCE, meanwhile=children.check) is None:
            raise ChildDiedError(f"The web server does not answer. Its last words:\n{services.web.tail()}")

    def _walk(self, environment: Environment, services: Services, children: Children, password: str) -> int:
        checklist = Checklist(self.say)
        own = environment.s3_port is not None
        around = Surroundings(
            address=services.address,
            password=password,
            worker=services.worker.process.pid,
            check_services=children.check,
            age=(lambda keys, by: bucket.age(environment.bucket, by, keys=keys)) if own else None,
        )
        walk(checklist, around)
        children.check()
        checklist.heading("Stopping")
        for child, status in children.stop().items():
            checklist.see(status in {0, -SIGTERM}, f"the {child} ended when asked to", instead=f"status {status}")
        return checklist.seen

    def _show(self, environment: Environment, services: Services, children: Children, password: str) -> None:
        own = environment.s3_port is not None
        self.say(f"Collecting      every {COLLECT_EVERY} seconds, by the worker, when beat says so")
        show.welcome(self.say, services, password, environment.write_script(), own_bucket=own)
        age = partial(bucket.age, environment.bucket, show.MONTH) if own else None
        try:
            show.keep_running(self.say, settings.RESULTS, children.check, age)
        except Interrupted:
            self.say("\nStopping. The worker takes a few seconds.")
            raise


@contextmanager
def _directory(path: Path) -> Iterator[None]:
    """Make a directory that only we can enter, and remove it with all that is in it."""
    path.mkdir(mode=0o700)
    try:
        yield
    finally:
        shutil.rmtree(path)
