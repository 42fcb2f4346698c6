"""Codes the demo writes: body regions, sides, modalities, document types; with the displays of their code systems."""

from typing import Literal

from fhirmedia.r4.json_types import JsonObject

SNOMED = "http://snomed.info/sct"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
LOINC = "http://loinc.org"
MEDIA_TYPE = "http://terminology.hl7.org/CodeSystem/media-type"
LATERALITY = "https://fhirmedia.org/StructureDefinition/laterality"
OWNING_UNIT = "https://fhirmedia.org/StructureDefinition/owning-unit"

Side = Literal["left", "right"]

SITES = {
    # code: display, Swedish, Norwegian
    "77568009": ("Back", "ryggen", "ryggen"),
    "30021000": ("Lower leg", "underbenet", "leggen"),
    "14975008": ("Forearm", "underarmen", "underarmen"),
    "85562004": ("Hand", "handen", "hånden"),
    "56459004": ("Foot", "foten", "foten"),
    "81745001": ("Eye", "ögat", "øyet"),
    "5665001": ("Retina", "näthinnan", "netthinnen"),
    "117590005": ("Ear", "örat", "øret"),
    "80891009": ("Heart", "hjärtat", "hjertet"),
    "71854001": ("Colon", "tjocktarmen", "tykktarmen"),
    "89545001": ("Face", "ansiktet", "ansiktet"),
    "69536005": ("Head", "huvudet", "hodet"),
    "45048000": ("Neck", "halsen", "halsen"),
    "72696002": ("Knee", "knät", "kneet"),
    "16982005": ("Shoulder", "axeln", "skulderen"),
    "40983000": ("Upper arm", "överarmen", "overarmen"),
    "68367000": ("Thigh", "låret", "låret"),
    "76752008": ("Breast", "bröstet", "brystet"),
    "35039007": ("Uterus", "livmodern", "livmoren"),
    "61685007": ("Lower limb", "benen", "beina"),
    "22943007": ("Trunk", "bålen", "kroppen"),
    "818981001": ("Abdomen", "buken", "buken"),
    "122494005": ("Cervical spine", "halsryggen", "nakkesøylen"),
    "38266002": ("Entire body", "kroppen", "kroppen"),
    "12738006": ("Brain", "hjärnan", "hjernen"),
}
PAIRED = frozenset(
    "30021000 14975008 85562004 56459004 81745001 5665001 117590005 72696002 16982005 40983000 68367000 "
    "76752008".split()
)
SIDES: dict[Side, tuple[str, str, str, str]] = {
    "right": ("24028007", "Right", "höger", "høyre"),
    "left": ("7771000", "Left", "vänster", "venstre"),
}
MODALITIES = {
    "AU": "Audio",
    "CR": "Computed Radiography",
    "CT": "Computed Tomography",
    "DMS": "Dermoscopy",
    "DX": "Digital Radiography",
    "ECG": "Electrocardiography",
    "ES": "Endoscopy",
    "GM": "General Microscopy",
    "MR": "Magnetic Resonance",
    "NM": "Nuclear Medicine",
    "OP": "Ophthalmic Photography",
    "OT": "Other",
    "US": "Ultrasound",
    "XC": "External-camera Photography",
}
DOCUMENTS = {
    # LOINC code: display, Swedish, Norwegian
    "57133-1": ("Referral note", "Remiss", "Henvisning"),
    "11488-4": ("Consult note", "Remissvar", "Svar på henvisning"),
    "18842-5": ("Discharge summary", "Epikris", "Epikrise"),
}
REPORTS = {
    "18748-4": "Diagnostic imaging study",
    "11526-1": "Pathology study",
    "42148-7": "US Heart",
    "28634-8": "Miscellaneous study report",
}


def coded(system: str, code: str, display: str, text: str | None = None) -> JsonObject:
    """A CodeableConcept with one coding."""
    concept: JsonObject = {"coding": [{"system": system, "code": code, "display": display}]}
    if text is not None:
        concept["text"] = text
    return concept


def modality(code: str) -> JsonObject:
    """A DICOM modality as CodeableConcept; one outside the table has no display."""
    coding: JsonObject = {"system": DCM, "code": code}
    if code in MODALITIES:
        coding["display"] = MODALITIES[code]
    return {"coding": [coding]}


def body_site(code: str, *, side: Side | None, swedish: bool) -> JsonObject:
    """A body region, its side as our extension and, for a reader, in the text."""
    display, in_swedish, in_norwegian = SITES[code]
    word = in_swedish if swedish else in_norwegian
    if side is None:
        return coded(SNOMED, code, display, word)
    qualifier, name, swedish_side, norwegian_side = SIDES[side]
    concept: JsonObject = {
        "extension": [{"url": LATERALITY, "valueCodeableConcept": coded(SNOMED, qualifier, name)}],
        **coded(SNOMED, code, display, f"{word}, {swedish_side if swedish else norwegian_side}"),
    }
    return concept


def reference(kind: str, identity: str, display: str | None = None) -> JsonObject:
    """A relative reference."""
    target: JsonObject = {"reference": f"{kind}/{identity}"}
    if display is not None:
        target["display"] = display
    return target


def owning_unit(identity: str) -> JsonObject:
    """The extension that says which Organization answers for a record."""
    return {"url": OWNING_UNIT, "valueReference": reference("Organization", identity)}
