# `make demo` and `make test` need nothing but Python 3.11+ (and, for the cluster tests, what docs/testing.md lists).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp

.PHONY: help venv demo test test-engine test-operator test-cluster test-kind lint format verify generate lock cluster-demo clean

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(STAMP): requirements/dev.lock pyproject.toml
	@echo "flowkiln: setting up $(VENV) (a minute when nothing is cached)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

venv: $(STAMP) ## Make the virtual environment with everything that development needs

lock: ## Resolve the dependency ranges of pyproject.toml into requirements/*.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml -o requirements/runtime.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra operator -c requirements/runtime.lock pyproject.toml -o requirements/operator.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --all-extras --group dev -c requirements/operator.lock pyproject.toml requirements/build.in -o requirements/dev.lock
