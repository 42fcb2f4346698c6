"""Archives with a history: random resources written, changed and deleted, in the SQL index and in the oracle alike."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from fhirmedia.backends.index_memory import MemoryIndex
from fhirmedia.backends.index_rows import IndexWriter
from fhirmedia.backends.migrations import make_schema
from fhirmedia.backends.sqlite import open_writer
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.r4.values import (
    BEGINNING,
    END,
    DateValue,
    IndexEntries,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    SearchValue,
    StringValue,
    TokenValue,
    UriValue,
)
from fhirmedia.r4.word_tests import BREAK

HOUR = 3_600_000
DAY = 24 * HOUR
TYPES = ("Media", "Patient", "Task")
IDS = ("1", "2", "3", "B-1", "a", "a.b", "b", "ab", "10", "Z", *(f"n{number}" for number in range(14)))
PATIENTS = ("1", "2", "3", "a")
CODES, SYSTEMS, UNITS = ("a", "b", "ab", "a/b", "a/b;c"), ("s", "http://t"), ("u1", "u2", "u3")
TEXTS = ("ada", "ad", "ada b", "b", "bo", "öd", "z\U0001f600")
URIS = ("http://a", "http://a/", "http://a/b", "http://a/b/c", "http://ab", "urn:x")
ADDRESSES = (*URIS, "http://a|1", "http://a|1.2", "http://a|1-b", "http://a|12")
WORDS = ("hägg", "Haegg", "hagg", "berg", "Bergs", "b", "follow-up", "up", "Åse", "aase", "½", "O'Brien", "obrien")
FIELDS = ("_text", "status:text")


class Maker:
    """Draws values, few enough that searches often hit some and miss some."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def maybe(self, *choices: str) -> str | None:
        return self.random.choice((None, *choices))

    def key(self) -> Key:
        return Key(self.random.choice(TYPES), self.random.choice(IDS))

    def token(self, group: int = 0) -> TokenValue:
        return TokenValue(self.maybe(*SYSTEMS), self.maybe(*CODES) or self.random.choice(CODES), group)

    def date(self, group: int = 0) -> DateValue:
        lo = self.random.randrange(24) * DAY // 2 - 4 * DAY
        length = self.random.choice((1, HOUR, DAY, DAY, 25 * HOUR, 25 * HOUR + 1, 3 * DAY, 40 * DAY))
        match self.random.randrange(12):
            case 0:
                return DateValue(BEGINNING, lo, group)
            case 1:
                return DateValue(lo, END, group)
        return DateValue(lo, lo + length, group)

    def reference(self, group: int = 0) -> ReferenceValue:
        identifier = self.token() if self.random.random() < 0.2 else None
        match self.random.randrange(8):
            case 0:
                return ReferenceValue(url=self.random.choice(ADDRESSES), identifier=identifier, group=group)
            case 1:
                return ReferenceValue(identifier=self.token(), group=group)
            case 2:
                return ReferenceValue(self.key(), self.random.choice((1, 2)), identifier=identifier, group=group)
            case 3 | 4:
                return ReferenceValue(self.key(), identifier=identifier, group=group)
        return ReferenceValue(Key("Patient", self.random.choice(PATIENTS)), identifier=identifier, group=group)

    def number(self, group: int = 0) -> NumberValue:
        lo = self.random.randrange(12) / 2
        hi = lo + self.random.choice((0, 0, 0.5, 2, float("inf")))
        return NumberValue(lo, hi, group)

    def quantity(self, group: int = 0) -> QuantityValue:
        span = self.number()
        return QuantityValue(span.lo, span.hi, self.maybe("s"), self.maybe(*CODES), self.maybe(*CODES), group)

    def values(self, key: Key, *, changed_at: int) -> Mapping[str, tuple[SearchValue, ...]]:
        random = self.random
        mixed = self.date if key.type == "Media" else self.number
        odd = self.token if key.type == "Media" else self.string
        few = (0, 1, 1, 2, 3)
        made: dict[str, tuple[SearchValue, ...]] = {
            "status": self.several(self.token, few),
            "when": self.several(self.date, (0, 1, 1)),
            "created": self.several(self.date, few),
            "started": self.several(self.date, (0, 1, 1)),
            "subject": self.several(self.reference, few),
            "patient": self.several(self.patient, (0, 1, 1, 1)),
            "name": self.several(self.string, few),
            "url": self.several(self.uri, few),
            "dose": self.several(self.number, few),
            "length": self.several(self.quantity, few),
            "mixed": self.several(mixed, few),
            "odd": self.several(odd, few),
            "relation$1": tuple(self.reference(group) for group in range(random.randrange(3))),
            "relation$2": tuple(self.token(group) for group in range(random.randrange(3))),
            **self.inside(),
            "_id": (TokenValue(None, key.id),),
            "_lastUpdated": (DateValue(changed_at, changed_at + 1),),
        }
        return {parameter: values for parameter, values in made.items() if values}

    def inside(self) -> dict[str, tuple[SearchValue, ...]]:
        """What contained resources say."""
        few = (0, 0, 0, 1, 2)
        pairs = range(self.random.choice((0, 0, 1, 2)))
        return {
            "subject:Task.status": self.several(self.token, few),
            "subject:Task.created": self.several(self.date, few),
            "subject:Task.patient": self.several(self.reference, few),
            "subject:Task.name": self.several(self.string, few),
            "subject:Task.url": self.several(self.uri, few),
            "subject:Task.dose": self.several(self.number, few),
            "subject:Task.length": self.several(self.quantity, few),
            "subject:Task.relation$1": tuple(map(self.reference, pairs)),
            "subject:Task.relation$2": tuple(map(self.token, pairs)),
        }

    def several(self, make: object, counts: tuple[int, ...]) -> tuple[SearchValue, ...]:
        assert callable(make)
        return tuple(make() for _ in range(self.random.choice(counts)))

    def patient(self, group: int = 0) -> ReferenceValue:
        return ReferenceValue(Key("Patient", self.random.choice(PATIENTS)), group=group)

    def string(self, group: int = 0) -> StringValue:
        plain = self.random.choice(TEXTS)
        return StringValue(plain, self.random.choice((plain, plain.upper())), group)

    def uri(self, group: int = 0) -> UriValue:
        return UriValue(self.random.choice(URIS), group)

    def texts(self) -> dict[str, str]:
        """Words of some fields, now and then of several values."""

        def words() -> str:
            return " ".join(self.random.choices(WORDS, k=self.random.randint(1, 4)))

        made = {field: BREAK.join(words() for _ in range(self.random.choice((0, 1, 1, 2)))) for field in FIELDS}
        return {field: text for field, text in made.items() if text}

    def people(self) -> tuple[str, ...]:
        return tuple(self.random.sample(PATIENTS, self.random.choice((0, 1, 1, 1, 2))))

    def facts(self) -> Facts:
        random = self.random
        return Facts(
            patients=self.people(),
            unit=self.maybe(*UNITS),
            enterprise=self.maybe("e"),
            authors=tuple(random.sample(("Task/1", "Task/2"), random.randrange(3))),
            encounter=self.maybe("Encounter/1"),
            status=self.maybe(*CODES),
            source=random.choice(("staff", "patient")),
            confidentiality=random.choice("NNR"),
            labels=tuple(random.sample(("l|x", "l|y", 'l|"\\'), random.choice((0, 0, 1, 2)))),
            tokens={} if random.random() < 0.3 else {"kind": tuple(random.sample(("s|a", "s|b", "t|a"), 2))},
        )


class Archive:
    """One database and one oracle with the same content."""

    def __init__(self, path: Path, *, seed: int, size: int) -> None:
        self.path = path
        self.oracle = MemoryIndex(ZoneInfo("Europe/Stockholm"))
        self.current: dict[Key, tuple[Record, IndexEntries]] = {}
        self._make = Maker(Random(seed))
        self._writer = IndexWriter()
        with closing(open_writer(path)) as connection:
            make_schema(connection)
            for number in range(size):
                connection.execute("BEGIN IMMEDIATE")
                self._writer.begin(connection)
                for each in range(4):
                    self._change(connection, sequence=4 * number + each + 1)
                connection.execute("COMMIT")

    def _change(self, connection: object, *, sequence: int) -> None:
        make = self._make
        key, changed_at = make.key(), make.random.randrange(20) * DAY // 2
        record = Record(key, 1, sequence, changed_at, "update", b"{}", make.facts())
        old = self.current.get(key)
        if old is not None and make.random.random() < 0.2:
            self._writer.remove(connection, key)
            self.oracle.remove(key)
            del self.current[key]
            return
        entries = IndexEntries(key, make.values(key, changed_at=changed_at), make.people(), make.texts())
        if old is not None and make.random.random() < 0.5:
            kept = {parameter: values for parameter, values in old[1].values.items() if parameter != "_lastUpdated"}
            entries = replace(entries, values={**entries.values, **kept})
        self._writer.put(connection, record, entries)
        self.oracle.put(entries, record.facts)
        self.current[key] = (record, entries)
