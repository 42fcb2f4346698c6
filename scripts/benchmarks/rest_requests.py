"""The requests of `scripts/bench rest`: what a client of an archive sends, drawn from the invented archive."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from scripts.benchmarks.corpus import DCM, OWNING_UNIT, PHOTO, SCT, SITES, STUDY, UNITS, corpus, drawn

TYPES = {"Media": "createdDateTime", "DocumentReference": "date", "ImagingStudy": "started"}
SORTS = {"Media": "created", "DocumentReference": "date", "ImagingStudy": "started"}
MARK = "@" * 16
"""In a body: another number in each request."""

DRAWN = 1_000
"""Different requests of a row; wrk goes round them."""

PICTURE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; a MARK in its body differs each time it is sent."""

    path: str
    method: str = "GET"
    body: str = ""


class Archive:
    """What the folder of this size holds, as far as requests need to know."""

    def __init__(self, size: int) -> None:
        self._rng = Random(11)
        self.patients = size // 31
        self.ids: dict[str, list[str]] = {kind: [] for kind in TYPES}
        self.months: list[tuple[str, str]] = []
        for resource in corpus(size):
            kind = resource["resourceType"]
            if kind in TYPES:
                self.ids[kind].append(resource["id"])
            if kind == "Media":
                month = resource["createdDateTime"][:7]
                self.months.append((resource["bodySite"]["coding"][0]["code"], month))

    def reads(self) -> list[Request]:
        """By id, of every type."""
        kinds = self._rng.choices(list(TYPES), (60, 25, 15), k=DRAWN)
        return [Request(f"/{kind}/{self._rng.choice(self.ids[kind])}") for kind in kinds]

    def timelines(self, kind: str) -> list[Request]:
        """The newest 50 of one type, of patients drawn by how much they have."""
        return [Request(f"/{kind}?patient={each}&_sort=-{SORTS[kind]}&_count=50") for each in self._drawn_patients()]

    def whole_timelines(self) -> list[Request]:
        """All types at once."""
        types = ",".join(TYPES)
        return [Request(f"/?_type={types}&patient={each}&_sort=-when&_count=50") for each in self._drawn_patients()]

    def sites_by_month(self) -> list[Request]:
        """Pictures of a body site in a month, whoever they are of."""
        found = []
        for site, month in self._rng.choices(self.months, k=DRAWN):
            year, number = int(month[:4]), int(month[5:])
            after = f"{year + number // 12}-{number % 12 + 1:02d}-01"
            found.append(Request(f"/Media?site={site}&created=ge{month}-01&created=lt{after}&_count=50"))
        return found

    def counts(self) -> list[Request]:
        """By modality and status."""
        chosen = self._rng.choices(PHOTO, k=DRAWN)
        return [Request(f"/Media?modality={code}&status=completed&_summary=count") for code in chosen]

    def creates(self) -> list[Request]:
        """Media of patients that are there."""
        return [Request("/Media", "POST", json.dumps(self._media())) for _ in range(DRAWN)]

    def updates(self) -> list[Request]:
        """New versions of Media that are there."""
        chosen = self._rng.sample(self.ids["Media"], DRAWN)
        return [Request(f"/Media/{each}", "PUT", json.dumps({**self._media(), "id": each})) for each in chosen]

    def transactions(self, *, number: int = 40) -> list[Request]:
        """A hundred resources each: 60 % Media, 25 % DocumentReference, 15 % ImagingStudy."""
        return [Request("/", "POST", json.dumps(self.bundle())) for _ in range(number)]

    def bundle(self) -> dict[str, Any]:
        """One of them."""
        entries = []
        for kind in self._rng.choices(list(TYPES), (60, 25, 15), k=100):
            made = self._media() if kind == "Media" else self._document() if kind != "ImagingStudy" else self._study()
            entries.append({"resource": made, "request": {"method": "POST", "url": kind}})
        return {"resourceType": "Bundle", "type": "transaction", "entry": entries}

    def _drawn_patients(self) -> Iterator[str]:
        return (f"p-{drawn(self._rng, self.patients - 1)}" for _ in range(DRAWN))

    def _head(self, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
        unit = {"url": OWNING_UNIT, "valueReference": {"reference": f"Organization/{self._rng.choice(UNITS)}"}}
        patient = {"reference": f"Patient/{next(self._drawn_patients())}"}
        clinician = {"identifier": {"system": "urn:example:staff", "value": f"S{self._rng.randrange(40):03d}"}}
        return {"resourceType": kind, "extension": [unit], "subject": patient}, clinician

    def _media(self) -> dict[str, Any]:
        head, clinician = self._head("Media")
        site = {"system": SCT, "code": self._rng.choice(SITES), "display": "Upper limb"}
        media_type = {"system": "http://terminology.hl7.org/CodeSystem/media-type", "code": "image"}
        return head | {
            "status": "completed", "createdDateTime": "2024-11-20T10:00:00Z", "operator": clinician,
            "identifier": [{"system": "urn:example:photo", "value": MARK}], "type": {"coding": [media_type]},
            "modality": {"coding": [{"system": DCM, "code": self._rng.choice(PHOTO)}]}, "bodySite": {"coding": [site]},
            "deviceName": "Canon EOS R6", "height": 3024, "width": 4032, "note": [{"text": "No change since then."}],
            "content": {"contentType": "image/jpeg", "title": f"photograph {MARK}", "creation": "2024-11-20T10:00:00Z"},
        }  # fmt: skip

    def _document(self) -> dict[str, Any]:
        head, clinician = self._head("DocumentReference")
        coding = {"system": "http://loinc.org", "code": "18842-5", "display": "Discharge summary"}
        return head | {
            "status": "current", "date": "2024-11-20T10:00:00Z", "author": [clinician], "description": "Summary",
            "masterIdentifier": {"system": "urn:example:document", "value": MARK}, "type": {"coding": [coding]},
            "category": [{"coding": [{"system": "http://loinc.org", "code": "47039-3"}]}],
            "content": [{"attachment": {"contentType": "application/pdf", "title": "Discharge summary"}}],
        }  # fmt: skip

    def _study(self) -> dict[str, Any]:
        head, _ = self._head("ImagingStudy")
        coding = {"system": DCM, "code": self._rng.choice(STUDY)}
        sop_class = {"system": "urn:ietf:rfc3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"}
        series = [
            {
                "uid": self._uid(), "number": number, "modality": coding, "numberOfInstances": 6,
                "bodySite": {"system": SCT, "code": self._rng.choice(SITES)}, "started": "2024-11-20T10:00:00Z",
                "instance": [{"uid": self._uid(), "number": at, "sopClass": sop_class} for at in range(1, 7)],
            }
            for number in (1, 2)
        ]  # fmt: skip
        return head | {
            "status": "available", "started": "2024-11-20T10:00:00Z", "modality": [coding], "series": series,
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{self._uid()}"}],
            "numberOfSeries": 2, "numberOfInstances": 12,
        }  # fmt: skip

    def _uid(self) -> str:
        return f"2.25.{self._rng.getrandbits(100)}"


LUA = """
local requests, at, sent = {}, 0, 0
for line in io.lines("FILE") do
  local method, path, body = line:match("^([^\\t]*)\\t([^\\t]*)\\t(.*)$")
  requests[#requests + 1] = {method, path, body}
end
request = function()
  at, sent = at % #requests + 1, sent + 1
  local one = requests[at]
  if one[1] == "GET" then return wrk.format("GET", one[2]) end
  return wrk.format(one[1], one[2], nil, (one[3]:gsub("MARK", string.format("NONCE%010d", sent))))
end
"""
"""wrk goes round the requests of a file."""

UPLOAD = """
local sent, rest = 0, nil
local file = io.open("FILE", "rb")
rest = file:read("*a")
request = function()
  sent = sent + 1
  return wrk.format("POST", nil, nil, rest .. string.format("NONCE%010d", sent))
end
"""
"""wrk uploads a picture, another one each time by its last bytes."""


def script(requests: Iterable[Request], folder: Path, *, base: str = "/fhir") -> str:
    """Lua that sends these."""
    file = folder / "requests.tsv"
    file.write_text("".join(f"{each.method}\t{base}{each.path}\t{each.body}\n" for each in requests))
    return LUA.replace("FILE", str(file)).replace("MARK", MARK).replace("NONCE", _nonce())


def upload_script(folder: Path) -> str:
    """Lua that uploads 256 KiB under a JPEG's first bytes."""
    file = folder / "picture"
    file.write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + os.urandom(PICTURE - 27))
    return UPLOAD.replace("FILE", str(file)).replace("NONCE", _nonce())


def _nonce() -> str:
    return os.urandom(3).hex()
