"""The command line of the benchmarks."""

import argparse
import shutil
import sys

from scripts.benchmarks.core import core
from scripts.benchmarks.prepare import SIZES, prepare


def main() -> int:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("what", choices=("prepare", "core"), help="make the folders, or measure the core")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), metavar="N", help="resources per folder")
    parser.add_argument("--json", metavar="FILE", help="also write the rows here")
    parser.add_argument("--only", nargs="+", metavar="ROW", help="read timeline create bytes start")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        print("scripts/bench needs wrk: apt-get install wrk", file=sys.stderr)
        return 1
    for size in arguments.sizes:
        prepare(size)
    return core(arguments.sizes, only=arguments.only, json_file=arguments.json) if arguments.what == "core" else 0


sys.exit(main())
