# `make demo` on a new machine is all that a first look takes: python3, its venv module and make must be there.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
TIME ?= 3m
QUICK := not ray and not slow and not study and not postgres and not browser and not gpu
LONG := (slow or study) and not alone and not ray and not postgres and not browser and not gpu

.PHONY: install demo test lint types tests quick format docs clean

install: $(STAMP)

# Made again when a pin or a dependency changes; a half-made one has no stamp and is completed the next time.
$(STAMP): constraints.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	# First, as the pip that comes with Python may write a slower script, in which Ctrl-C prints a traceback.
	$(BIN)/python -m pip install --quiet -c constraints.txt pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dashboard,dev,export,hf,mlflow,mysql,openvino,plot,postgresql,serve]"
	# Tests of pages run the axe-core in it; the browser that it would bring is not used.
	$(BIN)/python -m pip install --quiet --no-deps -c constraints.txt axe-playwright-python
	touch $(STAMP)

demo: install
	$(BIN)/automl fit digits --time-limit $(TIME)

test: lint types tests

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

# Small tests and studies share two cores, studies file by file for their fixtures. Those that start Ray or servers, or
# that the speed of the machine decides, have them to themselves, in a process that is new.
tests: quick
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "$(LONG)"
	$(BIN)/python -m pytest -m "not ($(QUICK)) and not ($(LONG))"

# While you work: no Ray, no server, no whole study, nothing that trains for long.
quick: install
	$(BIN)/python -m pytest -n 2 -m "$(QUICK)"

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install
	$(BIN)/python -m automl.cli.reference > docs/reference/cli.md

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
