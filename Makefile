# Short names for commands that also work without make. `make help` lists them.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
SCALE ?= $(shell sed -n 's/^scale: *\([a-z_]*\).*/\1/p' config.yaml)
CORES ?= all
# more settings, as in CONFIG='mirror=/data filter={maximum_tokens:20}'
CONFIG ?=
MACHINE ?= this-cpu
# of demo, survey and mlflow, in place of their usual ones; 0 for any free one
PORT ?=
# more names of the host by which browsers ask for demo and survey, as of a proxy before them
HOSTS ?=
# where mlflow-import writes; a server is http://HOST:PORT
TRACKING_URI ?= sqlite:///results/$(SCALE)/mlflow.db
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
STAMP := $(VENV)/.installed
# Lets every Python of the environment do without a home folder that can be written, see workflow_scripts/surroundings.py
CACHES := $(VENV)/lib/python3.11/site-packages/image_search_surroundings
SLURM_PACKAGES := slurmctld slurmd slurm-client munge

SERVED = $(if $(PORT),--port $(PORT)) $(if $(HOSTS),--allowed-hosts $(HOSTS))

.PHONY: help env reproduce plan verify-sources dry-run demo survey test test-fast test-browser chromium slurm slurm-test slurm-test-long check-full-size lint mlflow mlflow-import clean-results environment-files

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

env: $(STAMP) $(CACHES).pth ## create .venv from envs/requirements.txt, pinned by envs/requirements.lock

$(STAMP): envs/requirements.txt envs/requirements.lock envs/without_dependencies.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
	  echo "error: '$(PYTHON)' is not Python 3.11; install it, or name it: make PYTHON=/path/to/python3.11 env"; exit 1; }
	@echo "Installing the environment into $(VENV): 233 packages, a few minutes."
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/requirements.txt -c envs/requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r envs/without_dependencies.txt
	@touch $(STAMP)

$(CACHES).pth: workflow_scripts/surroundings.py | $(STAMP)
	@cp $< $(CACHES).py && echo 'import image_search_surroundings; image_search_surroundings.give_caches_a_place()' > $@ || \
	  echo "$(VENV) cannot be written; where HOME cannot either, set XDG_CACHE_HOME to a folder that can."

reproduce: env ## run the whole workflow at SCALE (that of config.yaml) and say where the report is
	@python -m workflow_scripts.planning.plan --check --config scale=$(SCALE) $(CONFIG)
	snakemake --cores $(CORES) --rerun-incomplete --config scale=$(SCALE) $(CONFIG)
	@echo "The report: $(CURDIR)/results/$(SCALE)/report/index.html"

plan: env ## what SCALE costs on MACHINE (8x24gb, 8xa100, 1xh100, this-cpu), stage by stage, and what does not fit
	@python -m workflow_scripts.planning.plan --machine $(MACHINE) --config scale=$(SCALE) $(CONFIG)

verify-sources: env ## ask every address of the catalogue what it gives, in a minute; UPDATE=1 writes day and sizes into its rows
	@python -m workflow_scripts.sources.verify $(if $(UPDATE),--update) $(if $(SOURCES),--source $(SOURCES))

dry-run: env ## which jobs would run, and why, without running them
	snakemake --dry-run --cores $(CORES) --config scale=$(SCALE) $(CONFIG)

test: env ## all tests but those that need SLURM or a browser
	python -m pytest -m "not slurm and not browser"

test-fast: env ## the tests of a few seconds
	python -m pytest -m "not slow and not slurm and not browser"

test-browser: env chromium ## the tests of the pages in Chromium, which root gets installed where it is missing
	python -m pytest -m browser

chromium:
	@command -v chromium > /dev/null || command -v chromium-browser > /dev/null || command -v google-chrome > /dev/null || \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	    echo "Installing chromium with apt-get."; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; \
	  else \
	    echo "error: there is no Chromium to run the tests in; install it (Debian: apt-get install chromium)"; exit 1; \
	  fi

slurm-test: slurm ## the tests of ten minutes on a SLURM cluster on this host alone; root gets Debian's packages installed
	python -m pytest -m "slurm and not long" -rs tests/slurm

slurm-test-long: slurm ## the other ones: the whole workflow, cancelled jobs, a lost node, a killed Snakemake; an hour
	python -m pytest -m "slurm and long" -rs tests/slurm

slurm: env
	@{ command -v slurmctld && command -v slurmd && command -v munged && command -v sbatch; } > /dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	    echo "Installing $(SLURM_PACKAGES) with apt-get."; \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(SLURM_PACKAGES); } || \
	      echo "SLURM could not be installed (see above): its tests will be skipped."; \
	  else \
	    echo "SLURM is missing and only root can install it (Debian: $(SLURM_PACKAGES)): its tests will be skipped."; \
	  fi; }

check-full-size: env ## the report's models at full size with random weights: about 8 GB of memory, ten minutes on 2 cores
	python -m workflow_scripts.preflight.full_size

lint: env ## ruff, snakefmt and snakemake's own linter
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile rules
	snakemake --lint

demo: env ## search and talk about pictures on http://127.0.0.1:7860, on the newest training of SCALE
	python -m workflow_scripts.demo.app --results results/$(SCALE) $(SERVED)

survey: env ## serve the survey on http://127.0.0.1:7870; responses go to results/SCALE/survey and into the next report
	snakemake --cores $(CORES) --config scale=$(SCALE) $(CONFIG) -- results/$(SCALE)/survey/survey.json
	python -m workflow_scripts.survey.serve --survey results/$(SCALE)/survey/survey.json \
	  --responses results/$(SCALE)/survey/responses.sqlite $(SERVED)

mlflow: env ## open the MLflow UI over the runs of SCALE on http://127.0.0.1:5000
	python -m workflow_scripts.tracking.ui --results results/$(SCALE) $(if $(PORT),--port $(PORT))

mlflow-import: env ## bring MLflow level with all runs of SCALE from their own files, also an empty or a lost store
	python -m workflow_scripts.tracking.import_runs --results results/$(SCALE) --tracking-uri $(TRACKING_URI) --experiment $(SCALE)

clean-results: env ## list what is of settings that the configuration has no longer; REMOVE='--remove' removes it
	python -m workflow_scripts.clean_results --config scale=$(SCALE) $(CONFIG) $(if $(REMOVE),$(REMOVE))

environment-files: env ## write envs/environment.yaml again from the requirement files
	python envs/make_environment.py
