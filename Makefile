# `make demo` and `make test` do everything on a machine with Python 3.11, pip and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
RUN ?= runs/demo
WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

help:  ## what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Fail in a Python that is too old, and where pip is missing or half there: INSTALLER is written last.
RECENT := import sys; sys.exit(sys.version_info < (3, 11))
PIP := from importlib.metadata import distribution; assert distribution("pip").read_text("INSTALLER")

$(BIN)/installed: pyproject.toml constraints.txt
	@{ $(BIN)/python -c '$(RECENT)' && $(BIN)/python -c '$(PIP)'; } 2>/dev/null || { \
	  $(PYTHON) -c '$(RECENT)' 2>/dev/null || { \
	    echo "'$(PYTHON)' is not Python 3.11 or later: install it, or say where it is, as in" \
	      "'make $(or $(MAKECMDGOALS),install) PYTHON=/usr/bin/python3.11'." >&2; exit 1; }; \
	  $(PYTHON) -m venv $(if $(wildcard $(VENV)/pyvenv.cfg),--clear) $(VENV); }
	$(BIN)/python -m pip install --quiet --editable '.[dev,minatar]' --constraint constraints.txt
	touch $@

install: $(BIN)/installed  ## the virtual environment with everything in it

demo: install  ## trains DQN on CartPole, evaluates it over 100 episodes and films it
	$(BIN)/dopamine-lite train --base_dir $(RUN) --gin_files dqn/cartpole.gin
	$(BIN)/dopamine-lite evaluate --base_dir $(RUN) --episodes 100
	$(BIN)/dopamine-lite record --base_dir $(RUN) --output $(RUN)/cartpole.gif
	@echo "Its curves: $(BIN)/tensorboard --logdir $(RUN)/logs"

test: install  ## the tests of every part, on WORKERS=2 cores
	$(PYTEST) -m "not exhaustive and not oracle and not extras and not learning"

test-all: test  ## besides those every kill, config, document and combination
	$(PYTEST) --dist loadgroup -m "exhaustive and not extras and not learning"

test-oracle: install  ## losses beside another implementation of them (rlax, on JAX), policies in ONNX
	$(BIN)/python -m pip install --quiet --editable '.[oracle,onnx]' --constraint constraints.txt
	$(PYTEST) --dist load -m oracle tests/losses tests/networks

test-extras: install  ## Ray, Optuna, Weights & Biases, MLflow; the report in a browser
	$(BIN)/python -m pip install --quiet --editable '.[mlflow,optuna,ray,wandb]' --constraint constraints.txt
	$(PYTEST) --dist loadfile -m extras

test-learning: install  ## the slow tests: agents reach stated returns
	$(BIN)/python -m pytest -m learning

test-gpu: install  ## a GPU beside the CPU, on a machine that has one
	$(BIN)/python -m pytest -rs -m gpu tests/gpu

bench: install  ## speed beside the floor, updates of each agent, a million frames of replay; quiet machine, hours
	$(BIN)/python benchmarks/bench.py speed --save
	$(BIN)/python benchmarks/bench.py updates --save
	$(BIN)/python benchmarks/growth.py --save --agents dqn ppo --num_envs 1 8 32 64
	$(BIN)/python benchmarks/growth.py --save --game cartpole --hidden_units 32 64 128 256 512 1024
	$(BIN)/python benchmarks/growth.py --save --replay_capacity 10000 100000 1000000 --fill 10000
	$(BIN)/python benchmarks/peers/page.py
	$(BIN)/python benchmarks/bench.py replay
	$(BIN)/python benchmarks/bench.py replay --compress
	$(BIN)/python benchmarks/bench.py options

bench-peers: install  ## speed beside other frameworks, into docs/results/speed.md; PEERS=, WORKLOADS=, ROUNDS= and AGAIN=1
	$(BIN)/python benchmarks/peers/measure.py $(if $(PEERS),--peers $(PEERS)) \
	  $(if $(WORKLOADS),--workloads $(WORKLOADS)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(AGAIN),--again)
	$(BIN)/python benchmarks/peers/page.py
	$(BIN)/python tools/figures/speed.py

bench-replays: install  ## memory of replays, checkpoints and going on, beside other frameworks; PEERS=, FRAMES=
	$(BIN)/python benchmarks/peers/measure_replays.py $(if $(PEERS),--peers $(PEERS)) \
	  $(if $(FRAMES),--frames $(FRAMES))
	$(BIN)/python benchmarks/peers/page.py

SUITES := classic box2d minatar classics policy_lag precision pong atari60
$(SUITES:%=baselines-%): install  # in runs/baselines; goes on where it was stopped; SWEEP=--collect: into the tables, too
	$(BIN)/python baselines/suite.py $(@:baselines-%=%) $(SWEEP)

baselines:  ## how to run a suite of baselines: make baselines-classic SWEEP="--seeds 0:3", and others
	@echo "make $(SUITES:%=baselines-%), with flags of sweep as SWEEP='--seeds 0:3 --parallel 1'"
	@echo "SWEEP=--collect also puts the results into the tables of baselines/ and docs/"

NOTEBOOKS ?= $(wildcard notebooks/*.ipynb)
notebooks: install  ## executes the notebooks anew and stores their outputs; NOTEBOOKS="notebooks/5_policies.ipynb"
	$(BIN)/python tools/run_notebooks.py $(NOTEBOOKS)

docs: install  ## the documentation as a site, in build/site
	$(BIN)/python -m pip install --quiet --editable '.[docs]' --constraint constraints.txt
	$(BIN)/python tools/site/generate.py
	PYTHONPATH=tools/site $(BIN)/zensical build --strict

docs-serve: docs  ## the same at http://localhost:8000, renewed when a page changes
	PYTHONPATH=tools/site $(BIN)/zensical serve

lint: install  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install  ## puts the code into its format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

release-check: install  ## builds and installs wheel and sdist in empty environments of PYTHONS="python3.11 python3.12"
	BUILDER=$(BIN)/python tools/check_release.sh $(or $(PYTHONS),$(PYTHON))

clean:  ## removes the virtual environment and caches, no runs
	rm -rf $(VENV) .peers .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist

.PHONY: help install demo test test-all test-oracle test-extras test-learning test-gpu bench bench-peers bench-replays baselines $(SUITES:%=baselines-%) notebooks docs docs-serve lint format release-check clean
.DEFAULT_GOAL := help
