# Two commands do all their own set-up: `make demo` shows the thing at work, `make test` proves it.
# They need Python 3.11 or later and nothing else; everything goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-bench

.PHONY: demo test lint types unit coverage docs bench clean

demo: $(VENV)/.demo
	$(BIN)/wherefrom demo

test: lint types unit

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/mypy

# Bytecode is kept, or else each of the many processes compiles all of the sources and the tests anew.
unit: export PYTHONDONTWRITEBYTECODE =
unit: $(VENV)/.test
	$(BIN)/pytest -n auto --dist worksteal

coverage: $(VENV)/.test
	$(BIN)/pytest -n auto --cov --cov-report=term

docs: $(VENV)/.test
	$(BIN)/python docs/generate.py

# All benchmarks beside their peers, which stay out of the way of the tests: BENCH="--minutes 15 --only copies".
bench: $(PEERS)/.peers
	$(PEERS)/bin/python -m benchmarks $(BENCH)

$(PEERS)/.peers: pyproject.toml benchmarks/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[demo,formats,serve]' \
		--requirement benchmarks/requirements.txt
	@touch $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) $(PEERS) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage dist
