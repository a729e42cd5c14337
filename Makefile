# netmap-verify. `make help` lists the targets; every one does its own set-up.
#
# The first start makes the virtual environment .venv from requirements.lock (hashes are checked) and
# builds the C side; later starts find both in place and need no network.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCK_VENV := build/lock-venv
# What conform runs on (names of built-in manifests, or files), what pytest is told; both may be given:
# make conform MANIFESTS=mine.toml; make test PYTEST_ARGS='-k ring'
MANIFESTS ?= reference reference-2011 native
PYTEST_ARGS ?= -n auto --dist loadfile --no-loadscope-reorder
# The interpreter .venv is made with: the first of these that is Python 3.11 or newer.
PYTHON ?= python3 python3.14 python3.13 python3.12 python3.11

.DEFAULT_GOAL := help
.PHONY: help run test prove conform teeth bench hwtest fuzz lint native lock setup compiler clean

help:
	@echo 'make run      the whole pipeline: prove, conform on every target, diff, recordings, report'
	@echo 'make test     the project'"'"'s own tests'
	@echo 'make prove    the proofs about the model'
	@echo 'make conform  the scenarios on: $(MANIFESTS)  (MANIFESTS="...")'
	@echo 'make teeth    which planted defects the suite notices'
	@echo 'make bench    how fast model, oracle, proofs and C ring functions are'
	@echo 'make hwtest   rates between two real ports, see hwtests/README.md'
	@echo 'make fuzz     fuzz the C prologues and the control path (FUZZ_SECONDS=20)'
	@echo 'make lint     ruff, mypy --strict, generated files, C warnings'
	@echo 'make native   the C side alone, into build/native'
	@echo 'make lock     choose newer versions of the Python packages for requirements.lock'
	@echo 'make clean    remove everything built, except the virtual environment .venv'

run: native
	@$(BIN)/netmap-verify run

test: native
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

prove: setup
	@$(BIN)/netmap-verify prove

conform: native
	@status=0; for m in $(MANIFESTS); do $(BIN)/netmap-verify conform --manifest $$m || status=1; done; exit $$status

teeth: native
	@$(BIN)/netmap-verify teeth --proofs

bench: native
	@$(BIN)/netmap-verify bench

hwtest: native
	@$(BIN)/python -m pytest hwtests -m hw $(HWTEST_ARGS)

fuzz: compiler setup
	@$(MAKE) --no-print-directory -C native fuzz

lint: native
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m netmap_spec.abi.generate --check

native: compiler setup
	@$(MAKE) --no-print-directory -C native

setup: $(READY)

# Said before the virtual environment is made, not after a minute.
compiler:
	@command -v $(firstword $(CC)) >/dev/null || { \
	  echo 'no C compiler: $(firstword $(CC)) not found; install gcc or clang, or say make CC=...' >&2; exit 3; }

$(READY): requirements.lock pyproject.toml
	@python=; for p in $(PYTHON); do \
	  if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$p; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo 'no Python 3.11 or newer found: install one, or say make PYTHON=/path/to/python3' >&2; exit 3; fi; \
	if [ ! -x $(BIN)/python ]; then \
	  echo "making $(VENV) with $$($$python --version) (once)"; \
	  $$python -m venv $(VENV) >/dev/null 2>&1 || { rm -rf $(VENV); \
	    echo "$$python cannot make a virtual environment: on Debian and Ubuntu install python3-venv" >&2; \
	    exit 3; }; fi
	@echo 'installing the packages of requirements.lock (once, about a minute)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
	  -r requirements.lock || { echo 'cannot install the packages of requirements.lock: is a package registry' \
	  'reachable?' >&2; exit 3; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# The lock is of one file for every Python from 3.11 on and names no package registry.
lock: setup
	@test -x $(LOCK_VENV)/bin/pip-compile || { $(BIN)/python -m venv $(LOCK_VENV) && \
	  $(LOCK_VENV)/bin/pip install --quiet pip-tools; }
	CUSTOM_COMPILE_COMMAND='make lock' $(LOCK_VENV)/bin/pip-compile --quiet --upgrade --generate-hashes \
	  --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	  --unsafe-package netmap-verify --extra dev -o requirements.lock pyproject.toml
	sed -i.old '/^# WARNING: The following packages were not pinned/,$$d' requirements.lock
	@rm -f requirements.lock.old

clean:
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .crosshair
	@find . -name __pycache__ -not -path './$(VENV)/*' -type d -prune -exec rm -rf {} +
	@rm -rf ./*.egg-info
