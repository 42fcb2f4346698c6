"""`scripts/services up|down|status|env [NAME…]`."""

import argparse
import sys

from scripts.real_servers import shared
from scripts.real_servers.places import UnavailableError


def main() -> int:
    """Do what the command line asks; 1 if a server cannot be had."""
    parser = argparse.ArgumentParser(
        prog="scripts/services", description="Real servers on loopback, without containers."
    )
    parser.add_argument(
        "verb", choices=["up", "down", "status", "env"], help="env prints a line VARIABLE=ADDRESS for each that runs"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(shared.KINDS)}; none means all")
    asked = parser.parse_args()
    unknown = set(asked.names) - set(shared.KINDS)
    if unknown:
        parser.error(f"there is no server {', '.join(sorted(unknown))}; there is {', '.join(shared.KINDS)}")
    for name in asked.names or shared.KINDS:
        try:
            _do(asked.verb, name)
        except UnavailableError as problem:
            print(f"scripts/services: {problem}", file=sys.stderr)
            return 1
    return 0


def _do(verb: str, name: str) -> None:
    match verb:
        case "up":
            print(shared.up(name, kept=True).line)
        case "down":
            print(f"{name} {'stopped' if shared.down(name) else 'was not running'}")
        case "status":
            server = shared.running(name)
            print(f"{name} {f'runs at {server.address}, pid {server.pids[0].pid}' if server else 'does not run'}")
        case _:
            server = shared.running(name)
            if server:
                print(server.line)


if __name__ == "__main__":
    sys.exit(main())
