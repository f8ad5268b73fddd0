# make book | make lab | make test | make notebooks | make results
# Another Python: make book PYTHON=python3.12
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SITE := _build/html
# One thread a process: two pytest workers share the cores, and sums come out the same everywhere.
ONE_THREAD := OMP_NUM_THREADS=1

.PHONY: help setup book lab test notebooks results lint site pytest clean

help:
	@echo "make book       build the book and say which page to open"
	@echo "make lab        open the notebooks in JupyterLab"
	@echo "make test       everything that the continuous integration checks"
	@echo "make notebooks  run all notebooks again and store their outputs in the normal form"
	@echo "make results    say which stored results are fresh, stale or missing"
	@echo "make results RUN=lessons/unpooling    make the results of one program again (RUN=stale: all)"
	@echo "make clean      remove the built book"

setup: $(INSTALLED)

book: setup
	$(BIN)/jupyter-book build .
	@echo
	@echo "Open this page in a browser: $(CURDIR)/$(SITE)/index.html"

lab: setup
	$(BIN)/jupyter-lab notebooks

notebooks: setup
	$(ONE_THREAD) CUDA_VISIBLE_DEVICES= $(BIN)/python tools/run_notebooks.py

# RUN=lessons/unpooling runs one program, RUN=stale all whose results are not fresh.
results: setup
	@$(ONE_THREAD) $(BIN)/python -m benchmarks.results $(if $(RUN),--run $(RUN))

# Two cores: the slow half of the checks of the sources runs beside the build of the book.
test: setup
	@$(MAKE) --no-print-directory -j2 lint site
	@$(MAKE) --no-print-directory pytest
	@echo "All checks passed."

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/test.yml

# From nothing: a page that Sphinx has cached would not repeat its warnings.
site: setup
	@rm -rf $(SITE)
	$(BIN)/jupyter-book build . -W -n --keep-going --all

# The tests and the notebooks in one call, so that both cores are busy until the end. The tests of
# the book's pages need the built site, and are skipped without it. The stored outputs come from
# the CPU.
pytest: setup
	$(ONE_THREAD) CUDA_VISIBLE_DEVICES= $(BIN)/pytest tests retina_course --nbval notebooks -n 2 --dist loadfile

clean:
	rm -rf _build

# Installs again only when one of these files has changed.
$(INSTALLED): requirements.txt constraints.txt pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install --requirement requirements.txt --constraint constraints.txt
	@touch $@

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "The course needs Python 3.11 to 3.13, and $(PYTHON) is" \
	    "$$($(PYTHON) --version 2>&1). Name another: make $(MAKECMDGOALS) PYTHON=python3.12"; \
	  exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Python could not make $(VENV). On Debian and Ubuntu: apt install python3-venv"; exit 1; }
