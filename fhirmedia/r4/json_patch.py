"""JSON Patch (RFC 6902) over JSON Pointer (RFC 6901): six operations, all or none, on a resource as it stands in JSON.

The work is bounded: a number of operations, and for `copy` an amount of values that may come out of it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.json_in import DEPTH_MAX, is_deeper
from fhirmedia.r4.json_types import Json, JsonArray, JsonObject

OPERATIONS_MAX = 1000
COPIED_MAX = 1_000_000
"""Values that all `copy` operations of a patch may make together; texts, names and numbers count by their length."""

Name = Literal["add", "remove", "replace", "move", "copy", "test"]
Tokens = tuple[str, ...]

_NEEDS: Mapping[str, frozenset[str]] = {
    "add": frozenset(("path", "value")),
    "remove": frozenset(("path",)),
    "replace": frozenset(("path", "value")),
    "move": frozenset(("path", "from")),
    "copy": frozenset(("path", "from")),
    "test": frozenset(("path", "value")),
}
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII).fullmatch
_STRAY_TILDE = re.compile(r"~(?![01])").search


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; `number` counts from 1. `value` is None where the operation has none, and may be null."""

    number: int
    name: Name
    path: Tokens
    source: Tokens = ()
    value: Json = None

    def refused(self, why: str, category: Category = Category.UNPROCESSABLE) -> Failure:
        """The Failure of a patch that fails at this operation."""
        return Failure(category, f"Operation {self.number} ({self.name}) of the patch {why}.")


@dataclass(frozen=True, slots=True)
class JsonPatch:
    """A JSON Patch document, read."""

    operations: tuple[Operation, ...]

    def apply(self, resource: JsonObject) -> JsonObject:
        """The patched resource; the one given is used up.

        Raises Failure UNPROCESSABLE for a path that leads nowhere, a test that fails or a result that is no object or
        too deep; TOO_COSTLY for copies without measure.
        """
        run = _Run(resource)
        for operation in self.operations:
            run.perform(operation)
        if type(run.document) is not dict or is_deeper(run.document, DEPTH_MAX):
            text = f"The patch does not leave one object, nested at most {DEPTH_MAX} deep."
            raise Failure(Category.UNPROCESSABLE, text)
        return run.document


def read_json_patch(document: JsonArray) -> JsonPatch:
    """Raises Failure INVALID for a document RFC 6902 does not know, TOO_LARGE for more than OPERATIONS_MAX operations.

    Members that an operation does not define are ignored, as section 4 wants.
    """
    if len(document) > OPERATIONS_MAX:
        raise Failure(Category.TOO_LARGE, f"A patch has at most {OPERATIONS_MAX} operations.")
    return JsonPatch(tuple(_operation(stated, number) for number, stated in enumerate(document, start=1)))


def _operation(stated: Json, number: int) -> Operation:
    if type(stated) is not dict:
        raise _malformed(number, "is not an object")
    name = stated.get("op")
    needs = _NEEDS.get(name) if isinstance(name, str) else None
    if needs is None:
        raise _malformed(number, "is none of add, remove, replace, move, copy and test")
    missing = needs - stated.keys()
    if missing:
        raise _malformed(number, f"has no {min(missing)}")
    path = _pointer(stated["path"], number)
    source = _pointer(stated["from"], number) if "from" in needs else ()
    return Operation(number, cast(Name, name), path, source, stated["value"] if "value" in needs else None)


def _pointer(text: Json, number: int) -> Tokens:
    """RFC 6901, sections 3 and 4."""
    if not isinstance(text, str) or (text and text[0] != "/") or _STRAY_TILDE(text):
        raise _malformed(number, "has a path that is no JSON Pointer")
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:])


def _malformed(number: int, why: str) -> Failure:
    return Failure(Category.INVALID, f"Operation {number} of the patch {why}.", code="structure")


@dataclass(slots=True)
class _Run:
    """One patch under way."""

    document: Json
    copied_size: int = field(default=0)

    def perform(self, operation: Operation) -> None:
        match operation.name:
            case "add":
                self._add(operation, copied(operation.value))
            case "remove":
                self._remove(operation, operation.path)
            case "replace":
                self._replace(operation)
            case "move":
                self._move(operation)
            case "copy":
                self._add(operation, self._a_copy(operation, self._found(operation, operation.source)))
            case "test":
                if not equal(self._found(operation, operation.path), operation.value):
                    raise operation.refused("is not met: the resource has another value there")

    def _found(self, operation: Operation, tokens: Tokens) -> Json:
        node = self.document
        for token in tokens:
            if type(node) is dict and token in node:
                node = node[token]
            elif type(node) is list:
                node = node[_index(operation, token, len(node) - 1)]
            else:
                raise operation.refused("has a path that leads to nothing in the resource")
        return node

    def _add(self, operation: Operation, value: Json) -> None:
        if not operation.path:
            self.document = value
            return
        owner, last = self._found(operation, operation.path[:-1]), operation.path[-1]
        if type(owner) is dict:
            owner[last] = value
        elif type(owner) is list:
            owner.insert(len(owner) if last == "-" else _index(operation, last, len(owner)), value)
        else:
            raise operation.refused("has a path into a value that has no members")

    def _remove(self, operation: Operation, tokens: Tokens) -> Json:
        value = self._found(operation, tokens)
        if not tokens:
            raise operation.refused("would remove the whole resource")
        owner, token = self._found(operation, tokens[:-1]), tokens[-1]
        if type(owner) is dict:
            del owner[token]
        elif type(owner) is list:
            del owner[int(token)]
        return value

    def _replace(self, operation: Operation) -> None:
        self._found(operation, operation.path)
        if not operation.path:
            self.document = copied(operation.value)
            return
        owner, token = self._found(operation, operation.path[:-1]), operation.path[-1]
        if type(owner) is dict:
            owner[token] = copied(operation.value)
        elif type(owner) is list:
            owner[int(token)] = copied(operation.value)

    def _move(self, operation: Operation) -> None:
        source, path = operation.source, operation.path
        if path[: len(source)] == source and len(path) > len(source):
            raise operation.refused("would move a value into itself")
        if path == source:
            self._found(operation, source)
            return
        self._add(operation, self._remove(operation, source))

    def _a_copy(self, operation: Operation, value: Json) -> Json:
        self.copied_size += _size(value, COPIED_MAX - self.copied_size)
        if self.copied_size > COPIED_MAX:
            raise operation.refused("copies more than is allowed", Category.TOO_COSTLY)
        if is_deeper(value, DEPTH_MAX):
            raise operation.refused("copies a value that is nested too deep")
        return copied(value)


def equal(left: Json, right: Json) -> bool:
    """RFC 6902, section 4.6: numbers by their value, objects whatever the order of their members; true is not 1."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(value, right[name]) for name, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    return isinstance(left, bool) is isinstance(right, bool) and left == right


def _index(operation: Operation, token: str, last: int) -> int:
    """RFC 6901, section 4: digits without a leading zero."""
    if not _INDEX(token) or int(token) > last:
        raise operation.refused("has a path with no such place in an array")
    return int(token)


def _size(value: Json, limit: int) -> int:
    """Values inside, texts, names and numbers by their length; the count stops once it is over the limit."""
    size, open_values = 0, [value]
    while open_values and size <= limit:
        one = open_values.pop()
        size += 1
        if isinstance(one, dict):
            size += sum(map(len, one))
            open_values.extend(one.values())
        elif isinstance(one, list):
            open_values.extend(one)
        elif one is not None:
            size += len(str(one))
    return size


def copied(value: Json) -> Json:
    """The same value in new containers."""
    if isinstance(value, dict):
        return {name: copied(each) for name, each in value.items()}
    return [copied(each) for each in value] if isinstance(value, list) else value
