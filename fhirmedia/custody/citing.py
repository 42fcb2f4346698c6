"""Parts of content asked for one after another: what a durable row says already is cited, not written again."""

from collections import OrderedDict
from typing import NamedTuple

from fhirmedia.access.caller import Caller
from fhirmedia.core.audit_chain import RowName
from fhirmedia.core.disclosure import Touch

CITABLE_MS = 5 * 60 * 1000
REMEMBERED_MAX = 4096


class Said(NamedTuple):
    """What a row says of one request: who asked for what, from where, and what was touched, versions included."""

    caller: Caller
    interaction: str
    address: str | None
    raw_query: bytes
    touched: tuple[Touch, ...]


class Citations:
    """The newest durable rows of this process about content, by what they say.

    Only requests that were judged anew, and by that judgement would write the same row, may cite one.
    """

    def __init__(self) -> None:
        self._rows: OrderedDict[Said, tuple[RowName, int]] = OrderedDict()

    def find(self, said: Said, *, now: int) -> RowName | None:
        """The row that says this and is less than five minutes old."""
        row, written_at = self._rows.get(said, (None, 0))
        return row if 0 <= now - written_at < CITABLE_MS else None

    def keep(self, said: Said, row: RowName, *, now: int) -> None:
        """Remember a durable row, and forget the oldest beyond 4096."""
        self._rows[said] = (row, now)
        self._rows.move_to_end(said)
        if len(self._rows) > REMEMBERED_MAX:
            self._rows.popitem(last=False)
