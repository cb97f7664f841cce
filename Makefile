# Daily work. `make help` lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup
# What the tests need from the system, as Debian names it.
PACKAGES := openjdk-17-jre-headless maven chromium fonts-noto-cjk

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast lint format typecheck lock kafka system-packages clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: $(STAMP) ## Make .venv with the locked versions (quick when it is already there)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "bellwether needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "== setup: making $(VENV) (first time: about 6 GB, a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "== setup: installing the locked versions of requirements.lock"
	@$(BIN)/python -m pip install --disable-pip-version-check -r requirements.lock
	@echo "== setup: installing bellwether itself"
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps -e .
	@touch $@
	@echo "== setup: done; $(BIN)/bellwether --help"

demo: setup ## Set everything up and run the demo (DEMO_ARGS=--no-serve ends after the alerts)
	$(BIN)/bellwether demo $(DEMO_ARGS)

test: setup system-packages ## Set everything up and run all tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-fast: setup ## Only the tests that need no server and no browser
	$(BIN)/python -m pytest tests/unit $(PYTEST_ARGS)

lint: setup ## Check style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup ## Format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## Write requirements.lock anew from pyproject.toml, with the newest versions that fit
	rm -rf .cache/lock && $(PYTHON) -m venv .cache/lock
	.cache/lock/bin/python -m pip install --disable-pip-version-check torch==2.13.0 -e '.[dev]'
	{ sed -n '/^#/p' requirements.lock; .cache/lock/bin/python -m pip freeze --exclude-editable; } > requirements.lock.new
	mv requirements.lock.new requirements.lock

kafka: setup ## Start a real Kafka broker on a free loopback port (Ctrl-C stops it)
	$(BIN)/python -m tests.broker

system-packages:
	@PACKAGES="$(PACKAGES)" sh tests/system-packages.sh

clean: ## Remove what was made here (not the data folder)
	rm -rf $(VENV) .cache .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info
