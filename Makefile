.PHONY: install demo test check docs bench gpu-check study-smoke
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

# The generated pages, then the site in build/site, whose links are checked.
docs: install
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/site/build.py

# Every benchmark that needs no other project, and the tables of docs/performance.md from it; BENCH_OUT gets the results
# as JSON. It takes an hour or so. benchmarks/incumbents.py, which needs a clone of MMRec, stands apart.
BENCH_OUT ?= runs/bench
bench: install runs/baby-like runs/clothing-like
	mkdir -p $(BENCH_OUT)
	$(BIN)/python benchmarks/products.py --out $(BENCH_OUT)/products.json
	$(BIN)/python benchmarks/evaluation.py --data runs/baby-like --out $(BENCH_OUT)/evaluation.json
	$(BIN)/python benchmarks/growth.py --out $(BENCH_OUT)/growth.json
	$(BIN)/python benchmarks/large.py --memory --out $(BENCH_OUT)/memory.json
	$(BIN)/python benchmarks/large.py --out $(BENCH_OUT)/large.json
	$(BIN)/python benchmarks/strategies.py --data runs/baby-like --strategies sam,bsam,bsam+ \
		--out $(BENCH_OUT)/strategies.json
	$(BIN)/python benchmarks/steps.py --data runs/baby-like --out $(BENCH_OUT)/steps.json
	$(BIN)/python benchmarks/steps.py --data runs/clothing-like --out $(BENCH_OUT)/steps_clothing.json
	$(BIN)/python benchmarks/baselines.py --data runs/baby-like --out $(BENCH_OUT)/baselines.json
	$(BIN)/python benchmarks/compiled.py --data runs/baby-like --out $(BENCH_OUT)/compiled.json
	$(BIN)/python benchmarks/processes.py --out $(BENCH_OUT)/processes.json
	$(BIN)/python benchmarks/neighbors.py --items 100000 --width 384 --neighbors 10
	$(BIN)/python benchmarks/tables.py $(BENCH_OUT) docs/performance.md

# What a GPU computes beside the CPU, and how fast, in six minutes; GPU=cpu tries the script at small sizes. MMREC names a
# clone of MMRec to compare with, REFERENCE the folder of the reference numbers where it is not ../shared/reference.
GPU ?= cuda
GPU_PYTHON ?= $(BIN)/python
gpu-check:
	$(GPU_PYTHON) benchmarks/gpu.py --device $(GPU) $(if $(filter cpu,$(GPU)),--small) \
		$(if $(MMREC),--mmrec $(MMREC)) $(if $(REFERENCE),--reference $(REFERENCE))

# Every study in miniature on the built-in shop, and a page of them all.
STUDIES := overall noise adjustment generalization competitors optimizers combinations batch-size convergence landscape parameters \
	interval theory
SMALL := --set training.epochs=3 --set training.loggers=none --set model.embedding_dim=16 --set optimizer.lr=0.01
SMOKE := runs/study-smoke
study-smoke: install
	for name in $(STUDIES); do \
		$(BIN)/flatrec study $$name --data shop --seeds 2 --out $(SMOKE)/$$name --runs $(SMOKE)/runs $(SMALL) || exit 1; \
	done
	$(BIN)/flatrec report $(addprefix $(SMOKE)/,$(STUDIES)) --out $(SMOKE)/report.html

runs/%-like:
	$(BIN)/flatrec data shop $@ --like $* --image-dim 4096 --text-dim 384

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test
	$(MAKE) docs
