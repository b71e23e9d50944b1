# Everything people and CI do with this repository.
CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help build test check clean golden

help: ## show the targets
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 16

build: ## build the release binary
	$(CARGO) build --release

test: ## run all tests
	$(CARGO) test

check: ## formatting, lints, documentation
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps

golden: ## rewrite the golden files from what the program prints now
	UPDATE=1 $(CARGO) test --test tests golden

clean: ## remove what was built
	$(CARGO) clean
