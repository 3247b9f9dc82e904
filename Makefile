# Two commands do everything: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Without the compiled files every command would compile for seconds what it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run test test-all test-server bench lint lock clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## Create the environment in .venv, with the Delta Lake jars

run: $(READY)  ## Simulate events (or EVENTS=path to your own), build, check, train, score, report
	@$(BIN)/sparkify run $(if $(EVENTS),--events "$(EVENTS)")

test: $(READY)  ## Lint the code and run the tests, but for those that build or train many times
	@$(BIN)/sparkify setup --fast-start & make --no-print-directory lint; linted=$$?; wait $$! && exit $$linted
	@$(BIN)/python -m pytest -m "$(or $(MARKED),not long and not slow)"

test-all:  ## Lint the code and run every test but those of servers (an hour and more)
	@make --no-print-directory test MARKED="long or not long"

test-server: $(READY)  ## Run the tests of servers, other engines and a cluster
	@$(BIN)/sparkify setup --fast-start
	@$(BIN)/python -m pytest tests/server

bench: $(READY)  ## Measure a run, the simulator, builds, one more day, DuckDB, a notebook, a server and the models (BENCH=name: one)
	@for name in $(or $(BENCH),run simulator build incremental duckdb notebooks server learning); do \
		echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

lint: $(READY)  ## Check the style of Python and SQL
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@PYTHONWARNINGS=ignore:resource_tracker $(BIN)/sqlfluff lint --processes 0 models tests/dbt

lock: $(READY)  ## Resolve requirements.txt anew from pyproject.toml
	@$(BIN)/uv pip compile --universal --python-version 3.11 --all-extras --upgrade -q \
		pyproject.toml -o requirements.txt

clean:  ## Delete the environment and everything that runs have written
	rm -rf $(VENV) .sparkify

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "error: $(PYTHON) is not Python 3.11 to 3.13; name one that is: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 3; }
	@echo "Setting up .venv (once; about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@$(BIN)/sparkify setup
	@touch $@
