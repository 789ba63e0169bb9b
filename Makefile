# make demo   sample videos -> features -> trained head -> report
# make extras what the server, Ray, ONNX and OpenVINO need, beside what the tests need
# make test   the tests
# make check  linter, formatter, types
# make bench  the benchmarks
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo extras test check bench lock clean

demo: $(VENV)/installed
	@test -d data/raw || clipcache sample data/raw
	@dvc repro
	@dvc metrics show
	@echo "Report: $(CURDIR)/reports/report.html"

extras: $(VENV)/installed-dev

test: $(VENV)/installed-dev
	pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/installed-dev
	ruff check .
	ruff format --check .
	mypy

bench: $(VENV)/installed-dev
	python -m bench $(ARGS)

# Exact versions with hashes; the package itself is installed as it lies here.
$(VENV)/installed: requirements/base.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --require-hashes --no-deps -r requirements/base.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/installed-dev: requirements/dev.txt $(VENV)/installed
	$(BIN)/pip install --quiet --require-hashes --no-deps -r requirements/dev.txt
	@touch $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# Choose newer versions: edit pyproject.toml, then `make lock`. All extras first, as they restrict
# what the base may be.
lock: $(VENV)/installed-dev
	pip-compile --quiet --strip-extras --generate-hashes --allow-unsafe --no-emit-index-url \
		--no-emit-trusted-host --no-emit-find-links --no-header --all-extras \
		--output-file requirements/dev.txt pyproject.toml
	pip-compile --quiet --strip-extras --generate-hashes --allow-unsafe --no-emit-index-url \
		--no-emit-trusted-host --no-emit-find-links --no-header --extra build \
		--constraint requirements/dev.txt --output-file requirements/base.txt pyproject.toml

clean:
	rm -rf $(VENV) features models reports data/index.csv data/splits.csv
