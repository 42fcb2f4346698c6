"""Locks hold pinned, hashed packages, no address of a registry, and nothing older than its security floor."""

import re
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

LOCKS = ("requirements.lock", "requirements-demo.lock", "requirements-test.lock")
"""From the narrowest to the widest: each holds all of the one before, in the same versions."""

FLOORS = {
    "aiohttp": "3.13.3",
    "authlib": "1.9.9",
    "cryptography": "46.0.5",
    "h11": "0.16",
    "idna": "3.7",
    "mako": "1.3.10",
    "pillow": "12.3",
    "pydantic": "2.4",
    "pydicom": "3.0.2",
    "python-jose": "3.5",
    "python-multipart": "0.0.26",
    "requests": "2.32.4",
    "starlette": "0.49.1",
    "urllib3": "2.6",
}
"""The oldest version of a package without a published weakness that reaches us."""

_ADDRESS = re.compile(r"https?://|--(?:extra-)?index-url|--find-links|--trusted-host|^-[if] ", re.MULTILINE)
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def normal_name(name: str) -> str:
    """A package name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    """Normal name to pinned version."""
    return {normal_name(name): version for name, version in _PIN.findall(text)}


def numbers(version: str) -> tuple[int, ...]:
    """The release part of a version, without trailing zeros, so that 1.0 equals 1."""
    release = [int(part) for part in re.findall(r"\d+", re.split(r"(?:a|b|rc|\.dev|\.post|\+)", version)[0])]
    while release and not release[-1]:
        release.pop()
    return tuple(release)


def lock_findings(name: str, text: str) -> Iterator[str]:
    """What is wrong within one lock file, a sentence each."""
    for number, line in enumerate(text.splitlines(), 1):
        if _ADDRESS.search(line):
            yield f"{name}:{number}: a lock carries no address and no index option"
    blocks = re.split(r"\n(?=\S)", "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")))
    for block in blocks:
        if block.strip() and not (_PIN.match(block.strip()) and "--hash=sha256:" in block):
            yield f"{name}: '{block.split()[0]}' is not pinned with a hash"
    for package, version in pins(text).items():
        if package in FLOORS and numbers(version) < numbers(FLOORS[package]):
            yield f"{name}: {package} {version} is below its security floor {FLOORS[package]}"


def agreement_findings(narrow: str, wide: str, *, names: tuple[str, str]) -> Iterator[str]:
    """Where the wider lock lacks a package of the narrower, or has another version of it."""
    known = pins(wide)
    for package, version in pins(narrow).items():
        if known.get(package) != version:
            here = known.get(package, "missing")
            yield f"{names[1]}: {package} {version} of {names[0]} is {here} here; run scripts/lock"


def declared(pyproject: str) -> dict[str, list[str]]:
    """Lock file to the packages that pyproject.toml asks of it."""
    document = tomllib.loads(pyproject)
    project = document["project"]
    extras = project["optional-dependencies"]
    base = [*project["dependencies"], *document["build-system"]["requires"]]
    demo = [*base, *extras["demo"]]
    wanted = (base, demo, [*demo, *extras["elasticsearch"], *extras["test"]])
    return {
        lock: [normal_name(found.group()) for line in lines if (found := _NAME.match(line))]
        for lock, lines in zip(LOCKS, wanted, strict=True)
    }


def main() -> int:
    """Print the findings; 1 if there are any."""
    root = Path(__file__).resolve().parent.parent
    texts = {name: (root / name).read_text() for name in LOCKS}
    findings = [finding for name, text in texts.items() for finding in lock_findings(name, text)]
    for narrow, wide in pairwise(LOCKS):
        findings += agreement_findings(texts[narrow], texts[wide], names=(narrow, wide))
    for lock, packages in declared((root / "pyproject.toml").read_text()).items():
        locked = pins(texts[lock])
        findings += [
            f"{lock}: {each} of pyproject.toml is missing; run scripts/lock" for each in packages if each not in locked
        ]
    print(*findings, sep="\n", end="\n" if findings else "")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())
