"""JSON out: objects become bytes, a resource a body that only lacks what the writer knows; our own bodies read back.

Decimals are written with the digits they were read with (`1.00` stays `1.00`; `1e2` is written `1E+2`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

import msgspec

from fhirmedia.core.clock import instant
from fhirmedia.core.records import Record
from fhirmedia.r4.json_types import Json, JsonObject

T = TypeVar("T")

_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode

_SET_BY_SERVER = frozenset(("versionId", "lastUpdated", "_versionId", "_lastUpdated"))


def dump(value: Json) -> bytes:
    """UTF-8 JSON without white space, members in their order."""
    return _encode(value)


def load(body: bytes) -> JsonObject:
    """The object in a body that we wrote, as `json_in.parse_json` read it when it came in; raises ValueError for none.

    What a client sends is never read here: nothing is refused that two readers could understand as two things.
    """
    value: Json = _decode(body)
    if type(value) is not dict:
        raise ValueError("a body is an object")
    return value


def decoder(kind: type[T]) -> Callable[[bytes], T]:
    """A reader of JSON we wrote ourselves into a dataclass of this kind; it raises ValueError for anything else."""
    return msgspec.json.Decoder(kind).decode


def indent(body: bytes) -> bytes:
    """The same JSON on several lines; numbers keep their digits."""
    return msgspec.json.format(body, indent=2)


FIRST = ("resourceType", "id", "meta")
"""What a stored body begins with; all else is in the order of the client."""


@dataclass(frozen=True, slots=True)
class PreparedBody:
    """A resource serialised but for its id and meta, which are set inside the writer's transaction.

    `meta` is what the client sent without version and time; `rest` is the JSON of all other members, from the comma
    behind `meta` to the closing brace.
    """

    type: str
    meta: JsonObject
    rest: bytes

    def render(self, id: str, version: int, changed_at_ms: int) -> bytes:
        """The whole body: resourceType, id, meta with versionId and lastUpdated, then the client's elements."""
        meta: JsonObject = {"versionId": str(version), "lastUpdated": instant(changed_at_ms), **self.meta}
        head = _encode({"resourceType": self.type, "id": id, "meta": meta})
        return head[:-1] + self.rest

    def says_what(self, record: Record) -> bool:
        """Whether the body of a version is, to the byte, what this would be in its place."""
        return record.body == self.render(record.key.id, record.version, record.changed_at)


def prepare(resource: JsonObject) -> PreparedBody:
    """Serialise a checked resource; raises KeyError without resourceType, TypeError if its meta is no object."""
    meta = resource.get("meta", {})
    if not isinstance(resource["resourceType"], str) or not isinstance(meta, dict):
        raise TypeError("only a checked resource can be prepared")
    rest = {name: value for name, value in resource.items() if name not in FIRST}
    return PreparedBody(
        type=resource["resourceType"],
        meta={name: value for name, value in meta.items() if name not in _SET_BY_SERVER},
        rest=b"," + _encode(rest)[1:] if rest else b"}",
    )
