"""What a server says beside its request log: JSON lines on standard output, too, without the text of any exception."""

import json
import logging
import sys

from fhirmedia.core.clock import instant
from fhirmedia.core.errors import places_of

INCOMPLETE = "ASGI callable returned without completing response."
"""What uvicorn says of an answer that was broken off; the line of its request says that, and why."""


class JsonLines(logging.Formatter):
    """A record as one line: time, level, message; of an exception its type and where it came from."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        message = record.getMessage().strip()
        if record.exc_info and record.exc_info[0] is not None:
            message += f": {record.exc_info[0].__name__} at {places_of(record.exc_info[2])}"
        moment = instant(int(record.created * 1000))
        return json.dumps({"time": moment, "level": record.levelname.lower(), "message": message})


def write_lines() -> None:
    """Let all that is logged in this process, from warnings on, be written so."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    handler.addFilter(lambda record: record.msg != INCOMPLETE)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
