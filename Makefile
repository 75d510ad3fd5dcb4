# Two commands for a new user: `make reproduce` and `make test`. `make help` lists the others.

PYTHON ?= python3
ACCELERATOR ?= cpu
CORES ?= $(shell nproc 2>/dev/null || echo 2)
SHARED ?= ../shared
FIXTURES = $(SHARED)/data/prompt-tuning/test_data
LOCK = envs/$(ACCELERATOR).lock
BIN = .venv/bin
SNAKEMAKE = $(BIN)/snakemake --profile profiles/local --cores $(CORES)

.DEFAULT_GOAL = help
.PHONY: help setup reproduce real test chaos lint format lock clean

help: ## what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 14

setup: .venv/.$(ACCELERATOR) ## .venv from the lock (ACCELERATOR=cpu, gpu or tpu)

.venv/.$(ACCELERATOR): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "promptscale needs Python 3.11 or newer; set PYTHON to one.")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

reproduce: setup ## the miniature: generated data, tiny T5s, every figure and table
	$(SNAKEMAKE) -- all
	@$(BIN)/promptscale scores results/runs.csv
	@echo "Figures: figures/    Tables: results/tables/    Every run: results/runs.csv"

real: setup ## the same workflow on the authors' test checkpoint and real SuperGLUE files
	$(SNAKEMAKE) --configfile config/real.yaml --config \
	  'data={local_files: $(SHARED)/data, vocabulary: $(FIXTURES)/t5_vocab}' \
	  'checkpoints={span_corruption: $(FIXTURES)/test_t5_1_1_tiny/checkpoint_3}' -- all
	@$(BIN)/promptscale scores results/real/runs.csv
	@echo "Scores are at chance: the authors' test checkpoint has width 4 and was never trained."
	@echo "Tables: results/real/tables/    Every run: results/real/runs.csv"

test: setup ## all tests, two files at a time, the end-to-end run (which uses all cores) last
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

chaos: setup ## the tests of lost machines with 20 seeds and 25 moments instead of a few (an hour)
	PROMPTSCALE_CHAOS_SEEDS=20 PROMPTSCALE_KILLS=25 $(BIN)/python -m pytest -n 2 --dist loadfile \
	  tests/tpu/test_grid.py tests/tpu/test_executor.py tests/distributed/test_kill.py

lint: setup ## style, types, import rules and the workflow's own linters
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

format: setup ## put code and rules into their form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

lock: ## resolve envs/*.in to envs/*.lock (needs uv)
	for kind in cpu gpu tpu; do \
	  uv pip compile --universal --python-version 3.11 --override envs/overrides.txt --no-annotate \
	    --generate-hashes --no-header --quiet envs/$$kind.in --output-file envs/$$kind.lock; \
	done

clean: ## remove what runs made (not the environment)
	git clean -fdXq results figures .snakemake
