"""Options several commands share."""

import argparse
import re
from pathlib import Path

_LIFE = re.compile(r"(\d{1,6})([smhd])\Z")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DEFAULT_FOLDER = Path("fhirmedia-data")
DEFAULT_PORT = 8080


def add_data(parser: argparse.ArgumentParser) -> None:
    """`--data DIR`."""
    parser.add_argument(
        "--data", type=Path, default=DEFAULT_FOLDER, metavar="DIR", help=f"the data folder (default: {DEFAULT_FOLDER})"
    )


def add_serving(parser: argparse.ArgumentParser) -> None:
    """`--host`, `--port` and `--workers`."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=port, default=DEFAULT_PORT, metavar="N", help="port to listen on (default: %(default)s)"
    )
    parser.add_argument(
        "--workers", type=positive, default=1, metavar="N", help="processes that serve the folder (default: 1)"
    )


def port(text: str) -> int:
    """A TCP port; 0 lets the system choose."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError("must be from 0 to 65535")
    return number


def positive(text: str) -> int:
    """A whole number above zero."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def life(text: str) -> int:
    """`90s`, `15m`, `12h` or `30d` as seconds."""
    match = _LIFE.match(text)
    if match is None:
        raise argparse.ArgumentTypeError("must be a number with s, m, h or d, as in 12h")
    return int(match[1]) * _UNIT_S[match[2]]
