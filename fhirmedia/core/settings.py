"""Every setting of the program: one dataclass, one environment variable each, checked before anything starts."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.index_address import IndexAddress, parse_index_address

PREFIX = "FHIRMEDIA_"
DEFAULT_LANGUAGE = "sv"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def _setting(default: Any, parse: Callable[[str], Any], meaning: str) -> Any:
    return field(default=default, metadata={"parse": parse, "meaning": meaning})


def _flag(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}
    return words[text.lower()]


def _size(text: str) -> int:
    units = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
    number, unit = (text[:-1], units[text[-1].lower()]) if text[-1:].lower() in units else (text, 1)
    value = int(number) * unit
    if value <= 0:
        raise ValueError
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value <= 0:
        raise ValueError
    return value


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except OSError:
        raise ValueError from None
    return text


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError
        return text

    return parse


def _public_url(text: str) -> str:
    parts = urlsplit(text)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not secure or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError
    return text.rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator may set; each field is read from `FHIRMEDIA_` and its name in capitals."""

    public_url: str | None = _setting(
        None,
        _public_url,
        "The address clients use, without a trailing slash; https. References, links and the token audience (this and "
        "/fhir) are made from it. A folder marked as demo defaults to its own address, and may name http on a "
        "loopback host.",
    )
    trusted_issuers: Path | None = _setting(
        None, Path, "JSON file that lists whose access tokens are accepted, and what each may at most be used for."
    )
    environment: Literal["production", "test"] = _setting(
        "production",
        _one_of("production", "test"),
        "`test` also accepts synthetic Norwegian person numbers; the demo sets it.",
    )
    timezone: str = _setting(
        "Europe/Stockholm",
        _zone,
        "Zone in which dates without a time are read. Written into the folder when it is made; changing it later needs "
        "`fhirmedia reindex`.",
    )
    language: str = _setting(
        DEFAULT_LANGUAGE,
        _one_of("sv", "nb", "en"),
        "Language whose alphabet sorts names: `sv` (å ä ö last), `nb` (æ ø å last) or `en`. Written into the folder "
        "when it is made; changing it later needs `fhirmedia reindex`.",
    )
    inline_max: int = _setting(
        8 * 2**20,
        _size,
        "Largest `data` inside a resource, decoded bytes (suffix k, M or G); larger content goes "
        "to `POST /fhir/Binary`.",
    )
    upload_max: int = _setting(64 * 2**30, _size, "Largest single upload in bytes (suffix k, M, G or T).")
    unclaimed_hours: int = _setting(
        24, _positive, "Hours after which uploaded bytes that no record refers to are removed."
    )
    search_seconds: int = _setting(10, _positive, "Seconds one search may take before it is refused as too costly.")
    index: IndexAddress | None = _setting(
        None,
        parse_index_address,
        "A search index beside the database, as `elasticsearch://127.0.0.1:9200` or "
        "`https://one:9200,two:9200/prefix?api_key_file=…&ca_file=…&shards=6`. Without it the database answers every "
        "search.",
    )
    counts_per_hour: int = _setting(
        200,
        _positive,
        "Counts (`$media-stats`, `_summary=count`) in an hour for one who may search but not read what is counted.",
    )
    access_log_staff: Literal["none", "role", "name"] = _setting(
        "role",
        _one_of("none", "role", "name"),
        "What a patient's access log tells of staff: `none`, `role`, or `name` (a reference to the person).",
    )
    allow_volatile_storage: bool = _setting(
        False, _flag, "Accept a data folder on tmpfs or a network file system; said aloud at every start."
    )


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from environment variables; Failure INVALID names an unknown or malformed one, never its value."""
    source = os.environ if environment is None else environment
    known = {PREFIX + item.name.upper(): item for item in fields(Settings)}
    values: dict[str, Any] = {}
    for name, text in source.items():
        if not name.startswith(PREFIX) or name in NOT_SETTINGS:
            continue
        if name not in known:
            raise Failure(Category.INVALID, f"{name} is not a setting of fhirmedia; see the list in the README.")
        try:
            values[known[name].name] = known[name].metadata["parse"](text)
        except (ValueError, KeyError):
            raise Failure(Category.INVALID, f"{name} has a value that cannot be used; see the README.") from None
    return Settings(**values)


NOT_SETTINGS = frozenset({"FHIRMEDIA_LONG", "FHIRMEDIA_REQUIRE_SERVICES"})
"""Variables of the test scripts that share the prefix."""


def setting_names() -> dict[str, str]:
    """Every variable with its meaning, in order; the README is tested against it."""
    return {PREFIX + item.name.upper(): item.metadata["meaning"] for item in fields(Settings)}
