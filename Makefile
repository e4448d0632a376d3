# Everything runs in $(VENV), which the first command makes. PYTHON is what makes it.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
WORKERS ?= auto
INSTALLED = $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help reproduce test test-all test-slow test-variants test-machines test-pythons test-slurm \
  test-browser first-picture test-triton triton-interpreted triton-compiled check format docs install wheel neurons cognitive \
  sanitize test-amx test-gpu arm64 mutants audit clean

help:
	@echo "make reproduce     train, evaluate, analyse, draw, write report/index.html (minutes)"
	@echo "make test          the quick tests (minutes)"
	@echo "make test-all      the quick and the long ones (a quarter of an hour); test-slow: the slow ones"
	@echo "make test-variants the weakest instruction sets, and a random order (minutes)"
	@echo "make test-machines the tests as on other machines, to docs/reference/reliability.md (an hour)"
	@echo "make test-pythons  the tests in every Python that is here"
	@echo "make test-slurm    the workflow on a one-node Slurm (root on Debian; installs it)"
	@echo "make test-browser  explorer, site and report in a real browser (apt install chromium)"
	@echo "make test-triton   the kernels for GPUs, interpreted and compiled; needs no GPU (minutes)"
	@echo "make test-gpu      the tests that need an NVIDIA GPU"
	@echo "make test-amx      the kernels' tests with AMX emulated, and AVX-512 where it is missing"
	@echo "make check         format, lint, types, import rules, words of the pages; format: repair the format"
	@echo "make docs          the documentation as a site, to site/, with report and notebooks"
	@echo "make first-picture minutes from git clone to the first picture, in a new environment"
	@echo "make install       only set up $(VENV)"
	@echo "make wheel         build the wheel and try it in a clean environment"
	@echo "make neurons       the tests that need Brian2, pynwb and pynapple, in an environment of their own"
	@echo "make cognitive     the tests that need NeuroGym, in an environment of their own"
	@echo "make sanitize      the kernels' tests under AddressSanitizer and UBSan (g++, minutes)"
	@echo "make arm64         compile the kernels for ARM64 and check them under qemu (Debian)"
	@echo "make mutants       whether the tests of the analyses notice changes, to a page (long)"
	@echo "make audit         known vulnerabilities of the pinned versions (needs a network)"

reproduce: $(INSTALLED)
	$(BIN)/adaptrnn reproduce

test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile

EVERY = -m "not slow and not slurm and not browser and not triton and not gpu"
test-all: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile $(EVERY)

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -q -m slow --timeout 3600

# what the weakest processor does, and no help from the tests before; ORDER=N repeats an order
ORDER ?= $(shell date +%j)
test-variants: $(INSTALLED)
	ATEN_CPU_CAPABILITY=default ADAPTRNN_INSTRUCTION_SET=portable OMP_NUM_THREADS=1 \
	  $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile $(EVERY) \
	  tests/analysis tests/kernels
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile $(EVERY) \
	  -p randomly --randomly-seed=$(ORDER)

test-machines: $(INSTALLED)
	$(BIN)/python tests/machines.py --workers $(WORKERS) --page docs/reference/reliability.md

test-pythons: $(INSTALLED)
	for version in 3.10 3.11 3.12 3.13; do $(BIN)/mypy --python-version $$version || exit 1; done
	$(BIN)/python tests/pythons.py

test-slurm: $(INSTALLED)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[slurm]'
	$(BIN)/python -m pytest -q -m slurm --timeout 3600 tests/test_slurm.py

test-browser: docs
	$(BIN)/python -m pytest -q -m browser tests/browser

# Triton's interpreter and its compiler exclude each other in one process.
TRITON = $(BIN)/python -m pytest -q -m 'triton and not slow' --timeout 900
test-triton: $(INSTALLED)
	$(BIN)/python -m pip install -q -c constraints.txt triton
	$(MAKE) --no-print-directory -j2 -O triton-interpreted triton-compiled

triton-interpreted:
	OMP_NUM_THREADS=1 TRITON_INTERPRET=1 $(TRITON) \
	  tests/kernels/triton/test_interpreted.py tests/kernels/triton/test_programs.py

test-gpu: $(INSTALLED)
	$(BIN)/python -m pip install -q -c constraints.txt triton
	$(BIN)/python -m pytest -q -m gpu tests/test_gpu.py tests/kernels/triton/test_gpu.py

triton-compiled:
	OMP_NUM_THREADS=1 TRITON_CACHE_DIR=build/triton $(TRITON) tests/kernels/triton/test_compiled.py

# spelling, and words that are not plain English; what `adaptrnn report` writes is left out
PAGES = README.md CHANGELOG.md $(shell find docs -name '*.md')
check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell --dictionary - --dictionary .ci/words.txt $(PAGES)

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# the site has the report of results/night and executed notebooks: made again where what they show
# changed, which takes minutes
PROBED = $(wildcard src/adaptrnn/*.py src/adaptrnn/analysis/*.py src/adaptrnn/explore/*.py)
REPORTED = $(wildcard results/night/*) $(shell find src/adaptrnn/paper src/adaptrnn/report \
  src/adaptrnn/figure -name '*.py' -o -name '*.html')
NOTEBOOKS = $(patsubst %,build/notebooks/%.md,swap_layer probe_gru reproduce_figure explore)
docs: $(INSTALLED) $(NOTEBOOKS) build/report/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

build/notebooks/%.md: examples/%.py docs/assets/notebooks.py $(PROBED)
	$(BIN)/python docs/assets/notebooks.py $< $@

build/report/index.html: $(REPORTED)
	$(BIN)/adaptrnn report results/night --out build/report

install: $(INSTALLED)

first-picture:
	.ci/first-picture build/first-picture $(PYTHON)

wheel: $(INSTALLED)
	$(BIN)/python -m pip install -q build
	rm -rf dist && $(BIN)/python -m build --outdir dist .
	$(PYTHON) -m venv --clear build/wheel
	build/wheel/bin/python -m pip install -q -c constraints.txt torch
	build/wheel/bin/python -m pip install -q -c constraints.txt "$$(ls dist/*.whl)[train]" \
	  pytest pytest-timeout hypothesis
	build/wheel/bin/python -m pytest -q -o pythonpath= $(EVERY) -k "not thousand_calls and not compile" \
	  tests/kernels tests/test_activation.py tests/test_rnn.py
	build/wheel/bin/adaptrnn train digits --model arun --hidden-size 16 --controller-size 4 \
	  --epochs 1 --out build/wheel/run

neurons:
	$(PYTHON) -m venv build/neurons-venv
	build/neurons-venv/bin/python -m pip install -q -c constraints.txt torch
	grep -vi '^numpy==' constraints.txt > build/neurons-venv/constraints.txt
	build/neurons-venv/bin/python -m pip install -q -c build/neurons-venv/constraints.txt \
	  -e '.[train,analysis,neurons]' pynapple pytest pytest-timeout hypothesis
	build/neurons-venv/bin/python -m pytest -q -m "slow or not slow" tests/analysis/test_cell_model.py \
	  tests/analysis/test_cell_recording.py tests/test_recording.py

# NeuroGym pins NumPy, Matplotlib and Gymnasium
cognitive:
	$(PYTHON) -m venv build/cognitive-venv
	build/cognitive-venv/bin/python -m pip install -q -c constraints.txt torch
	grep -viE '^(numpy|matplotlib|scipy|pandas|xarray)==' constraints.txt \
	  > build/cognitive-venv/constraints.txt
	build/cognitive-venv/bin/python -m pip install -q -c build/cognitive-venv/constraints.txt \
	  -e '.[cognitive]' pytest pytest-timeout hypothesis
	build/cognitive-venv/bin/python -m pytest -q tests/tasks/test_cognitive.py

# instructions that the processor may lack; CMake remembers what it was told, so both ways are said
MISSING = -DADAPTRNN_EMULATE_AMX=ON \
  -DADAPTRNN_EMULATE_AVX512=$$(grep -qw avx512_bf16 /proc/cpuinfo && echo OFF || echo ON)

SITE = build/sanitize/site
# -S, since the editable install would put its own kernels before those of $(SITE)
SANITIZED = LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libubsan.so)" \
  ASAN_OPTIONS=detect_leaks=0 \
  PYTHONPATH=$(SITE):$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
  $(BIN)/python -S
sanitize: $(INSTALLED)
	$(BIN)/python -m pip install -q -c constraints.txt cmake ninja nanobind
	PATH="$(abspath $(BIN)):$$PATH" cmake -S . -B build/sanitize -G Ninja -DADAPTRNN_SANITIZE=ON \
	  $(MISSING) -DPython_EXECUTABLE=$(abspath $(BIN)/python)
	PATH="$(abspath $(BIN)):$$PATH" cmake --build build/sanitize
	rm -rf $(SITE) && mkdir -p $(SITE) && cp -r src/adaptrnn $(SITE)/
	cp build/sanitize/_cpu*.so $(SITE)/adaptrnn/kernels/
	$(SANITIZED) -c 'from adaptrnn.kernels import native; print(native._module.__file__)' | grep $(SITE)
	$(SANITIZED) -m pytest -q tests/kernels $(EVERY) \
	  -o pythonpath=$(SITE) -k "not thousand_calls and not compile" --timeout 1800

# without -n, whose processes would take the kernels of the editable install
EMULATED = build/amx/site
WITH_EMULATED = OMP_NUM_THREADS=1 \
  PYTHONPATH=$(EMULATED):$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
  $(BIN)/python -S
test-amx: $(INSTALLED)
	$(BIN)/python -m pip install -q -c constraints.txt cmake ninja nanobind
	PATH="$(abspath $(BIN)):$$PATH" cmake -S . -B build/amx -G Ninja $(MISSING) \
	  -DPython_EXECUTABLE=$(abspath $(BIN)/python)
	PATH="$(abspath $(BIN)):$$PATH" cmake --build build/amx
	rm -rf $(EMULATED) && mkdir -p $(EMULATED) && cp -r src/adaptrnn $(EMULATED)/
	cp build/amx/_cpu*.so $(EMULATED)/adaptrnn/kernels/
	$(WITH_EMULATED) -c 'from adaptrnn.kernels import native; print(native._module.__file__)' \
	  | grep $(EMULATED)
	$(WITH_EMULATED) -m pytest -q -o pythonpath=$(EMULATED) $(EVERY) \
	  tests/kernels/test_precision.py tests/kernels/test_native.py tests/kernels/test_leak.py

# needs g++-aarch64-linux-gnu and qemu-user
ARM = aarch64-linux-gnu-g++ -std=c++17 -O2 -ffp-contract=fast -fno-math-errno -fno-trapping-math \
  -Wall -Wextra -Wno-psabi
INCLUDE = $$($(BIN)/python -c 'import nanobind, sysconfig; \
  print("-I" + sysconfig.get_path("include"), "-I" + nanobind.include_dir())')
arm64: $(INSTALLED)
	mkdir -p build/arm64 && $(BIN)/python -m pip install -q -c constraints.txt nanobind
	$(ARM) -fPIC -DADAPTRNN_ISA=portable -c src/adaptrnn/kernels/cpu/tiles.cpp -o build/arm64/tiles.o
	$(ARM) -fsyntax-only $(INCLUDE) src/adaptrnn/kernels/cpu/module.cpp
	$(ARM) -static -pthread tests/kernels/portable.cpp build/arm64/tiles.o -o build/arm64/check
	qemu-aarch64 build/arm64/check

mutants: $(INSTALLED)
	$(BIN)/python tests/mutants.py --page docs/explanation/tests.md

audit: $(INSTALLED)
	$(PYTHON) -m venv build/audit && build/audit/bin/pip install -q pip-audit
	$(BIN)/python .ci/audit.py build/audit/bin/pip-audit constraints.txt

# Python sources are used where they lie; only native code and dependencies are installed.
$(INSTALLED): pyproject.toml constraints.txt CMakeLists.txt $(shell find src -name '*.cpp' -o -name '*.hpp')
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist report runs site
