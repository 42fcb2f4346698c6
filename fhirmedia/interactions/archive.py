"""What every interaction works with: the Custodian, what is served, and the addresses and limits in force."""

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from fhirmedia.access.caller import Caller
from fhirmedia.core.clock import Clock
from fhirmedia.core.settings import Settings
from fhirmedia.custody.custodian import Custodian
from fhirmedia.custody.telling import RequestNote
from fhirmedia.media.sandbox import Sandbox
from fhirmedia.r4.registry import Registry


@dataclass(frozen=True, slots=True)
class Archive:
    """Put together once, in `app`; `base_url` is the FHIR base without a trailing slash."""

    custodian: Custodian
    registry: Registry
    settings: Settings
    base_url: str
    zone: ZoneInfo
    clock: Clock
    sandbox: Sandbox = field(default_factory=Sandbox, repr=False)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and what audit keeps of the request."""

    caller: Caller
    note: RequestNote
