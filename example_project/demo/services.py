"""The processes that a project has in production too: a web server, a Celery worker, Celery beat."""

import socket
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from demo.ports import HOST
from demo.processes import Child, Children

CELERY = ("-m", "celery", "--app", "project", "--quiet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What is running."""

    address: str
    web: Child
    worker: Child
    beat: Child

    @property
    def all(self) -> tuple[Child, ...]:
        return self.web, self.worker, self.beat


def make_folders() -> None:
    """Make the folders of the broker and of the results; kombu and Celery expect to find them."""
    for folder in {*settings.BROKER_FOLDERS.values(), settings.RESULTS}:
        folder.mkdir(parents=True, exist_ok=True)


def start_services(children: Children, directory: Path, listening: socket.socket) -> Services:
    """Start all three. They may take a few seconds until they answer."""
    descriptor, port = listening.fileno(), listening.getsockname()[1]
    web = children.start("web server", "-m", "demo.web", str(descriptor), descriptors=[descriptor])
    # The web server's alone: when it ends, so does the port.
    listening.close()
    worker = children.start(
        "worker",
        *(*CELERY, "worker", "--loglevel", "INFO", "--concurrency", "1"),
        # It is the only worker: there is nobody to talk to, and talking needs a broker that is quick.
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    )
    schedule = str(directory / "beat-schedule")
    beat = children.start("beat", *CELERY, "beat", "--loglevel", "INFO", "--schedule", schedule, "--pidfile", "")
    return Services(address=f"http://{HOST}:{port}", web=web, worker=worker, beat=beat)
