"""Who is running because of us, and is all of it gone afterwards?

1. Each child leads a session of its own, so Ctrl-C in the terminal reaches the demo alone, which asks each of them.
2. A child that was asked to end (SIGTERM) and has not after `PATIENCE` is killed, together with what it started.
3. Only what was started here is ever signalled, by its process id, and only before it was waited for: until then the
   system gives the id to nobody else.
4. On leaving the block all children have ended.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.interruption import Interruption

PATIENCE = 60
"""Seconds for a child to end: a Celery worker finishes its task first."""
TAIL = 25
"""Lines of a log that are shown when its child died."""
HERE = Path(__file__).resolve().parent.parent
"""The directory of `manage.py`."""


class ChildDiedError(Exception):
    """A process that should be running has ended."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Child:
    """A process that we started."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def __str__(self) -> str:
        return f"{self.name} (process {self.process.pid})"

    def tail(self) -> str:
        """Return the last lines that it wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-TAIL:])

    def ask_to_end(self) -> None:
        """Send SIGTERM, unless it has ended already."""
        if self.process.poll() is None:
            self.process.terminate()

    def wait(self) -> int:
        """Wait until it has ended, by force if it takes too long, and return its exit status."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            return self.process.wait()


class Children:
    """Starts processes, and stops them all at the end of the block."""

    def __init__(self, logs: Path, interruption: Interruption) -> None:
        self._logs = logs
        self._interruption = interruption
        self._running: list[Child] = []

    def __enter__(self) -> "Children":
        return self

    def __exit__(self, *error: object) -> None:
        self._interruption.ignore()
        self.stop()

    def start(self, name: str, *arguments: str, descriptors: Sequence[int] = ()) -> Child:
        """Start `python ARGUMENTS` with some of our open files; what it prints goes to a log."""
        log = self._logs / f"{name}.log"
        with log.open("wb") as output, self._interruption.held():
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=HERE,
                # What a killed child leaves in its temporary directory goes with the logs.
                env={**os.environ, "TMPDIR": str(self._logs)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=descriptors,
            )
            child = Child(name=name, process=process, log=log)
            self._running.append(child)
        return child

    def check(self) -> None:
        """Raise `ChildDiedError` unless all that was started is still running."""
        for child in self._running:
            status = child.process.poll()
            if status is not None:
                raise ChildDiedError(f"The {child} ended with status {status}. Its last words:\n{child.tail()}")

    def stop(self) -> Mapping[Child, int]:
        """Stop all and return the exit status of each: negative for the signal that ended it."""
        for child in self._running:
            child.ask_to_end()
        ended = {child: child.wait() for child in self._running}
        self._running.clear()
        return ended
