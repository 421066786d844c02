"""Say version and slot on the socket that the supervisor holds; report readiness as all do."""

import fcntl
import json
import os
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

from tiny_service.version import VERSION

ME = {"version": VERSION, "slot": int(os.environ["SLOT"]), "pid": os.getpid()}
LEADER_LOCK_FILE = os.environ.get("LEADER_LOCK_FILE")
leading = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """Answers every path alike."""

    def do_GET(self) -> None:
        """Say who answers, and in which role."""
        role = "active" if leading.is_set() else "standby"
        body = json.dumps({**ME, "status": "ready", "role": role, "checks": {}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the log short."""


def page_server() -> HTTPServer:
    """Return a server on the socket that was inherited as standard input."""
    server = HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=0)
    return server


def lead(path: str) -> None:
    """Wait until the other slot gives up the lock; it is held as long as this process lives."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    leading.set()


ops = ThreadingHTTPServer(("127.0.0.1", int(os.environ["OPS_PORT"])), Handler)
threading.Thread(target=ops.serve_forever, daemon=True).start()
# Only the main thread gets SIGTERM, between two requests or within one, which it finishes first.
stopping = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopping.set())
if LEADER_LOCK_FILE:
    threading.Thread(target=lead, args=(LEADER_LOCK_FILE,), daemon=True).start()
    stopping.wait()
else:
    leading.set()
    server = page_server()
    server.timeout = 0.1
    while not stopping.is_set():
        server.handle_request()
sys.exit(0)
