"""Where a search engine beside the database is found, as an operator writes it in one line."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_SCHEMES = {"elasticsearch": "http", "https": "https"}
_NODE = re.compile(r"(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::(?P<port>\d{1,5}))?")
_PREFIX = re.compile(r"[a-z][a-z0-9-]{0,47}")
_PORT, _PREFIX_UNSAID = 9200, "fhirmedia"
_MOST = 64
"""Shards or copies of an index."""


@dataclass(frozen=True, slots=True)
class IndexAddress:
    """The nodes as base URLs, what the names of all its indices begin with, and how it is entered and laid out.

    `shards` is into how many parts the largest index is divided when it is made.
    """

    nodes: tuple[str, ...]
    prefix: str = _PREFIX_UNSAID
    api_key_file: Path | None = None
    ca_file: Path | None = None
    shards: int = 1


def parse_index_address(text: str) -> IndexAddress:
    """`elasticsearch://127.0.0.1:9200/prefix` or `https://one:9200,two:9200/prefix?api_key_file=…&ca_file=…&shards=6`.

    Raises ValueError with a sentence. What is not encrypted stays on this machine, and a secret stays in its file.
    """
    parts = urlsplit(text)
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or parts.fragment:
        raise ValueError("an address begins with elasticsearch:// or https://")
    if "@" in parts.netloc:
        raise ValueError("a key stands in a file named by api_key_file, not in the address")
    nodes = tuple(_node(scheme, each) for each in parts.netloc.split(","))
    prefix = parts.path.strip("/") or _PREFIX_UNSAID
    if not _PREFIX.fullmatch(prefix):
        raise ValueError("the path is what index names begin with: a small letter, then letters, digits and hyphens")
    asked = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(asked)
    unknown = options.keys() - {"api_key_file", "ca_file", "shards"}
    if unknown or len(options) < len(asked) or "" in options.values():
        raise ValueError("the options of an address are api_key_file, ca_file and shards, each once")
    shards = options.get("shards", "1")
    if not shards.isascii() or not shards.isdigit() or not 1 <= int(shards) <= _MOST:
        raise ValueError(f"shards is a number from 1 to {_MOST}")
    return IndexAddress(
        nodes,
        prefix,
        Path(options["api_key_file"]) if "api_key_file" in options else None,
        Path(options["ca_file"]) if "ca_file" in options else None,
        int(shards),
    )


def _node(scheme: str, text: str) -> str:
    found = _NODE.fullmatch(text)
    if found is None:
        raise ValueError("a node is a host and a port")
    host, port = found["host"], int(found["port"] or _PORT)
    if not 0 < port < 65536:
        raise ValueError("a port is a number below 65536")
    if scheme == "http" and host.strip("[]") not in LOOPBACK:
        raise ValueError("another machine is asked over https:// only")
    return f"{scheme}://{host}:{port}"
