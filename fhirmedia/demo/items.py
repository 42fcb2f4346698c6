"""What the demo hands to its loader: a resource and, where it has any, the bytes of its Binary."""

from dataclasses import dataclass

from fhirmedia.demo.works import Content
from fhirmedia.r4.json_types import JsonObject


@dataclass(frozen=True, slots=True)
class DemoItem:
    """One resource to be written under its own id.

    An item with content has exactly one Attachment, whose url is `Binary/{binary_id}`: the Binary is written first,
    with `content()` as its bytes and `content_type` as their type. References point to earlier items only.
    """

    resource: JsonObject
    content: Content | None = None
    content_type: str | None = None
    binary_id: str | None = None
