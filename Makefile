# kexpert: `make help` lists the targets.
#
# TREE=DIR    the kernel tree for demo and bench (else scripts/get_tree.py finds or fetches one)
# PYTHON=...  the Python (3.11 or newer) that makes .venv

PYTHON := $(or $(PYTHON),$(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11,$(shell \
	$(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)) python3))
BIN := .venv/bin
STAMP := .venv/.installed
export TREE

.PHONY: help demo test test-vscode lint bench clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

demo: $(STAMP) ## find a tree, index it, and show what an editor would show
	@tree=$$($(PYTHON) scripts/get_tree.py) && $(BIN)/python -m scripts.demo --tree "$$tree"

test: $(STAMP) ## all the tests
	@$(BIN)/python -m pytest

test-vscode: $(STAMP) ## the extension in a real VS Code: needs Chromium, fetches 0.8 GB; SCREENSHOTS=DIR keeps pictures
	@$(BIN)/python -m tests.editors.vscode.run

lint: $(STAMP) ## ruff, mypy (strict on core and features), import contracts
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: $(STAMP) ## measure on TREE; writes the table in docs/benchmarks.md
	@tree=$$($(PYTHON) scripts/get_tree.py) && $(BIN)/python -m benchmarks.bench --tree "$$tree"

clean: ## remove .venv and caches of tools (indexes and trees under ~/.cache/kexpert stay)
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) scripts/install.py
	@touch $@
