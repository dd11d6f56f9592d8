"""Build the extension, ``editors/vscode/dist/kexpert.vsix``: ``make vsix``.

``--if-possible`` says why it cannot be built, and succeeds, where Node or its packages cannot be fetched.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.editors.vscode.get_vscode import NoVSCode, VSCode, get_node, run

EXTENSION = Path(__file__).resolve().parents[3] / "editors" / "vscode"
CLANGD_CLIENT = Path(__file__).resolve().parent / "clangd_client"


def fetch_packages(node: VSCode) -> None:
    """The packages that the lock file names. Raises NoVSCode."""
    if not (EXTENSION / "node_modules").exists():
        run(["npm", "ci", "--ignore-scripts"], EXTENSION, node.environment())


def build(node: VSCode) -> Path:
    """Check the types and package. Raises NoVSCode with what the tools said."""
    for script in ("check", "package"):
        run(["npm", "run", script], EXTENSION, node.environment())
    return EXTENSION / "dist" / "kexpert.vsix"


def build_clangd_client(node: VSCode, folder: Path) -> Path:
    """Package a client of clangd, with the library that the extension has for its own. Raises NoVSCode."""
    package = Path(shutil.copytree(CLANGD_CLIENT, folder))
    tools = EXTENSION / "node_modules/.bin"
    environment = node.environment() | {"NODE_PATH": str(EXTENSION / "node_modules")}
    bundle = ("--bundle", "--platform=node", "--external:vscode", "--outfile=bundle.js")
    run([str(tools / "esbuild"), "extension.js", *bundle], package, environment)
    quiet = ("--no-dependencies", "--allow-missing-repository", "--skip-license")
    run([str(tools / "vsce"), "package", *quiet, "--out", "clangd-client.vsix"], package, environment)
    return package / "clangd-client.vsix"


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
