"""A real S3 server on loopback, for tests and demonstrations: moto, behind a lock.

moto checks a condition and then acts on it, without a lock in between: of 16 threads that create one key up to four win
(measured with `sys.setswitchinterval(1e-6)`). One request at a time makes it atomic, as S3 is.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

HOST = "127.0.0.1"


class _OneAtATime:
    """A WSGI application that lets one request in at a time."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with self._lock:
            return self._application(environ, start_response)


class S3Server:
    """moto's S3 on a free port of 127.0.0.1, in threads of this process; a context manager.

    Guarantees: conditional puts are atomic. Objects live as long as the process.
    """

    def __init__(self, port: int = 0) -> None:
        from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - an extra
            DomainDispatcherApplication,
            create_backend_app,
        )
        from werkzeug.serving import make_server  # noqa: PLC0415 - comes with moto

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        application: Any = _OneAtATime(DomainDispatcherApplication(create_backend_app))
        self._server = make_server(HOST, port, application, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True, name="s3-server")

    @property
    def url(self) -> str:
        """Return the endpoint's address."""
        return f"http://{HOST}:{self._server.server_port}"

    def start(self) -> S3Server:
        """Begin to serve."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> S3Server:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()
