"""Compare what explanations state about 60 functions of Linux 6.1 with facts that a reader wrote down.

    python -m benchmarks.explain_facts --tree TREE [--json]

The tree must be indexed. ``checked_functions.json`` is the list. A claim that the list neither holds nor contradicts
is looked up in ``checked_functions_judged.json``, where a reader judged it from the source; a claim that is not there
either counts as not judged. Conditions of returned values are prose in the list, so all of them are judged: right if
the value is returned whenever the code comes to that place and the condition holds. Precision is right /
(right + wrong). Recall is the part of the list that is stated; an entry counts as stated if its value is, whatever
the condition.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kexpert.core.symbols import Kind
from kexpert.features.explain.explain import explain
from kexpert.features.explain.explanation import Explanation, FactKind
from kexpert.workspace.saved_tree import SavedTree

DATA = Path(__file__).resolve().parent.parent / "tests" / "features" / "explain"
KINDS = ("errnos", "propagates", "returned values", "conditions", "locks taken", "locks released", "locks required",
         "may sleep", "allocations", "frees", "references")  # fmt: skip
_CODE = re.compile(r"`([^`]*)`")
_CALLEE = re.compile(r"(?:what|error of) `(.+?)\(\)`")
_FUNCTION = re.compile(r"\(`([\w>.\-]+)\(\)`")
_CONDITION = re.compile(r" (?:if|unless) .*$")

Entry = dict[str, Any]
Judged = dict[str, dict[str, dict[str, Any]]]


@dataclass
class Claim:
    """Something stated, under the key by which the list and the judgements know it."""

    kind: str
    key: str
    text: str


@dataclass
class Tally:
    """Counts of one kind, and the disagreements in words."""

    right: int = 0
    wrong: int = 0
    not_judged: int = 0
    in_list: int = 0
    found: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def stated(self) -> int:
        return self.right + self.wrong + self.not_judged


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--json", action="store_true", help="print the claims and the counts as JSON")
    args = parser.parse_args()
    entries: list[Entry] = json.loads((DATA / "checked_functions.json").read_text("utf-8"))
    judged: Judged = json.loads((DATA / "checked_functions_judged.json").read_text("utf-8"))
    tallies = {kind: Tally() for kind in KINDS}
    claims: dict[str, list[Claim]] = {}
    for name, entry, explanation in explained(args.tree.resolve(), entries):
        claims[name] = list(claims_of(explanation))
        compare(name, entry, claims[name], judged.get(name, {}), tallies)
    if args.json:
        report = {kind: vars(tally) | {"stated": tally.stated} for kind, tally in tallies.items()}
        stated = {name: {f"{c.kind}: {c.key}": c.text for c in each} for name, each in claims.items()}
        print(json.dumps({"kinds": report, "claims": stated}, indent=1))
    else:
        print("\n".join(table(tallies)))
    return 0


def explained(root: Path, entries: list[Entry]) -> Iterator[tuple[str, Entry, Explanation]]:
    view = SavedTree(root, lambda message: print(message, file=sys.stderr)).snapshot().view
    for entry in entries:
        path, name = entry["path"], entry["name"]
        symbols = [s for s in view.lookup(name) if s.path == path and s.kind in (Kind.FUNCTION, Kind.SYSCALL)]
        source = view.source(path)
        found = explain(view, source, symbols[0].name_start, symbols[0].name_start) if symbols and source else None
        if found is None:
            raise SystemExit(f"{path}: no function {name} in the index of this tree")
        yield f"{path}:{name}", entry, found


# What is stated


def claims_of(found: Explanation) -> Iterator[Claim]:
    """The claims of an explanation, each key once."""
    seen: set[tuple[str, str]] = set()
    for claim in (*_of_facts(found), *_of_page(found)):
        if (claim.kind, claim.key) not in seen:
            seen.add((claim.kind, claim.key))
            yield claim


def _of_facts(found: Explanation) -> Iterator[Claim]:
    for fact in found.facts:
        text = fact.text
        if "by its documentation" in text:
            continue
        if fact.kind in (FactKind.RETURN, FactKind.ERRNO):
            value = _CONDITION.sub("", text).removeprefix("returns ").rstrip(",")
            if fact.kind is FactKind.ERRNO:
                yield Claim("errnos", re.findall(r"-(E\w+)", value)[0], text)
            elif callee := _CALLEE.search(value):
                yield Claim("propagates", callee[1], text)
            yield Claim("returned values", value_key(value), text)
            if " if " in text:
                yield Claim("conditions", f"{text}, line {fact.line + 1}", text)
        elif fact.kind is FactKind.LOCK and text.startswith(("takes ", "tries to take ")):
            yield Claim("locks taken", lock_key(_lock_in(text)), text)
        elif fact.kind is FactKind.CONTEXT and text.startswith("may sleep"):
            yield Claim("may sleep", "may sleep", text)
        elif fact.kind is FactKind.ALLOCATION and (function := _FUNCTION.search(text)):
            yield Claim("frees" if text.startswith("frees") else "allocations", function[1], text)
        elif fact.kind is FactKind.REFERENCE and (function := _FUNCTION.search(text)):
            yield Claim("references", function[1], text)


def _of_page(found: Explanation) -> Iterator[Claim]:
    """What is said of the state of locks at the end, and at the beginning."""
    for statement in found.calling:
        text = statement.text
        lock = lock_key(_lock_in(text))
        if text.startswith(("Takes ", "Tries to take ")):
            if "released before it returns" in text:
                yield Claim("locks released", f"{lock} released", text)
            elif "releases it too" in text:
                yield Claim("locks released", f"{lock} taken and released", text)
        elif text.startswith("Returns with "):
            yield Claim("locks released", f"{lock} held" + " on condition" * (" if " in text), text)
        elif text.startswith("Releases "):
            retaken = "takes it again" in text
            yield Claim("locks released", f"{lock} dropped{' and taken again' * retaken}", text)
            if "which the caller holds" in text:
                yield Claim("locks required", lock, text)
        elif text.startswith("The caller holds "):
            yield Claim("locks required", lock, text)
            if "takes it again" in text:
                yield Claim("locks released", f"{lock} dropped and taken again", text)


def _lock_in(text: str) -> str:
    """The lock's expression, or its description where no argument names it."""
    match = re.search(r"(?:takes|take|Takes|Releases|with|holds) (?:`([^`]*)`|(the [\w ]+ lock))", text)
    return (match[1] or match[2]) if match else text


def lock_key(text: str) -> str:
    return "".join(text.lstrip("&").split())


def value_key(words: str) -> str:
    """``what `f()` returns`` -> ``f()``; code as it is; other words as they are."""
    if match := re.fullmatch(r"(?:what|the error of) `([^`]*)`(?: returns(?:, unless 0)?)?", words):
        return match[1]
    if match := re.fullmatch(r"the error in `([^`]*)`", words):
        return f"PTR_ERR({match[1]})"
    match = re.fullmatch(r"`([^`]*)`", words)
    return match[1] if match else words


# Comparison


def compare(name: str, entry: Entry, claims: list[Claim], judged: dict[str, Any], tallies: dict[str, Tally]) -> None:
    listed = listed_keys(entry)
    for kind in KINDS:
        tally, keys = tallies[kind], listed.get(kind, {})
        stated: set[str] = set()
        for claim in (claim for claim in claims if claim.kind == kind):
            verdict = judged.get(f"{kind}: {claim.key}")
            stated.update(verdict.get("finds", [claim.key]) if verdict else [claim.key])
            if verdict is not None:
                right = verdict["right"]
                tally.right += right
                tally.wrong += not right
                if not right:
                    tally.notes.append(f"wrong: {name}: {claim.text} ({verdict['why']})")
            elif claim.key in keys or (claim.key.endswith("taken and released") and has_release(entry, claim)):
                tally.right += 1
            elif kind in ("conditions", "may sleep", "locks released") and contradicted(entry, claim):
                tally.wrong += 1
                tally.notes.append(f"wrong: {name}: {claim.text} (the list says otherwise)")
            else:
                tally.not_judged += 1
                tally.notes.append(f"not judged: {name}: {claim.text}, key {claim.key!r}")
        tally.in_list += sum(keys.values())
        tally.found += sum(count for key, count in keys.items() if key in stated)
        tally.notes += [f"not stated: {name}: {key}" for key in keys if key not in stated]


def contradicted(entry: Entry, claim: Claim) -> bool:
    if claim.kind == "may sleep":
        return entry["may_sleep"] is False
    if claim.kind == "locks released":
        lock = claim.key.split(" ")[0]
        names = ((lock_key(each["lock"]), lock_key(each.get("as_written", ""))) for each in entry["locks_taken"])
        return any(lock in pair for pair in names)
    return False


def has_release(entry: Entry, claim: Claim) -> bool:
    """Whether the list has a release of the lock; the claim says nothing about all paths."""
    lock = claim.key.split(" ")[0]
    return any(
        lock in (lock_key(each["lock"]), lock_key(each.get("as_written", ""))) and each.get("released_by")
        for each in entry["locks_taken"]
    )


def listed_keys(entry: Entry) -> dict[str, dict[str, int]]:
    """Kind -> key -> how many entries of the list have it. Conditions are not counted."""
    keys: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}

    def add(kind: str, key: str) -> None:
        keys[kind][key] = keys[kind].get(key, 0) + 1

    for errno in entry["errnos"]:
        add("errnos", errno)
    for callee in entry["propagates"]:
        add("propagates", callee)
    for returned in entry["returns"]:
        add("returned values", returned["value"])
    for lock in entry["locks_taken"]:
        written = lock_key(lock.get("as_written") or lock["lock"])
        keys["locks taken"][written] = 1
        state = {True: "released", False: "held", "conditional": "held on condition"}[lock["released"]]
        keys["locks released"][f"{written} {state}"] = 1
    for lock in entry.get("locks_dropped", ()):
        add("locks released", f"{lock_key(lock['lock'])} dropped{' and taken again' * lock['retaken']}")
    required = {lock_key(lock["lock"]) for lock in entry["locks_required"]}
    for lock in required:  # a comment may name the lock alone: "wait_lock" for "&sem->wait_lock"
        if not any(other != lock and other.endswith(lock) for other in required):
            keys["locks required"][lock] = 1
    if entry["may_sleep"]:
        add("may sleep", "may sleep")
    for allocation in entry["allocates"]:
        add("allocations", allocation["call"])
        if allocation["freed_by"] and "devres" not in allocation["freed_by"]:
            add("frees", allocation["freed_by"])
    for reference in entry.get("references", ()):
        call = reference.get("taken") or reference.get("put")
        add("references", call.partition("(")[0])
    return keys


def table(tallies: dict[str, Tally]) -> Iterator[str]:
    yield "| | stated | right | wrong | not judged | precision | in the list | found | recall |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for kind, tally in tallies.items():
        precision = f"{tally.right / (tally.right + tally.wrong):.1%}" if tally.right + tally.wrong else ""
        recall = f"{tally.found / tally.in_list:.1%}" if tally.in_list else ""
        yield (f"| {kind} | {tally.stated} | {tally.right} | {tally.wrong} | {tally.not_judged} | {precision} | "
               f"{tally.in_list} | {tally.found} | {recall} |")  # fmt: skip
    for kind, tally in tallies.items():
        if tally.notes:
            yield f"\n{kind}:"
            yield from (f"- {note}" for note in tally.notes)


if __name__ == "__main__":
    sys.exit(main())
