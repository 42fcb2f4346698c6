"""One patient's record as it grows: visits, and the resources written at each of them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fhirmedia.demo.identities import Identity
from fhirmedia.demo.items import DemoItem
from fhirmedia.demo.places import HOSPITAL_NAMES, Clinician, Unit
from fhirmedia.demo.terms import (
    DOCUMENTS,
    LOINC,
    MEDIA_TYPE,
    REPORTS,
    Side,
    body_site,
    coded,
    modality,
    owning_unit,
    reference,
)
from fhirmedia.demo.words import Complaint, Language, Words, language
from fhirmedia.demo.works import (
    FILM_FRAMES_PER_S,
    FILM_HEIGHT_PX,
    FILM_WIDTH_PX,
    PHOTO_HEIGHT_PX,
    PHOTO_WIDTH_PX,
    SOUND_DURATION_S,
    Camera,
    Content,
    Film,
    Letter,
    Photograph,
    Sound,
)
from fhirmedia.r4.json_types import Json, JsonObject

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
SOURCE = "https://fhirmedia.org/CodeSystem/source"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
REPORT_SECTION = "http://terminology.hl7.org/CodeSystem/v2-0074"
STETHOSCOPE = Camera("Auris", "CardioTone S2")
GAIT_CAMERA = Camera("Nordkam", "Motion 60")
ENDOSCOPE = Camera("Lumen", "ColoView 290")


@dataclass(frozen=True, slots=True)
class Region:
    """What a picture shows: a body region by its SNOMED CT code, and which one of a pair."""

    code: str
    side: Side | None = None


@dataclass(slots=True)
class Chart:
    """The items of one patient in the order they must be written."""

    number: int
    person: Identity
    items: list[DemoItem] = field(default_factory=list)
    visits: int = 0

    @property
    def patient_id(self) -> str:
        return f"demo-{self.number:04d}"

    def visit(
        self, unit: Unit, at: datetime, *, complaint: Complaint, region: Region, seen_by: tuple[Clinician, Clinician]
    ) -> "Visit":
        """Opens a visit and writes its Encounter; `seen_by` are the physician and the nurse."""
        self.visits += 1
        visit = Visit(self, unit, at, complaint, region, seen_by, f"{self.patient_id}-{self.visits:03d}")
        self.items.append(DemoItem(_encounter(visit)))
        return visit


@dataclass(slots=True)
class Visit:
    """One occasion in one unit; its methods add what was captured or written, some minutes apart."""

    chart: Chart
    unit: Unit
    at: datetime
    complaint: Complaint
    region: Region
    seen_by: tuple[Clinician, Clinician]
    encounter_id: str
    count: int = 0
    passed: timedelta = timedelta()
    pictured: list[str] = field(default_factory=list)

    @property
    def language(self) -> Language:
        return language(swedish=self.unit.country == "SE")

    @property
    def words(self) -> Words:
        return self.language.words[self.complaint]

    def photograph(
        self, work: Photograph, camera: Camera, *, modality_code: str, view: str | None = None, note: str | None = None,
        region: Region | None = None, confidential: bool = False, by_patient: bool = False,
    ) -> None:  # fmt: skip
        """A JPEG as Media; one the patient sent in waits in `preparation` and carries the source tag."""
        taken = self._next(seconds=37)
        body = self._media("image", taken, camera, modality_code=modality_code, region=region, note=note)
        body["height"], body["width"] = PHOTO_HEIGHT_PX, PHOTO_WIDTH_PX
        if view is not None:
            body["view"] = {"text": view}
        if by_patient:
            body["status"] = "preparation"
            body["operator"] = reference("Patient", self.chart.patient_id)
            body["meta"] = {"tag": [{"system": SOURCE, "code": "patient"}]}
        if confidential:
            body["meta"] = {"security": [{"system": CONFIDENTIALITY, "code": "R", "display": "restricted"}]}
        self._add(body, Content(work, taken, camera), "image/jpeg", extension="jpg")

    def film(self, work: Film, *, note: str | None = None) -> None:
        """An MP4 as Media."""
        taken = self._next(seconds=180)
        camera, code = (GAIT_CAMERA, "XC") if work.kind == "gait" else (ENDOSCOPE, "ES")
        body = self._media("video", taken, camera, modality_code=code, note=note)
        body["height"], body["width"] = FILM_HEIGHT_PX, FILM_WIDTH_PX
        body["frames"], body["duration"] = work.duration_s * FILM_FRAMES_PER_S, work.duration_s
        self._add(body, Content(work), "video/mp4", extension="mp4")

    def sound(self, work: Sound, *, note: str | None = None) -> None:
        """A WAV as Media."""
        body = self._media("audio", self._next(seconds=60), STETHOSCOPE, modality_code="AU", note=note)
        body["duration"] = SOUND_DURATION_S
        self._add(body, Content(work), "audio/wav", extension="wav")

    def letter(self, loinc: str) -> None:
        """A referral, an answer or a discharge letter as DocumentReference with its PDF."""
        display, swedish, norwegian = DOCUMENTS[loinc]
        title = swedish if self.unit.country == "SE" else norwegian
        written = self._next(seconds=900)
        identity = self._identity()
        self._add(
            {
                "resourceType": "DocumentReference",
                "id": identity,
                "masterIdentifier": {"system": "https://fhirmedia.org/demo/document", "value": identity},
                "status": "current",
                "docStatus": "final",
                "type": coded(LOINC, loinc, display, title),
                "subject": reference("Patient", self.chart.patient_id),
                "date": _instant(written),
                "author": [reference("Practitioner", self.seen_by[0].id, self.seen_by[0].name)],
                "custodian": reference("Organization", self.unit.id, self.unit.name),
                "description": f"{title}: {self.words.reason.lower()}",
                "content": [],
                "context": {
                    "encounter": [reference("Encounter", self.encounter_id)],
                    "period": {"start": _instant(self.at), "end": _instant(self.at + timedelta(minutes=30))},
                },
            },
            Content(self._letter(f"{title}: {self.words.reason.lower()}", assessment=loinc != "57133-1")),
            "application/pdf",
            extension="pdf",
        )

    def report(self, loinc: str, *, section: str, studies: tuple[str, ...] = ()) -> None:
        """A DiagnosticReport with its PDF, linked to this visit's Media and to the given ImagingStudies."""
        issued = self._next(seconds=3600)
        body: JsonObject = {
            "resourceType": "DiagnosticReport",
            "id": self._identity(),
            "extension": [owning_unit(self.unit.id)],
            "status": "final",
            "category": [{"coding": [{"system": REPORT_SECTION, "code": section}]}],
            "code": coded(LOINC, loinc, REPORTS[loinc], self.words.reason),
            "subject": reference("Patient", self.chart.patient_id),
            "encounter": reference("Encounter", self.encounter_id),
            "effectiveDateTime": _instant(self.at),
            "issued": _instant(issued),
            "performer": [reference("Organization", self.unit.id, self.unit.name)],
            "resultsInterpreter": [reference("Practitioner", self.seen_by[0].id, self.seen_by[0].name)],
        }
        if studies:
            body["imagingStudy"] = [reference("ImagingStudy", study) for study in studies]
        if self.pictured:
            body["media"] = [{"link": reference("Media", identity)} for identity in self.pictured]
        body["conclusion"] = self.words.conclusion
        body["presentedForm"] = []
        self._add(body, Content(self._letter(self.words.reason, assessment=True)), "application/pdf", extension="pdf")

    def _media(
        self, kind: str, taken: datetime, camera: Camera, *, modality_code: str, note: str | None,
        region: Region | None = None,
    ) -> JsonObject:  # fmt: skip
        region = region or self.region
        identity = self._identity()
        self.pictured.append(identity)
        operator = self.seen_by[1]
        body: JsonObject = {
            "resourceType": "Media",
            "id": identity,
            "extension": [owning_unit(self.unit.id)],
            "status": "completed",
            "type": coded(MEDIA_TYPE, kind, kind.title()),
            "modality": modality(modality_code),
            "subject": reference("Patient", self.chart.patient_id),
            "encounter": reference("Encounter", self.encounter_id),
            "createdDateTime": _instant(taken),
            "issued": _instant(taken + timedelta(seconds=20)),
            "operator": reference("Practitioner", operator.id, operator.name),
            "reasonCode": [{"text": self.words.reason}],
            "bodySite": body_site(region.code, side=region.side, swedish=self.unit.country == "SE"),
            "deviceName": f"{camera.maker} {camera.model}",
        }
        if note is not None:
            place: Json = body["bodySite"]
            site = str(place["text"]) if isinstance(place, dict) else ""
            body["note"] = [{"time": _instant(taken), "text": note.format(site=site.split(",", 1)[0])}]
        return body

    def _letter(self, title: str, *, assessment: bool) -> Letter:
        text, words, person = self.language, self.words, self.chart.person
        place = body_site(self.region.code, side=self.region.side, swedish=self.unit.country == "SE")
        site = str(place["text"]).split(",", 1)[0]
        sections = [(text.history, words.history), (text.findings, words.findings)]
        if assessment:
            sections = [("", text.greeting), *sections, (text.assessment, words.conclusion)]
        sections.append((text.plan, words.plan))
        signer = self.seen_by[0]
        return Letter(
            hospital=HOSPITAL_NAMES[self.unit.hospital],
            unit=self.unit.name,
            title=title,
            date=f"{self.at:%Y-%m-%d}",
            patient=person.name,
            number=person.number,
            sections=tuple((heading, paragraph.format(site=site)) for heading, paragraph in sections),
            signature=f"{signer.name}, {signer.role.lower()}",
            synthetic=text.synthetic,
        )

    def _add(self, body: JsonObject, content: Content, content_type: str, *, extension: str) -> None:
        """Puts the Attachment where its type has it; the Binary wears the id of the resource."""
        identity = str(body["id"])
        attachment: JsonObject = {
            "contentType": content_type,
            "url": f"Binary/{identity}",
            "title": f"{self.unit.code}-{self.at:%Y%m%d}-{self.count:02d}.{extension}",
        }
        if extension == "pdf":
            attachment["language"] = self.language.tag
        match body["resourceType"]:
            case "Media":
                body["content"] = attachment
            case "DocumentReference":
                body["content"] = [{"attachment": attachment}]
            case _:
                body["presentedForm"] = [attachment]
        self.chart.items.append(DemoItem(body, content, content_type, identity))

    def _identity(self) -> str:
        self.count += 1
        return f"{self.encounter_id}-{self.count:02d}"

    def _next(self, *, seconds: int) -> datetime:
        self.passed += timedelta(seconds=seconds)
        return self.at + self.passed


def _encounter(visit: Visit) -> JsonObject:
    code, display = {
        "emerg": ("EMER", "emergency"),
        "burn": ("IMP", "inpatient encounter"),
    }.get(visit.unit.code, ("AMB", "ambulatory"))
    return {
        "resourceType": "Encounter",
        "id": visit.encounter_id,
        "status": "finished",
        "class": {"system": ACT_CODE, "code": code, "display": display},
        "subject": reference("Patient", visit.chart.patient_id),
        "participant": [{"individual": reference("Practitioner", one.id, one.name)} for one in visit.seen_by],
        "period": {"start": _instant(visit.at), "end": _instant(visit.at + timedelta(minutes=30))},
        "reasonCode": [{"text": visit.words.reason}],
        "serviceProvider": reference("Organization", visit.unit.id, visit.unit.name),
    }


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
