"""`fhirmedia token` prints a token for a demo folder and nothing else; `token explain` says which check one fails."""

import base64
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhirmedia.access.policy import ROLES
from fhirmedia.backends.folder import Folder, make_folder, note_base_url
from tests.access.records import a, places, put
from tests.app.commands import Said, command, port_of
from tests.servers import Served, make_demo_folder, serving

SCOPE = "user/*.cruds"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("tokens") / "data") as server:
        put(server, *places(), a("Media", "of-anna"), a("Media", "of-bo", of="bo", unit="eyes"))
        yield server


def token(served: Served, *words: str) -> Said:
    """The command on this server's folder."""
    return command("token", "--data", served.folder, "--port", port_of(served), *words)


def claims(text: str) -> Any:
    """What a token says."""
    part = text.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def seen(served: Served, text: str) -> list[str] | int:
    """The Media a token finds, or the status of its refusal."""
    answer = served.http.get(f"{served.base}/Media?_sort=_id", headers={"Authorization": f"Bearer {text.strip()}"})
    if answer.status_code != 200:
        return answer.status_code
    return [each["resource"]["id"] for each in answer.json().get("entry", ())]


def test_it_prints_the_token_and_nothing_else(served: Served) -> None:
    said = token(served, "--scope", SCOPE)
    assert (said.code, said.err) == (0, "")
    assert said.out.count("\n") == 1
    assert said.out.strip().count(".") == 2
    assert seen(served, said.out) == ["of-anna", "of-bo"]


def test_it_is_for_the_address_the_folder_is_served_at(served: Served) -> None:
    assert port_of(served) != "8080"
    note_base_url(Folder(served.folder), served.base)
    said = command("token", "--data", served.folder)
    assert seen(served, said.out) == ["of-anna", "of-bo"]


def test_its_options_bind_it(served: Served) -> None:
    assert seen(served, token(served).out) == ["of-anna", "of-bo"]
    assert seen(served, token(served, "--scope", "patient/*.rs", "--patient", "anna").out) == ["of-anna"]
    assert seen(served, token(served, "--scope", SCOPE, "--unit", "eyes").out) == ["of-bo"]
    assert seen(served, token(served, "--scope", SCOPE, "--unit", "eyes", "--unit", "derm").out) == ["of-anna", "of-bo"]
    assert seen(served, token(served, "--scope", "user/Patient.rs").out) == 403
    assert seen(served, token(served, "--scope", "user/*.read").out) == ["of-anna", "of-bo"]
    auditor = token(served, "--scope", "user/AuditEvent.rs", "--role", "auditor").out.strip()
    url = f"{served.base}/AuditEvent?patient=anna"
    assert served.http.get(url, headers={"Authorization": f"Bearer {auditor}"}).status_code == 200
    user = claims(token(served, "--user", "Practitioner/dr").out)
    assert user["fhirUser"] == "Practitioner/dr"


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000)])
def test_its_life(served: Served, text: str, seconds: int) -> None:
    said = claims(token(served, "--expires", text).out)
    assert said["exp"] - said["iat"] == seconds
    assert abs(said["iat"] - time.time()) < 60


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--expires", "31d"], 1),
        (["--expires", "0s"], 1),
        (["--expires", "soon"], 2),
        (["--role", "emperor"], 1),
        (["--scope", "nonsense"], 1),
        (["--scope", ""], 1),
        (["--scope", "openid user/Nothing.rs"], 1),
        (["--scope", "patient/*.rs"], 1),
        (["--scope", "user/*.rs patient/Media.r"], 1),
        (["--port", "99999"], 2),
        (["--nonsense"], 2),
        (["explain"], 2),
        (["nonsense", "x"], 2),
    ],
)
def test_misuse_is_refused_in_a_sentence(served: Served, words: list[str], code: int) -> None:
    said = token(served, *words)
    assert (said.code, said.out) == (code, "")
    assert "Traceback" not in said.err
    assert said.sentence.startswith(("fhirmedia", "usage: "))


def test_help_names_every_role() -> None:
    said = command("token", "--help").out
    assert all(role in said for role in ROLES)


def test_only_a_demo_folder_mints(tmp_path: Path) -> None:
    make_folder(tmp_path / "real", timezone="Europe/Stockholm")
    said = command("token", "--data", tmp_path / "real")
    assert (said.code, said.out) == (1, "")
    assert "demo" in said.sentence
    absent = command("token", "--data", tmp_path / "absent")
    assert (absent.code, absent.out) == (1, "")
    assert not (tmp_path / "absent").exists()
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "records.db").touch()
    begun = command("token", "--data", tmp_path / "begun")
    assert (begun.code, begun.out) == (1, "")
    assert "demo" in begun.sentence


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    make_demo_folder(tmp_path / "data")
    command("token", "--data", tmp_path / "data")
    key = tmp_path / "data" / "keys" / "demo.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    key.chmod(0o644)
    said = command("token", "--data", tmp_path / "data")
    assert (said.code, said.out) == (1, "")
    assert "0600" in said.sentence


def test_a_token_of_another_folder_is_not_accepted(served: Served, tmp_path: Path) -> None:
    make_demo_folder(tmp_path / "other")
    said = command("token", "--data", tmp_path / "other", "--port", port_of(served))
    assert seen(served, said.out) == 401


class TestExplain:
    """One line for each check, and an exit code."""

    def test_a_good_token(self, served: Served, tmp_path: Path) -> None:
        file = tmp_path / "token.txt"
        file.write_text(token(served).out)
        said = token(served, "explain", str(file))
        assert said.code == 0
        assert all(line.startswith("ok ") for line in said.out.splitlines())
        assert len(said.out.splitlines()) > 5

    def test_the_check_that_fails_is_named(self, served: Served, tmp_path: Path) -> None:
        good = token(served).out.strip()
        spoilt = {
            "expired": served.token(now_s=int(time.time()) - 100_000, expires_s=60),
            "audience": served.token(audience="https://other.example.org/fhir"),
            "signature": good[:-10] + ("A" if good[-10] != "A" else "B") + good[-9:],
            "form": "not a token",
        }
        failed = set()
        for name, text in spoilt.items():
            file = tmp_path / name
            file.write_text(text)
            said = token(served, "explain", str(file))
            assert said.code == 1, name
            failing = [line for line in said.out.splitlines() if line.startswith("FAIL")]
            assert failing, name
            failed.add(failing[0].split()[1])
            assert text not in said.out
        assert len(failed) == len(spoilt)

    def test_it_reads_what_is_typed(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(token(served).out))
        assert token(served, "explain", "-").code == 0

    def test_a_file_that_is_not_there(self, served: Served, tmp_path: Path) -> None:
        said = token(served, "explain", str(tmp_path / "absent"))
        assert said.code == 1
        assert said.sentence == "fhirmedia token: The file with the token cannot be read as text."
