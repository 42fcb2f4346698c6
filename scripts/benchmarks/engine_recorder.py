"""What our engine sends to Elasticsearch, written down by a proxy between the two: the bodies are its own."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_OF_ONE_HOP = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Sent:
    """One search: where it was sent, with its parameters, and its body."""

    path: str
    body: dict[str, Any]


@dataclass(slots=True)
class Recorder:
    """Passes everything on, from `port`, and keeps the searches."""

    port: int = 0
    _kept: list[Sent] = field(default_factory=list)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, sent: Sent) -> None:
        """Write one down."""
        with self._turn:
            self._kept.append(sent)

    def taken(self) -> list[Sent]:
        """What was sent since the last time, in order."""
        with self._turn:
            kept, self._kept = self._kept, []
        return kept


@contextmanager
def recorder(port: int) -> Iterator[Recorder]:
    """A proxy before the server on a loopback port."""
    recording = Recorder()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:
                self.close_connection = True

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_ONE_HOP}
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                link.request(self.command, self.path, body or None, headers)
                answer = link.getresponse()
                content = answer.read()
            finally:
                link.close()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _OF_ONE_HOP:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content if self.command != "HEAD" else b"")
            if "/_search" in self.path and b'"query"' in body:
                recording.keep(Sent(self.path, json.loads(body)))

        def log_message(self, format: str, *words: Any) -> None:
            pass

    for verb in ("GET", "POST", "PUT", "DELETE", "HEAD"):
        setattr(Handler, f"do_{verb}", Handler.pass_on)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    recording.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield recording
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
