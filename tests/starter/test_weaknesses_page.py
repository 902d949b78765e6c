"""docs/weaknesses.md names every weakness that init or a report names, and no other."""

import ast
import re
from pathlib import Path

import pytest

from flametest.measure import rules as measured
from flametest.starter.rules import RULES

PAGE = (Path(__file__).parents[2] / "docs" / "weaknesses.md").read_text()
SECTIONS = {one.split("\n", 1)[0]: one for one in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]}


def names_in_reports() -> set[str]:
    """Return the first argument of every call of ``Recorded.finding``, by which a report names what it found."""
    tree = ast.parse(Path(measured.__file__).read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "finding"]
    return {str(ast.literal_eval(call.args[0])) for call in named}


def test_the_page_and_the_code_name_the_same_weaknesses() -> None:
    reported = names_in_reports()
    assert len(reported) == len(measured.RULES)
    assert set(SECTIONS) == {rule.name for rule in RULES} | reported


def test_the_table_tells_the_severities_of_what_init_names() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| ([a-z, ]+) \|", PAGE, flags=re.MULTILINE)
    severities = {name: re.findall("high|medium|low", text) for name, text in rows}
    found: dict[str, list[str]] = {}
    for rule in RULES:
        found[rule.name] = list(dict.fromkeys([*found.get(rule.name, []), str(rule.severity)]))
    assert severities == found


@pytest.mark.parametrize("name", SECTIONS)
def test_each_weakness_says_why_it_matters_how_it_is_seen_and_how_it_is_mended(name: str) -> None:
    marks = re.findall(r"^\*([^*]+)\.\* \S", SECTIONS[name], flags=re.MULTILINE)
    assert marks == ["Why it matters", "How it is seen", "How it is fixed"]
