"""Build the extension, ``editors/vscode/dist/kexpert.vsix``: ``make vsix``.

``--if-possible`` says why it cannot be built, and succeeds, where Node or its packages cannot be fetched.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.editors.vscode.get_vscode import NoVSCode, VSCode, get_node, run

EXTENSION = Path(__file__).resolve().parents[3] / "editors" / "vscode"


def fetch_packages(node: VSCode) -> None:
    """The packages that the lock file names. Raises NoVSCode."""
    if not (EXTENSION / "node_modules").exists():
        run(["npm", "ci", "--ignore-scripts"], EXTENSION, node.environment())


def build(node: VSCode) -> Path:
    """Check the types and package. Raises NoVSCode with what the tools said."""
    for script in ("check", "package"):
        run(["npm", "run", script], EXTENSION, node.environment())
    return EXTENSION / "dist" / "kexpert.vsix"


def main() -> int:
    try:
        node = get_node()
        fetch_packages(node)
    except NoVSCode as reason:
        print(f"vsix: not built: {reason}", file=sys.stderr)
        return 0 if "--if-possible" in sys.argv[1:] else 1
    try:
        print(build(node))
    except NoVSCode as reason:
        print(f"vsix: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
