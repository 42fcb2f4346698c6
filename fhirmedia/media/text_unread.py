"""Why no text could be read of content."""

from typing import Literal

Reason = Literal["broken", "encrypted", "undecodable", "too-large", "too-costly", "damaged"]
"""`broken`: not what it was declared to be, or spoilt; `damaged`: the stored bytes are not those that came in."""


class Unread(Exception):
    """Raised by readers of texts; says nothing of the content."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason
