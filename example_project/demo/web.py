"""The web server: Django's own, `python -m demo.web DESCRIPTOR`, on a socket that listens already.

`runserver` would open the port itself, seconds after the demo found it free; whoever was faster would be taken for it.
"""

import socket
import sys

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

from project.wsgi import application


class Server(ThreadedWSGIServer):
    """Serves whoever connects to a socket that it was given."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        super().__init__(listening.getsockname(), WSGIRequestHandler)

    def server_bind(self) -> None:
        self.socket.close()
        self.socket = self._listening
        self.server_name, self.server_port = self.server_address
        self.setup_environ()

    def server_activate(self) -> None:
        """Do nothing: it listens already."""


if __name__ == "__main__":
    server = Server(socket.socket(fileno=int(sys.argv[1])))
    server.set_app(StaticFilesHandler(application))
    server.serve_forever()
