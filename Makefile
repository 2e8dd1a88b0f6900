.PHONY: install demo test check docs
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

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test
