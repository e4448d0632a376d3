# Everything runs in $(VENV), which the first command makes. PYTHON is what makes it.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help reproduce test test-slow check format install sanitize clean

help:
	@echo "make reproduce   train, evaluate, draw, write report/index.html (minutes)"
	@echo "make test        the tests (minutes); test-slow: the long ones"
	@echo "make check       format, lint, types, import rules; format: mend the format"
	@echo "make install     only set up $(VENV)"
	@echo "make sanitize    the kernels' tests under AddressSanitizer and UBSan (g++, minutes)"

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

SITE = build/sanitize/site
sanitize: $(INSTALLED)
	$(BIN)/python -m pip install -q -c constraints.txt cmake ninja nanobind
	PATH="$(abspath $(BIN)):$$PATH" cmake -S . -B build/sanitize -G Ninja -DADAPTRNN_SANITIZE=ON \
	  -DPython_EXECUTABLE=$(abspath $(BIN)/python)
	PATH="$(abspath $(BIN)):$$PATH" cmake --build build/sanitize
	rm -rf $(SITE) && mkdir -p $(SITE) && cp -r src/adaptrnn $(SITE)/
	cp build/sanitize/_cpu*.so $(SITE)/adaptrnn/kernels/
	LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libubsan.so)" \
	  ASAN_OPTIONS=detect_leaks=0 PYTHONPATH=$(SITE) $(BIN)/python -m pytest -q tests/kernels \
	  -o pythonpath=$(SITE) -k "not leak and not compile" --timeout 1800

# Python sources are used where they lie; only native code and dependencies are installed.
$(INSTALLED): pyproject.toml constraints.txt CMakeLists.txt $(shell find src -name '*.cpp' -o -name '*.hpp')
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist report runs
