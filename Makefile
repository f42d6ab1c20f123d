# `make demo` and `make test` set up the environments that they need.

# To choose the Python: make PYTHON=/path/to/python3.12 demo
PYTHON ?= python3.11 python3.12 python3.13 python3.10 python3 python

VENV := .venv
VENV_TFLITE := .venv-tflite
VENV_MEDIAPIPE := .venv-mediapipe
VENV_TASKLIB := .venv-tasklib
DEMO := demo-output
DOCS := build-docs
SETUP := PYTHONS="$(PYTHON)" sh .ci/setup
SOURCES := $(shell find edge_ssd converters device_apps -type f ! -path '*/__pycache__/*' ! -name '*.keras')
PIP := python -m pip --disable-pip-version-check --quiet

.PHONY: help demo docs docs-samples test fuzz soak check test-workstation test-python test-converters test-training test-device \
	test-tflite test-arm arm-table packages clean distclean

help:
	@echo "make demo       convert and verify the shipped banana detector, run it on a clip, see $(DEMO)/"
	@echo "make docs       the API reference, see $(DOCS)/index.html"
	@echo "make docs-samples  run the commands that README.md and docs/ show, and write what they print now"
	@echo "make test       every check and every test"
	@echo "make fuzz       readers of damaged and hostile files, for FUZZ_SECONDS=1800"
	@echo "make soak       four cameras that fail again and again, for MINUTES=60"
	@echo "make test-arm   the runtime on emulated ARM systems, part of \`make test\` (Debian 12 with qemu-user and gcc)"
	@echo "make arm-table  count the instructions of a detection on ARM again, see docs/arm.md"
	@echo "make packages   sdist and wheel, checked and run in clean environments, see dist/"
	@echo "make check      formatting, lint, types, import rules"
	@echo "make clean      remove the files of demo, tests and builds"
	@echo "make distclean  clean, and remove the virtual environments"
	@echo
	@echo "The first run sets up $(VENV) (Python 3.11 to 3.13). PYTHON=... chooses the Python."

# ---- environments -----------------------------------------------------------------------------------------

$(VENV)/ready-demo: pyproject.toml .ci/constraints.txt .ci/setup
	@$(SETUP) $(VENV) .ci/constraints.txt -e '.[train,camera]'
	@touch $@

$(VENV)/ready-test: pyproject.toml .ci/constraints.txt .ci/setup
	@$(SETUP) $(VENV) .ci/constraints.txt -e '.[train,camera,dev]'
	@touch $@ $(VENV)/ready-demo

# The oldest supported versions: tflite-runtime (no wheel after CPython 3.11), NumPy 1 and Pillow of Debian Bookworm.
$(VENV_TFLITE)/ready: pyproject.toml .ci/constraints-tflite.txt .ci/setup
	@OLDEST=10 NEWEST=11 $(SETUP) $(VENV_TFLITE) .ci/constraints-tflite.txt \
		tflite-runtime numpy pillow opencv-python pytest pytest-timeout hypothesis
	@touch $@

# Installed from a wheel, so that a file that is missing in the wheel is missing in the tests too.
$(VENV_TFLITE)/installed: $(VENV_TFLITE)/ready $(SOURCES) README.md
	@rm -rf build
	@$(VENV_TFLITE)/bin/$(PIP) install --no-deps --no-build-isolation --force-reinstall .
	@rm -rf build
	@touch $@

# Other programs that read our files. Each pins versions that conflict with the environments above.
$(VENV_MEDIAPIPE)/ready: .ci/constraints-mediapipe.txt .ci/setup
	@$(SETUP) $(VENV_MEDIAPIPE) .ci/constraints-mediapipe.txt mediapipe
	@touch $@

$(VENV_TASKLIB)/ready: .ci/constraints-tasklib.txt .ci/setup
	@OLDEST=10 NEWEST=11 $(SETUP) $(VENV_TASKLIB) .ci/constraints-tasklib.txt tflite-support tflite-runtime numpy
	@touch $@

# ---- demo -------------------------------------------------------------------------------------------------

demo: export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
demo: $(VENV)/ready-demo
	@rm -rf $(DEMO) && mkdir -p $(DEMO)
	edge-ssd data make --to $(DEMO)/data --train 128 --val 64
	edge-ssd convert converters/models/banana.keras --data $(DEMO)/data --quantize int8 --out $(DEMO)/banana.tflite
	edge-ssd verify $(DEMO)/banana.tflite --against converters/models/banana.keras --data $(DEMO)/data --report $(DEMO)/report.html
	edge-ssd camera --model $(DEMO)/banana.tflite --source device_apps/clips/bananas.mp4 --headless \
		--save-video $(DEMO)/bananas.mp4 --snapshot $(DEMO)/bananas.png
	@echo
	@echo "Done. Look at:"
	@echo "  $(DEMO)/bananas.png     an annotated frame of the clip (bananas.mp4: all frames)"
	@echo "  $(DEMO)/report.html     comparison of the float and the int8 model"
	@echo "  $(DEMO)/banana.tflite   the detector, one file: edge-ssd inspect $(DEMO)/banana.tflite"
	@echo "Then with a webcam: $(VENV)/bin/edge-ssd camera --source 0"

# ---- API reference ----------------------------------------------------------------------------------------

# The tests build it too; warnings are errors, such as a reference in a docstring that has no target.
docs: $(VENV)/ready-test
	$(VENV)/bin/python -m sphinx --fail-on-warning --keep-going -q -b html docs/api $(DOCS)
	@echo "Done. Open $(DOCS)/index.html"

# The tests compare them; figures of commands that take long are measured by hand, see tests/doc_samples.py.
docs-samples: $(VENV)/ready-test
	$(VENV)/bin/python tests/doc_samples.py --write

# ---- tests ------------------------------------------------------------------------------------------------

check: $(VENV)/ready-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# Three jobs at once, since most tests use at most one core, in this order: the long ones first, so that no core idles at
# the end. All but the first print their output when they end.
ARM_LANES := aarch64-litert aarch64-tflite armhf-tflite
ARM_TARGETS := test-arm-instructions test-arm-bookworm $(ARM_LANES:%=test-arm-%)
LANES := test-training test-converters test-device $(ARM_TARGETS) test-tflite
test: $(VENV)/ready-test $(VENV_TFLITE)/installed $(VENV_MEDIAPIPE)/ready $(VENV_TASKLIB)/ready
	@$(MAKE) --no-print-directory --jobs=3 test-workstation $(LANES:%=%.log)

# One recipe: a prerequisite would give its place back, and the tests would start after all other lanes.
test-workstation: $(VENV)/ready-test
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory test-python

test-%.log:
	@mkdir -p build-tests
	@$(MAKE) --no-print-directory --jobs=1 test-$* >build-tests/$*.log 2>&1; \
		status=$$?; cat build-tests/$*.log; exit $$status

test-python: $(VENV)/ready-test $(VENV_TFLITE)/ready $(VENV_MEDIAPIPE)/ready $(VENV_TASKLIB)/ready
	$(VENV)/bin/python -m pytest --ignore-glob='tests/test_arm_*' --ignore-glob='tests/test_device_*' \
		--ignore-glob='tests/test_training_*' --ignore=tests/test_commands_train.py \
		--ignore-glob='tests/test_converters_*' --ignore=tests/test_commands_data_options.py

test-converters: $(VENV)/ready-test $(VENV_TFLITE)/ready $(VENV_MEDIAPIPE)/ready $(VENV_TASKLIB)/ready
	$(VENV)/bin/python -m pytest tests/test_converters_*.py tests/test_commands_data_options.py

test-training: $(VENV)/ready-test
	$(VENV)/bin/python -m pytest tests/test_training_*.py tests/test_commands_train.py

test-device: $(VENV)/ready-test $(VENV_TFLITE)/ready
	$(VENV)/bin/python -m pytest tests/test_device_*.py

# The runtime and its dependencies, with the old interpreter. `pytest`, not `python -m pytest`, which would import from
# this folder instead of the installed wheel.
TFLITE_TESTS = $(wildcard tests/test_anchors.py tests/test_atomic_write.py tests/test_boxes.py tests/test_checks.py tests/test_coding.py \
	tests/test_delegate.py tests/test_network.py tests/test_nms.py tests/test_reference_*.py tests/test_runtime_*.py)
test-tflite: $(VENV_TFLITE)/installed
	$(VENV_TFLITE)/bin/pytest $(TFLITE_TESTS)

# The programs that `make test` runs for a few seconds, with other seeds until the time is over.
FUZZ_SECONDS ?= 1800
fuzz: $(VENV)/ready-test
	$(VENV)/bin/python tests/fuzz.py $(FUZZ_SECONDS)

MINUTES ?= 60
soak: $(VENV)/ready-test
	$(VENV)/bin/python tests/benchmarks/failure_soak.py $(MINUTES)

# Emulated systems, see docs/arm.md, in parallel, each with its own output. Downloaded once, into .arm/.
.PHONY: $(ARM_TARGETS)
test-arm: $(VENV)/ready-test
	@$(MAKE) --no-print-directory --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync) $(ARM_TARGETS)

test-arm-bookworm:
	$(VENV)/bin/python -m pytest tests/test_arm_bookworm.py

test-arm-instructions:
	$(VENV)/bin/python -m pytest tests/test_arm_instructions.py

$(ARM_LANES:%=test-arm-%): test-arm-%:
	$(VENV)/bin/python -m pytest tests/test_arm_lanes.py -k $*

arm-table: $(VENV)/ready-test
	$(VENV)/bin/python tests/arm/measure.py --write

# PYTHONS="/path/to/python3.10 ..." names the Pythons; needs a package index and several gigabytes.
packages:
	@.ci/packages

clean:
	rm -rf $(DEMO) $(DOCS) build build-tests build-packages dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find edge_ssd converters device_apps tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) $(VENV_TFLITE) $(VENV_MEDIAPIPE) $(VENV_TASKLIB) .arm
