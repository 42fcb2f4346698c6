"""What a Session tells the audit: the disclosure of its request, and which row stands for it."""

import hashlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fhirmedia.access.caller import Caller
from fhirmedia.core.audit_chain import SALT_BYTES, RowName
from fhirmedia.core.clock import Clock
from fhirmedia.core.disclosure import Disclosure, Outcome, Touch
from fhirmedia.core.records import Key
from fhirmedia.custody.citing import Said

if TYPE_CHECKING:
    from fhirmedia.custody.custodian import Stores

_SENT_ISSUES: dict[Outcome, str] = {"4": "incomplete", "8": "exception"}


@dataclass(frozen=True, slots=True)
class RequestNote:
    """What audit keeps of the request itself: its id, where it came from, the raw query and what it is about."""

    request_id: str
    address: str | None = None
    raw_query: bytes = b""
    about: Key | None = None
    """The resource its address names; a refusal names it, whatever became of it."""
    mark: object = field(default_factory=object, compare=False, repr=False)
    """Tells requests under way apart; clients choose the id."""


class Telling:
    """Of one request of one Caller; `salted` is its raw query as it is kept, None where there was none."""

    def __init__(self, stores: "Stores", caller: Caller, interaction: str, note: RequestNote, clock: Clock) -> None:
        self._stores = stores
        self._caller = caller
        self._interaction = interaction
        self.note = note
        self._clock = clock
        self.salted = os.urandom(SALT_BYTES) + note.raw_query if note.raw_query else None

    def disclosure(self, outcome: Outcome, touched: tuple[Touch, ...], *, issue: str | None = None) -> Disclosure:
        """What is to be told."""
        caller = self._caller
        return Disclosure(
            time=self._clock(),
            interaction=self._interaction,
            subject=caller.subject,
            client=caller.client,
            request_id=self.note.request_id,
            outcome=outcome,
            user=caller.user,
            token_id=caller.token_id,
            purpose=caller.purpose,
            reason=caller.system_reason,
            roles=tuple(sorted(caller.roles)),
            address=self.note.address,
            issue=issue,
            query_sha256=None if self.salted is None else hashlib.sha256(self.salted).hexdigest(),
            patients=tuple(dict.fromkeys(patient for touch in touched for patient in touch.patients)),
            touched=touched,
        )

    async def append(self, disclosure: Disclosure) -> RowName:
        """The row it stands in, once that is durable. Raises Failure UNAVAILABLE, DISK_FULL."""
        return await self._stores.disclosures.append(disclosure.encode(), self.salted)

    async def of_content(self, touched: tuple[Touch, ...], *, is_part: bool) -> RowName:
        """The row of what was permitted: a new one, or for a part of content one that says the same."""
        now = self._clock()
        said = Said(self._caller, self._interaction, self.note.address, self.note.raw_query, touched)
        cited = self._stores.citations.find(said, now=now) if is_part else None
        if cited is not None:
            return cited
        row = await self.append(self.disclosure("0", touched))
        self._stores.citations.keep(said, row, now=now)
        return row

    def sent(self, permitted_by: RowName, touched: tuple[Touch, ...], sent: int, outcome: Outcome) -> None:
        """Tell, behind the answer, how many bytes of the content left and how that ended."""
        told = self.disclosure(outcome, touched, issue=_SENT_ISSUES.get(outcome))
        told = told._replace(interaction="content-sent", query_sha256=None, sent=sent, permitted_by=str(permitted_by))
        self._stores.behind.start(self._stores.disclosures.append(told.encode(), None))
