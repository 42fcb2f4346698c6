"""What a time is called in the zone of the deployment: its year or its month."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


class Calendar:
    """Names by the form of `strftime`; a day that lies within one year or month is asked about once."""

    def __init__(self, form: str, zone: ZoneInfo) -> None:
        self._form = form
        self._zone = zone
        self._of_day = lru_cache(maxsize=65_536)(self._name_of_day)

    def counts(self, times: Sequence[int]) -> Counter[str]:
        """How many of these times, in milliseconds since 1970, have each name."""
        days = Counter(time // _DAY_MS for time in times)
        names = {day: self._of_day(day) for day in days}
        counts: Counter[str] = Counter()
        for day, name in names.items():
            if name is not None:
                counts[name] += days[day]
        counts.update(self.of_hour(time // _HOUR_MS) for time in times if names[time // _DAY_MS] is None)
        return counts

    def of_hour(self, hour: int) -> str:
        """Of a whole hour since 1970; empty where no calendar has it."""
        name = self._of_day(hour // 24)
        return self._exact(hour) if name is None else name

    def _name_of_day(self, day: int) -> str | None:
        first, last = self._exact(day * 24), self._exact(day * 24 + 23)
        return first if first == last else None

    def _exact(self, hour: int) -> str:
        try:
            return datetime.fromtimestamp(hour * 3600, UTC).astimezone(self._zone).strftime(self._form)
        except (OverflowError, ValueError):
            return ""
