"""Demo tokens: minted by and for a folder that is marked as demo, and worth nothing elsewhere."""

import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from fhirmedia.access.caller import Caller
from fhirmedia.access.scopes import render
from fhirmedia.core.errors import Category, Failure
from fhirmedia.issuer import jose
from fhirmedia.issuer.check_results import CheckResult
from fhirmedia.issuer.minting import demo_row, ensure_demo_key, ensure_key, is_demo, mark_demo, mint
from fhirmedia.issuer.trusted import TrustedIssuers, load_issuers
from tests.access.issuing import AUDIENCE, NOW, claims, ec_signer, parse, row, write_list


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    mark_demo(tmp_path)
    return tmp_path


def judge(folder: Path, token: str, *, now_s: int = NOW, audience: str = AUDIENCE) -> Caller | CheckResult:
    return TrustedIssuers([demo_row(folder, audience=audience)], parse=parse).judge(token, now_s=now_s)


def minted(folder: Path, **wishes: Any) -> Caller:
    judged = judge(folder, mint(folder, **({"scope": "user/*.rs", "audience": AUDIENCE, "now_s": NOW} | wishes)))
    assert isinstance(judged, Caller), judged
    return judged


def refused(category: Category, folder: Path, **wishes: Any) -> None:
    with pytest.raises(Failure) as caught:
        mint(folder, **({"scope": "user/*.rs", "audience": AUDIENCE, "now_s": NOW} | wishes))
    assert caught.value.category is category


def test_a_plain_token_reaches_all_units_for_twelve_hours(folder: Path) -> None:
    caller = minted(folder)
    assert [render(scope) for scope in caller.scopes] == ["user/*.rs"]
    assert (caller.all_units, caller.units, caller.roles, caller.patient) == (True, frozenset(), frozenset(), None)
    assert (caller.id_prefixes, caller.expires_at) == ((), NOW + 12 * 3600)
    assert caller.token_id


@pytest.mark.parametrize("scope", ["patient/*.cruds", "user/*.cruds", "system/*.cruds"])
def test_every_scope_may_be_minted(folder: Path, scope: str) -> None:
    assert [render(each) for each in minted(folder, scope=scope, patient="anna").scopes] == [scope]


def test_wishes_are_granted(folder: Path) -> None:
    caller = minted(
        folder, patient="anna", user="Practitioner/x", units=["a", "b"], roles=["importer", "auditor"], expires_s=60
    )
    assert (caller.patient, caller.user, caller.units, caller.all_units) == (
        "anna", "Practitioner/x", frozenset({"a", "b"}), False,
    )  # fmt: skip
    assert (caller.roles, caller.id_prefixes) == ({"importer", "auditor"}, ("*",))
    assert caller.expires_at == NOW + 60
    assert caller.subject.endswith("|Practitioner/x")


def test_tokens_differ(folder: Path) -> None:
    assert minted(folder).token_id != minted(folder).token_id


def test_a_minted_token_ends_and_is_for_one_server(folder: Path) -> None:
    token = mint(folder, scope="user/*.rs", audience=AUDIENCE, now_s=NOW, expires_s=60)
    assert judge(folder, token, now_s=NOW + 60) == CheckResult("expiry", False)
    assert judge(folder, token, audience="http://127.0.0.1:9/fhir") == CheckResult("audience", False)


def test_another_folder_does_not_trust_it(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    mark_demo(other)
    token = mint(folder, scope="user/*.rs", audience=AUDIENCE, now_s=NOW)
    assert judge(other, token) == CheckResult("key", False)


def test_only_a_marked_folder_mints_or_trusts(tmp_path: Path) -> None:
    assert not is_demo(tmp_path)
    refused(Category.FORBIDDEN, tmp_path)
    for act in (lambda: demo_row(tmp_path, audience=AUDIENCE), lambda: ensure_demo_key(tmp_path)):
        with pytest.raises(Failure) as caught:
            act()
        assert caught.value.category is Category.FORBIDDEN
    assert list(tmp_path.iterdir()) == []
    mark_demo(tmp_path)
    mark_demo(tmp_path)
    assert is_demo(tmp_path)


@pytest.mark.parametrize("expires_s", [0, -1, 30 * 24 * 3600 + 1])
def test_a_life_is_bounded(folder: Path, expires_s: int) -> None:
    refused(Category.INVALID, folder, expires_s=expires_s)


@pytest.mark.parametrize("expires_s", [1, 30 * 24 * 3600])
def test_a_life_at_its_bounds(folder: Path, expires_s: int) -> None:
    assert minted(folder, expires_s=expires_s).expires_at == NOW + expires_s


def test_an_unknown_role_is_refused(folder: Path) -> None:
    refused(Category.INVALID, folder, roles=["auditor", "admin"])


def test_a_server_may_trust_its_demo_key_and_a_list(folder: Path) -> None:
    issuers = load_issuers(
        write_list(folder, row(origins=["https://a.example.org"])),
        audience=AUDIENCE, parse=parse, more=[demo_row(folder, audience=AUDIENCE)],
    )  # fmt: skip
    assert isinstance(issuers.judge(ec_signer().token(claims()), now_s=NOW), Caller)
    own = mint(folder, scope="user/*.rs", audience=AUDIENCE, now_s=NOW)
    assert isinstance(issuers.judge(own, now_s=NOW), Caller)
    assert issuers.origins == {"https://a.example.org"}
    assert all(result.ok for result in issuers.results(own, now_s=NOW))
    issuers.warm(NOW)


# Key files


def test_a_key_file_is_for_its_owner_alone(folder: Path) -> None:
    key = ensure_demo_key(folder)
    (path,) = (folder / "keys").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert ensure_demo_key(folder) == key


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o610])
def test_a_key_file_others_may_read_is_refused(folder: Path, mode: int) -> None:
    ensure_demo_key(folder)
    (path,) = (folder / "keys").iterdir()
    path.chmod(mode)
    with pytest.raises(Failure) as caught:
        ensure_demo_key(folder)
    assert caught.value.category is Category.INVALID


def test_a_key_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "audit.pem"
    assert ensure_key(path, algorithm="ES384").algorithm == "ES384"
    with pytest.raises(Failure):
        ensure_key(path, algorithm="ES256")
    path.write_bytes(b"nonsense")
    with pytest.raises(Failure):
        ensure_key(path, algorithm="ES384")


def test_writers_at_once_agree_on_one_key(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "audit.pem"
    made: list[jose.SigningKey] = []
    threads = [threading.Thread(target=lambda: made.append(ensure_key(path, algorithm="ES256"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len({key.kid for key in made}) == 1
    assert os.listdir(path.parent) == ["audit.pem"]
