"""What another server reaches with such work on such a machine: the bars of `scripts/bench rest`.

HAPI FHIR JPA 8.8.0 with PostgreSQL 15 on two cores, 24 GiB, Debian 12, client and server on the same cores; fsync on;
no authorization, audit or validation; gzip on; 4 GB heap; searches with `Cache-Control: no-store`, its best case.
Operations per second by connections, with 30 000 and with 150 000 resources. A timeline of all types is three requests
to it. Its own Binary files are not synced.
"""

TIMES = 1.5
"""Machines are noisy: less than this is no claim. (The whole timeline is one request here, and has to be ten times.)"""

TIMES_WHOLE = 10.0

PER_SECOND: dict[str, dict[int, tuple[float, float]]] = {
    "read by id": {1: (1322, 1128), 16: (1891, 2546)},
    "timeline of one type, newest 50": {1: (108, 93), 16: (294, 208)},
    "whole timeline, three types": {1: (51, 44), 16: (70, 103)},
    "site and month, all patients": {1: (136, 57), 16: (397, 125)},
    "count by modality and status": {1: (226, 86), 16: (545, 174)},
    "create Media": {1: (352, 260), 8: (717, 466)},
    "update Media": {1: (229, 129), 8: (960, 506)},
    "transaction of 100": {1: (7.3, 7.1), 4: (12.7, 12.3)},
    "Binary 256 KiB up": {1: (179, 170), 16: (376, 361)},
    "Binary 256 KiB down": {1: (361, 434), 16: (763, 843)},
}
"""By row and connections."""


def bar(work: str, connections: int) -> float:
    """Operations per second to reach: so many times the peer's better column."""
    times = TIMES_WHOLE if work.startswith("whole") else TIMES
    return times * max(PER_SECOND[work][connections])
