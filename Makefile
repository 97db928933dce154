# Two commands for people: `make run` opens the studio, `make test` checks everything.
# Both prepare what they need: .venv and node_modules from pinned versions (again when these change)
# and, for root on Debian, missing system packages. Either may be interrupted and started again.

SHELL := /bin/bash
# Where it is set, every process compiles every module anew: seconds at each start.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: run test check soak test-studio test-browser

PYTHON ?= $(shell for python in python3.11 python3.12 python3; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 </dev/null \
	&& { echo "$$python"; break; }; done)
BIN := .venv/bin
checksum = $(firstword $(shell cat $(1) | cksum))
RUN_READY := .venv/.ready-run-$(call checksum,requirements.txt)
TEST_READY := .venv/.ready-test-$(call checksum,requirements.txt requirements-scale.txt requirements-dev.txt)
SCRIPTS_READY := node_modules/.ready-$(call checksum,package-lock.json)
NODE_BIN := node_modules/.bin

run: $(RUN_READY)
	@$(call system_packages,packages.txt)
	$(BIN)/python app.py </dev/null

# Checks and browsers run beside the other tests and are told after them: they often wait.
test: $(TEST_READY) $(SCRIPTS_READY)
	@$(call system_packages,packages.txt packages-test.txt)
	@beside=$$(mktemp); again="$(MAKE) --no-print-directory"; \
	$$again --keep-going --jobs=2 --output-sync=target check test-browser >"$$beside" 2>&1 & \
	$$again test-studio; ours=$$?; echo "Checks and browsers:"; \
	wait $$!; theirs=$$?; cat "$$beside"; rm -f "$$beside"; exit $$((ours || theirs))

test-studio: $(TEST_READY)
	$(BIN)/python -m pytest -m "not e2e and not gpu and not soak" --ignore=tests/e2e --durations=15 </dev/null

test-browser: $(TEST_READY)
	$(BIN)/python -m pytest -n 3 -m "e2e and not soak" --durations=15 tests/e2e </dev/null

check: $(TEST_READY) $(SCRIPTS_READY)
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m app.ui.wire --check
	$(NODE_BIN)/biome ci --error-on-warnings
	$(NODE_BIN)/tsc -p .
	$(NODE_BIN)/tsc -p tsconfig.core.json
	node --test tests/web/*.test.js

soak: $(TEST_READY)
	@$(call system_packages,packages.txt packages-test.txt)
	$(BIN)/python -m pytest -m soak --timeout=0 </dev/null

$(RUN_READY):
	@$(call python_packages,requirements.txt)
	@rm -f .venv/.ready-run-* && touch $@

$(TEST_READY):
	@$(call python_packages,requirements-dev.txt)
	@rm -f .venv/.ready-* && touch $@ $(RUN_READY)

# The tools that check the scripts: pinned by package-lock.json. Debian's npm only where there is none.
$(SCRIPTS_READY):
	@command -v npm >/dev/null || { $(call system_packages,packages-scripts.txt); }
	npm ci --silent --no-audit --no-fund </dev/null
	@rm -f node_modules/.ready-* && touch $@

# $(1): a requirements file. One make at a time; a .venv whose installation was killed is made anew.
# pip and not uv: a machine may hold a CPU build of torch that only pip is told about.
define python_packages
exec 9<Makefile; ! command -v flock >/dev/null || flock 9; \
if [ -z "$(PYTHON)" ]; then \
	echo "Python 3.11 or 3.12 is needed and none was found: make PYTHON=/path/to/python names one." >&2; \
	exit 1; \
fi; \
echo "Preparing .venv from $(1): the first time takes some minutes, most of them for torch."; \
if [ -e .venv/.unfinished ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1 </dev/null; then \
	"$(PYTHON)" -m venv --clear .venv || exit 1; \
fi; \
touch .venv/.unfinished; \
for attempt in 1 2 3; do \
	$(BIN)/python -m pip install --no-input --disable-pip-version-check -r $(1) </dev/null; \
	status=$$?; \
	[ $$status -ne 0 ] || break; \
done; \
rm -f .venv/.unfinished; \
if [ $$status -ne 0 ]; then \
	echo "The packages of $(1) could not be installed: pip says why above." >&2; \
	exit 1; \
fi
endef

# $(1): files of Debian package names. What is missing is installed or named; the caller goes on.
define system_packages
missing=""; \
for package in $$(cat $(1)); do \
	dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' \
	|| missing="$$missing $$package"; \
done; \
if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	echo "Installing system packages:$$missing"; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get update -qq </dev/null \
	&& apt-get install -y -qq --no-install-recommends $$missing </dev/null >/dev/null \
	&& missing=""; \
fi; \
if [ -n "$$missing" ]; then \
	echo "Going on without these Debian packages; rendering or browser tests may fail:$$missing" >&2; \
fi
endef
