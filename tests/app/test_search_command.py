"""`fhirmedia search explain` tells how a search is answered, and leaves a row in the audit."""

from pathlib import Path

from tests.access.records import a, places, put
from tests.app.commands import command
from tests.servers import serving


def test_a_search_is_explained_beside_the_server(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        put(served, *places(), a("Media", "m1", createdDateTime="2024"))
        said = command("search", "explain", "Media?patient=anna&_sort=-when", "--data", served.folder)
        assert said.code == 0
        assert "understood  the type is Media and patient refers to Patient/anna" in said.out
        assert "shape D patient" in said.out
        auditor = served.headers("user/AuditEvent.rs", roles=["auditor"])
        events = served.http.get(f"{served.base}/AuditEvent?_count=50&_sort=-date", headers=auditor).text
        assert "fhirmedia search explain" in events


def test_a_search_that_is_none_is_told_in_a_sentence(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        for url, sentence in (
            ("Media?nonsense=1", "fhirmedia search: parameter 'nonsense' is unknown on Media"),
            ("a/b", "fhirmedia search: A search goes to a type, to a compartment and a type, or to the base."),
        ):
            said = command("search", "explain", url, "--data", served.folder)
            assert (said.code, said.sentence) == (1, sentence)
