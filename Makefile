# make study   what polluted training data cost, on real handwritten digits; two minutes, two cores
# make test    the test suite, but for the faults
# make faults  studies that are killed, starved and cut off in every way that docs/faults.md names
# make ui      MLflow on loopback, on the store of the last study: STORE=results/NAME for another
# make report  the report of that store as a page
# make docs    the documents as a site: site/index.html
# make lint    ruff, mypy, import-linter
# make audit   known vulnerabilities of the pinned packages; asks the package index
# make setup   .venv alone
# make lock    resolve the pinned versions anew (needs uv)
# make clean   remove .venv and caches; results/ stays

VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' \
	2>/dev/null && echo $$p && break; done)

STORE  ?= $(shell ls -td results/*/store.json 2>/dev/null | head -1 | sed 's,/store.json$$,,')
PORT   ?= 5000
TESTS  ?= --ignore=tests/faults
QUOTED  = '$(subst ','\'',$(STORE))'

.PHONY: study test faults ui report docs lint audit setup lock clean

study: setup
	$(BIN)/python studies/pollution_robustness.py --preset quick

test: setup
	$(BIN)/python -m pytest $(TESTS)

faults: setup
	$(BIN)/python -m pytest tests/faults

ui: setup
	@test -f $(QUOTED)/store.json || { echo "no store at" $(QUOTED)"; run make study, or give STORE=..."; exit 1; }
	@echo "MLflow of" $(QUOTED)": on 127.0.0.1:$(PORT) (Ctrl-C ends it)"
	MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow server \
		--host 127.0.0.1 --port $(PORT) --workers 1 --allowed-hosts "127.0.0.1:*,localhost:*" \
		--backend-store-uri "$$($(BIN)/python -m tracking.mlflow.place $(QUOTED))"

report: setup
	@test -f $(QUOTED)/store.json || { echo "no store at" $(QUOTED)"; run make study, or give STORE=..."; exit 1; }
	$(BIN)/python -m tracking.report $(QUOTED)

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html; with search: $(BIN)/python -m http.server --bind 127.0.0.1 --directory site"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: setup
	$(BIN)/python .ci/audit.py

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed; give one as PYTHON=..."; exit 1; }
	@echo "installing pinned packages into $(VENV) (several GB with torch; minutes the first time)"
	@if command -v uv >/dev/null; then \
		uv venv --quiet --allow-existing --python "$(PYTHON)" $(VENV) && \
		uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock && \
		uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e . ; \
	else \
		"$(PYTHON)" -m venv $(VENV) && \
		$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock && \
		$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . ; \
	fi
	@touch $(STAMP)

lock:
	printf 'torch==2.14.1\ntorchvision==0.29.1\n' | uv pip compile pyproject.toml --extra dev \
		--universal --python-version 3.11 --constraint /dev/stdin --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --quiet -o requirements.lock

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
