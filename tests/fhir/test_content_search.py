"""`_content` finds what attachments say: one fixture for each row of what is defined as their text, over HTTP."""

import base64
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fhir.rest import created, matches
from tests.following.beside import ENGINES, caught_up, served_by
from tests.media import documents as made
from tests.servers import Served, served_process, serving

Body = dict[str, object]

ROWS = {
    "plain text": ("text/plain", made.PLAIN.encode(), "lungödem", "gizmo"),
    "csv": ("text/csv", made.CSV.encode(), "hemoglobin", "gizmo"),
    "markdown": ("text/markdown", made.MARKDOWN.encode(), '"mår mycket bättre"', "gizmo"),
    "rtf": ("application/rtf", made.RTF, "blåmärke", "gizmocomment"),
    "docx": (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        made.a_docx(),
        "diabetes insulin",
        "gizmocomment",
    ),
    "odt": ("application/vnd.oasis.opendocument.text", made.an_odt(), "trycksår", "gizmocomment"),
    "html": ("text/html", made.HTML, "hjärtsvikt", "gizmoscript"),
    "xml": ("application/xml", made.XML, "frisk", "gizmoattribute"),
    "cda": ("application/xml", made.CDA, '"tre veckor"', "gizmoentry"),
    "pdf": ("application/pdf", made.pdf("Hjärtat slår", "andra sidan"), '"slår andra"', "helvetica"),
    "dicom sr": ("application/dicom", made.an_sr(), "förtätning pneumoni", "gizmo"),
    "dicom descriptions": ("application/dicom", made.dicom(SeriesDescription="Axialserie"), "axialserie", "gizmo"),
    "dicom with pdf": ("application/dicom", made.a_dicom_pdf("Encefalit"), "encefalit", "gizmo"),
    "picture": (
        "image/svg+xml",
        b"<svg xmlns='http://www.w3.org/2000/svg'><text>Svgtexten</text></svg>",
        None,
        "svgtexten",
    ),
}


@pytest.fixture(scope="module", params=ENGINES)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_by(request, tmp_path_factory.mktemp("texts") / "data") as here:
        yield here


def patient(served: Served) -> str:
    return f"Patient/{created(served, {'resourceType': 'Patient'})['id']}"


def document(about: str, *attachments: Body) -> Body:
    content = [{"attachment": each} for each in attachments]
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": about},
        "content": content,
    }


def inline(content_type: str, content: bytes) -> Body:
    return {"contentType": content_type, "data": base64.b64encode(content).decode()}


def settled(served: Served) -> None:
    """Wait until no content waits for its text."""
    served.until_read()


def found(served: Served, type: str, words: str, headers: dict[str, str] | None = None) -> list[str]:
    """Ids of the resources that say these words, once all that was written is known to whoever answers."""
    caught_up(served)
    url, asked = f"{served.base}/{type}/_search", headers or served.headers()
    form = {**asked, "Content-Type": "application/x-www-form-urlencoded"}
    answer = served.http.post(url, data={"_content": words, "_count": "100"}, headers=form)
    assert answer.status_code == 200, answer.text
    return sorted(each["id"] for each in matches(answer.json()))


@pytest.fixture(scope="module")
def rows(served: Served) -> dict[str, str]:
    """The id of a document of each row, once its text is read."""
    about = patient(served)
    ids = {name: created(served, document(about, inline(*row[:2])))["id"] for name, row in ROWS.items()}
    settled(served)
    return ids


@pytest.mark.parametrize("name", ROWS)
def test_content_search_reads_what_we_define(served: Served, rows: dict[str, str], name: str) -> None:
    _, _, words, unsaid = ROWS[name]
    if words is not None:
        assert found(served, "DocumentReference", words) == [rows[name]]
    assert rows[name] not in found(served, "DocumentReference", unsaid)


def test_every_type_with_attachments_and_every_attachment_is_searched(served: Served) -> None:
    about = patient(served)
    uploaded = served.http.post(
        f"{served.base}/Binary",
        content=made.pdf("Flerfaldig"),
        headers={**served.headers(), "Content-Type": "application/pdf"},
    )
    assert uploaded.status_code == 201
    by_url = {"url": f"Binary/{uploaded.json()['id']}"}
    shared = [created(served, document(about, by_url))["id"] for _ in range(2)]
    several = created(served, document(about, inline("text/plain", b"forsta ordet"), inline("text/html", b"<p>andra")))
    media = {"resourceType": "Media", "status": "completed", "subject": {"reference": about}}
    picture = created(served, media | {"content": inline("text/rtf", made.RTF)})
    report = {"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "svar"}}
    report |= {"subject": {"reference": about}, "presentedForm": [inline("application/pdf", made.pdf("Svarsbilaga"))]}
    answered = created(served, report)
    inner = document(about, inline("application/pdf", made.pdf("Inneboende"))) | {"id": "inner"}
    holder = document(about, {"title": "utan"})
    holds = created(served, holder | {"contained": [inner], "context": {"related": [{"reference": "#inner"}]}})
    settled(served)
    assert found(served, "DocumentReference", "flerfaldig") == sorted(shared)
    assert found(served, "DocumentReference", "forsta andra") == [several["id"]]
    assert found(served, "DocumentReference", '"ordet andra"') == []
    assert found(served, "Media", "armen") == [picture["id"]]
    assert found(served, "DiagnosticReport", "svarsbilaga svar") == [answered["id"]]
    assert found(served, "DocumentReference", "inneboende utan") == [holds["id"]]


def test_words_go_with_the_attachment_and_with_the_record(served: Served) -> None:
    about = patient(served)
    first = created(served, document(about, inline("text/plain", b"forgangligt")))
    settled(served)
    assert found(served, "DocumentReference", "forgangligt") == [first["id"]]
    url = f"{served.base}/DocumentReference/{first['id']}"
    changed = document(about, {"title": "nytt"}) | {"id": first["id"]}
    assert served.http.put(url, json=changed, headers=served.headers()).status_code == 200
    assert found(served, "DocumentReference", "forgangligt") == []
    again = served.http.put(url, json={**first, "description": "tillbaka"}, headers=served.headers())
    assert again.status_code == 200
    assert found(served, "DocumentReference", "forgangligt tillbaka") == [first["id"]]
    assert served.http.delete(url, headers=served.headers()).status_code == 204
    assert found(served, "DocumentReference", "forgangligt") == []


def test_a_text_is_found_with_the_rights_to_its_record_only(served: Served) -> None:
    mine, other = patient(served), patient(served)
    bound = served.headers("patient/*.rs", patient=mine.removeprefix("Patient/"))
    own = created(served, document(mine, inline("text/plain", b"hemligheten delad")))
    settled(served)
    before = found(served, "DocumentReference", "hemligheten", bound)
    hidden = created(served, document(other, inline("text/plain", b"hemligheten delad")))
    settled(served)
    assert found(served, "DocumentReference", "hemligheten", bound) == before == [own["id"]]
    assert found(served, "DocumentReference", "hemligheten") == sorted([own["id"], hidden["id"]])
    assert (
        found(
            served,
            "DocumentReference",
            "hemligheten",
            served.headers("user/Media.rs user/DocumentReference.rs?status=superseded"),
        )
        == []
    )


def test_a_server_that_is_killed_leaves_no_text_unread(tmp_path: Path) -> None:
    with served_process(tmp_path / "data") as (first, pid):
        about = patient(first)
        ids = [
            created(first, document(about, inline("application/pdf", made.pdf(f"efter {n}"))))["id"] for n in range(9)
        ]
        os.kill(pid, signal.SIGKILL)
    with serving(tmp_path / "data") as second:
        settled(second)
        assert found(second, "DocumentReference", "efter") == sorted(ids)


def test_what_cannot_be_read_is_found_by_everything_else_and_counted(
    served: Served, rows: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    about = patient(served)
    assert rows
    spoilt = {
        "pdf": ("application/pdf", made.encrypted_pdf("dolt", password="secret")),
        "plain": ("text/plain", "hålögd".encode("latin-1")),
        "docx": (ROWS["docx"][0], made.zipped({"hallo.txt": "x"})),
    }
    ids = [
        created(served, document(about, inline(*each)) | {"description": "trasig"})["id"] for each in spoilt.values()
    ]
    settled(served)
    assert found(served, "DocumentReference", "trasig") == sorted(ids)
    metrics = served.http.get(f"{served.base.removesuffix('/fhir')}/metrics").text
    for format, outcome in (("pdf", "encrypted"), ("plain", "undecodable"), ("docx", "broken"), ("pdf", "extracted")):
        assert f'fhirmedia_texts_total{{format="{format}",outcome="{outcome}"}}' in metrics
    told = [record.getMessage() for record in caplog.records if "no text could be read" in record.getMessage()]
    assert len(told) == 3
    assert not any(about in line or "hallo" in line or identity in line for line in told for identity in ids)
