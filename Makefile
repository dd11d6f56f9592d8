# kexpert: `make help` lists the targets.
#
# TREE=DIR    the kernel tree for demo and bench (default: scripts/get_tree.py finds or fetches a tree)
# PYTHON=...  the Python (3.11 or newer) that makes .venv

PYTHON := $(or $(PYTHON),$(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11,$(shell \
	$(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)) python3))
BIN := .venv/bin
BASE := .venv/.installed
DEVELOPMENT := .venv/.installed-for-development
# Where PYTHON has torch for CUDA, the GPU targets run under it and install nothing.
GPU_PYTHON := $(if $(filter %-gpu,$(MAKECMDGOALS)),$(shell \
	$(PYTHON) -c 'import torch, triton; torch.cuda.is_available() and print("$(PYTHON)")' 2>/dev/null))
ON_GPU = PYTHONPATH=$(CURDIR)/kernels:$(CURDIR)/server:$(CURDIR)/trainer PYTHONUNBUFFERED=1 $(or $(GPU_PYTHON),$(BIN)/python)
SIDE_BY_SIDE = $(shell $(ON_GPU) -c 'import xdist; print("-n 8")' 2>/dev/null)
export TREE

.PHONY: help demo test explore test-vscode test-editors vsix test-gpu lint bench bench-gpu clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

demo: $(BASE) ## find a tree, index it, and show what an editor would show
	@tree=$$($(PYTHON) scripts/get_tree.py) && $(BIN)/python -m scripts.demo --tree "$$tree"

test: $(DEVELOPMENT) ## all the tests
	@$(BIN)/python -m pytest

explore: $(DEVELOPMENT) ## the property tests with new random examples, 3000 each: hours
	@KEXPERT_EXAMPLES=3000 $(BIN)/python -m pytest --timeout 7200 -k "not test_in_chromium" $$(grep -rl "from hypothesis" tests --include="test_*.py")

.PHONY: needs-chromium
needs-chromium: # said before minutes of installing
	@test -n "$$CHROMIUM" || command -v chromium > /dev/null || command -v google-chrome > /dev/null || \
	  { echo "no Chromium: apt-get install --no-install-recommends chromium, or CHROMIUM=/path/to/it" >&2; exit 1; }

test-vscode: needs-chromium $(DEVELOPMENT) ## the extension in a real VS Code: needs Chromium, fetches 0.8 GB; SCREENSHOTS=DIR keeps pictures
	@$(BIN)/python -m tests.editors.vscode.run

test-editors: $(DEVELOPMENT) ## VS Code, Neovim, Emacs and Helix, each in itself; fetches what is missing
	@KEXPERT_FETCH_EMACS=1 $(BIN)/python -m pytest tests/editors
	@$(BIN)/python -m tests.editors.vscode.run

vsix: $(DEVELOPMENT) ## build the VS Code extension: editors/vscode/dist/kexpert.vsix; fetches Node
	@$(BIN)/python -m tests.editors.vscode.build $(if $(CI),--if-possible)

test-gpu: $(if $(GPU_PYTHON),,$(DEVELOPMENT)) ## the Triton kernels, and training with them, on a CUDA device
	@KEXPERT_TEST_DEVICE=cuda $(ON_GPU) -m pytest tests/kernels tests/trainer/test_gpu.py $(SIDE_BY_SIDE)

lint: $(DEVELOPMENT) ## ruff, mypy (strict), import contracts
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: $(DEVELOPMENT) ## measure on TREE (patches: against OTHER=DIR); writes the table in docs/benchmarks.md
	@tree=$$($(PYTHON) scripts/get_tree.py) && $(BIN)/python -m benchmarks.bench --tree "$$tree" $(if $(OTHER),--other "$(OTHER)")

bench-gpu: $(if $(GPU_PYTHON),,$(DEVELOPMENT)) ## attention on a CUDA device beside torch's: build/kernels, under 8 minutes
	@$(ON_GPU) -m kexpert_kernels.benchmark

clean: ## remove .venv and caches of tools (indexes and trees under ~/.cache/kexpert stay)
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -prune -exec rm -rf {} +

$(BASE): pyproject.toml constraints.txt
	@$(PYTHON) scripts/install.py
	@touch $@

$(DEVELOPMENT): $(BASE)
	@$(PYTHON) scripts/install.py test lint
	@touch $@
