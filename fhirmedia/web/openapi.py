"""The OpenAPI 3.1 document of the API: the routes multiplied out over the served types, with a schema for each body."""

from collections.abc import Iterable, Mapping
from typing import Any

from fhirmedia.r4.examples import EXAMPLE_ID, example
from fhirmedia.r4.json_schema import ANY_RESOURCE, Schema, primitive, reference_to, schemas
from fhirmedia.r4.registry import Kind, Registry
from fhirmedia.web.calls import Call, compartment_types, operation_definitions
from fhirmedia.web.meanings import COMMON, INTERACTIONS, KINDS, RESULT, own_descriptions, stated_parameters
from fhirmedia.web.negotiation import FHIR_JSON, FHIR_XML

FORM = "application/x-www-form-urlencoded"
JSON_PATCH = "application/json-patch+json"

# type-name: what an answer can be besides the type that was asked for
_BUNDLE, _OUTCOME, _STATEMENT, _PARAMETERS = "Bundle", "OperationOutcome", "CapabilityStatement", "Parameters"
_BYTES = "Binary"  # type-name: the one type whose content may be sent and answered as it is
_OTHERS = (_BUNDLE, _OUTCOME, _STATEMENT, _PARAMETERS)

_WORD = r"[^,|\\\s$&]+"
_VALUES: Mapping[Kind, str] = {
    "token": rf"^({_WORD}\|)?{_WORD}(,({_WORD}\|)?{_WORD})*$",
    "date": r"^(eq|ne|gt|lt|ge|le|sa|eb|ap)?[12][0-9]{3}(-(0[1-9]|1[0-2])(-(0[1-9]|1[0-9]|2[0-8]))?)?$",
    "reference": r"^([A-Z][A-Za-z]+/)?[A-Za-z0-9\-.]{1,64}$",
    "string": r"^[^\s,$|\\]+$",
    "uri": r"^[a-z]+:[A-Za-z0-9/.:\-]+$",
    "number": r"^(eq|ne|gt|lt|ge|le)?-?[0-9]{1,6}(\.[0-9]{1,3})?$",
    "quantity": r"^(eq|ne|gt|lt|ge|le)?-?[0-9]{1,6}(\.[0-9]{1,3})?$",
    "special": r"^[A-Za-z]{1,20}( [A-Za-z]{1,20})*$",
}
"""One form of each kind of value, for those who make up requests; R4 has more."""
_RESULTS: Mapping[str, Schema] = {
    "_sort": {"type": "string", "pattern": r"^-?_lastUpdated$|^-?_id$|^-?[a-z][a-z\-]*$"},
    "_count": {"type": "integer", "minimum": 0, "maximum": 1000},
    "_total": {"type": "string", "enum": ["none", "estimate", "accurate"]},
    "_summary": {"type": "string", "enum": ["true", "text", "data", "count", "false"]},
    "_elements": {"type": "string", "pattern": "^(id|meta|text)(,(id|meta|text))*$"},
    "_include": {"type": "string", "pattern": r"^[A-Z][A-Za-z]+:[a-z\-]+(:[A-Z][A-Za-z]+)?$"},
    "_revinclude": {"type": "string", "pattern": r"^[A-Z][A-Za-z]+:[a-z\-]+(:[A-Z][A-Za-z]+)?$"},
}
_PATH: Mapping[str, Schema] = {
    "id": primitive("id"),
    "version": {"type": "string", "pattern": "^[1-9][0-9]{0,8}$"},
}
_PREFERS = {"type": "string", "enum": ["return=minimal", "return=representation", "return=OperationOutcome"]}
_VERSION_TAG = {"type": "string", "pattern": '^W/"[1-9][0-9]{0,8}"$'}


def openapi(registry: Registry, served: Iterable[Call], *, base_url: str, version: str) -> Schema:
    """The document; addresses are relative to the FHIR base."""
    writer = _Writer(registry)
    paths: dict[str, dict[str, Schema]] = {"/metadata": {"get": _statement()}}
    for call in served:
        paths.setdefault(call.path, {})[call.method.lower()] = writer.operation(call)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": str(registry.statement["title"]),
            "version": version,
            "description": "FHIR R4 (4.0.1). The CapabilityStatement at /metadata says the same in FHIR's own words.",
        },
        "servers": [{"url": base_url}],
        "security": [{"token": []}],
        "tags": [{"name": name} for name in registry.types],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "parameters": {name: _common(name, text) for name, text in {**COMMON, **RESULT}.items()},
            "responses": {"Refused": {"description": "What is wrong, and where.", "content": _content(_OUTCOME)}},
            "schemas": schemas([*registry.types, *_OTHERS]),
        },
    }


class _Writer:
    """Writes one operation after the other."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._described = own_descriptions(registry)
        self._operations = {str(each["code"]): each for each in operation_definitions(registry)}

    def operation(self, call: Call) -> Schema:
        """One call as an OpenAPI operation."""
        title, sentence = self._told(call)
        told: Schema = {
            "operationId": _identity(call),
            "summary": f"{title}: {call.type}" if call.type else title,
            "description": sentence,
            "tags": [call.type or "System"],
            "parameters": [*_of_path(call, self._registry), *self._of_query(call), *_of_headers(call)],
            "responses": {**_answers(call), "default": {"$ref": "#/components/responses/Refused"}},
        }
        body = _body(call)
        if body is not None:
            told["requestBody"] = {"required": True, "content": body}
        return told

    def _told(self, call: Call) -> tuple[str, str]:
        if call.operation is not None:
            defined = self._operations.get(call.operation, {})
            return f"${call.operation}", str(defined.get("description", "An operation of FHIR R4."))
        title, sentence = INTERACTIONS[call.interaction]
        if call.is_conditional:
            return f"{title} on condition", f"{sentence} The search in the address means the one resource it is about."
        return (f"{title} by form" if call.is_posted_search else title), sentence

    def _of_query(self, call: Call) -> list[Schema]:
        common = [_shared(name) for name in COMMON]
        if call.operation is not None:
            return [*common, *self._of_operation(call)]
        if call.is_posted_search:
            return common
        own = []
        if call.is_search and call.type is not None:
            own = self._of_type(call.type)
        elif call.interaction.startswith("search"):
            own = (
                [_query("_type", "Types to search, separated by commas.", {"type": "string"})]
                if "{" not in call.path
                else []
            )
        shaping = [_shared(name) for name in RESULT] if call.interaction.startswith("search") else []
        if call.interaction.startswith("history"):
            shaping = [
                _shared("_count"),
                _query("_since", "Only what was changed at or after this time.", primitive("instant")),
            ]
        return [*own, *shaping, *common]

    def _of_type(self, type: str) -> list[Schema]:
        return [
            _query(
                stated.code,
                f"{stated.meaning} {KINDS[stated.kind]}",
                {"type": "array", "items": {"type": "string", "minLength": 1, **_pattern(stated.kind)}},
            )
            for stated in stated_parameters(self._registry, type, self._described)
        ]

    def _of_operation(self, call: Call) -> list[Schema]:
        parameters = self._operations.get(call.operation or "", {}).get("parameter", ())
        return [
            _query(str(each["name"]), str(each.get("documentation", "")), _plain(str(each.get("type", "string"))))
            | {"required": bool(each.get("min"))}
            for each in parameters
            if each["use"] == "in" and call.method == "GET"
        ]


def _identity(call: Call) -> str:
    """`readMedia`, `searchMediaByForm`, `updateMediaMatching`."""
    first, *rest = (call.operation or call.interaction.removesuffix("-type").removesuffix("-instance")).split("-")
    word = first + "".join(each.title() for each in rest)
    inside = "InPatient" if call.in_compartment else ""
    how = "ByForm" if call.is_posted_search else "Matching" if call.is_conditional else ""
    whole = "OfType" if call.interaction == "history-type" else ""
    if call.operation is not None:
        one = "Instance" if "{id}" in call.path and not call.in_compartment else ""
        how = f"{one}ByPost" if call.method == "POST" else one
    return f"{word}{call.type or ''}{whole}{inside}{how}"


def _of_path(call: Call, registry: Registry) -> list[Schema]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in _PATH.items()
        if f"{{{name}}}" in call.path
    ]
    if "{type}" in call.path:
        types = {"type": "string", "enum": ["*", *compartment_types(registry)]}
        found.append({"name": "type", "in": "path", "required": True, "schema": types})
    return found


def _of_headers(call: Call) -> list[Schema]:
    headers: dict[str, Schema] = {}
    if call.interaction in ("read", "vread"):
        headers["If-None-Match"] = _VERSION_TAG
    if call.interaction in ("update", "patch", "delete"):
        headers["If-Match"] = _VERSION_TAG
    if call.interaction in ("create", "update", "patch", "delete"):
        headers["Prefer"] = _PREFERS
    return [{"name": name, "in": "header", "schema": schema} for name, schema in headers.items()]


def _body(call: Call) -> dict[str, Schema] | None:
    if call.is_posted_search:
        return {FORM: {"schema": {"type": "object", "additionalProperties": {"type": "string"}}}}
    if call.operation is not None:
        return _content(ANY_RESOURCE) if call.method == "POST" else None
    if call.interaction == "transaction":
        return _content(_BUNDLE)
    if call.interaction == "patch":
        return {JSON_PATCH: {"schema": _json_patch()}, **_content(_PARAMETERS)}
    if call.interaction not in ("create", "update") or call.type is None:
        return None
    shown = example(call.type)
    if call.interaction == "update" and not call.is_conditional:
        shown = {"resourceType": shown.pop("resourceType"), "id": EXAMPLE_ID, **shown}
    return {**_content(call.type, shown=shown), **(_raw() if call.type == _BYTES else {})}


def _answers(call: Call) -> dict[str, Schema]:
    if call.operation is not None:
        return {"200": {"description": "What the operation gives.", "content": {**_content(ANY_RESOURCE), **_raw()}}}
    if call.interaction == "delete":
        return {"204": {"description": "Deleted."}, "200": {"description": "Deleted.", "content": _content(_OUTCOME)}}
    if call.type is None or call.interaction.startswith(("search", "history")):
        return {"200": {"description": "A Bundle.", "content": _content(_BUNDLE)}}
    content = _content(call.type)
    if call.interaction == "read":
        content |= _raw() if call.type == _BYTES else {}
        return {"200": {"description": "The resource.", "content": content}, "304": {"description": "Not modified."}}
    if call.interaction == "vread":
        return {"200": {"description": "The version.", "content": content}, "304": {"description": "Not modified."}}
    created = {"description": "Created.", "content": content, "headers": {"Location": {"schema": primitive("uri")}}}
    done = {"200": {"description": "Done.", "content": content}}
    return {"201": created} | (done if call.interaction != "create" else {})


def _content(name: str, *, shown: Any = None) -> dict[str, Schema]:
    """The same in both forms; XML is told as text, since its schema is another."""
    as_json: Schema = {"schema": reference_to(name)}
    if shown is not None:
        as_json["example"] = shown
    return {FHIR_JSON: as_json, FHIR_XML: {"schema": {"type": "string"}}}


def _raw() -> dict[str, Schema]:
    return {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


def _json_patch() -> Schema:
    """RFC 6902."""
    step = {
        "type": "object",
        "properties": {
            "op": {"type": "string", "enum": ["add", "remove", "replace", "move", "copy", "test"]},
            "path": {"type": "string", "pattern": "^(/[^/]*)*$"},
            "from": {"type": "string", "pattern": "^(/[^/]*)*$"},
            "value": {},
        },
        "required": ["op", "path"],
    }
    return {"type": "array", "items": step, "minItems": 1}


def _statement() -> Schema:
    return {
        "operationId": "capabilities",
        "summary": "Capabilities",
        "description": "What this server serves, as a CapabilityStatement. No token is needed.",
        "tags": ["System"],
        "security": [],
        "parameters": [_shared(name) for name in COMMON],
        "responses": {
            "200": {"description": "The statement.", "content": _content(_STATEMENT)},
            "default": {"$ref": "#/components/responses/Refused"},
        },
    }


def _common(name: str, text: str) -> Schema:
    schema = _RESULTS.get(name, {"type": "string", "enum": ["json", "xml"]})
    return _query(name, text, {"type": "boolean"} if name == "_pretty" else schema)


def _query(name: str, text: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "description": text, "schema": schema}


def _shared(name: str) -> Schema:
    return {"$ref": f"#/components/parameters/{name}"}


def _pattern(kind: Kind) -> Schema:
    return {"pattern": _VALUES[kind]} if kind in _VALUES else {}


def _plain(kind: str) -> Schema:
    try:
        return primitive(kind)
    except KeyError:
        return {"type": "string"}
