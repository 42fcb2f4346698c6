"""The command line of the benchmarks."""

import argparse
import shutil
import signal
import sys

from scripts.benchmarks.core import core
from scripts.benchmarks.engines import engines
from scripts.benchmarks.prepare import SIZES, prepare
from scripts.benchmarks.rest import rest
from scripts.benchmarks.search import search

REST_SIZES = (30_000, 150_000)


def main() -> int:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "what",
        choices=("prepare", "core", "rest", "search"),
        help="make the folders, measure the core, REST beside a peer, or searches",
    )
    parser.add_argument("--sizes", "--resources", type=int, nargs="+", metavar="N", help="resources per folder")
    parser.add_argument(
        "--engine",
        choices=("sql", "both"),
        default="sql",
        help="search: the database alone, or Elasticsearch (which is started, filled and ended) beside it",
    )
    parser.add_argument("--json", metavar="FILE", help="also write the rows here")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="ROW",
        help="core: read timeline create bytes start; rest: peer parts; search: rights chains includes facets lines "
        "lookups extraction; search --engine both: filling searches lag size",
    )
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        print("scripts/bench needs wrk: apt-get install wrk", file=sys.stderr)
        return 1
    beside = arguments.what == "search" and arguments.engine == "both"
    usual = REST_SIZES if arguments.what == "rest" else SIZES[-1:] if beside else SIZES
    sizes = arguments.sizes or list(usual)
    for size in sizes:
        prepare(size)
    if beside:
        return engines(sizes, only=arguments.only, json_file=arguments.json)
    measure = {"core": core, "rest": rest, "search": search}.get(arguments.what)
    return 0 if measure is None else measure(sizes, only=arguments.only, json_file=arguments.json)


if __name__ == "__main__":
    # Whoever is ended ends what it has started.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("scripts/bench: stopped", file=sys.stderr)
        sys.exit(130)
