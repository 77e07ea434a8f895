# A convenience: everything works without it (`pip install .`, then `ssl-robust demo`).
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo test lint wheel clean

demo: $(INSTALLED)  ## all three stages on the embedded phantoms; says where report.html is
	$(BIN)/ssl-robust demo out=runs/demo overwrite=true

test: $(INSTALLED)  ## the whole suite; PYTEST_ARGS="-m 'not slow'" for the quick part
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(INSTALLED)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

wheel: $(INSTALLED)  ## dist/*.whl, with the configuration inside
	$(BIN)/python -m build --wheel

clean:
	rm -rf .venv dist build *.egg-info

# constraints.txt holds the versions that the tests passed with; pyproject.toml what is allowed.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "ssl-robust needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; set PYTHON=python3.12 or the like")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	@touch $@
