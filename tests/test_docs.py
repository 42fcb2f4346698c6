"""The README is true: its settings, its issuer file, its commands and their options, its searches, its addresses."""

import json
import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest

from fhirmedia.access.policy import scope_parser
from fhirmedia.cli.main import COMMANDS
from fhirmedia.core.settings import PREFIX, Settings, load_settings, setting_names
from fhirmedia.issuer.rows import RowReader, read_rows
from fhirmedia.r4.profiles_path import profiles
from fhirmedia.r4.query_parser import SearchContext, parse_search
from fhirmedia.r4.query_string import decode_query
from fhirmedia.r4.registry import load_registry
from fhirmedia.web.metrics import Metrics
from fhirmedia.web.routing import PUBLIC
from tests.app.commands import command

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
AUDIENCE = "https://archive.example.org/fhir"
SCRIPTS = ("scripts/demo", "scripts/test", "scripts/check", "scripts/bench", "scripts/services")


def fenced(language: str = "") -> list[str]:
    """The blocks of code of a language."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [block for spoken, block in blocks if spoken == language]


def rows() -> list[tuple[str, str, str]]:
    """Those under `variable | unless set | meaning`."""
    _, _, rest = README.partition("| variable | unless set | meaning |\n|---|---|---|\n")
    found = re.match(r"(?:\|.*\|\n)*", rest)
    assert found is not None
    cells = (line.strip("|").split("|") for line in found[0].splitlines())
    return [(name.strip().strip("`"), unset.strip().strip("`"), meaning.strip()) for name, unset, meaning in cells]


def table() -> dict[str, str]:
    """The meaning of each variable."""
    return {name: meaning for name, _, meaning in rows()}


def test_every_setting_is_in_the_table_as_the_program_says_it() -> None:
    assert table() == setting_names()
    assert list(table()) == list(setting_names())


@pytest.mark.parametrize(("name", "unset"), [row[:2] for row in rows()])
def test_what_holds_unless_it_is_set(name: str, unset: str) -> None:
    field = name.removeprefix(PREFIX).lower()
    default = getattr(Settings(), field)
    assert default == (getattr(load_settings({name: unset}), field) if unset else None)


def test_settings_named_elsewhere_exist() -> None:
    named = set(re.findall(r"FHIRMEDIA_[A-Z_]*[A-Z]", README))
    assert named <= setting_names().keys()


def test_settings_in_examples_are_accepted() -> None:
    given = dict(re.findall(r"(?:export |Environment=)(FHIRMEDIA_\w+)=(\S+)", README))
    assert len(given) >= 2
    load_settings(given)


def test_the_issuer_file_is_one(tmp_path: Path) -> None:
    (example,) = fenced("json")
    path = tmp_path / "issuers.json"
    path.write_text(example)
    reader = RowReader(audience=AUDIENCE, folder=tmp_path, parse=scope_parser(load_registry()))
    (row,) = read_rows(path, reader)
    stated = json.loads(example)[0]
    assert row.policy.issuer == stated["issuer"]
    assert row.policy.audience == AUDIENCE
    assert row.clients == set(stated["clients"])
    assert row.units == set(stated["units"])
    assert row.id_prefixes == tuple(stated["id_prefixes"])
    assert len(row.ceiling) == 2


def _invocations() -> list[list[str]]:
    """Every `fhirmedia …` with its words, from code blocks and from running text."""
    text = README.replace("\n", " ")
    inline = re.findall(r"`fhirmedia ([^`]*)`", text)
    inline += re.findall(r"`(?:\.venv/bin/)?fhirmedia ([^`]*)`", text)
    blocks = re.findall(r"(?:^|[/( =])fhirmedia ((?:[a-z]+)(?: [^\n)]*)?)", "\n".join(fenced()), re.MULTILINE)
    return [shlex.split(each.replace("\\", "")) for each in {*inline, *blocks}]


def test_commands_named_exist_and_take_these_options() -> None:
    seen = set()
    for words in _invocations():
        if words[0] == "COMMAND":
            continue
        name = words[0]
        assert name in COMMANDS, words
        seen.add(name)
        help_text = command(name, "--help").out
        for option in (word.partition("=")[0] for word in words if word.startswith("--")):
            assert option in help_text, (name, option)
    assert {"serve", "token", "backup", "restore", "check", "audit"} <= seen


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    said = command(name, "--help")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"usage: fhirmedia {name}")
    assert COMMANDS[name].capitalize() in " ".join(said.out.split())
    assert "--data" in said.out
    assert f"`{name}" in README


def test_the_list_of_commands_is_whole() -> None:
    said = command("--help").out
    for name, meaning in COMMANDS.items():
        assert re.search(rf"  {name}\s", said)
        assert meaning.split(";")[0] in " ".join(said.split())


def test_searches_shown_are_searches() -> None:
    context = SearchContext(load_registry(), "http://127.0.0.1:8080/fhir", ZoneInfo("Europe/Stockholm"), 0)
    shown = re.findall(r"http://127\.0\.0\.1:\d+(/fhir/[^'\s]*\?[^'\s]*)", README)
    assert shown
    for address in shown:
        parts = urlsplit(address)
        parameters = decode_query(parts.query)
        types = [value for name, value in parameters if name == "_type"]
        parsed = parse_search(parameters, context=context, type=None, compartment=None, lenient=False)
        assert parsed.types == tuple(types[0].split(","))
        assert parsed.patient_scoped


def test_what_is_public_is_named() -> None:
    for path in PUBLIC:
        assert f"`{path}`" in README


def test_metrics_to_watch_exist() -> None:
    page = Metrics().page().decode()
    for name in re.findall(r"`(fhirmedia_[a-z_]+)`", README):
        assert f"# HELP {name} " in page, name


def test_addresses_of_ours_are_those_of_the_profiles() -> None:
    known = {json.loads(each.read_text("utf-8"))["url"] for each in _definitions()}
    for address in re.findall(r"https://fhirmedia\.org/[\w/-]+", README):
        assert address in known, address


def _definitions() -> list[Path]:
    folders = ("SearchParameter", "StructureDefinition", "CodeSystem")
    return [Path(str(file)) for name in folders for file in profiles().joinpath(name).iterdir()]


def test_scripts_named_exist() -> None:
    named = set(re.findall(r"scripts/[a-z]+", README))
    assert {"scripts/demo", "scripts/check", "scripts/test"} <= named <= set(SCRIPTS)
    for script in named:
        assert (ROOT / script).stat().st_mode & 0o111


def test_files_linked_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in target:
            assert (ROOT / target).exists(), target


def test_nothing_is_left_to_be_filled_in() -> None:
    assert not re.search(r"^(SETTINGS|FIGURES)$", README, re.MULTILINE)
