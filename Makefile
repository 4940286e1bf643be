# make up      install into .venv, then start the demo in the foreground
# make test    the whole suite        make check   format, lint, types, floors
# make bench   measure the hot paths: ROWS="refresh jwks" ARGS="--seconds 5"
# make soak    everything at once with faults: MINUTES=3 SEED=7 ARGS="--json soak.json"
# make clean   delete .venv, data and caches        make lock   write the locks anew
.PHONY: up test bench soak check clean lock help
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin

help:
	@sed -n 's/^# //p' Makefile

up: $(VENV)/stack.done
	@exec $(BIN)/bartizan up --demo

test: $(VENV)/dev.done
	@$(BIN)/python -m pytest

bench: $(VENV)/dev.done
	@$(BIN)/python -m benchmarks $(ROWS) $(ARGS)

MINUTES ?= 3
soak: $(VENV)/dev.done
	@$(BIN)/python -m tests.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(ARGS)

check: $(VENV)/dev.done
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# Each mark is written last, and again when its lock changes: an aborted run is taken up where it stopped.
$(VENV)/%.done: requirements/%.lock pyproject.toml .ci/install
	@sh .ci/install $* $(VENV)

clean:
	@if [ -x $(BIN)/bartizan ] && [ -d .bartizan ]; then $(BIN)/bartizan reset --yes; fi
	@rm -rf $(VENV) .bartizan .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# Needs uv. Universal: one lock for every Python and machine that we support.
COMPILE := uv pip compile -q pyproject.toml requirements/build.in --extra stack --extra engines \
	--universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url
lock:
	@$(COMPILE) $(UPGRADE) -o requirements/stack.lock
	@$(COMPILE) $(UPGRADE) --extra dev -c requirements/stack.lock -o requirements/dev.lock
