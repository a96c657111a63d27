# `make` shows the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_HOME ?= galeno-home
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(VENV)/.base: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Galeno needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.base requirements-dev.lock
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(VENV)/.base ## Set up, take the built-in cohort to a registered model, and serve it
	$(BIN)/galeno demo --home $(DEMO_HOME)

test: $(VENV)/.dev ## Set up, then run the tests
	$(BIN)/pytest

lint: $(VENV)/.dev ## Check style, types and import direction
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.dev ## Write the pages that are made from the code
	$(BIN)/python scripts/write_docs.py

lock: $(VENV)/.dev ## Pin the dependencies anew (no addresses in the lock files)
	sh scripts/lock.sh

clean: ## Remove the environment and the demo's home
	rm -rf $(VENV) $(DEMO_HOME)

.PHONY: help demo test lint docs lock clean
