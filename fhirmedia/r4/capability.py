"""The CapabilityStatement a server shows at `/metadata`: the switchboard, made into a statement about one instance."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from fhirmedia.core.clock import instant
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.registry import Registry

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
    does not serve.
    """
    statement: dict[str, Any] = deepcopy(registry.statement)
    statement["kind"] = "instance"
    statement["date"] = instant(now_ms)
    statement["software"] = {"name": SOFTWARE, "version": software_version}
    statement["implementation"] = {"description": statement["title"], "url": base_url}
    statement["rest"][0]["security"] = _security(oauth or {})
    return _ordered(statement)


def _security(oauth: Mapping[str, str]) -> dict[str, Any]:
    security: dict[str, Any] = {
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
