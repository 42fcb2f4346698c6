"""The small index behind the audit logs, from which AuditEvents are found; it can be thrown away and made again."""

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Literal

from fhirmedia.access.grant import NarrowedQuery
from fhirmedia.backends.audit_conditions import Condition, condition_of
from fhirmedia.backends.audit_index_tables import open_index, transaction
from fhirmedia.backends.sqlite import failure_of, is_interrupt
from fhirmedia.core.audit_chain import ChainedRow
from fhirmedia.core.disclosure import Disclosure, decode_disclosure
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.ports.disclosures import ChainedLog
from fhirmedia.ports.index import Hits, Page, Position
from fhirmedia.r4.audit_event import AUDIT_EVENT, SERVER_SYSTEM, audit_events, inert, user_of
from fhirmedia.r4.audit_shares import PATIENT, EventId, Share, parse_event_id, shares
from fhirmedia.r4.query import SortKey
from fhirmedia.r4.tokens import token_value

Logs = Callable[[], Sequence[ChainedLog]]
"""Lists every log there is at present."""

_INSERT_EVENT = (
    "INSERT INTO event (id, log_id, sequence, number, at, interaction, outcome, subject, client, user, patient,"
    " sole_patient) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_ENTITY = "INSERT OR REPLACE INTO entity (key, event, version) VALUES (?, ?, ?)"
_INSERT_PRINCIPAL = "INSERT OR REPLACE INTO principal (kind, text, system, code) VALUES (?, ?, ?, ?)"
_USER, _CLIENT, _SERVER = 1, 2, 3
_INSERT_INDEXED = "INSERT OR REPLACE INTO indexed (log_id, sequence) VALUES (?, ?)"
_ROWS_AT_ONCE, _BYTES_AT_ONCE = 250, 2**17
"""Of rows brought in together. A row of a search names up to a thousand resources, each perhaps an event of its own."""

_STEPS_BETWEEN_LOOKS = 10_000
_PLACE = "log_id, sequence, number"


class AuditIndexSql:
    """RecordView of AuditEvent: what the logs hold, projected when it is read.

    Any number of processes may share the file; each brings in what is new in any log before it searches.
    """

    def __init__(self, path: Path, *, logs: Logs, base_url: str, seconds: float) -> None:
        self._logs = logs
        self._base_url = base_url
        self._seconds = seconds
        self._lock = threading.Lock()
        self._connection = open_index(path)
        with transaction(self._connection):
            self._connection.execute("DELETE FROM principal WHERE kind = ?", (_SERVER,))
            self._connection.execute(_INSERT_PRINCIPAL, (_SERVER, "", *_token(SERVER_SYSTEM, base_url)))

    async def read(self, keys: Sequence[Key]) -> Sequence[Record | None]:
        return await asyncio.to_thread(self._read, keys)

    async def search(self, query: NarrowedQuery, *, page: Page) -> Hits:
        """Keys in the order asked for, and then by log, row and number.

        Raises Failure NOT_IMPLEMENTED for what AuditEvent is not searched by, TOO_COSTLY beyond the time given.
        """
        condition, order = condition_of(query.query), _order_of(page.sort)
        return await asyncio.to_thread(self._search, condition, order, page)

    def drain(self, *, seconds: float) -> bool:
        """Bring in rows not yet indexed, for about so long; returns whether none is left. Blocks its thread."""
        limit = time.monotonic() + seconds
        with self._lock:
            return all(self._drain_log(log, limit) for log in self._logs())

    async def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _drain_log(self, log: ChainedLog, limit: float) -> bool:
        """Work in transactions so small that no other process waits for long."""
        position = "SELECT sequence FROM indexed WHERE log_id = ?"
        while True:
            (reached,) = self._connection.execute(position, (log.log_id,)).fetchone() or (0,)
            rows = _some(log.rows(after=reached))
            if not rows:
                return True
            with transaction(self._connection):
                # Another process may have brought in some of them meanwhile.
                (reached,) = self._connection.execute(position, (log.log_id,)).fetchone() or (0,)
                self._index(log.log_id, [row for row in rows if row.sequence > reached])
                self._connection.execute(_INSERT_INDEXED, (log.log_id, max(reached, rows[-1].sequence)))
            if time.monotonic() > limit:
                return False

    def _index(self, log_id: str, rows: Sequence[ChainedRow]) -> None:
        (next_id,) = self._connection.execute("SELECT coalesce(max(id), 0) + 1 FROM event").fetchone()
        events: list[tuple[str | int | None, ...]] = []
        entities: list[tuple[str, int, int | None]] = []
        principals: dict[tuple[int, str], tuple[str | None, str]] = {}
        for row in rows:
            try:
                disclosure = decode_disclosure(row.disclosure)
            except Failure:
                continue  # it was tampered with, which is for `audit verify` to tell
            user = user_of(disclosure)
            if user is not None:
                principals[_USER, disclosure.subject] = user[1:]
            principals[_CLIENT, disclosure.client] = (None, inert(disclosure.client))
            for number, share in enumerate(shares(disclosure), start=1):
                event = next_id + len(events)
                events.append((event, *EventId(log_id, row.sequence, number), *_values(disclosure, share)))
                entities += [(f"{touch.key.type}/{touch.key.id}", event, touch.version) for touch in share.touched]
        entities.sort(key=itemgetter(0))  # neighbours in the table go in together
        self._connection.executemany(_INSERT_EVENT, events)
        self._connection.executemany(_INSERT_ENTITY, entities)
        named = [(*key, *_token(*identifier)) for key, identifier in principals.items()]
        self._connection.executemany(_INSERT_PRINCIPAL, named)

    def _read(self, keys: Sequence[Key]) -> list[Record | None]:
        wanted: dict[str, dict[int, list[EventId]]] = {}
        for key in keys:
            event = parse_event_id(key.id) if key.type == AUDIT_EVENT else None
            if event is not None:
                wanted.setdefault(event.log_id, {}).setdefault(event.sequence, []).append(event)
        found: dict[str, Record] = {}
        for log in self._logs() if wanted else ():
            asked = wanted.get(log.log_id, {})
            for row in log.pick(asked) if asked else ():
                found |= self._records(log.log_id, row, asked[row.sequence])
        return [found.get(key.id) for key in keys]

    def _records(self, log_id: str, row: ChainedRow, asked: Iterable[EventId]) -> dict[str, Record]:
        disclosure = decode_disclosure(row.disclosure)
        events = audit_events(
            disclosure, log_id=log_id, sequence=row.sequence, base_url=self._base_url, raw_query=row.raw_query
        )
        told = shares(disclosure)
        records = {}
        for event in asked:
            if event.number <= len(events):
                body = json.dumps(events[event.number - 1], ensure_ascii=False, separators=(",", ":")).encode()
                facts = Facts(patients=_patients(told[event.number - 1], disclosure))
                key = Key(AUDIT_EVENT, str(event))
                records[key.id] = Record(key, 1, row.sequence, disclosure.time, "create", body, facts)
        return records

    def _search(self, condition: Condition, order: "Order", page: Page) -> Hits:
        if not self.drain(seconds=self._seconds):
            text = "The index of the audit is catching up with the logs; ask again."
            raise Failure(Category.UNAVAILABLE, text, retry_after_s=5)
        with self._lock:
            limit = time.monotonic() + self._seconds
            self._connection.set_progress_handler(lambda: time.monotonic() > limit, _STEPS_BETWEEN_LOOKS)
            try:
                return self._hits(condition, order, page)
            except sqlite3.OperationalError as error:
                if is_interrupt(error):
                    raise Failure(Category.TOO_COSTLY, "The search takes too long; narrow it.") from None
                raise failure_of(error) from error
            finally:
                self._connection.set_progress_handler(None, 0)

    def _hits(self, condition: Condition, order: "Order", page: Page) -> Hits:
        text, values = condition
        if page.count == 0:
            return Hits((), None, self._total(condition, page))
        if page.after is not None:
            beyond, bounds = order.after(page.after)
            text, values = f"{text} AND {beyond}", (*values, *bounds)
        statement = f"SELECT at, {_PLACE} FROM event WHERE {text} ORDER BY {order.text} LIMIT ?"
        rows = self._connection.execute(statement, (*values, page.count + 1)).fetchall()
        keys = tuple(Key(AUDIT_EVENT, str(EventId(*place))) for _, *place in rows[: page.count])
        total = self._total_in_time(condition, page)
        if len(rows) <= page.count:
            return Hits(keys, None, total)
        return Hits(keys, Position((rows[page.count - 1][0],), keys[-1]), total)

    def _total_in_time(self, condition: Condition, page: Page) -> int | None:
        """None where counting took what the page has left of its time."""
        try:
            return self._total(condition, page)
        except sqlite3.OperationalError as error:
            if is_interrupt(error):
                return None
            raise

    def _total(self, condition: Condition, page: Page) -> int | None:
        if page.total == "none":
            return None
        text, values = condition
        most = -1 if page.total == "accurate" else page.total_limit + 1
        statement = f"SELECT count(*) FROM (SELECT 1 FROM event WHERE {text} LIMIT ?)"
        (total,) = self._connection.execute(statement, (*values, most)).fetchone()
        return None if total == most else int(total)


@dataclass(frozen=True, slots=True)
class Order:
    """The order of a page: by time or not, and then by place; `>` is ascending."""

    by_time: Literal[">", "<"] | None
    by_place: Literal[">", "<"]

    @property
    def text(self) -> str:
        """For ORDER BY."""
        names = {">": "ASC", "<": "DESC"}
        columns = [f"{column} {names[self.by_place]}" for column in _PLACE.split(", ")]
        return ", ".join([f"at {names[self.by_time]}", *columns] if self.by_time else columns)

    def after(self, position: Position) -> Condition:
        """The rows behind a position."""
        place = parse_event_id(position.key.id)
        at = position.values[0] if position.values else None
        if place is None or not isinstance(at, int):
            raise Failure(Category.INVALID, "The position is not one of AuditEvent.")
        behind = f"({_PLACE}) {self.by_place} (?, ?, ?)"
        if self.by_time is None:
            return behind, tuple(place)
        return f"(at {self.by_time} ? OR (at = ? AND {behind}))", (at, at, *place)


def _some(rows: Iterable[ChainedRow]) -> list[ChainedRow]:
    """So many that they take neither much time nor much memory; at least one, if there is any."""
    taken: list[ChainedRow] = []
    size = 0
    for row in islice(rows, _ROWS_AT_ONCE):
        taken.append(row)
        size += len(row.disclosure)
        if size > _BYTES_AT_ONCE:
            break
    return taken


def _order_of(sort: Sequence[SortKey]) -> Order:
    """Raises Failure NOT_IMPLEMENTED for a parameter that AuditEvent is not sorted by."""
    by_time: Literal[">", "<"] | None = None
    for key in sort:
        direction: Literal[">", "<"] = "<" if key.descending else ">"
        match key.parameter:
            case "_id":
                return Order(by_time, direction)
            case "date" | "_lastUpdated":
                by_time = by_time or direction
            case other:
                raise Failure(Category.NOT_IMPLEMENTED, f"AuditEvent is not sorted by {other}.")
    return Order(by_time, ">")


def _values(disclosure: Disclosure, share: Share) -> tuple[str | int | None, ...]:
    """The columns of `event` from `at` on."""
    patients, user = _patients(share, disclosure), user_of(disclosure)
    return (
        disclosure.time,
        disclosure.interaction,
        disclosure.outcome,
        "" if user is None else disclosure.subject,
        disclosure.client,
        None if user is None else user[0],
        share.patient,
        patients[0] if len(patients) == 1 else None,
    )


def _patients(share: Share, disclosure: Disclosure) -> tuple[str, ...]:
    """Every Patient an AuditEvent refers to: the one it is about, and the user, where that is one."""
    told = user_of(disclosure)
    kind, _, user = ((told and told[0]) or "").partition("/")
    both = (share.patient, user if kind == PATIENT else None)
    return tuple(dict.fromkeys(patient for patient in both if patient))


def _token(system: str | None, value: str) -> tuple[str | None, str]:
    """An identifier as a search compares it."""
    token = token_value(system, value)
    return token.system, token.code or ""
