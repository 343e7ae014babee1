# make demo   sets up the app in .venv, fetches the default model and asks a question
# make test   sets up everything in .venv, then lint, types and tests
# make lint   ruff: rules and formatting
# make types  mypy
# make fix    what ruff can correct by itself, and formatting
# make docs   what scripts write in the documents
# make lock   requirements/*.txt anew: versions by constraints.txt, hashes by the index (needs uv)
#
# Each can be run again at any time; what is in place is kept. PYTHON=... picks the Python.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Every file that is installed must have a hash that is listed here.
LOCKED := $(PIP) --require-hashes --no-deps
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header -c constraints.txt

.PHONY: demo test lint types fix docs lock clean

demo: .venv/app
	@$(BIN)/t2sql-tui models pull >/dev/null
	@if [ -t 0 ] && [ -t 1 ]; then $(BIN)/t2sql-tui --demo; \
		else $(BIN)/t2sql-tui ask --demo ecommerce "How many customers do we have?" --run; fi

test: .venv/dev lint types
	$(BIN)/python -m pytest -q

lint: .venv/dev
	$(BIN)/python -m ruff check --quiet
	$(BIN)/python -m ruff format --check --quiet

types: .venv/dev
	$(BIN)/python -m mypy

fix: .venv/dev
	$(BIN)/python -m ruff check --fix --quiet
	$(BIN)/python -m ruff format --quiet

docs: .venv/dev
	$(BIN)/python scripts/architecture.py --write
	$(BIN)/python scripts/write_cli_docs.py

lock:
	$(COMPILE) requirements/build.in -o requirements/build.txt
	$(COMPILE) pyproject.toml -o requirements/app.txt
	for part in app build; do \
		printf '# Exact versions and the hashes of their files. Made by `make lock`.\n' \
			| cat - requirements/$$part.txt > requirements/$$part.new && \
			mv requirements/$$part.new requirements/$$part.txt; done

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv

# An installed llama-cpp-python of the right version is kept; else it is built for this processor
# (4 minutes), by tools that are locked too: without isolation, pip fetches none of its own.
.venv/locked: .venv/bin/python requirements/app.txt requirements/build.txt scripts/llama_cmake_args.py
	$(LOCKED) -r requirements/build.txt
	@$(BIN)/python -c 'import llama_cpp' 2>/dev/null || \
		echo "Building llama.cpp; this takes a few minutes, once."
	@CMAKE_ARGS="$$($(BIN)/python scripts/llama_cmake_args.py)" \
		$(LOCKED) --no-build-isolation -r requirements/app.txt
	@touch $@

.venv/app: .venv/locked pyproject.toml setup.py
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev: .venv/locked constraints.txt pyproject.toml setup.py
	$(PIP) -c constraints.txt -e '.[dev]'
	@touch $@
