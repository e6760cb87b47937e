# The entry point. Each command installs missing Debian packages, configures with a CMake preset and
# builds; `make` alone lists the commands.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

MODEL ?=
VOCAB ?=
PREFIX ?= /usr/local
DESTDIR ?=
RUNS ?= 2000000
ROWS ?=
PYTHON ?= /usr/bin/python3
DATA ?= ../shared/data/text
RUN ?= build/model
JOBS ?= $(shell nproc)

# The World vocabulary, from the Python package index.
configure = $(if $(VOCAB),,tools/fetch-vocabulary &&) cmake --preset release --log-level=WARNING $(if $(VOCAB),-DLINNET_VOCAB="$(abspath $(VOCAB))")

# $(call build,TARGET) builds one target without tests.
build = tools/install-packages build && $(configure) && cmake --build build --parallel $(JOBS) --target $(1)

.PHONY: help chat serve model base-model test build bench bench-training microbench format lint install package tarball wheel soak

help: ## this list (the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile
	@echo "  JOBS=N limits the parallel jobs; VOCAB=FILE embeds that World vocabulary"

chat: ## talk to the built-in model, or to MODEL=path (ARGS=… goes to linnet chat)
ifeq ($(MODEL)$(wildcard models/linnet.safetensors),)
	@echo "models/linnet.safetensors is missing, so make chat needs a model: make chat MODEL=path/to/rwkv.pth" >&2
	@echo "any released RWKV-4, 5, 6 or 7 checkpoint will do; or train the small one: make model" >&2
	@exit 2
else
# Only the commands of a talk, in two thirds of the time, unless the whole program is there.
	@$(call build,$(if $(wildcard build/linnet),linnet_cli,linnet_chat))
	@$(if $(wildcard build/linnet),build/linnet,build/linnet-chat) chat $(if $(MODEL),"$(MODEL)") $(ARGS)
endif

serve: ## serve the built-in model, or MODEL=path, to OpenAI's clients (ARGS=… goes to linnet serve)
	@$(MAKE) --no-print-directory build
	@build/linnet serve $(if $(MODEL),"$(MODEL)") $(ARGS)

model: ## DATA=FOLDER RUN=FOLDER: fine-tune the built-in model again from its base
	@$(MAKE) --no-print-directory build
	@tools/train-model "$(DATA)" "$(RUN)"

base-model: ## DATA=folder RUN=folder: train that base anew, for an hour or so
	@$(MAKE) --no-print-directory build
	@tools/train-base "$(DATA)" "$(RUN)"

test: ## build everything and run every test
	@tools/install-packages build test
	@$(configure) -DLINNET_TESTS=ON
	@cmake --build build --parallel $(JOBS)
	@ctest --test-dir build --output-on-failure --parallel $(JOBS)

build: ## build/linnet, without tests
	@$(call build,linnet_cli)

bench: ## ROWS='v7 1.5B': the table of docs/performance.md, or only those rows
	@$(MAKE) --no-print-directory build
	@tools/bench-table --program build/linnet $(ROWS) $(ARGS)

bench-training: ## ROWS=small: the table of training speeds, or only those rows
	@$(MAKE) --no-print-directory build
	@tools/bench-training --program build/linnet $(ROWS) $(ARGS)

microbench: ## build and run the benchmarks of single kernels
	@tools/install-packages build bench
	@$(configure) -DLINNET_BENCH=ON
	@cmake --build build --parallel $(JOBS) --target matmul_bench train_bench backward_bench attention_bench
	@for program in build/bench/*_bench; do "$$program"; done

format: ## format the sources with clang-format
	@tools/install-packages check
	@tools/list-files '*.cc' '*.h' '*.c' | xargs -0 clang-format-14 -i

lint: ## check format, layering, names, docs and clang-tidy
	@tools/install-packages build test check
	@$(configure) -DLINNET_UNITY=ON -B build-lint
	@tools/check-format
	@tools/check-layering
	@tools/check-names
	@tools/check-docs
	@tools/check-tidy build-lint

install: ## PREFIX=/usr/local DESTDIR=: install the program, its manual and units, the library, its headers
	@tools/install-packages build
	@$(configure)
	@cmake --build build --parallel $(JOBS) --target linnet linnet_cli linnet_documents
	@DESTDIR="$(DESTDIR)" cmake --install build --prefix "$(abspath $(PREFIX))"

package: ## build dist/linnet_*.deb for Debian 12
	@tools/install-packages build package
	@$(configure)
	@tools/make-package deb

tarball: ## build dist/linnet-*.tar.gz, which runs on other Linux systems
	@tools/install-packages build package
	@$(configure)
	@tools/make-package tarball

wheel: ## PYTHON=/usr/bin/python3: build dist/linnet-*.whl for Python
	@tools/install-packages build python
	@tools/make-wheel "$(PYTHON)"

soak: ## RUNS=2000000: long tests: the Debian package in a bare root, fuzz each parser so often, coverage, all tests under AddressSanitizer, faults of the server, repeated tests, a million tokens, digit reversal
	@tools/install-packages build test check package
	@tools/make-package deb
	@tools/check-package
	@tools/check-fuzz $(RUNS)
	@tools/check-coverage
	@cmake --preset asan --log-level=WARNING
	@cmake --build build-asan --parallel $(JOBS)
	@ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1 ctest --test-dir build-asan --output-on-failure --parallel $(JOBS)
	@$(configure) -DLINNET_TESTS=ON
	@cmake --build build --parallel $(JOBS)
	@tools/install-packages clients
	@LINNET_SOAK=10000 LINNET_EXAMPLES=20 tools/check-server
	@ctest --test-dir build --output-on-failure --parallel $(JOBS) --repeat until-fail:5 --schedule-random
	@LINNET_COST_TOKENS=1000000 build/tests/end_to_end_test --gtest_filter='*ConstantCost*'
	@LINNET_MEASURE=1 build/src/kernels_test --gtest_filter='*Peaks.*'
	@LINNET_DIGITS=60 build/tests/end_to_end_test --gtest_filter='DigitReversal*'
