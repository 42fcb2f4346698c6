"""The shape of FHIR JSON once it is parsed: the boundary behind which `Any` is not needed."""

from decimal import Decimal
from typing import TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | bool | Decimal | None"
"""A parsed JSON value; numbers with a fraction or an exponent are Decimal, never float."""

JsonObject: TypeAlias = dict[str, Json]
"""A parsed JSON object, its members in the order of the text."""

JsonArray: TypeAlias = list[Json]
"""A parsed JSON array."""
