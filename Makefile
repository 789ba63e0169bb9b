# make demo   sample videos -> features -> trained head -> report
#             make demo SAMPLE='--takes 2' renders fewer; `clipcache sample --help` has more
# make extras what the server, Ray, ONNX and OpenVINO need, beside what the tests need
# make test   the tests
# make test-pythons  the quick tests on every version of Python that is installed
# make check  linter, formatter, types
# make bench  the benchmarks
PYTHONS := python3.11 python3.12 python3.13
# The first that is installed; another one: make PYTHON=python3.13 demo
PYTHON ?= $(firstword $(foreach python,$(PYTHONS),$(shell $(python) -c '' 2>/dev/null && \
	echo $(python))) python3.11)
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Where it is set, as in many containers, each command would compile all that it imports again: 8 of
# the 14 seconds that importing TensorFlow then takes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo extras test test-pythons check bench lock clean

demo: $(VENV)/installed
	@echo "1 of 4: sample videos"
	@test -d data/raw || clipcache sample data/raw $(SAMPLE)
	@echo "2 of 4: what the CNN will see of them"
	@dvc repro frames
	@echo "Pictures: $(CURDIR)/reports/frames/"
	@echo "3 of 4: embeddings, the head and its report; the longest of them says how far it is"
	@dvc repro
	@echo "4 of 4: how good it is"
	@dvc metrics show
	@echo "Report: $(CURDIR)/reports/report.html"

extras: $(VENV)/installed-dev

test: $(VENV)/installed-dev
	pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)

# An environment for each; what pyenv has counts as installed.
QUICK := tests/commands tests/project/test_init.py
test-pythons: export PYENV_VERSION := $(shell pyenv versions --bare 2>/dev/null | paste -sd:)
test-pythons:
	@for python in $(PYTHONS); do \
		if ! $$python -c '' 2>/dev/null; then echo "$$python is not installed: left out"; continue; fi; \
		echo "$$python:"; \
		$(MAKE) --no-print-directory test PYTHON=$$python VENV=.venv-$$python ARGS="$(QUICK)" \
			|| exit 1; \
	done

check: $(VENV)/installed-dev
	ruff check .
	ruff format --check .
	mypy

bench: $(VENV)/installed-dev
	python -m bench $(ARGS)

# Exact versions with hashes; the package itself is installed as it lies here. uv unpacks many wheels
# at a time and takes a sixth of pip's time. It does not read pip's configuration, so it is told of
# the index there; where it fails all the same, pip goes on.
INDEX = $(or $(UV_DEFAULT_INDEX),$(PIP_INDEX_URL),$(shell $(BIN)/pip config get global.index-url \
	2>/dev/null))
install = $(BIN)/uv pip install --quiet --python $(BIN)/python $(if $(INDEX),--default-index $(INDEX)) \
	--require-hashes --no-deps --requirement $(1) || \
	$(BIN)/pip install --quiet --require-hashes --no-deps --requirement $(1)

$(VENV)/installed: requirements/base.txt requirements/uv.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --require-hashes --no-deps --requirement requirements/uv.txt
	@echo "Installing what clipcache needs into $(VENV): the first time it has to be fetched."
	$(call install,requirements/base.txt)
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/installed-dev: requirements/dev.txt $(VENV)/installed
	$(call install,requirements/dev.txt)
	@touch $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# Choose versions for all Pythons and systems at once: `make lock` keeps those that still fit
# pyproject.toml, `make lock UPGRADE=--upgrade` takes the newest. All extras first, as they restrict
# what the others may be. uv does not read pip's configuration: for an index of your own, say
# UV_DEFAULT_INDEX=... before it.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-emit-index-url --no-header $(UPGRADE)
lock: $(VENV)/installed-dev
	$(LOCK) --all-extras --output-file requirements/dev.txt pyproject.toml
	$(LOCK) --extra build --constraint requirements/dev.txt --output-file requirements/base.txt \
		pyproject.toml
	echo uv | $(LOCK) --constraint requirements/dev.txt --output-file requirements/uv.txt -
	$(LOCK) --extra build --extra serve --constraint requirements/dev.txt \
		--output-file requirements/serve.txt pyproject.toml

clean:
	rm -rf $(VENV) features models reports data/index.csv data/splits.csv
