"""The CapabilityStatement a server shows at `/metadata`: the switchboard, made into a statement about one instance."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from fhirmedia.core.clock import instant
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.query_chains import points_to
from fhirmedia.r4.registry import Registry, SearchParameter, ServedType

SOFTWARE = "fhirmedia"
_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_SECURITY_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"


def capability_statement(
    registry: Registry,
    *,
    base_url: str,
    software_version: str,
    now_ms: int,
    oauth: Mapping[str, str] | None = None,
) -> JsonObject:
    """A CapabilityStatement of kind `instance`; `now_ms` is what it says as its date.

    `oauth` gives endpoint URLs by the names SMART uses in its extension (`authorize`, `token`, `introspect` …); without
    it the statement says that callers bring bearer tokens, and names no endpoint. Nothing is stated that the Registry
    does not serve; which references can be followed is told from its parameters.
    """
    statement: dict[str, Any] = deepcopy(registry.statement)
    statement["kind"] = "instance"
    statement["date"] = instant(now_ms)
    statement["software"] = {"name": SOFTWARE, "version": software_version}
    statement["implementation"] = {"description": statement["title"], "url": base_url}
    server = statement["rest"][0]
    server["security"] = _security(oauth or {})
    server["resource"] = [_with_includes(entry, registry) for entry in server["resource"]]
    return _ordered(statement)


def _with_includes(entry: dict[str, Any], registry: Registry) -> dict[str, Any]:
    """The entry with the values of `_include` and `_revinclude` its searches take, before its parameters."""
    kind = entry["type"]
    if "searchParam" in entry:
        entry = {**entry, "searchParam": [dict(each) for each in registry.stated(kind)]}
    if "search-type" not in registry.types[kind].interactions or registry.types[kind].read_only:
        return entry
    forward = [f"{kind}:{parameter.code}" for parameter in _references(registry.types[kind])]
    backward = [
        f"{source.name}:{parameter.code}"
        for source in registry.types.values()
        if not source.read_only
        for parameter in _references(source)
        if points_to(parameter, (kind,))
    ]
    made: dict[str, Any] = {}
    for name, value in entry.items():
        if name == "searchParam":
            made |= {"searchInclude": ["*", *forward], "searchRevInclude": ["*", *backward]}
        made[name] = value
    return made


def _references(served: ServedType) -> Iterator[SearchParameter]:
    return (parameter for parameter in served.parameters.values() if parameter.kind == "reference")


def _security(oauth: Mapping[str, str]) -> dict[str, Any]:
    security: dict[str, Any] = {
        "cors": True,
        "service": [{"coding": [{"system": _SECURITY_SERVICE, "code": "OAuth"}]}],
        "description": "Every request but this one carries a bearer token with SMART on FHIR scopes.",
    }
    if not oauth:
        return security
    endpoints = [{"url": name, "valueUri": address} for name, address in sorted(oauth.items())]
    service = [{"coding": [{"system": _SECURITY_SERVICE, "code": "SMART-on-FHIR"}]}]
    return {"extension": [{"url": _OAUTH_URIS, "extension": endpoints}], **security, "service": service}


_FIRST = ("resourceType", "id", "url", "version", "name", "title", "status", "experimental", "date", "publisher")
_LAST = ("description", "kind", "software", "implementation", "fhirVersion", "format", "patchFormat", "rest")


def _ordered(statement: dict[str, Any]) -> JsonObject:
    """The elements in the order of the standard."""
    names = [*_FIRST, *(name for name in statement if name not in {*_FIRST, *_LAST}), *_LAST]
    return {name: statement[name] for name in names if name in statement}
