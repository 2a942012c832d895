# Everything runs in .venv, made from PYTHON and the hash-checked pins in .constraints.
PYTHON ?= python3
BIN := .venv/bin
RUNTIME := .venv/runtime.stamp
DEV := .venv/dev.stamp
BENCH := .venv/bench.stamp
# Modules are compiled once, as those of an installed package are, whatever the environment says: processes start faster.
export PYTHONDONTWRITEBYTECODE :=
# The test files of a folder, but those of some names.
but = $(filter-out $(patsubst %,$1/test_%.py,$2),$(wildcard $1/test_*.py))
# Tests that ask no database anything that the other kind may answer otherwise: they are about HTTP, files and buckets,
# texts, processes and clients, meet no database, name all of theirs, or send no statement that others do not send as
# well. They run once, on SQLite; all others on both.
ONCE := $(call but,tests/e2e,backup hub_between hub_replicas races resumable_uploads workers) \
	$(addprefix tests/,access blobs client connection disk process remote routes/front \
	terms wire $(addprefix cli/test_,commands.py copy_database.py entry.py health.py provider.py sign_in_link.py) \
	$(addprefix routes/oauth/test_,forgeries.py github_jobs.py gitlab_jobs.py keys.py pods.py revocation.py) \
	$(addprefix crash/test_,cuts.py kill_uploads.py stop.py) \
	$(addprefix faults/test_,counting.py damage.py disk.py file_systems.py odd_storage.py) \
	$(addprefix hostile/test_,encoded_forms.py forms.py http_framing.py large_requests.py order_of_work.py rfc_models.py) \
	$(addprefix routes/gitlab/test_,bad_uploads.py named_authorize.py) \
	$(addprefix routes/http/test_,announced.py bodies.py challenges.py) \
	$(addprefix routes/hub/test_,commits.py managing.py names.py other_clients.py resolve.py) \
	$(addprefix routes/mlflow/test_,artifacts.py elsewhere.py general.py json_mapping.py making.py messages.py parts.py sources.py) \
	$(addprefix routes/pages/test_,api_documents.py frame.py hub_links.py in_a_browser.py in_place.py passwords.py \
		previews.py providers.py resumed_uploads.py scripts.py texts.py tus_in_a_page.py uploads.py wheel.py) \
	$(addprefix routes/uploads/test_,draft.py tus.py) \
	$(addprefix services/,backup/test_copying.py files/test_ingest.py files/test_offers.py identity previews \
		$(addprefix traffic/test_,body_budget.py searching.py throttling.py) \
		upkeep/test_pace.py) \
	$(addprefix test_,chart.py departures.py deployment.py logs.py memory_pages.py permissions.py pictures.py project.py readme.py settings.py \
		shared_counts.py shell_commands.py tracing.py))
# Tests that reach hardly a line but what the others reach: to measure them as well takes more than half as long again.
UNMEASURED := $(call but,tests/e2e,nginx stopping) \
	$(addprefix tests/,blobs/test_bucket_conformance.py client/test_wheel.py registry/test_schema.py remote/test_transfers.py \
	client/test_rows.py registry/test_page_cost.py registry/test_search_plans.py routes/test_written_once.py \
	routes/front/test_head.py routes/http/test_challenges.py services/files/test_storage_counts.py wire/test_disposition.py \
	$(addprefix crash/test_,cuts.py kill.py kill_uploads.py session_steps.py steps.py) \
	$(addprefix faults/test_,counting.py disk.py file_systems.py full_disk.py odd_storage.py) \
	$(addprefix hostile/test_,bounds.py forms.py large_requests.py odd_values.py openapi.py order_of_work.py rfc_models.py) \
	$(addprefix routes/,front/test_pacing.py http/test_announced.py) \
	$(addprefix routes/mlflow/test_,elsewhere.py json_mapping.py names.py repeats.py) \
	$(addprefix routes/pages/test_,api_documents.py in_a_browser.py many_runs.py resumed_uploads.py scripts.py wheel.py) \
	$(addprefix services/,backup/test_backup.py files/test_recent.py upkeep/test_upkeep.py) \
	$(addprefix test_,chart.py closed_to_others.py deployment.py named_paths.py pictures.py readme.py root_s_files.py))
# What is measured on PostgreSQL: it reaches all code that is PostgreSQL's alone. To measure takes as long again as the
# tests, and what the others reach there was measured on SQLite.
STATEMENTS := $(addprefix tests/,faults/test_database.py routes/http/test_engine_limits.py services/backup/test_backup.py \
	$(addprefix registry/test_,dialects.py lost_connections.py marks.py pooler.py trips.py watching.py) \
	$(addprefix services/upkeep/test_,collecting_hub.py expiring.py upkeep.py))
# What is done in seconds: no bucket, no client and no server as a process.
UNIT := $(addprefix tests/,access disk terms wire registry/test_backends.py registry/test_engine.py registry/test_hot_statements.py \
	$(addprefix blobs/test_,direct.py local.py local_durability.py local_leftovers.py memory.py open.py) \
	$(addprefix services/,files traffic upkeep/test_pace.py) \
	$(addprefix test_,departures.py logs.py memory_pages.py project.py settings.py))
# One more than there are processors: many a test waits, for a server that starts or a time that passes.
JOBS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
PYTEST := pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder
MEASURED := $(BIN)/coverage run -m $(PYTEST)
PLAIN := $(BIN)/python -m $(PYTEST)
ON_POSTGRESQL := MODELYARD_TEST_DATABASE=postgresql
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help serve test unit crash fuzz bench check format schema pictures pins clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: $(RUNTIME) ## Set up, migrate and serve on 127.0.0.1:8080
	$(BIN)/modelyard serve $(ARGS)

test: $(DEV) ## Set up and run all tests, on SQLite and on PostgreSQL, with coverage
	$(BIN)/coverage erase
	$(MEASURED) $(or $(ARGS),$(addprefix --ignore=,$(UNMEASURED)))
	$(if $(ARGS),,$(PLAIN) $(UNMEASURED))
	$(ON_POSTGRESQL) $(MEASURED) $(or $(ARGS),$(STATEMENTS) $(addprefix --ignore=,$(ONCE)))
	$(if $(ARGS),,$(ON_POSTGRESQL) $(PLAIN) $(addprefix --ignore=,$(ONCE) $(STATEMENTS)))
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

unit: $(DEV) ## Set up and run the tests that need no process and no bucket, on SQLite, in seconds
	$(PLAIN) $(UNIT) $(ARGS)

crash: $(DEV) ## Kill a working server 200 times and check what is left; SEED=n replays a run; ARGS="--cuts 1000" cuts uploads
	$(BIN)/python -m tests.crash $(if $(SEED),--seed $(SEED)) $(ARGS)

fuzz: $(DEV) ## Ask the server at random what its OpenAPI document allows, and send it broken forms; EXAMPLES=20 of each
	MODELYARD_FUZZ=$(or $(EXAMPLES),20) $(BIN)/python -m pytest --hypothesis-profile=default tests/hostile $(ARGS)

bench: $(DEV) $(BENCH) ## Measure beside nginx and MLflow; ROWS="name ..." for some rows
	$(BIN)/python -m bench $(if $(ROWS),--rows "$(ROWS)") $(ARGS)

check: $(DEV) ## Check format, lint, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV) ## Format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: $(DEV) ## Write migrations/newest_sqlite.sql anew, behind a new revision
	$(BIN)/python -m tests.newest_schema

pictures: $(DEV) ## Make the pictures of docs/pages.md anew
	$(BIN)/python -m tests.pictures

pins: $(DEV) ## Renew the pinned versions
	$(BIN)/python .constraints/renew.py

clean: ## Remove the environment and all that was built, but no data
	rm -rf .venv build dist .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "modelyard needs Python 3.11 or newer; name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv

$(RUNTIME): .venv/bin/python .constraints/runtime.txt .constraints/build.txt pyproject.toml
	$(INSTALL) --require-hashes -r .constraints/runtime.txt -r .constraints/build.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): $(RUNTIME) .constraints/dev.txt
	$(INSTALL) --require-hashes -r .constraints/dev.txt
	@touch $@

$(BENCH): $(RUNTIME) .constraints/bench.txt
	$(INSTALL) --require-hashes -r .constraints/bench.txt
	@touch $@
