"""Bundles made by chance, and what a simple model says has to become of each.

The model is an archive of Patients and Media in dictionaries: a Patient has one identifier, a Media refers to one
Patient. It knows nothing of how the server does it.
"""

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.access.records import a, identifier

Body = dict[str, Any]
NUMBERS = [f"n{number}" for number in range(12)]
"""Identifiers; few, so that conditions meet."""


@dataclass(slots=True)
class Kept:
    """A live resource of the model: its identifier; of a Media, the Patient it is about, and what it says."""

    number: str
    about: str | None = None
    note: str = ""


@dataclass(slots=True)
class Model:
    """What is there, by `Patient/id`."""

    there: dict[str, Kept] = field(default_factory=dict)

    def of(self, kind: str) -> list[str]:
        """Keys of a type, in order."""
        return sorted(key for key in self.there if key.startswith(kind))

    def matching(self, kind: str, number: str) -> list[str]:
        """Keys a condition on an identifier selects."""
        return [key for key in self.of(kind) if self.there[key].number == number]


@dataclass(frozen=True, slots=True)
class Wish:
    """One entry: what is to be done to which resource (`key`), under which name (`label`) others refer to it.

    `match` is the identifier of a condition; `about` is a label, a key, or `?` and an identifier.
    """

    method: str
    kind: str
    label: str
    key: str | None = None
    number: str = ""
    match: str | None = None
    about: str | None = None
    note: str = ""

    @property
    def made(self) -> str:
        """What a resource made by it is called until the server has named it."""
        return f"{self.kind}:{self.label}"

    def entry(self) -> Body:
        """As a Bundle has it."""
        url = self.key or self.kind
        request: Body = {"method": self.method}
        if self.match is not None and self.method == "POST":
            request["ifNoneExist"] = f"identifier=urn:numbers|{self.match}"
        elif self.match is not None:
            url = f"{self.kind}?identifier=urn:numbers|{self.match}"
        made: Body = {"request": request | {"url": url}}
        if self.method in ("POST", "PUT"):
            made |= {"fullUrl": f"urn:uuid:{self.label}", "resource": self._resource()}
        return made

    def _resource(self) -> Body:
        resource = a(self.kind, "-", identifier=identifier(self.number))
        del resource["id"]
        if self.method == "PUT" and self.key is not None:
            resource["id"] = self.key.partition("/")[2]
        if self.kind == "Media":
            resource |= {"subject": {"reference": self._reference()}, "note": [{"text": self.note}]}
        return resource

    def _reference(self) -> str:
        assert self.about is not None
        if self.about.startswith("?"):
            return f"Patient?identifier=urn:numbers|{self.about[1:]}"
        return self.about if "/" in self.about else f"urn:uuid:{self.about}"


@dataclass(slots=True)
class Foreseen:
    """What has to become of a Bundle: a Failure, or for each wish its status, and the archive afterwards.

    New resources are called as `Wish.made` says.
    """

    fails: bool
    statuses: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    after: dict[str, Kept] = field(default_factory=dict)


def foresee(model: Model, wishes: list[Wish]) -> Foreseen:
    """By R4's rules: deletions, creates, updates; each resource once; every search means one; all or nothing."""
    try:
        return _Foresight(model, wishes).whole()
    except _WrongError:
        return Foreseen(fails=True)


class _WrongError(Exception):
    """Something that undoes everything."""


def _require(holds: bool) -> None:
    if not holds:
        raise _WrongError


class _Foresight:
    """One Bundle, step by step: what is there, whom each wish is about, what was changed, what conditions meant."""

    def __init__(self, model: Model, wishes: list[Wish]) -> None:
        self._model = model
        self._wishes = wishes
        self._there = dict(model.there)
        self._keys: dict[int, str] = {}
        self._statuses: dict[int, int] = {}
        self._changed: list[str] = []
        self._conditions: list[tuple[str, str, str]] = []

    def whole(self) -> Foreseen:
        labels = {wish.label for wish in self._wishes if wish.method != "DELETE"}
        named = (wish.about for wish in self._wishes if wish.method != "DELETE" and wish.about is not None)
        _require(all("/" in about or about.startswith("?") or about in labels for about in named))
        for at, wish in enumerate(self._wishes):
            if wish.method == "DELETE":
                self._delete(at, wish)
        left = Model(dict(self._there))
        for at, wish in enumerate(self._wishes):
            if wish.method != "DELETE":
                self._write(at, wish, left)
        final = Model(self._there)
        _require(all(many == 1 for many in Counter(self._changed).values()))
        meant: dict[tuple[str, str], str] = {}
        for kind, number, key in self._conditions:
            _require(meant.setdefault((kind, number), key) == key)  # given twice it means one, and makes one
            _require(set(final.matching(kind, number)) <= {key})
        self._refer(final)
        everything = range(len(self._wishes))
        statuses, keys = [self._statuses[at] for at in everything], [self._keys[at] for at in everything]
        return Foreseen(fails=False, statuses=statuses, keys=keys, after=self._there)

    def _delete(self, at: int, wish: Wish) -> None:
        found = [wish.key] if wish.match is None else self._model.matching(wish.kind, wish.match)
        _require(len(found) == 1 and found[0] in self._model.there)
        self._keys[at], self._statuses[at] = str(found[0]), 204
        self._changed.append(str(found[0]))
        self._there.pop(str(found[0]), None)

    def _write(self, at: int, wish: Wish, left: Model) -> None:
        found = [key for key in (wish.key,) if key is not None]
        if wish.match is not None:
            found = left.matching(wish.kind, wish.match)
            _require(len(found) < 2)
            self._conditions.append((wish.kind, wish.match, found[0] if found else wish.made))
        elif wish.method == "PUT":
            _require(wish.key in left.there)
        key = found[0] if found else wish.made
        self._keys[at], self._statuses[at] = key, 200 if found else 201
        if wish.method == "PUT" or not found:
            self._changed.append(key)
            self._there[key] = Kept(wish.number, wish.about, wish.note if wish.kind == "Media" else "")

    def _refer(self, final: Model) -> None:
        labels = {wish.label: self._keys[at] for at, wish in enumerate(self._wishes) if wish.method != "DELETE"}
        for key in set(self._changed) & set(self._there):
            kept = self._there[key]
            about = kept.about
            if about is not None and about.startswith("?"):
                found = final.matching("Patient", about[1:])
                _require(len(found) == 1)
                about = found[0]
            elif about is not None and "/" not in about:
                about = labels[about]
            self._there[key] = Kept(kept.number, about, kept.note)
        _require(all(kept.about is None or kept.about in self._there for kept in self._there.values()))


def some_wishes(random: Random, model: Model) -> list[Wish]:
    """A Bundle by chance: mostly sound, with references, conditions and conflicts."""
    wishes: list[Wish] = []
    patients, media = model.of("Patient"), model.of("Media")
    labels: list[str] = []
    for number in range(random.randint(1, 7)):
        label = f"00000000-0000-4000-8000-{random.getrandbits(40):012x}"
        chance = random.random()
        kind = "Patient" if random.random() < 0.4 else "Media"
        pool = patients if kind == "Patient" else media
        match = random.choice(NUMBERS) if random.random() < 0.35 else None
        about = _some_patient(random, patients, labels) if kind == "Media" else None
        new = random.choice(NUMBERS) if random.random() < 0.25 else f"x{random.getrandbits(60):x}"
        if kind == "Media" and about is None:
            kind, pool = "Patient", patients
        stated = {"number": match if match and random.random() < 0.8 else new, "note": str(number)}
        if chance < 0.55:
            wishes.append(Wish("POST", kind, label, match=match, about=about if kind == "Media" else None, **stated))
        elif chance < 0.8 and (pool or match):
            key = None if match else random.choice(pool) if random.random() < 0.97 else f"{kind}/never"
            wishes.append(
                Wish("PUT", kind, label, key, match=match, about=about if kind == "Media" else None, **stated)
            )
        elif pool or match:
            key = None if match else random.choice(pool) if random.random() < 0.97 else f"{kind}/never"
            wishes.append(Wish("DELETE", kind, label, key, match=match))
        if wishes and wishes[-1].label == label and wishes[-1].kind == "Patient" and wishes[-1].method != "DELETE":
            labels.append(label)
    random.shuffle(wishes)
    return wishes


def _some_patient(random: Random, patients: list[str], labels: list[str]) -> str | None:
    chance = random.random()
    if chance < 0.5 and labels:
        return random.choice(labels)
    if chance < 0.6:
        return f"?{random.choice(NUMBERS)}"
    if chance < 0.61:
        return "00000000-0000-4000-8000-ffffffffffff"
    return random.choice(patients) if patients else None
