"""Small documents of each format that has text: what is said, and beside it what must not be found."""

import io
import zipfile

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
OFFICE, ODF_TEXT = "urn:oasis:names:tc:opendocument:xmlns:office:1.0", "urn:oasis:names:tc:opendocument:xmlns:text:1.0"

PLAIN = "Utlåtande: Lungödem på höger sida.\nIngen pneumothorax."
CSV = "prov;värde\nhemoglobin;142\n"
MARKDOWN = "# Epikris\n\nPatienten mår *mycket* bättre.\n"
RTF = (
    rb"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0 Helvetica;}}{\info{\author Gizmoauthor}{\title Gizmotitle}}"
    rb"{\header Sahlgrenska\par}\f0 L\'f6mskt \b bl\'e5\b0m\'e4rke \u8364? p\'e5 armen{\*\annotation gizmocomment}"
    rb"{\footnote enligt journal}\par{\pict\wmetafile8 0100090000}slut\par}"
)
HTML = (
    "<!DOCTYPE html><html><head><title>Remissvar</title><style>.gizmostyle{}</style>"
    "<script>var gizmoscript</script></head><body title='gizmoattribute'>"
    "H<b>jär</b>tsvikt &amp; <p>ödem</p></body></html>"
).encode()
XML = b"<a id='gizmoattribute'><!-- gizmocomment --><b>Frisk</b><c>hud &lt;1 cm</c></a>"
CDA = b"""<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.3"/><code code="1" displayName="gizmodisplay"/>
<title>Utskrivningsmeddelande</title><author><assignedAuthor><name>Gizmoauthor</name></assignedAuthor></author>
<component><structuredBody><component><section><title>Anamnes</title>
<text>Hosta sedan <content styleCode="Bold">tre</content> veckor
<list><item>feber</item><item>frossa</item></list></text>
<entry><observation><text>gizmoentry</text></observation></entry>
</section></component></structuredBody></component></ClinicalDocument>"""


def pdf(*pages: str) -> bytes:
    """A text layer in Helvetica, a page for each text."""
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    for n, text in enumerate(pages):
        stream = f"BT /F 12 Tf 72 700 Td ({text}) Tj ET"
        objects.append(f"<</Type/Page/Parent 2 0 R/Contents {5 + 2 * n} 0 R/Resources<</Font<</F 3 0 R>>>>>>")
        objects.append(f"<</Length {len(stream)}>>stream\n{stream}\nendstream")
    out, starts = "%PDF-1.4\n", []
    for number, each in enumerate(objects, start=1):
        starts.append(len(out))
        out += f"{number} 0 obj{each}endobj\n"
    table = "".join(f"{start:010} 00000 n \n" for start in starts)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer<</Size {len(objects) + 1}/Root 1 0 R>>\n"
    start = out.rindex("xref\n0")
    return f"{out}startxref\n{start}\n%%EOF\n".encode("cp1252")


def encrypted_pdf(text: str, *, password: str) -> bytes:
    """The same, encrypted with AES; an empty password is asked of nobody."""
    from pypdf import PdfWriter

    writer = PdfWriter(clone_from=io.BytesIO(pdf(text)))
    writer.encrypt(user_password=password, owner_password="owner", algorithm="AES-256")
    held = io.BytesIO()
    writer.write(held)
    return held.getvalue()


def zipped(parts: dict[str, str | bytes]) -> bytes:
    """An archive of these parts."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return held.getvalue()


def docx(body: str, more: dict[str, str | bytes] | None = None) -> bytes:
    """A document of WordprocessingML in `body`, and what else is in the archive."""
    document = f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    return zipped({"[Content_Types].xml": "<Types/>", "word/document.xml": document, **(more or {})})


def a_docx() -> bytes:
    """Runs within a word, a deleted run, a field code, a comment, a footnote and properties."""
    body = (
        "<w:p><w:r><w:t>Diab</w:t></w:r><w:r><w:t>etes</w:t></w:r><w:r><w:tab/><w:t>typ två</w:t></w:r></w:p>"
        "<w:p><w:del><w:r><w:delText>gizmodeleted</w:delText></w:r></w:del>"
        "<w:r><w:instrText>gizmofield</w:instrText></w:r><w:r><w:t>insulin</w:t></w:r></w:p>"
    )
    comment = f'<w:comments xmlns:w="{WORD}"><w:p><w:r><w:t>gizmocomment</w:t></w:r></w:p></w:comments>'
    note = f'<w:footnotes xmlns:w="{WORD}"><w:p><w:r><w:t>fotnoten</w:t></w:r></w:p></w:footnotes>'
    core = "<cp:coreProperties xmlns:cp='x'><creator>gizmoauthor</creator></cp:coreProperties>"
    return docx(body, {"word/comments.xml": comment, "word/footnotes.xml": note, "docProps/core.xml": core})


def an_odt() -> bytes:
    """A span within a word, an annotation, a deleted passage and properties."""
    content = (
        f'<office:document-content xmlns:office="{OFFICE}" xmlns:text="{ODF_TEXT}"><office:body><office:text>'
        "<text:tracked-changes><text:p>gizmodeleted</text:p></text:tracked-changes>"
        "<text:h>Omvårdnad</text:h><text:p>Tryck<text:span>sår</text:span> på hälen"
        "<office:annotation><text:p>gizmocomment</text:p></office:annotation></text:p>"
        "</office:text></office:body></office:document-content>"
    )
    return zipped(
        {"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": content, "meta.xml": "<gizmo/>"}
    )


def dicom(**values: object) -> bytes:
    """A Part 10 file of a data set with these attributes."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    for uid in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(dataset, uid, generate_uid())
    dataset.PatientName = "Gizmo^Patient"
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta = meta
    held = io.BytesIO()
    dataset.save_as(held, enforce_file_format=True)
    return held.getvalue()


def coded(meaning: str) -> Dataset:
    """A code with its meaning."""
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "99X", meaning
    return code


def item(name: str, **values: object) -> Dataset:
    """An item of a content tree."""
    made = Dataset()
    made.RelationshipType = "CONTAINS"
    made.ValueType = "TEXT"
    made.ConceptNameCodeSequence = [coded(name)]
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def an_sr() -> bytes:
    """A structured report of two levels."""
    finding = item("Fynd", TextValue="Förtätning i underloben", ContentSequence=[item("Sida", TextValue="vänster")])
    return dicom(
        Modality="SR",
        StudyDescription="Lungröntgen",
        ConceptNameCodeSequence=[coded("Radiologirapport")],
        ContentSequence=[finding, item("Slutsats", ConceptCodeSequence=[coded("Pneumoni")])],
    )


def a_dicom_pdf(text: str) -> bytes:
    """A PDF inside a DICOM object."""
    inner = pdf(text)
    return dicom(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1",
        DocumentTitle="Bilaga",
        MIMETypeOfEncapsulatedDocument="application/pdf",
        EncapsulatedDocument=inner + b"\0" * (len(inner) % 2),
        EncapsulatedDocumentLength=len(inner),
    )
