"""Caller: who asks, as proven by a token, before any question is answered."""

from dataclasses import dataclass, field

from fhirmedia.access.scopes import Scope


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated principal.

    `subject` is (issuer, sub) joined by `|`; `scopes` are already cut to the issuer's ceiling; `patient` is the local
    Patient id a patient scope is bound to; `units` are Organization ids (`all_units` for every one); `id_prefixes` are
    the prefixes under which a PUT may create; `purpose` is the coded purpose of use, if declared.
    """

    subject: str
    client: str
    scopes: tuple[Scope, ...]
    patient: str | None = None
    units: frozenset[str] = frozenset()
    all_units: bool = False
    enterprise: str | None = None
    roles: frozenset[str] = frozenset()
    id_prefixes: tuple[str, ...] = ()
    user: str | None = None
    """`Type/id` of the person behind the token (fhirUser), where known."""
    token_id: str | None = None
    purpose: str | None = None
    origins: frozenset[str] = field(default=frozenset())
    expires_at: int | None = None
    """Seconds since 1970; None for a system Caller."""
    system_reason: str | None = None

    def __hash__(self) -> int:
        """Of what differs from token to token; each request asks for it."""
        return hash((self.subject, self.client, self.token_id, self.expires_at))

    @property
    def owner(self) -> str:
        """What an unclaimed upload belongs to: subject and client."""
        return f"{self.subject}|{self.client}"

    @classmethod
    def system(cls, reason: str) -> "Caller":
        """A Caller for the program's own work, without a token; every call site says `# unscoped: why`."""
        return cls(subject="system", client="fhirmedia", scopes=(), system_reason=reason)
