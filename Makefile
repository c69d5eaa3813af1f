# `make demo` shows it, `make up` runs it, `make test` proves it; each sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
APT := DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -q -y --no-install-recommends

.PHONY: demo up test test-gateways test-parts bench soak at-length fuzz screenshot lint format clean

demo: $(VENV)/installed
	$(BIN)/penstock demo

up: $(VENV)/installed
	$(BIN)/penstock up

# Two at a time: the tests of whole gateways wait more than they compute.
test: lint peers
	$(MAKE) -j2 test-gateways test-parts

test-gateways:
	$(BIN)/pytest tests/end_to_end

test-parts:
	$(BIN)/pytest --ignore=tests/end_to_end

# Many minutes and some GB of disk, and only worth reading from a machine that does nothing else.
bench: $(VENV)/installed-dev peers
	$(BIN)/python -m tests.bench --write

# A whole gateway under load, and killed, cut off and hung by a schedule that follows from the seed;
# tells at the end what was delivered, killed, doubled and lost. Without a SEED another each time.
SECONDS ?= 600
soak: $(VENV)/installed-dev
	$(BIN)/python -m tests.soak --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

# At full length what `make test` has in short; an hour, and some GB of disk.
at-length: $(VENV)/installed-dev peers
	$(BIN)/pytest -m at_length

# libFuzzer on the upper layer; what it finds becomes a regression case of the tests.
FUZZ_SECONDS ?= 600
fuzz: $(VENV)/installed-dev
	$(BIN)/pip install -q 'atheris>=3'
	@mkdir -p .fuzz tests/fuzz/regressions
	$(BIN)/python -m tests.fuzz.run_atheris .fuzz tests/fuzz/corpus tests/fuzz/regressions \
	  -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 -max_len=16384 \
	  -artifact_prefix=tests/fuzz/regressions/

# Flower in a real browser, and the picture of it in docs/dashboard.md.
screenshot: $(VENV)/installed-dev peers
	command -v chromium >/dev/null \
	  || { $(SUDO) apt-get update -q && $(APT) chromium fonts-dejavu-core; }
	$(BIN)/pip install -q 'playwright>=1.50'
	$(BIN)/pytest -m browser

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The tests' independent peers, and the tools that break a disk: package:command.
PEERS := dcmtk:storescu orthanc:Orthanc libgdcm-tools:gdcmscu nodejs:node npm:npm \
  e2fsprogs:mkfs.ext4 mount:mount dicom3tools:dciodvfy rabbitmq-server:rabbitmq-server
DCMJS := tests/peers/dcmjs

.PHONY: peers peer-packages
peers: $(DCMJS)/node_modules/.package-lock.json

peer-packages:
	@missing=; for peer in $(PEERS); do \
	  PATH="$$PATH:/usr/sbin:/sbin" command -v "$${peer#*:}" >/dev/null \
	    || missing="$$missing $${peer%%:*}"; done; \
	test -z "$$missing" || { $(SUDO) apt-get update -q && $(APT) $$missing; }

$(DCMJS)/node_modules/.package-lock.json: $(DCMJS)/package-lock.json | peer-packages
	npm ci --prefix $(DCMJS) --ignore-scripts --no-audit --no-fund
	@touch $@

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
	rm -rf $(VENV) .fuzz $(DCMJS)/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis
