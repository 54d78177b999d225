#!/usr/bin/env python3
"""An HTTP server for the http layer: answers with what it was asked, or as the path says."""

import base64
import gzip
import json
import os
import signal
import socketserver
import sys
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BORN = time.monotonic_ns()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    connections = 0
    count = 0

    def setup(self) -> None:
        super().setup()
        type(self).connections += 1

    def log_message(self, *_: object) -> None:
        pass

    def answer(
        self,
        status: int,
        body: bytes = b"",
        headers: Sequence[tuple[str, str]] = (),
        *,
        length: bool = True,
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)

    def serve(self) -> None:
        type(self).count += 1
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        route = getattr(self, "on_" + self.path.split("?")[0].strip("/").split("/")[0], self.echo)
        route(body)

    def echo(self, body: bytes) -> None:
        asked = {
            "method": self.command,
            "path": self.path,
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
            "body": base64.b64encode(body).decode(),
        }
        text = json.dumps(asked).encode()
        self.answer(200, text, [("Content-Type", "application/json")])

    def on_events(self, body: bytes) -> None:
        event = json.loads(body)
        if isinstance(event, dict) and event.get("refuse"):
            self.answer(500, b"no such thing", [("Content-Type", "text/plain")])
            return
        told: dict[str, object] = {
            "event": event,
            "context": json.loads(self.headers["x-amzn-lambda-context"]),
            "type": self.headers["content-type"],
        }
        if isinstance(event, dict) and event.get("count"):
            told = {"count": self.count, "connections": self.connections, "born": BORN}
        self.answer(200, json.dumps(told).encode())

    def on_cookies(self, _: bytes) -> None:
        dates = "; Expires=Wed, 21 Oct 2026 07:28:00 GMT"
        cookies = [("Set-Cookie", "a=1" + dates), ("Set-Cookie", "b=2" + dates)]
        others = [("X-Many", "one"), ("X-Many", "two"), ("Connection", "X-Hop"), ("X-Hop", "1")]
        self.answer(200, b"cookies", [*cookies, *others, ("Content-Type", "text/plain")])

    def on_type(self, body: bytes) -> None:
        self.answer(200, body, [("Content-Type", self.headers.get("x-type", ""))])

    def on_gzip(self, _: bytes) -> None:
        headers = [("Content-Encoding", "gzip"), ("Content-Type", "text/plain")]
        self.answer(200, gzip.compress(b"small"), headers)

    def on_status(self, _: bytes) -> None:
        status = int(self.path.split("/")[2])
        self.answer(status, b"a body", [("Location", "/elsewhere"), ("Content-Type", "text/plain")])

    def on_chunked(self, _: bytes) -> None:
        self.answer(200, b"", [("Transfer-Encoding", "chunked")], length=False)
        self.wfile.write(b"3\r\nabc\r\n0\r\n\r\n")

    def on_big(self, _: bytes) -> None:
        self.answer(200, b"x" * int(self.path.split("/")[2]), [("Content-Type", "text/plain")])

    def on_close(self, _: bytes) -> None:
        self.answer(200, b"closing", [("Content-Type", "text/plain")])
        # Without a word in the answer: what a server does whose patience with idlers is over.
        self.close_connection = True

    def on_exit(self, _: bytes) -> None:
        sys.stderr.write("the last words\n")
        sys.stderr.flush()
        os._exit(int(self.path.split("/")[2]))

    def on_exit_later(self, _: bytes) -> None:
        # First nobody can come any more, so that the next request is surely not for this one.
        self.server.server_close()
        self.answer(200, b"goodbye", [("Content-Type", "text/plain"), ("Connection", "close")])
        self.wfile.flush()
        os._exit(0)

    def on_hang_up(self, _: bytes) -> None:
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")

    def on_sleep(self, _: bytes) -> None:
        time.sleep(600)


for method in ("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"):
    setattr(Handler, f"do_{method}", Handler.serve)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    # Debian's own looks its name up, which takes long where nobody knows it.
    server_bind = socketserver.TCPServer.server_bind


def main() -> None:
    how = os.environ.get("BROKEN")
    if how == "exit":
        sys.stderr.write("no such database\n")
        sys.exit(5)
    port = int(os.environ["PORT"])
    if how == "elsewhere":
        port = 0
    if how == "503":
        setattr(Handler, "do_GET", lambda self: self.answer(503))  # noqa: B010 - made by name above
    Server(("127.0.0.1", port), Handler).serve_forever()


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
main()
