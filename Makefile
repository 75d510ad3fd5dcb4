# Start with `make reproduce` and `make check`. `make help` lists all targets.

PYTHON ?= python3
ACCELERATOR ?=
CORES ?= all
export SHARED ?= ../shared
# Snakemake ends with a traceback where HOME is not set and the user is unknown to the system.
export HOME ?= $(CURDIR)/.snakemake/home
FIXTURES = data/prompt-tuning/test_data
BIN = .venv/bin
# On a GPU the benchmarks use the packages of PYTHON and install nothing.
BENCH_KIND = $(or $(filter gpu,$(ACCELERATOR)),cpu)
BENCH_PYTHON = $(if $(filter gpu,$(BENCH_KIND)),PYTHONPATH=src:.:$$PYTHONPATH $(PYTHON),$(BIN)/python)
BENCH_PEER = $(if $(filter gpu,$(BENCH_KIND)),$(PYTHON),.venv-bench/bin/python)
SNAKEMAKE = $(BIN)/snakemake --profile profiles/local --cores $(CORES)

.DEFAULT_GOAL = help
.PHONY: help setup demo reproduce real real-input real-cpu real-gpu check test chaos lint format lock bench docs image clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 14

setup: ## .venv from a lock (ACCELERATOR=cpu, gpu or tpu; PYTHON=python3.12)
	@command -v $(firstword $(PYTHON)) > /dev/null || { echo "There is no $(PYTHON); set PYTHON to a Python 3.11 to 3.13." >&2; exit 1; }
	@$(PYTHON) envs/setup.py "$(ACCELERATOR)" $(if $(filter file,$(origin PYTHON)),,--this-python)

DEMO = results/demo
DEMO_JOB = $(DEMO)/runs/prompt_tuning/mini-xxl/lm_500/length_20-class_label/rte+wsc/seeds_0
demo: setup ## the first minutes: Figure 1 of three tiny T5s, and a tuned prompt that answers
	$(SNAKEMAKE) --configfile config/demo.yaml -- figure1
	@echo "Three examples of the task RTE (does the hypothesis follow from the premise?), with their targets:"
	@head -n 3 $(DEMO)/data/rte/validation.jsonl
	@echo "The answers of the tuned prompt:"
	@head -n 3 $(DEMO)/data/rte/validation.jsonl | $(BIN)/promptscale predict - --format jsonl \
	  --template "{inputs}" --prompt $(DEMO_JOB)/prompts/rte/seed_0.npy \
	  --checkpoint $(DEMO)/models/mini-xxl/lm_500/checkpoint --vocabulary $(DEMO)/vocabulary/sentencepiece.model
	@echo "Figure 1: figures/demo/figure1.png    Next: make reproduce, or a prompt for your data (docs/your_task.md)"

reproduce: setup ## the miniature: generated data, tiny T5s, every figure and table
	$(SNAKEMAKE) -- all
	@$(BIN)/promptscale status

REAL_INPUT = $(CURDIR)/results/real_input
REAL_DATA = local_files: \"$$SHARED/data\", vocabulary: \"$$SHARED/$(FIXTURES)/t5_vocab\"
REAL_SQUAD = substitutes: {squad/train: \"$(REAL_INPUT)/squad-train.json\", \
  squad/validation: \"$(REAL_INPUT)/squad-validation.json\"}
real: real-$(or $(filter gpu,$(ACCELERATOR)),cpu) ## prompts on a real T5 1.1 Small and real text (needs ../shared, or SHARED=<folder>)

real-input: setup
	$(BIN)/python workflow/real_input.py "$$SHARED" results/real_input

real-cpu: real-input
	$(SNAKEMAKE) --configfile config/real.yaml --config "data={$(REAL_DATA)}" -- all
	$(SNAKEMAKE) --configfile config/real_tasks.yaml --config "data={$(REAL_DATA), $(REAL_SQUAD)}" -- all
	@$(BIN)/promptscale status --config config/real.yaml
	@$(BIN)/promptscale status --config config/real_tasks.yaml

# Compiling takes longer than training here, so jobs share the GPU: each takes some 5 GB of its memory.
GPU_JOBS ?= 6
REAL_GPU = XLA_PYTHON_CLIENT_PREALLOCATE=false \
  $(BIN)/snakemake --profile profiles/gpu --resources gpu=$(GPU_JOBS) --config environment=gpu
real-gpu: real-input
	$(REAL_GPU) "data={$(REAL_DATA), $(REAL_SQUAD)}" --configfile config/real_gpu.yaml -- all
	$(REAL_GPU) "data={$(REAL_DATA)}" --configfile config/real_tasks_gpu.yaml -- all
	@$(BIN)/promptscale status --config config/real_gpu.yaml
	@$(BIN)/promptscale status --config config/real_tasks_gpu.yaml

check: lint ## lint, then the quick tests
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

test: setup ## all tests, two files at a time (25 minutes); the end-to-end run uses all cores, last
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

chaos: setup ## lost machines, kills, random configurations (estimated: two hours on two cores)
	PROMPTSCALE_CHAOS_SEEDS=20 PROMPTSCALE_KILLS=25 PROMPTSCALE_CHAOS_CONFIGURATIONS=30 \
	  $(BIN)/python -m pytest -vv -n 2 --dist loadfile --no-loadscope-reorder --durations 20 \
	  tests/tpu/test_grid.py tests/distributed/test_kill.py tests/tpu/test_executor.py \
	  tests/tpu/test_pool_properties.py tests/workflow/test_random_configurations.py

lint: setup ## style, types, import rules, and the workflow's linters
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

format: setup ## format code and rules
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

lock: ## resolve envs/*.in to envs/*.lock (needs uv)
	for kind in bench docs; do \
	  uv pip compile --universal --python-version 3.11 --no-annotate --generate-hashes --no-header --quiet \
	  envs/$$kind.in --output-file envs/$$kind.lock || exit 1; \
	done
	for kind in cpu gpu tpu; do \
	  uv pip compile --universal --python-version 3.11 --override envs/overrides.txt --no-annotate \
	    --generate-hashes --no-header --quiet envs/$$kind.in --output-file envs/$$kind.lock && \
	  checksum=$$(sha256sum < envs/$$kind.lock | cut -d ' ' -f 1) && \
	  sed -i "s,^bash .*,bash envs/install.sh $$kind $$checksum," envs/$$kind.post-deploy.sh || exit 1; \
	done

bench: $(if $(filter gpu,$(ACCELERATOR)),,setup .venv-bench/.finished) ## speed against PEFT: 30 minutes, or 8 with ACCELERATOR=gpu
	$(BENCH_PYTHON) -m benchmarks.run --accelerator $(BENCH_KIND) --shared "$$SHARED" --peer $(BENCH_PEER)
	@$(BENCH_PYTHON) -m benchmarks.report results/benchmarks/$(BENCH_KIND).json

docs: .venv-docs/.finished ## the documentation as pages, in site/
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict
	@echo "Documentation: site/index.html"

# PEFT and torch (2.3 GB: on x86-64 torch's wheel needs CUDA's libraries) and MkDocs never enter .venv.
.venv-%/.finished: envs/%.lock
	$(PYTHON) -m venv --clear .venv-$*
	.venv-$*/bin/python -m pip --quiet --disable-pip-version-check install --no-deps --require-hashes -r envs/$*.lock
	touch $@

IMAGE ?= promptscale
image: ## a container image from the lock (needs docker; ACCELERATOR=cpu, gpu or tpu)
	docker build --build-arg ACCELERATOR=$(or $(ACCELERATOR),cpu) --tag $(IMAGE):$(or $(ACCELERATOR),cpu) .

clean: ## remove results, figures and the state of Snakemake, but not .venv
	find results figures -mindepth 1 ! -name README.md ! -path 'results/published*' -delete
	rm -rf .snakemake
