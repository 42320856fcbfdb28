"""A real S3 server on loopback, for tests and demonstrations: moto, behind a lock.

moto checks a condition and then acts on it, without a lock in between: of 16 threads that create one key up to four win
(measured with `sys.setswitchinterval(1e-6)`). One request at a time makes it atomic, as S3 is.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Iterable
from datetime import timedelta
from tempfile import SpooledTemporaryFile
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

HOST = "127.0.0.1"


def age_objects(bucket: str, by: timedelta) -> None:
    """Make all objects of a bucket look older. Raises `ValueError` for a bucket that this process does not serve."""
    from moto.s3.models import s3_backends  # noqa: PLC0415 - an extra

    served = [backend.buckets for account in s3_backends.values() for backend in account.values()]
    found = [buckets[bucket] for buckets in served if bucket in buckets]
    if not found:
        raise ValueError(f"No S3Server of this process has a bucket {bucket!r}, so its objects cannot be made older.")
    for kept in found:
        for key in kept.keys.values():
            key.last_modified -= by


class _OneAtATime:
    """A WSGI application that lets one request in at a time, once its body is here.

    A client may take the body of a PUT out of a GET from this very server, and would wait for ever.
    """

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self.lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        from werkzeug.wsgi import get_input_stream  # noqa: PLC0415 - comes with moto

        with SpooledTemporaryFile(max_size=1024**2) as body:
            shutil.copyfileobj(get_input_stream(environ), body)
            body.seek(0)
            with self.lock:
                return self._application({**environ, "wsgi.input": body}, start_response)


class S3Server:
    """moto's S3 on a free port of 127.0.0.1, in threads of this process; a context manager.

        with S3Server() as server:
            storage = ConsistentS3Storage(endpoint_url=server.url, bucket_name="files", access_key="test", ...)

    Guarantees: conditional puts are atomic. Any credentials will do. Objects live as long as the process, and all
    servers of a process show the same ones.
    """

    def __init__(self, port: int = 0) -> None:
        from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - an extra
            DomainDispatcherApplication,
            create_backend_app,
        )
        from werkzeug.serving import make_server  # noqa: PLC0415 - comes with moto

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._application = _OneAtATime(DomainDispatcherApplication(create_backend_app))
        self._server = make_server(HOST, port, self._application, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True, name="s3-server")

    @property
    def url(self) -> str:
        """Return the endpoint's address."""
        return f"http://{HOST}:{self._server.server_port}"

    def start(self) -> S3Server:
        """Begin to serve."""
        self._thread.start()
        return self

    def age(self, bucket: str, by: timedelta) -> None:
        """Make all objects of a bucket look older; what a database knows of them is made so by `testing.age`.

        Raises: `ValueError` for a bucket that is not there.
        """
        with self._application.lock:
            age_objects(bucket, by)

    def stop(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> S3Server:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()
