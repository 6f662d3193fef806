# Every target sets up what it needs in .venv; Python >= 3.11, a C++20 compiler and make are enough.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
OLDEST = .venv-oldest

SOURCES = pyproject.toml CMakeLists.txt $(wildcard native/*)
PIP = $(BIN)/python -m pip --quiet --disable-pip-version-check
# What builds the engine lies in the same environment, so that nothing is compiled twice.
INSTALL = $(PIP) install --no-build-isolation

.PHONY: demo test test-fast test-oldest lint format bench wheel sanitize sanitize-address sanitize-thread clean

demo: $(VENV)/.installed
	$(BIN)/pellucid demo

# Independent tests run side by side, those marked `alone` after them one by one; both have to pass.
test: $(VENV)/.installed-test
	$(call run_tests)

test-fast: $(VENV)/.installed-test
	$(call run_tests,and not slow)

run_tests = failed=0; \
	$(BIN)/python -m pytest --numprocesses=logical --dist=worksteal -m "not alone $(1)" || failed=1; \
	$(BIN)/python -m pytest -m "alone $(1)" || failed=1; \
	exit $$failed

# What scikit-learn asks of estimators, with the oldest version of all that Pellucid needs; these have
# wheels for Python 3.11 and 3.12.
test-oldest: wheel $(OLDEST)/.installed
	$(OLDEST)/bin/python -m pip install --quiet --no-index --no-deps --force-reinstall --find-links dist pellucid
	$(OLDEST)/bin/python -m pytest -q -p no:cacheprovider tests/models/test_scikit_learn_test_mlp.py \
	  tests/models/test_estimator_checks.py tests/models/tabular/test_scikit_learn_checks.py \
	  tests/models/network/test_scikit_learn.py tests/models/test_agreement_with_scikit_learn.py \
	  tests/models/exchange/test_scikit_learn.py tests/tables/test_scikit_learn_versions.py

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
	$(PIP) wheel --no-build-isolation --no-deps --wheel-dir dist .

# The engine's tests with the core under sanitizers (GCC on Linux), one instruction set, each build in
# a folder of its own. An editable install would be found first, so the virtual environment's own
# python is not used, only its packages. The addresses of GCC's thread sanitizer are fixed: setarch -R.
sanitize: sanitize-address sanitize-thread

sanitize-address: SANITIZERS = address,undefined
sanitize-address: RUNTIMES = libasan.so libstdc++.so
sanitize-thread: SANITIZERS = thread
sanitize-thread: RUNTIMES = libtsan.so

sanitize-address sanitize-thread: sanitize-%: $(VENV)/.installed-sanitize
	$(BIN)/cmake -S . -B build/sanitize/$* -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja \
	  -DCMAKE_BUILD_TYPE=Release -DPELLUCID_SANITIZE=$(SANITIZERS) -DPELLUCID_ONLY=avx2 \
	  -DPython_EXECUTABLE=$(abspath $(BIN))/python \
	  -Dnanobind_DIR=$$($(BIN)/python -m nanobind --cmake_dir)
	$(BIN)/cmake --build build/sanitize/$*
	rm -rf build/sanitize/$*/site && mkdir build/sanitize/$*/site
	cp -r src/pellucid build/sanitize/$*/site && rm -f build/sanitize/$*/site/pellucid/engine/*.so
	$(BIN)/cmake --install build/sanitize/$* --prefix build/sanitize/$*/site
	PYTHONPATH=$(CURDIR)/build/sanitize/$*/site:$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
	  PELLUCID_ISA=avx2 PELLUCID_SANITIZER=$* LD_PRELOAD="$(foreach name,$(RUNTIMES),$(shell $(CXX) -print-file-name=$(name)))" \
	  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	  TSAN_OPTIONS=halt_on_error=1:report_signal_unsafe=0:ignore_noninstrumented_modules=1:die_after_fork=0 \
	  setarch -R $$($(BIN)/python -c 'import sys; print(sys._base_executable)') \
	  -m pytest -q -p no:cacheprovider tests/engine tests/training/test_together.py tests/training/test_replay.py

clean:
	rm -rf $(VENV) $(OLDEST) build dist

$(VENV)/.build-tools:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install "scikit-build-core>=0.11" "nanobind>=2.7" cmake ninja
	touch $@

$(VENV)/.installed: $(VENV)/.build-tools $(SOURCES)
	$(INSTALL) --editable .
	touch $@

$(OLDEST)/.installed: pyproject.toml .ci/oldest_versions.py $(VENV)/.build-tools
	$(BIN)/python -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check \
	  $$($(BIN)/python .ci/oldest_versions.py)
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(INSTALL) --editable ".[test]"
	touch $@

$(VENV)/.installed-lint: $(VENV)/.installed
	$(INSTALL) --editable ".[lint]"
	touch $@

$(VENV)/.installed-sanitize: $(VENV)/.installed-test
	$(INSTALL) --editable ".[sanitize]"
	touch $@

$(VENV)/.installed-peers: $(VENV)/.installed
	$(INSTALL) --editable ".[peers]"
	touch $@
