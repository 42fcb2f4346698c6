"""Records with words, before those words are dropped."""

from tests.app.commands import a_media, require, store
from tests.following.beside import begin, put_media
from tests.servers import Served

HELD = ("DiagnosticReport", "DocumentReference", "ImagingStudy", "Media", "Patient")
ONE, ALL = "Media?patient=Patient/p&_content=naevus", "Media?_content=naevus"
AWAY = "elasticsearch://127.0.0.1:9/none"
NOTE = {"note": [{"text": "A naevus, left thigh."}]}
CONDITION = {
    "resourceType": "Condition",
    "id": "c",
    "subject": {"reference": "Patient/p"},
    "code": {"text": "naevus"},
}


def speak(served: Served) -> None:
    """Records with words of their own, in contents, and of a type the index does not hold."""
    begin(served)
    put_media(served, "said", **NOTE)
    put_media(served, "unsaid", note=[{"text": "left thigh"}])
    store(served, "letter", b"of the naevus")
    require(served.put(a_media("attached", "letter")))
    require(served.put(CONDITION))
    served.until_read()
