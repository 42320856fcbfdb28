"""What happens when somebody presses Ctrl-C, closes the terminal, or sends SIGTERM?

1. The first such signal raises `Interrupted` in the main thread, wherever it is; later ones are ignored, so that an
   impatient second Ctrl-C does not cut the tidying up short.
2. While `held`, the signal waits: nothing is started without somebody knowing it who will stop it.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupted(BaseException):
    """Somebody wants this to end. Not an `Exception`: no one but the outermost caller should take it for an error."""


class Interruption:
    """Turns signals into `Interrupted`, once."""

    def __init__(self) -> None:
        self._received = ""
        self._raised = False
        self._held = False

    def __enter__(self) -> "Interruption":
        self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let signals wait until the end of the block."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self._raise_once()

    def ignore(self) -> None:
        """Ignore all further signals: what is being done now is what they would ask for."""
        self._raised = True

    def _receive(self, number: int, frame: object) -> None:
        self._received = self._received or signal.Signals(number).name
        self._raise_once()

    def _raise_once(self) -> None:
        if self._received and not self._held and not self._raised:
            self._raised = True
            raise Interrupted(self._received)
