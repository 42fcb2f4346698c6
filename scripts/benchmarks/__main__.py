"""The command line of the benchmarks."""

import argparse
import shutil
import sys

from scripts.benchmarks.core import core
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
    parser.add_argument("--sizes", type=int, nargs="+", metavar="N", help="resources per folder")
    parser.add_argument("--json", metavar="FILE", help="also write the rows here")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="ROW",
        help="core: read timeline create bytes start; rest: peer parts; search: rights chains includes facets lines "
        "lookups extraction",
    )
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        print("scripts/bench needs wrk: apt-get install wrk", file=sys.stderr)
        return 1
    sizes = arguments.sizes or list(REST_SIZES if arguments.what == "rest" else SIZES)
    for size in sizes:
        prepare(size)
    measure = {"core": core, "rest": rest, "search": search}.get(arguments.what)
    return 0 if measure is None else measure(sizes, only=arguments.only, json_file=arguments.json)


sys.exit(main())
