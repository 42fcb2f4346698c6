"""Settings: each read from its variable, checked before anything starts, refused by name and never by value."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.index_address import parse_index_address
from fhirmedia.core.settings import PREFIX, Settings, load_settings, setting_names

MIB = 2**20


ACCEPTED: list[tuple[str, str, Any]] = [
    ("PUBLIC_URL", "https://archive.example.org", "https://archive.example.org"),
    ("PUBLIC_URL", "https://archive.example.org/", "https://archive.example.org"),
    ("PUBLIC_URL", "https://archive.example.org:8443/a", "https://archive.example.org:8443/a"),
    ("PUBLIC_URL", "http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ("PUBLIC_URL", "http://[::1]:8080", "http://[::1]:8080"),
    ("TRUSTED_ISSUERS", "/etc/issuers.json", Path("/etc/issuers.json")),
    ("ENVIRONMENT", "test", "test"),
    ("TIMEZONE", "Europe/Oslo", "Europe/Oslo"),
    ("LANGUAGE", "nb", "nb"),
    ("INLINE_MAX", "1000", 1000),
    ("INLINE_MAX", "2M", 2 * MIB),
    ("UPLOAD_MAX", "3g", 3 * 1024 * MIB),
    ("UPLOAD_MAX", "1T", 1024 * 1024 * MIB),
    ("UNCLAIMED_HOURS", "48", 48),
    ("SEARCH_SECONDS", "3", 3),
    ("COUNTS_PER_HOUR", "50", 50),
    ("ALLOW_VOLATILE_STORAGE", "yes", True),
    ("ALLOW_VOLATILE_STORAGE", "0", False),
    ("ACCESS_LOG_STAFF", "name", "name"),
    ("INDEX", "elasticsearch://127.0.0.1:9201", parse_index_address("elasticsearch://127.0.0.1:9201")),
    ("INDEX", "https://one,two/ward?ca_file=/ca", parse_index_address("https://one,two/ward?ca_file=/ca")),
]


@pytest.mark.parametrize(("name", "text", "value"), ACCEPTED)
def test_each_is_read_from_its_variable(name: str, text: str, value: Any) -> None:
    assert getattr(load_settings({PREFIX + name: text}), name.lower()) == value


def test_every_one_is_tried_above() -> None:
    assert {PREFIX + name for name, _, _ in ACCEPTED} == setting_names().keys()


def test_without_variables_there_are_defaults() -> None:
    assert load_settings({}) == Settings()
    assert load_settings({"PATH": "/bin", "HOME": "/"}) == Settings()
    assert Settings().inline_max == 8 * MIB


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PUBLIC_URL", "http://archive.example.org"),
        ("PUBLIC_URL", "archive.example.org"),
        ("PUBLIC_URL", "/fhir"),
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", "https://user@archive.example.org"),
        ("PUBLIC_URL", "https://archive.example.org?x=1"),
        ("PUBLIC_URL", "https://archive.example.org#x"),
        ("PUBLIC_URL", "ftp://archive.example.org"),
        ("PUBLIC_URL", ""),
        ("ENVIRONMENT", "staging"),
        ("LANGUAGE", "de"),
        ("LANGUAGE", ""),
        ("INLINE_MAX", "0"),
        ("INLINE_MAX", "-1"),
        ("INLINE_MAX", "lots"),
        ("INLINE_MAX", "MM"),
        ("UPLOAD_MAX", "1.5G"),
        ("UNCLAIMED_HOURS", "0"),
        ("UNCLAIMED_HOURS", "soon"),
        ("SEARCH_SECONDS", "-1"),
        ("COUNTS_PER_HOUR", "0"),
        ("ALLOW_VOLATILE_STORAGE", "perhaps"),
        ("ACCESS_LOG_STAFF", "everyone"),
        ("INDEX", "elasticsearch://far.example:9200"),
        ("INDEX", "http://127.0.0.1:9200"),
        ("INDEX", "https://user:secret@one"),
        ("TIMEZONE", "Nowhere/Land"),
        ("TIMEZONE", "../../etc/passwd"),
        ("TIMEZONE", ""),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(Failure) as caught:
        load_settings({PREFIX + name: text})
    assert caught.value.category is Category.INVALID
    sentence = caught.value.issues[0].text
    assert PREFIX + name in sentence
    assert not text or text not in sentence.replace(PREFIX + name, "")


@pytest.mark.parametrize("name", ["FHIRMEDIA_X", "FHIRMEDIA_PUBLIC_URI", "FHIRMEDIA_", "FHIRMEDIA_public_url"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(Failure, match="is not a setting of fhirmedia"):
        load_settings({name: "1"})


def test_each_says_what_it_means() -> None:
    assert len(setting_names()) == len(fields(Settings))
    for name, meaning in setting_names().items():
        assert name.startswith(PREFIX)
        assert len(meaning) > 20
        assert meaning.endswith(".")
        assert "|" not in meaning
        assert "\n" not in meaning
