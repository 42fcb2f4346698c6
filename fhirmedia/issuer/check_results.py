"""The checks a token goes through, by name, each with the rule it enforces."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

RULES: Mapping[str, str] = {
    "form": "The token must be a compact JWS within 16 KiB: canonical base64url, JSON with unique names and few "
    "brackets, and neither crit, b64, zip nor enc in its header.",
    "type": "typ of the header must be one the issuer's row accepts.",
    "algorithm": "alg of the header must be one the issuer's row accepts.",
    "issuer": "iss must be exactly that of a row of the trusted issuers.",
    "key": "Exactly one key of the issuer must have the kid of the header and suit its alg.",
    "signature": "The signature must be that of the key.",
    "audience": "aud must name this server.",
    "times": "exp and iat must be whole numbers of seconds.",
    "begun": "nbf, if there is one, must be a whole number of seconds and must have come.",
    "issued": "iat must not lie ahead.",
    "life": "exp must be later than iat, by no more than the longest life the issuer's row allows.",
    "expiry": "exp must lie ahead.",
    "access-token": "The token must be an access token, no id_token.",
    "bearer": "The token must not be bound to a key that its bearer would have to prove.",
    "subject": "sub must be a text of 1 to 255 printable characters.",
    "client": "The client must be one of those the issuer's row lists.",
    "acr": "acr must be a level of login the issuer's row accepts.",
    "scope": "The scopes must be a well-formed list.",
    "patient": "A patient scope must come with the id of one local patient.",
    "units": "The units must be a list of ids of organizations.",
    "roles": "The roles must be a list of names.",
    "residual": "The token must not demand restrictions that are not enforced here (IHE PCF).",
}


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How one check of a token came out."""

    name: str
    ok: bool

    @property
    def sentence(self) -> str:
        """The rule, without any value of the token."""
        return RULES[self.name]

    @property
    def code(self) -> Literal["login", "expired"]:
        """The issue code of the refusal (FHIR R4 value set issue-type)."""
        return "expired" if self.name == "expiry" else "login"
