.PHONY: install demo test check docs bench
PYTHON ?= python3
BIN := .venv/bin
# Spinning OpenMP threads cost far more than they give on small machines; one thread is the fast choice there.
export OMP_NUM_THREADS ?= 1

install: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch .venv/installed

demo: install
	$(BIN)/flatrec demo --out demo --overwrite

test: install
	$(BIN)/pytest -n 2

docs: install
	$(BIN)/python docs/generate.py

# What a step of every model costs, and building the graph of 100,000 items. BENCH_DATA is any data folder, by default
# one the size of Amazon Baby, which is made first; BENCH_OUT holds the rows of the steps. It takes a while.
BENCH_DATA ?= runs/baby-like
BENCH_OUT ?= runs/steps.json

bench: install $(BENCH_DATA)
	$(BIN)/python benchmarks/neighbours.py --items 100000 --width 384 --neighbours 10
	$(BIN)/python benchmarks/steps.py --data $(BENCH_DATA) --out $(BENCH_OUT)

runs/baby-like:
	$(BIN)/flatrec data shop $@ --like baby --image-dim 4096 --text-dim 384

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test
