"""The list of trusted issuers: what is accepted, and one sentence naming row and field for what is not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fhirmedia.core.errors import Category, Failure
from fhirmedia.issuer.jwks import FetchedKeys, FixedKeys
from fhirmedia.issuer.rows import LIST_MAX_BYTES, ClaimNames, IssuerRow, RowReader, read_rows
from tests.access.issuing import AUDIENCE, ISSUER, ec_signer, key_set, parse, row, rsa_signer, write_list


def read(path: Path) -> tuple[IssuerRow, ...]:
    return read_rows(path, RowReader(AUDIENCE, path.parent, parse))


def sentence(act: Callable[[], object]) -> str:
    with pytest.raises(Failure) as caught:
        act()
    assert caught.value.category is Category.INVALID
    return caught.value.issues[0].text


def test_a_row_with_what_is_needed(tmp_path: Path) -> None:
    (made,) = read(write_list(tmp_path, row(all_units=None)))
    assert (made.policy.issuer, made.policy.audience) == (ISSUER, AUDIENCE)
    assert (made.policy.algorithms, made.policy.types, made.policy.max_life_s) == (("ES256",), ("at+jwt",), 3600)
    assert made.claims == ClaimNames()
    assert (made.clients, made.ceiling) == ({"viewer"}, parse("user/*.cruds patient/*.rs system/*.rs"))
    assert (made.origins, made.id_prefixes, made.enterprise, made.units) == (frozenset(), (), None, frozenset())
    assert (made.all_units, made.roles, made.acr) == (False, frozenset(), frozenset())
    assert isinstance(made.keys, FixedKeys)
    assert [key.kid for key in made.keys.current(0)] == ["ec-1"]


def test_a_row_with_everything(tmp_path: Path) -> None:
    full = row(
        algorithms=["ES256", "RS384"], typ=["JWT", "at+jwt"], audience="api://archive", max_life_s=43200,
        claims={"scope": "scp", "units": "wards"}, origins=["https://a.example.org", "http://127.0.0.1:3000", "http://[::1]:5"],
        id_prefixes=["ehr-", "*"], enterprise="north", all_units=None, units=["a", "b"],
        roles=["auditor", "importer", "label-manager"], min_acr=["high"],
    )  # fmt: skip
    (made,) = read(write_list(tmp_path, full))
    assert made.policy.types == ("jwt", "at+jwt")
    assert made.policy.audience == "api://archive"
    assert made.claims == ClaimNames(scope="scp", units="wards")
    assert made.origins == {"https://a.example.org", "http://127.0.0.1:3000", "http://[::1]:5"}
    assert (made.id_prefixes, made.enterprise, made.units) == (("ehr-", "*"), "north", {"a", "b"})
    assert (made.roles, made.acr) == ({"auditor", "importer", "label-manager"}, {"high"})


@pytest.mark.parametrize(
    "uri", ["https://login.example.org/keys?p=1", "http://127.0.0.1:8080/keys", "http://localhost/k"]
)
def test_keys_may_come_from_a_url(tmp_path: Path, uri: str) -> None:
    (made,) = read(write_list(tmp_path, row(jwks_file=None, jwks_uri=uri)))
    assert isinstance(made.keys, FetchedKeys)


BAD_FIELDS: list[tuple[str, Any]] = [
    ("issuer", None), ("issuer", ""), ("issuer", 7), ("issuer", "a b"), ("issuer", "a|b"), ("issuer", "å"),
    ("issuer", "x" * 256), ("issuer", ["a"]), ("issuer", "a\n"),
    ("audience", ""), ("audience", ["a"]), ("audience", 7), ("audience", "a b"),
    ("algorithms", None), ("algorithms", []), ("algorithms", "ES256"), ("algorithms", ["HS256"]),
    ("algorithms", ["none"]), ("algorithms", ["ES256", "HS512"]), ("algorithms", ["PS256"]), ("algorithms", ["EdDSA"]),
    ("algorithms", ["es256"]), ("algorithms", [7]), ("algorithms", {"ES256": 1}),
    ("typ", []), ("typ", "JWT"), ("typ", ["id+jwt"]), ("typ", [None]),
    ("max_life_s", 0), ("max_life_s", -1), ("max_life_s", "60"), ("max_life_s", 60.5), ("max_life_s", True),
    ("max_life_s", 30 * 24 * 3600 + 1), ("max_life_s", []),
    ("jwks_file", None), ("jwks_file", ""), ("jwks_file", 7), ("jwks_file", "absent.json"),
    ("jwks_file", ["keys.json"]), ("jwks_file", "keys.json\0"), ("jwks_file", "."),
    ("clients", None), ("clients", []), ("clients", "viewer"), ("clients", [""]), ("clients", ["a|b"]),
    ("clients", [1]),
    ("scopes", None), ("scopes", ""), ("scopes", ["user/*.rs"]), ("scopes", "user/*.rs user/Unheard.rs"),
    ("scopes", "user/*.rs  user/*.c"), ("scopes", "openid"), ("scopes", "user/*.rsd"), ("scopes", " user/*.rs"),
    ("claims", []), ("claims", "x"), ("claims", {"scopes": "x"}), ("claims", {"scope": ""}), ("claims", {"scope": 1}),
    ("claims", {"units": None}),
    ("origins", []), ("origins", ["*"]), ("origins", ["null"]), ("origins", ["https://a.example.org/"]),
    ("origins", ["http://a.example.org"]), ("origins", ["a.example.org"]), ("origins", ["https://"]),
    ("origins", ["https://a@b.example.org"]), ("origins", ["https://A.example.org"]), ("origins", ["https://a:99999"]),
    ("origins", ["https://a?x"]), ("origins", ["ftp://localhost"]), ("origins", "https://a.example.org"),
    ("id_prefixes", []), ("id_prefixes", [""]), ("id_prefixes", ["a/b"]), ("id_prefixes", ["**"]),
    ("id_prefixes", "ehr-"), ("id_prefixes", ["x" * 64]), ("id_prefixes", ["a*"]),
    ("enterprise", ""), ("enterprise", ["a"]), ("enterprise", "a/b"), ("enterprise", "x" * 65), ("enterprise", 7),
    ("units", []), ("units", ["a/b"]), ("units", "a"), ("units", [""]),
    ("all_units", "true"), ("all_units", 1), ("all_units", []),
    ("roles", ["admin"]), ("roles", []), ("roles", "auditor"),
    ("min_acr", []), ("min_acr", "high"), ("min_acr", [7]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD_FIELDS)
def test_a_bad_field_is_named_with_its_row(tmp_path: Path, name: str, value: Any) -> None:
    changes: dict[str, Any] = {name: value}
    if name == "units":
        changes["all_units"] = None
    path = write_list(tmp_path, row(issuer="https://first.example.org"), row(**changes))
    text = sentence(lambda: read(path))
    assert text.startswith(f"Trusted issuers, row 2: {name} ")
    assert text.endswith(".")


@pytest.mark.parametrize("name", ["typo", "aud", "secret", "Issuer"])
def test_an_unknown_field_is_named(tmp_path: Path, name: str) -> None:
    assert sentence(lambda: read(write_list(tmp_path, row(**{name: "x"})))) == (
        f"Trusted issuers, row 1: {name} is not a known field."
    )


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"jwks_uri": "https://login.example.org/keys"}, "jwks_file or jwks_uri must"),
        ({"jwks_file": None, "jwks_uri": "http://login.example.org/keys"}, "jwks_uri "),
        ({"jwks_file": None, "jwks_uri": "file:///etc/keys"}, "jwks_uri "),
        ({"jwks_file": None, "jwks_uri": "ftp://localhost/keys"}, "jwks_uri "),
        ({"jwks_file": None, "jwks_uri": "https://login.example.org/a b"}, "jwks_uri "),
        ({"jwks_file": None, "jwks_uri": "https://login.example.org/\r\nHost: x"}, "jwks_uri "),
        ({"jwks_file": None, "jwks_uri": "https://login.example.org/\u00e5"}, "jwks_uri "),
        ({"jwks_file": None, "jwks_uri": "https://"}, "jwks_uri "),
        ({"jwks_file": None, "jwks_uri": "https://user@login.example.org/keys"}, "jwks_uri "),
        ({"jwks_file": None, "jwks_uri": "https://login.example.org/keys#x"}, "jwks_uri "),
        ({"jwks_file": None, "jwks_uri": "https://login.example.org:port/"}, "jwks_uri "),
        ({"jwks_file": None, "jwks_uri": "https://[/"}, "jwks_uri "),
        ({"jwks_file": None, "jwks_uri": ["https://login.example.org/keys"]}, "jwks_uri "),
        ({"units": ["a"]}, "units cannot stand beside all_units"),
    ],
)
def test_fields_that_do_not_go_together(tmp_path: Path, changes: dict[str, Any], start: str) -> None:
    assert sentence(lambda: read(write_list(tmp_path, row(**changes)))).startswith(f"Trusted issuers, row 1: {start}")


@pytest.mark.parametrize(
    "keys",
    [
        b"", b"{}", b'{"keys":[]}', key_set({"kty": "oct", "kid": "s", "k": "AA"}),
        key_set({**ec_signer().jwk, "d": "AA"}), key_set(rsa_signer(1024)), key_set({**ec_signer().jwk, "use": "enc"}),
        key_set(ec_signer()) + b" " * 65_536,
    ],
)  # fmt: skip
def test_a_bad_key_file_is_refused(tmp_path: Path, keys: bytes) -> None:
    assert sentence(lambda: read(write_list(tmp_path, row(), keys=keys))).startswith(
        "Trusted issuers, row 1: jwks_file "
    )


@pytest.mark.parametrize("rows", [[], {}, [7], ["x"], [None], [[]], "x", None])
def test_what_is_no_list_of_rows_is_refused(tmp_path: Path, rows: Any) -> None:
    path = write_list(tmp_path)
    path.write_text(json.dumps(rows))
    text = sentence(lambda: read(path))
    assert text.endswith("row must be a JSON object." if rows and isinstance(rows, list) else "within 1 MiB.")


@pytest.mark.parametrize(
    "content", [b"", b"[", b"\xff", b'[{"issuer":"a","issuer":"b"}]', b"[" * 100_000, b"[" * 50_000]
)
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = write_list(tmp_path)
    path.write_bytes(content)
    assert "JSON" in sentence(lambda: read(path))


def test_an_absent_or_endless_list_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in sentence(lambda: read(tmp_path / "absent.json"))
    path = write_list(tmp_path, row())
    path.write_text(path.read_text() + " " * LIST_MAX_BYTES)
    assert "1 MiB" in sentence(lambda: read(path))


def test_two_rows_of_one_issuer_are_refused(tmp_path: Path) -> None:
    text = sentence(lambda: read(write_list(tmp_path, row(), row(clients=["other"]))))
    assert text == "Trusted issuers, row 2: issuer is already the issuer of another row."


def test_sentences_hold_no_value(tmp_path: Path) -> None:
    for changes in (
        {"issuer": "se cret"},
        {"clients": ["se cret"]},
        {"scopes": "secret"},
        {"units": ["se/cret"], "all_units": None},
    ):
        assert "cret" not in sentence(lambda changed=changes: read(write_list(tmp_path, row(**changed))))
