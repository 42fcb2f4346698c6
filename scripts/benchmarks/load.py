"""wrk as the client: a closed loop, its own threads, exact counts."""

import re
import subprocess
import tempfile
from dataclasses import dataclass

REPORT = """
done = function(summary, latency, requests)
  io.write(string.format("FIGURES %d %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(95), latency:percentile(99),
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What a load reached: requests per second, latencies in ms, failed requests."""

    per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    errors: int


def load(url: str, *, connections: int, seconds: int, headers: dict[str, str] | None = None, script: str = "") -> Load:
    """Drive the URL; `script` is Lua that makes other requests than plain GETs of it."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write(script + REPORT)
        lua.flush()
        words = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "-s", lua.name]
        for name, value in (headers or {}).items():
            words += ["-H", f"{name}: {value}"]
        out = subprocess.run([*words, url], capture_output=True, text=True, check=True).stdout
    found = re.search(r"FIGURES (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)", out)
    if found is None:
        raise RuntimeError("wrk gave no figures")
    requests, duration_us, p50, p95, p99, errors = map(int, found.groups())
    return Load(requests / duration_us * 1e6, p50 / 1000, p95 / 1000, p99 / 1000, errors)
