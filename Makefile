# `make demo` and `make test` need nothing but Linux, Python 3.11 or newer and, for the cluster tests, what
# CONTRIBUTING.md lists; they set up the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
# Two more environments for the tests: the ends of the ranges in pyproject.toml.
OLDEST := .venv-oldest
NEWEST := .venv-newest
PIP := -m pip --quiet --disable-pip-version-check
EXTRAS := kubernetes,operator,viz
# They run the tests and are no part of the product: a new release of theirs shall not fail its tests.
TEST_TOOLS := execnet|hypothesis|import-linter|mypy|pytest|pytest-asyncio|pytest-timeout|pytest-xdist|ruff|uv
# Tests wait about as long as they compute, and those on a cluster longer: more processes than cores keep these busy.
WORKERS ?= $(shell expr $$(nproc) + 1)
CLUSTER_WORKERS ?= $(shell expr $$(nproc) + 2)
UNIT_TESTS := -m pytest tests --ignore tests/cluster -n $(WORKERS)
# The tests start hundreds of Python processes, each of which would compile the product anew.
unexport PYTHONDONTWRITEBYTECODE
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11

.PHONY: help venv demo test test-unit test-oldest test-newest test-cluster test-kind cluster-demo lint format generate verify lock bench-engine bench-cluster clean

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(STAMP): requirements/dev.lock pyproject.toml
	@echo "flowkiln: setting up $(VENV) (about a minute when nothing is cached)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(PIP) install --require-hashes -r requirements/dev.lock
	@$(BIN)/python $(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(OLDEST)/.stamp: requirements/oldest.lock pyproject.toml
	@echo "flowkiln: setting up $(OLDEST) (about a minute when nothing is cached)"
	@test -x $(OLDEST)/bin/python || $(PYTHON) -m venv $(OLDEST)
	@$(OLDEST)/bin/python $(PIP) install --require-hashes -r requirements/oldest.lock
	@$(OLDEST)/bin/python $(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

venv: $(STAMP) ## Make the virtual environment with everything that development needs

demo: $(STAMP) ## Run the weather flow on this machine, on a local Dask
	@$(BIN)/flowkiln run examples/weather/flow.py

test: $(STAMP) ## Run all tests, cluster tests included
	@$(BIN)/python -m pytest tests -n $(CLUSTER_WORKERS)

test-unit: $(STAMP) ## Run the tests that need no Kubernetes
	@$(BIN)/python $(UNIT_TESTS)

test-oldest: $(OLDEST)/.stamp ## Run test-unit with the oldest dependencies that pyproject.toml allows
	@$(OLDEST)/bin/python $(UNIT_TESTS)

test-newest: ## Run test-unit with the newest dependencies that pyproject.toml allows today
	@echo "flowkiln: setting up $(NEWEST) (about a minute when nothing is cached)"
	@$(PYTHON) -m venv --clear $(NEWEST)
	@sed -nE 's/^(($(TEST_TOOLS))==[^ ;]+).*/\1/p' requirements/dev.lock > $(NEWEST)/tools.txt
	@$(NEWEST)/bin/python $(PIP) install --upgrade pip
	@$(NEWEST)/bin/python $(PIP) install --constraint $(NEWEST)/tools.txt --editable '.[$(EXTRAS)]' --group dev
	@$(NEWEST)/bin/python $(UNIT_TESTS)

test-cluster: $(STAMP) ## Run the tests on a real Kubernetes
	@$(BIN)/python -m pytest tests/cluster -n $(CLUSTER_WORKERS)

test-kind: $(STAMP) ## Run the cluster tests on kind (needs a Docker engine and kind)
	@FLOWKILN_TEST_CLUSTER=kind $(BIN)/python -m pytest tests/cluster

cluster-demo: $(STAMP) ## Bring a cluster up, install Flowkiln, run the weather flow, show its status
	@$(BIN)/python -m tests.cluster.demo

lint: $(STAMP) ## Check style, types and the import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP) ## Put the code into its one format
	@$(BIN)/ruff check --fix --quiet
	@$(BIN)/ruff format --quiet

generate: $(STAMP) ## Make crds/ and all else that is generated anew
	@$(BIN)/python -m flowkiln.api.crds
	@$(BIN)/python manifests/dask-kubernetes/generate_crds.py
	@$(BIN)/python -m flowkiln.api.editor_schema
	@$(BIN)/python -m flowkiln.cli.json_schema
	@$(BIN)/python -m manifests.generate_install
	@$(BIN)/python -m charts.generate
	@$(BIN)/python docs/draw_states.py
	@$(BIN)/python docs/write_reference.py

verify: $(STAMP) ## Fail when something generated is stale
	@$(BIN)/python -m flowkiln.api.crds --check
	@$(BIN)/python manifests/dask-kubernetes/generate_crds.py --check
	@$(BIN)/python -m flowkiln.api.editor_schema --check
	@$(BIN)/python -m flowkiln.cli.json_schema --check
	@$(BIN)/python -m manifests.generate_install --check
	@$(BIN)/python -m charts.generate --check
	@$(BIN)/python docs/draw_states.py --check
	@$(BIN)/python docs/write_reference.py --check

bench-engine: $(STAMP) ## Measure the engine beside raw Dask in the same run
	@$(BIN)/python -m benchmarks.engine

bench-cluster: $(STAMP) ## Measure runs on a real Kubernetes beside a bare DaskCluster
	@$(BIN)/python -m benchmarks.cluster

lock: ## Resolve the ranges of pyproject.toml into requirements/*.lock
	$(COMPILE) pyproject.toml -o requirements/runtime.lock
	$(COMPILE) --extra operator -c requirements/runtime.lock pyproject.toml -o requirements/operator.lock
	$(COMPILE) --all-extras --group dev -c requirements/operator.lock pyproject.toml requirements/build.in -o requirements/dev.lock
	@mkdir -p $(OLDEST)
	$(COMPILE) --resolution lowest-direct --all-extras pyproject.toml -o $(OLDEST)/ranges.txt
	$(COMPILE) --all-extras --group dev -c $(OLDEST)/ranges.txt pyproject.toml requirements/build.in -o requirements/oldest.lock

clean: ## Remove the virtual environment and caches of the checkout
	rm -rf $(VENV) $(OLDEST) $(NEWEST) .pytest_cache .mypy_cache .ruff_cache .hypothesis dist
