# Everything runs in $(VENV), which the first command makes. PYTHON is what makes it.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help reproduce test test-slow check format install clean

help:
	@echo "make reproduce   train, evaluate, draw, write report/index.html (minutes)"
	@echo "make test        the tests (minutes); test-slow: the long ones"
	@echo "make check       format, lint, types, import rules; format: mend the format"
	@echo "make install     only set up $(VENV)"

reproduce: $(INSTALLED)
	$(BIN)/adaptrnn reproduce

test: $(INSTALLED)
	$(BIN)/python -m pytest -q

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -q -m slow --timeout 3600

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

install: $(INSTALLED)

# Python sources are used where they lie; only native code and dependencies are installed.
$(INSTALLED): pyproject.toml constraints.txt CMakeLists.txt $(shell find src -name '*.cpp' -o -name '*.hpp')
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist report runs
