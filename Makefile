# Every target sets up what it needs in .venv; Python >= 3.11, a C++20 compiler and make are enough.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

SOURCES = pyproject.toml CMakeLists.txt $(wildcard native/*)
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-fast lint format bench wheel clean

demo: $(VENV)/.installed
	$(BIN)/pellucid demo

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest

test-fast: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m "not slow"

lint: $(VENV)/.installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/clang-format --dry-run --Werror native/*.cpp native/*.hpp

format: $(VENV)/.installed-lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i native/*.cpp native/*.hpp

bench: $(VENV)/.installed-peers
	$(BIN)/python benchmarks/training_speed.py
	$(BIN)/python benchmarks/prediction_speed.py

wheel: $(VENV)/.installed
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) build dist

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python $(SOURCES)
	$(INSTALL) --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(INSTALL) --editable ".[test]"
	touch $@

$(VENV)/.installed-lint: $(VENV)/.installed
	$(INSTALL) --editable ".[lint]"
	touch $@

$(VENV)/.installed-peers: $(VENV)/.installed
	$(INSTALL) --editable ".[peers]"
	touch $@
