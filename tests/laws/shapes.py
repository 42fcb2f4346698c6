"""What documents of the made-up archives look like, for a search engine beside the database."""

from zoneinfo import ZoneInfo

from fhirmedia.backends.elastic.document import Documents
from fhirmedia.backends.elastic.documents import Making
from fhirmedia.backends.elastic.shape import Family, Shape

_KINDS = {
    "_id": "token",
    "_lastUpdated": "date",
    "status": "token",
    "when": "date",
    "created": "date",
    "started": "date",
    "subject": "reference",
    "patient": "reference",
    "name": "string",
    "url": "uri",
    "dose": "number",
    "length": "quantity",
    "relation": "composite",
    "relation$1": "reference",
    "relation$2": "token",
}
_FACETS = frozenset({"status", "odd"})
_TEXTS = frozenset({"_text", "status:text"})


def family(name: str, types: set[str], **more: set[str]) -> Family:
    """One index of the archives."""
    kinds = {code: frozenset({kind}) for code, kind in _KINDS.items()}
    kinds |= {code: frozenset(several) for code, several in more.items()}
    return Family(name, frozenset(types), kinds, _TEXTS, _FACETS, frozenset("12"))


SHAPE = Shape((
    family("res", {"Media", "Task"}, mixed={"date", "number"}, odd={"token", "string"}),
    family("pat", {"Patient"}, mixed={"number"}, odd={"string"}),
))  # fmt: skip


class FixedShape:
    """Stands where the Registry's shape does."""

    fingerprint = "archives"

    def __init__(self, zone: ZoneInfo) -> None:
        self._making = Making(SHAPE, Documents(SHAPE, zone=zone))

    def now(self) -> Making:
        """Always the same."""
        return self._making
