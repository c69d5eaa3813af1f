# `make demo` shows it, `make up` runs it, `make test` proves it; each sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
APT := DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -q -y --no-install-recommends

.PHONY: demo up test bench lint format clean

demo: $(VENV)/installed
	$(BIN)/penstock demo

up: $(VENV)/installed
	$(BIN)/penstock up

test: lint peers
	$(BIN)/pytest

# Minutes, and only worth reading from a machine that does nothing else.
bench: $(VENV)/installed-dev peers
	@command -v Orthanc >/dev/null || { $(SUDO) apt-get update -q && $(APT) orthanc; }
	$(BIN)/python -m tests.bench.receive --write

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The tests' independent peers: DCMTK's storescu, storescp, echoscu, dcmsend.
.PHONY: peers
peers:
	@command -v storescu >/dev/null && command -v storescp >/dev/null \
	  || { $(SUDO) apt-get update -q && $(APT) dcmtk; }

# Debian's python3 comes without ensurepip; its package is fetched where that is so.
$(BIN)/python:
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
	  || { $(SUDO) apt-get update -q && $(APT) python3-venv; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install -q -c constraints.txt -e .
	@touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
