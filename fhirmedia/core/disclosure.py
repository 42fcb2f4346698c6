"""Disclosure: what one interaction touched, by whom and why; the content of an audit row."""

import json
from collections.abc import Iterable
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _quoted
from typing import Literal, NamedTuple, cast

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key

Depth = Literal["listed", "opened", "downloaded", "written", "refused"]
Outcome = Literal["0", "4", "8", "12"]
"""FHIR R4 audit-event-outcome: success, refused, failed for lack of means, crashed."""

_FORM = 1


class Touch(NamedTuple):
    """One resource that was listed, opened, downloaded, written or refused; `patients` are ids of local Patients.

    `version` is None where no version was settled on, as in a refusal.
    """

    key: Key
    version: int | None
    depth: Depth
    patients: tuple[str, ...] = ()


class Disclosure(NamedTuple):
    """One interaction of one caller; a tuple, since every request makes one.

    `time` is in milliseconds UTC; `interaction` is a code of FHIR R4 restful-interaction, `content`, `content-sent` or
    an operation; `patients` are all it was about, those of `touched` among them, each once; `reason` is why the program
    itself acted; `issue` is the issue code of a refusal; `address` is the client's network address; `query_sha256` is
    the hexadecimal SHA-256 of the salted raw query; `sent` is how many bytes of content left, and `permitted_by` the
    row that permitted it.
    """

    time: int
    interaction: str
    subject: str
    client: str
    request_id: str
    outcome: Outcome = "0"
    user: str | None = None
    token_id: str | None = None
    purpose: str | None = None
    reason: str | None = None
    roles: tuple[str, ...] = ()
    address: str | None = None
    issue: str | None = None
    query_sha256: str | None = None
    sent: int | None = None
    permitted_by: str | None = None
    patients: tuple[str, ...] = ()
    touched: tuple[Touch, ...] = ()

    def encode(self) -> bytes:
        """The one JSON text of this Disclosure: ASCII, members in a fixed order, absent ones left out.

        A touch reads `[type, id, version, depth, patients]`, its patients as positions in `patients`.
        """
        quoted = _quoted
        issue = "" if self.issue is None else f',"issue":{quoted(self.issue)}'
        who = _who(self.subject, self.client, self.user, self.token_id, self.purpose, self.reason)
        address = "" if self.address is None else f',"address":{quoted(self.address)}'
        query = "" if self.query_sha256 is None else f',"query_sha256":{quoted(self.query_sha256)}'
        sent = "" if self.sent is None else f',"sent":{self.sent:d}'
        permitted = "" if self.permitted_by is None else f',"permitted_by":{quoted(self.permitted_by)}'
        roles = _list("roles", map(quoted, self.roles))
        patients = _list("patients", map(quoted, self.patients))
        place = {patient: str(at) for at, patient in enumerate(self.patients)}
        touched = [
            f'[{quoted(key.type)},{quoted(key.id)},{version or "null"},"{depth}",[{_positions(place, patients)}]]'
            for key, version, depth, patients in self.touched
        ]
        return (
            f'{{"form":{_FORM},"time":{self.time:d},"interaction":{quoted(self.interaction)},"outcome":"{self.outcome}"'
            f'{issue}{who}{address},"request_id":{quoted(self.request_id)}{query}{sent}{permitted}'
            f"{roles}{patients}{_list('touched', touched)}}}"
        ).encode("ascii")


def decode_disclosure(content: bytes) -> Disclosure:
    """The inverse of `Disclosure.encode`; raises Failure CORRUPT for anything else."""
    try:
        stated = json.loads(content)
        form = stated.pop("form")
        patients = tuple(stated.pop("patients", ()))
        touched = tuple(
            Touch(Key(kind, identity), version, cast(Depth, depth), tuple(patients[at] for at in places))
            for kind, identity, version, depth, places in stated.pop("touched", ())
        )
        if form == _FORM:
            return Disclosure(roles=tuple(stated.pop("roles", ())), patients=patients, touched=touched, **stated)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        pass
    raise Failure(Category.CORRUPT, "An audit row does not hold a disclosure.")


@lru_cache(maxsize=1024)
def _who(
    subject: str, client: str, user: str | None, token_id: str | None, purpose: str | None, reason: str | None
) -> str:
    """What a Disclosure says of the one who asks, which is the same for all requests with one token."""
    stated = {
        "subject": subject,
        "client": client,
        "user": user,
        "token_id": token_id,
        "purpose": purpose,
        "reason": reason,
    }
    return "".join(f',"{name}":{_quoted(value)}' for name, value in stated.items() if value is not None)


def _list(name: str, values: Iterable[str]) -> str:
    joined = ",".join(values)
    return f',"{name}":[{joined}]' if joined else ""


def _positions(place: dict[str, str], patients: tuple[str, ...]) -> str:
    return place[patients[0]] if len(patients) == 1 else ",".join([place[patient] for patient in patients])
