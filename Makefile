# make demo and make test do all set-up themselves; the rest is for those who work on the code.
# Needs Python >= 3.11 with its headers and venv, and a C compiler. See README.md.

VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
NATIVE := $(VENV)/.native
LOAD   := benchmarks/load
CFLAGS ?= -O2 -g -Wall -Wextra -Wshadow -Werror

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DELETE_ON_ERROR:
.PHONY: help demo test check bench debug format clean

help:
	@echo 'make demo    build, start a relay and a simulated Microsoft 365, send a campaign, tell what happened (40 s)'
	@echo 'make test    build and run the whole test suite (PYTEST_ARGS="-k spool")'
	@echo 'make check   formatting, lint, types, the stub of the native part, layers'
	@echo 'make bench   throughput beside Postfix on this machine (BENCH_ARGS="--workload W2 --runs 3")'
	@echo 'make debug   the native part with sanitizers, and its tests'
	@echo 'make format  let ruff format the Python files'
	@echo 'make clean   remove everything that make built'

demo: $(NATIVE)
	@$(BIN)/m365-relay demo $(DEMO_ARGS)

test: $(NATIVE) $(LOAD)/bin/source $(LOAD)/bin/sink
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(NATIVE)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint relay
	$(BIN)/python -m pytest -q tests/test_stub.py tests/test_layers.py tests/test_docs.py

bench: $(NATIVE) $(LOAD)/bin/source $(LOAD)/bin/sink
	$(BIN)/python -m benchmarks.throughput $(BENCH_ARGS)

debug: $(NATIVE)
	PYTHON=$(CURDIR)/$(BIN)/python CC="$(CC)" tests/debug_native.sh

format: $(READY)
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build *.egg-info relay/_fastpath.c relay/*.so $(LOAD)/bin .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find relay tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# The oldest Python that will do is 3.11; PYTHON=/path/to/python chooses another.
$(BIN)/python:
	@set -e; \
	for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	    command -v "$$python" >/dev/null && "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' && found=$$python && break; \
	done; \
	if [ -z "$${found:-}" ]; then \
	    echo 'No Python 3.11 or newer found. On Debian: apt-get install python3 python3-venv python3-dev gcc' >&2; exit 1; fi; \
	if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "$$found cannot create environments. On Debian: apt-get install python3-venv" >&2; exit 1; fi; \
	if ! "$$found" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'; then \
	    echo "$$found has no Python.h. On Debian: apt-get install python3-dev" >&2; exit 1; fi; \
	if ! command -v $(CC) >/dev/null; then \
	    echo 'No C compiler found. On Debian: apt-get install gcc libc6-dev' >&2; exit 1; fi; \
	"$$found" -m venv $(VENV)

$(READY): pyproject.toml | $(BIN)/python
	@echo 'Installing what the relay and its tests need into $(VENV)'
	@$(BIN)/python -m pip install -q --upgrade 'setuptools>=77' 'cython>=3.1,<4'
	@$(BIN)/python -m pip install -q --no-build-isolation -e '.[dev]'
	@touch $@

$(NATIVE): relay/_fastpath.pyx setup.py $(READY)
	@$(BIN)/python setup.py -q build_ext --inplace
	@touch $@

$(LOAD)/bin/%: $(LOAD)/%.c $(LOAD)/wire.c $(LOAD)/wire.h
	@mkdir -p $(LOAD)/bin
	@$(LOAD)/build $< $@ "$(CC)" "$(CFLAGS)"
