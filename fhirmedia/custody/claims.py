"""Claims: a record that refers to a Binary makes it part of itself, with size and hash checked or filled in."""

import base64

from fhirmedia.access.caller import Caller
from fhirmedia.access.grant import Grant
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key
from fhirmedia.custody.binaries import BINARY, readable
from fhirmedia.media.sniff import essence
from fhirmedia.ports.records import Content, RecordTransaction
from fhirmedia.r4.attachments import FoundAttachment, find_attachments, local_binary_id
from fhirmedia.r4.json_types import JsonObject

LARGEST_SIZE = 2**31 - 1
"""R4 `unsignedInt`: above it the element is left out."""


class Claims:
    """Checks the Attachments of a resource against the Binaries they name."""

    def __init__(self, *, base_url: str) -> None:
        self._base_url = base_url

    def settle(
        self,
        transaction: RecordTransaction,
        caller: Caller,
        grant: Grant,
        resource: JsonObject,
        *,
        key: Key,
        facts: Facts,
    ) -> bool:
        """Fill `size`, `hash` and `contentType` of Attachments that name a local Binary; True if anything was filled.

        Raises UNPROCESSABLE if the Binary is unknown, not this Caller's to refer to, or about other patients; INVALID
        if a declared size, hash or type is wrong.
        """
        if not facts.binaries:
            return False
        filled = False
        for found in find_attachments(resource, str(resource["resourceType"])):
            url = found.node.get("url")
            binary_id = local_binary_id(url, self._base_url) if isinstance(url, str) else None
            if binary_id is not None:
                if "/_history/" in str(url):
                    raise _unknown(found.path)  # a claim is of the Binary as it is
                content = _claimable(transaction, caller, grant, binary_id, key=key, facts=facts, path=found.path)
                filled |= _agree(found, content)
        return filled


def _claimable(
    transaction: RecordTransaction,
    caller: Caller,
    grant: Grant,
    binary_id: str,
    *,
    key: Key,
    facts: Facts,
    path: str,
) -> Content:
    """What the record under `key` may refer to: its own older versions do not bind it to their patients."""
    binary = Key(BINARY, binary_id)
    record = transaction.current(binary)
    content = transaction.content(binary_id)
    permitted = readable(transaction, caller, grant, binary, record)
    if record is None or record.deleted or content is None or not permitted:
        raise _unknown(path)
    others = (referrer.facts for referrer in transaction.referrers(binary_id) if referrer.key != key)
    if any(set(other.patients) != set(facts.patients) for other in others):
        raise _unknown(path)
    return content


def _agree(found: FoundAttachment, content: Content) -> bool:
    node, blob = found.node, content.blob
    sha1 = base64.b64encode(blob.sha1).decode()
    if node.get("size") not in (None, blob.size):
        raise Failure(Category.INVALID, "The size is not that of the content.", expression=f"{found.path}.size")
    if node.get("hash") not in (None, sha1):
        raise Failure(Category.INVALID, "The hash is not the SHA-1 of the content.", expression=f"{found.path}.hash")
    declared = node.get("contentType")
    if isinstance(declared, str) and essence(declared) != essence(content.content_type):
        raise Failure(
            Category.INVALID, "The content type is not that of the Binary.", expression=f"{found.path}.contentType"
        )
    before = len(node)
    node.setdefault("contentType", content.content_type)
    if blob.size <= LARGEST_SIZE:
        node.setdefault("size", blob.size)
    node.setdefault("hash", sha1)
    return len(node) != before


def _unknown(path: str) -> Failure:
    return Failure(
        Category.UNPROCESSABLE,
        "The url does not name a Binary this record may refer to.",
        code="not-found",
        expression=f"{path}.url",
    )
