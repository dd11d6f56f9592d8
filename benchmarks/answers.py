"""Record what a server answers at seeded places of a tree, and compare two recordings.

    python -m benchmarks.answers --tree TREE --out FILE [--server "CMD …"] [--complete "CMD …"] [--cache DIR]
    python -m benchmarks.answers --compare OLD NEW

Only the protocol is used, so that an older checkout can be asked too. The tree must be indexed; the server gets time to
load what it needs first. A recording is one JSON object, one answer a line. ``--compare`` exits with 1 on a difference.
Search by meaning is approximate: near-equal results may change places from one run to the next. Record the same server
twice to see how much.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.indexing import environment
from benchmarks.processes import settle
from benchmarks.sample import GENERATED, SEED, Use, uses
from tests.support.lsp_client import SERVE, Client, ServerError

COMPLETE = (sys.executable, "-m", "kexpert", "complete")
FOLDERS = ("kernel", "mm", "fs", "net", "drivers", "include", "block", "lib", "arch/x86")
PLACES = 500
USES_PER_FILE = 3
MAX_LISTED = 5000
WORKSPACE_QUERIES, SEARCH_QUERIES, SIMILAR_PLACES, INLINE_PLACES = 100, 40, 40, 60
TIMEOUT_SECONDS = 300.0
SHOWN_LINES = 12
#: Nothing runs in the background that could change an answer; a hover's "See also" depends on time, so it is asked for
#: by its own command.
OPTIONS = {
    "index": {"watch": False}, "hover": {"similar": False}, "diagnostics": {"checkpatch": False},
    "inline": {"enabled": False},
}  # fmt: skip

Answers = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("OLD", "NEW"))
    parser.add_argument("--tree", type=Path)
    parser.add_argument("--out", type=Path, help="where the recording goes")
    parser.add_argument("--server", default=shlex.join(SERVE), help="the command line that starts the server")
    parser.add_argument("--complete", help="the command line of `kexpert complete` (default: of this checkout, and "
                        "none where --server names another)")  # fmt: skip
    parser.add_argument("--cache", type=Path, help="XDG_CACHE_HOME, where the index is (default: as it is set)")
    parser.add_argument("--places", type=int, default=PLACES)
    args = parser.parse_args()
    if args.compare:
        return compare(*args.compare)
    if not (args.tree and args.out):
        parser.error("--tree and --out, or --compare")
    env = environment(args.cache.resolve()) if args.cache else {}
    root, server = args.tree.resolve(), shlex.split(args.server)
    complete = shlex.split(args.complete) if args.complete else list(COMPLETE) if server == list(SERVE) else []
    places = draw(root, args.places)
    with Client(server, env, timeout=TIMEOUT_SECONDS) as client:
        client.initialize(root, encodings=["utf-8"], options=OPTIONS)
        wait_until_ready(client, places)
        answers = record(client, places)
        client.leave()
    if complete:
        say(f"{INLINE_PLACES} inline completions")
        answers |= inline(complete, root, places, env)
    lines = (f"{json.dumps(key)}: {json.dumps(answer, sort_keys=True)}" for key, answer in answers.items())
    args.out.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    say(f"{len(answers)} answers in {args.out}")
    return 0


def say(message: str) -> None:
    print(f"answers: {message}", file=sys.stderr, flush=True)


# Places


def draw(root: Path, count: int) -> list[Use]:
    """Uses of names, the same every time: equally many files of each folder, in order of path."""
    chooser = random.Random(SEED)
    found: list[Use] = []
    per_folder = -(-count // len(FOLDERS))
    for folder in FOLDERS:
        every = (str(p.relative_to(root)) for p in (root / folder).rglob("*.[ch]") if p.is_file())
        paths = sorted(path for path in every if not path.startswith(GENERATED))
        paths = chooser.sample(paths, min(len(paths), per_folder))
        found += list(uses(root, paths, USES_PER_FILE))[:per_folder]
    return sorted(found[:count], key=lambda use: (use.path, use.line, use.column))


def spread(items: list[Any], count: int) -> list[Any]:
    """``count`` of the items, evenly spread."""
    step = max(1.0, len(items) / count)
    return [items[int(at * step)] for at in range(min(count, len(items)))]


# Asking a server


def wait_until_ready(client: Client, places: list[Use]) -> None:
    """Let the server load its index and its vectors: until no progress is shown and no process of it works."""
    say("waiting until the server is ready")
    while True:
        settle(client.pid)
        if client.in_progress == 0:
            break
    client.request("workspace/symbol", {"query": places[0].name if places else "x"})
    command(client, "kexpert.search", "take a lock")  # loads what is loaded when first needed
    settle(client.pid)


def record(client: Client, places: list[Use]) -> Answers:
    ask = Recorder(client)
    for path in sorted({use.path for use in places}):
        uri = client.open_file(path)
        lines = (client.root / path).read_bytes().split(b"\n")
        for use in (use for use in places if use.path == path):
            at_place(ask, use, uri, lines[use.line])
        ask(f"documentSymbol {path}", "textDocument/documentSymbol", {"textDocument": {"uri": uri}})
        client.close(uri)
    for number, name in enumerate(spread(list(dict.fromkeys(use.name for use in places)), WORKSPACE_QUERIES)):
        query = name if number % 2 else name[: max(3, len(name) // 2)]
        ask(f"workspaceSymbol {query}", "workspace/symbol", {"query": query})
    for query in queries(places):
        asked = {"command": "kexpert.search", "arguments": [query]}
        ask(f"search {query}", "workspace/executeCommand", asked, without_scores)
    for use in spread(places, SIMILAR_PLACES):
        uri = client.open_file(use.path)
        span = {"start": use.position, "end": use.position}
        arguments = {"command": "kexpert.findSimilar", "arguments": [uri, span]}
        ask(f"findSimilar {shown(use)}", "workspace/executeCommand", arguments, without_scores)
        client.close(uri)
    return ask.answers


class Recorder:
    """Asks a server and records its answers, without the path of the tree."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.answers: Answers = {}
        self._root = client.root.as_uri() + "/"

    def __call__(self, key: str, method: str, params: Any, reduce: Callable[[Any], Any] = lambda answer: answer) -> Any:
        """The server's own answer; ``reduce``'s result is recorded under ``key``."""
        try:
            answer = self.client.request(method, params)
        except ServerError as error:
            self.answers[key] = {"error": str(error)}
            return None
        self.answers[key] = self._compact(reduce(answer))
        if len(self.answers) % 500 == 0:
            say(f"{len(self.answers)} answers")
        return answer

    def _compact(self, value: Any) -> Any:
        """Without the root in addresses, without ``data`` (a server's own), spans as LINE:COLUMN-LINE:COLUMN from 1."""
        if isinstance(value, str):
            return value.replace(self._root, "").replace(str(self.client.root), "TREE")
        if isinstance(value, list):
            return [self._compact(each) for each in value]
        if not isinstance(value, dict):
            return value
        if value.keys() == {"start", "end"}:
            return "-".join(f"{value[end]['line'] + 1}:{value[end]['character'] + 1}" for end in ("start", "end"))
        if value.keys() == {"uri", "range"}:
            return f"{self._compact(value['uri'])}:{self._compact(value['range'])}"
        return {key: self._compact(each) for key, each in value.items() if key != "data"}


def at_place(ask: Recorder, use: Use, uri: str, line: bytes) -> None:
    """All questions about one place."""
    here = {"textDocument": {"uri": uri}, "position": use.position}
    name_end = use.column + len(use.name)
    typed = here | {"position": use.position | {"character": use.column + (len(use.name) + 1) // 2}}
    called = here | {"position": use.position | {"character": name_end + line[name_end:].startswith(b"(")}}
    ask(f"hover {shown(use)}", "textDocument/hover", here)
    for method in ("definition", "declaration", "typeDefinition", "implementation", "documentHighlight"):
        ask(f"{method} {shown(use)}", f"textDocument/{method}", here)
    context = {"context": {"includeDeclaration": True}}
    ask(f"references {shown(use)}", "textDocument/references", here | context, listed_or_counted)
    items = ask(f"completion {shown(use)}", "textDocument/completion", typed)
    items = items.get("items") if isinstance(items, dict) else items
    if items:
        ask(f"resolve {shown(use)}", "completionItem/resolve", items[0])
    ask(f"signatureHelp {shown(use)}", "textDocument/signatureHelp", called)
    callers = ask(f"prepareCallHierarchy {shown(use)}", "textDocument/prepareCallHierarchy", here)
    for direction in ("incoming", "outgoing") if callers else ():
        ask(f"{direction} {shown(use)}", f"callHierarchy/{direction}Calls", {"item": callers[0]}, listed_or_counted)


def shown(use: Use) -> str:
    return f"{use.path}:{use.line + 1}:{use.column + 1} {use.name}"


def listed_or_counted(answer: Any) -> Any:
    """Long lists as their length and a digest of what is in them, in any order."""
    if not isinstance(answer, list) or len(answer) < MAX_LISTED:
        return answer
    entries = sorted(json.dumps(each, sort_keys=True) for each in answer)
    return {"count": len(answer), "sha256": hashlib.sha256("\n".join(entries).encode()).hexdigest()}


def without_scores(answer: Any) -> Any:
    """Search results by rank: two indexes of one tree give scores that differ in the third digit."""
    return [{key: each[key] for key in each if key != "score"} for each in answer or []]


def queries(places: list[Use]) -> list[str]:
    """Words of names, as somebody would type them who does not know the name."""
    worded = (" ".join(re.findall(r"[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]+", use.name)).lower() for use in places)
    return spread(list(dict.fromkeys(words for words in worded if words.count(" ") >= 1)), SEARCH_QUERIES)


def command(client: Client, name: str, *arguments: Any) -> Any:
    return client.request("workspace/executeCommand", {"command": name, "arguments": list(arguments)})


def inline(complete: list[str], root: Path, places: list[Use], env: dict[str, str]) -> Answers:
    """Suggestions of ``kexpert complete --batch`` after names whose rest of the line is cut."""
    questions, keys = [], []
    for use in spread(places, INLINE_PLACES):
        lines = (root / use.path).read_bytes().split(b"\n")
        kept = lines[use.line][: use.column + len(use.name)]
        before, after = b"\n".join([*lines[: use.line], kept]), b"\n".join([b"", *lines[use.line + 1 :]])
        texts = {"before": before.decode("utf-8", "replace"), "after": after.decode("utf-8", "replace")}
        questions.append(json.dumps({"path": use.path, **texts}))
        keys.append(f"inline {shown(use)}")
    done = subprocess.run(
        [*complete, "--batch", "-", "--tree", str(root)], input="\n".join(questions) + "\n", env=os.environ | env,
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    kept_fields = ("text", "shown", "doubt", "failed")
    return {
        key: {field: answer[field] for field in kept_fields if field in answer}
        for key, answer in zip(keys, answers, strict=True)
    }


# Comparing


def compare(old: Path, new: Path) -> int:
    """Print every difference, then how many answers of each kind are the same."""
    before, after = (json.loads(path.read_text("utf-8")) for path in (old, new))
    same: Counter[str] = Counter()
    different: Counter[str] = Counter()
    for key in [*before, *(key for key in after if key not in before)]:
        kind = key.partition(" ")[0]
        if key in before and key in after and before[key] == after[key]:
            same[kind] += 1
            continue
        different[kind] += 1
        print(key)
        lines = list(difference(before.get(key), after.get(key)))
        for line in lines[:SHOWN_LINES]:
            print(f"    {line}")
        if len(lines) > SHOWN_LINES:
            print(f"    … {len(lines) - SHOWN_LINES} lines more")
    for kind in dict.fromkeys([*same, *different]):
        print(f"{kind:<22} {same[kind]:>6} the same {different[kind]:>6} different")
    return 1 if different else 0


def difference(before: Any, after: Any) -> Iterator[str]:
    """Lines with ``-`` for what only the old recording has and ``+`` for what only the new one has."""
    old, new = list(flat(before)), list(flat(after))
    gone, come = Counter(old) - Counter(new), Counter(new) - Counter(old)
    yield from (f"- {line}" for line in old if line in gone)
    yield from (f"+ {line}" for line in new if line in come)
    if not gone and not come:
        at = next((at for at, pair in enumerate(zip(old, new, strict=True)) if pair[0] != pair[1]), 0)
        yield f"the same in another order, from entry {at + 1} of {len(old)} on"


def flat(value: Any) -> Iterator[str]:
    """An answer as lines: entries of a list, fields of an object, lines of a text."""
    if isinstance(value, list):
        for each in value:
            yield each if isinstance(each, str) else json.dumps(each, sort_keys=True)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from (f"{key}: {line}" for line in flat(each))
    elif isinstance(value, str):
        yield from value.split("\n")
    else:
        yield json.dumps(value)


if __name__ == "__main__":
    sys.exit(main())
