"""HTTP/1.1 with a bound on what precedes a body: the parser itself would gather headers without end."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_MAX_BYTES = 1024 * 1024
"""Beyond it the connection is closed; long before, the application refuses with an answer of its own."""


class BoundedHttp(HttpToolsProtocol):
    """One connection; counts what arrives until the headers of a request are complete."""

    _is_in_head = True
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """More bytes; too many that end no headers are answered with 400, and nothing more is read."""
        if self._is_in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > HEAD_MAX_BYTES and not self.transport.is_closing():
            self.send_400_response("The headers are too long.")

    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its headers are complete."""
        self._is_in_head = False
        super().on_headers_complete()
