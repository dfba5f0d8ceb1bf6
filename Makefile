# Two commands do everything: make demo, make test. Both set up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo
MEMBERS ?= 16500
SEED ?= 7
AS_OF ?= 2026-06-30
LAB_MEMBERS ?= 6000
LAB_SEEDS ?= 3
# Tests are shared between the workers by file; files that rest on the same book stay together (tests/conftest.py).
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup
export OMP_WAIT_POLICY := PASSIVE
export DO_NOT_TRACK := 1
export DAGSTER_DISABLE_TELEMETRY := 1
export UV_LINK_MODE := copy
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo dash notebooks docs test test-more test-all lint types lock bench judge lab clean

help:            ## Show the commands
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  +##' $(MAKEFILE_LIST) | sed 's/:.*##/ -/'

setup: $(VENV)/.installed   ## Make .venv and install the locked dependencies

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Puntual needs Python 3.11 or newer; this is " + sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked dependencies (a minute or two the first time)"
	@if $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; then \
	  $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes --python $(BIN)/python -r requirements.lock; \
	else \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock; \
	fi
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup     ## Play a demo cooperative, run its day, say where to look
	@$(BIN)/puntual demo $(DEMO) --members $(MEMBERS) --seed $(SEED) --as-of $(AS_OF)
	@$(BIN)/puntual run $(DEMO) --as-of $(AS_OF)

dash: setup     ## Open the dashboards on the demo
	@$(BIN)/puntual dash $(DEMO)

notebooks: setup ## After make demo: run every notebook on it from top to bottom; the stored files stay without output
	@$(BIN)/python -m tests.notebooks.execute $(DEMO)

test: setup     ## All tests that fit in ten minutes, fast ones first
	@$(BIN)/python -m tests.prepare
	@$(PYTEST) -m "not long and not slow"

test-more: setup ## Those of tens of seconds each: day after day, crashes, other readings; CI runs them after the others
	@$(PYTEST) -m "long and not slow"

test-all: setup ## And the slow ones: both warehouses throughout, other machines, large property runs
	@$(BIN)/python -m tests.prepare
	@$(PYTEST)

lint: setup     ## Style, import rules and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/mypy

lock: setup     ## Compile requirements.lock again from pyproject.toml, without index addresses
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --extra dev --no-emit-index-url --no-annotate --no-header \
	  --python-version 3.11 --output-file requirements.lock pyproject.toml requirements.build.in

docs: setup     ## After make demo: the warehouse's documentation, every table and column with its lineage
	@$(BIN)/puntual docs $(DEMO)

bench: setup    ## Wall time and peak memory by step, for the demo and for 100 thousand members
	@$(BIN)/python -m tests.bench --homes $(DEMO)-bench

judge: setup    ## After make demo: its choice beside the best possible and simple rules, by the demo's own truth
	@$(BIN)/python -m models.lab.judge $(DEMO)

lab: setup      ## Families of worlds with a known truth: played, run as far as scores, judged (about half an hour)
	@$(BIN)/python -m pipelines.lab --homes lab --families all --seeds $(LAB_SEEDS) --members $(LAB_MEMBERS) --jobs 2

clean:          ## Remove the demo and the environment
	rm -rf $(VENV) $(DEMO) $(DEMO)-bench lab
