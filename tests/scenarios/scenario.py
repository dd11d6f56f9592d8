"""Scenarios: small trees with questions and the answers that every front end must give.

A file ``NAME.toml`` holds one tree and its questions:

    files = '''
    //- drivers/gate.c
    int /*|definition*/gate_open(void) { return 0; }
    int gate_use(void) { return /*|call*/gate_open(); }
    '''

    [[scenario]]
    name = "a call goes to the function"
    ask = "definition"
    at = "call"
    equals = ["@definition"]

``files`` is cut by ``//- PATH`` lines; ``/*|MARK*/`` is taken out and names a place. ``at`` is a mark, ``query`` a text
to look for, ``path`` a whole file, ``new_name`` what a rename is asked for. An answer is a list or a text:

- definition, declaration, type_definition, implementation, references, rename: places, PATH:LINE:COL from 1, columns in
  code points; ``@MARK`` is the place of a mark. The answer to a refused rename is the reason, a text;
- completion: labels in order; incoming, outgoing, symbols, search: names in order;
- outline: names, a member as OUTER/INNER;
- tokens: names with type and modifiers; hints, lenses: what they say; links: paths; inactive: FIRST-LAST lines from 1;
- supertypes, subtypes: names; diagnostics: LINE: MESSAGE;
- hover, signature_help: a text, empty where there is nothing.

``equals`` (in any order), ``contains``, ``excludes`` and ``first`` say what is expected; of a text, parts of it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.fixture_text import cut_marks, files_of

Answer = list[str] | str

_EXPECTATIONS = ("equals", "contains", "excludes", "first")
_PLACES = ("definition", "declaration", "type_definition", "implementation", "references", "rename")


@dataclass(frozen=True)
class Scenario:
    """One question; ``path``, ``line`` and ``column`` (from 0, in code points) say where, ``argument`` what for."""

    name: str
    ask: str
    path: str
    line: int
    column: int
    argument: str
    expected: dict[str, Any]


@dataclass(frozen=True)
class ScenarioTree:
    """A tree, clean of marks, and its questions."""

    name: str
    files: dict[str, bytes]
    scenarios: tuple[Scenario, ...]


def load(file: Path) -> ScenarioTree:
    """Read one file of scenarios. Raises AssertionError or KeyError for one that is not well formed."""
    data = tomllib.loads(file.read_text("utf-8"))
    files, marks = cut_marks(files_of(data["files"].lstrip("\n")))
    places = {mark: _place(files[path], path, offset) for mark, (path, offset) in marks.items()}
    scenarios = tuple(_scenario(fields, places) for fields in data["scenario"])
    assert len({scenario.name for scenario in scenarios}) == len(scenarios), f"{file}: two scenarios of one name"
    return ScenarioTree(file.stem, files, scenarios)


def complaints(scenario: Scenario, answer: Answer) -> list[str]:
    """What is wrong with an answer, a line each; empty where it is the expected one."""
    expected, wrong = scenario.expected, []
    if "equals" in expected and normal(answer) != normal(expected["equals"]):
        wrong.append(f"is not {expected['equals']!r}")
    wrong += [f"lacks {part!r}" for part in expected.get("contains", ()) if part not in answer]
    wrong += [f"has {part!r}" for part in expected.get("excludes", ()) if part in answer]
    if "first" in expected and answer[:1] != [expected["first"]]:
        wrong.append(f"does not begin with {expected['first']!r}")
    return [*wrong, f"the answer: {answer!r}"] if wrong else []


def normal(answer: Answer) -> Answer:
    return answer if isinstance(answer, str) else sorted(answer)


def _scenario(fields: dict[str, Any], places: dict[str, tuple[str, int, int]]) -> Scenario:
    known = {"name", "ask", "at", "path", "query", "new_name", *_EXPECTATIONS}
    assert fields.keys() <= known, f"unknown fields: {fields.keys() - known}"
    expected = {kind: fields[kind] for kind in _EXPECTATIONS if kind in fields}
    assert expected, f"{fields['name']}: nothing is expected"
    path, line, column = places[fields["at"]] if "at" in fields else (fields.get("path", ""), 0, 0)
    if fields["ask"] in _PLACES:
        expected = {kind: _resolved(wanted, places) for kind, wanted in expected.items()}
    argument = fields.get("query", fields.get("new_name", ""))
    return Scenario(fields["name"], fields["ask"], path, line, column, argument, expected)


def _resolved(wanted: Any, places: dict[str, tuple[str, int, int]]) -> Any:
    """Expected places with ``@MARK`` replaced."""
    if isinstance(wanted, list):
        return [_resolved(each, places) for each in wanted]
    return shown(*places[wanted[1:]]) if wanted.startswith("@") else wanted


def _place(data: bytes, path: str, offset: int) -> tuple[str, int, int]:
    before = data[:offset].decode()
    return path, before.count("\n"), len(before.rpartition("\n")[2])


def shown(path: str, line: int, column: int) -> str:
    """A place, counted from 0, as an answer has it."""
    return f"{path}:{line + 1}:{column + 1}"


def flattened(entries: Any, name: Callable[[Any], str], children: Callable[[Any], Any], prefix: str = "") -> list[str]:
    """An outline as one list, members after their OUTER/."""
    found = []
    for entry in entries:
        found.append(prefix + name(entry))
        found += flattened(children(entry) or (), name, children, f"{found[-1]}/")
    return found
