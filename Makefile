# Everything people and CI do with this repository; `make` alone lists it.
CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: help demo build static static-musl test check fuzz size bench golden install clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: ## run the program on a simulated cluster (KEEP=1 leaves it up)
	$(CARGO) build --bin kubectl-kubelet_logs --example cluster
	@tests/demo.sh $(TARGET)/debug/kubectl-kubelet_logs $(TARGET)/debug/examples/cluster

build: ## build the release binary
	$(CARGO) build --release

# The most a static binary may have, in bytes: with musl 2.0 MB, and 0.3 for reading journals.
LIMIT := 3200000
LIMIT_MUSL := 2300000

# What both static builds share. Common runs of instructions become functions (57 to 73 kB); sources are named without the
# folder of this machine that they lie in (14 kB); a panic aborts, so the tables for unwinding are left out (450 kB with
# glibc); fixed addresses need no relocations (140 kB), and branches less room than tables of them (20 kB); .ci/small.c replaces
# a table for P-256 (152 kB), one for Curve25519 (24 kB) and what needs printf (10 kB).
NO_UNWIND := $(abspath $(TARGET))/no-unwind.ld
RING := ring_core_$(shell sed -n '/^name = "ring"$$/{n;s/[^"]*"\(.*\)"/\1/;s/\./_/g;p;}' Cargo.lock)__
REPLACED := $(abspath $(TARGET))/small.o
$(REPLACED): .ci/small.c Cargo.lock
	@mkdir -p $(@D)/ring_core_generated && : >$(@D)/ring_core_generated/prefix_symbols.h
	$(CARGO) fetch --locked --quiet
	ring=$$($(CARGO) metadata --locked --offline --format-version 1 | tr , '\n' | sed -n 's#.*"manifest_path":"\(.*/ring-[0-9.]*\)/Cargo.toml".*#\1#p' | head -1); \
	$(CC) -Os -ffunction-sections -fdata-sections -c -o $@ -DPREFIX=$(RING) -I"$$ring/include" -I"$$ring" -I$(@D) $<
	@rm -f $(TARGET)/static/target/*/release/deps/kubectl_kubelet_logs-* # cargo does not know what else is linked

SMALL := -C target-feature=+crt-static -C relocation-model=static -C llvm-args=-enable-machine-outliner=always \
	-C llvm-args=-min-jump-table-entries=24 -C link-arg=-Wl,--build-id=none,--no-eh-frame-hdr,-T,$(NO_UNWIND) -C link-arg=$(REPLACED) \
	-C link-arg=-Wl,--wrap=pthread_setname_np,--wrap=$(RING)p256_point_mul_base,--wrap=$(RING)p256_point_mul_base_vartime \
	-C link-arg=-Wl,--wrap=$(RING)x25519_ge_scalarmult_base,--wrap=$(RING)x25519_public_from_private_generic_masked
UNNAMED := $$(printf -- '--remap-path-prefix=%s= ' "$${CARGO_HOME:-$$HOME/.cargo}"/registry/src/*/)
$(NO_UNWIND):
	@mkdir -p $(@D)
	@echo 'SECTIONS { /DISCARD/ : { *(EXCLUDE_FILE(*crt*.o) .eh_frame) } } INSERT AFTER .rodata;' >$@

# musl where its standard library and compiler are installed, else glibc. Debian's packages build it smaller than the
# toolchain alone, whose standard library came compiled; without them it does, but is not held to the limit.
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
MUSL := $(subst -gnu,-musl,$(HOST))
HAS_MUSL := $(and $(wildcard $(shell rustc --print sysroot)/lib/rustlib/$(MUSL)/lib),$(shell command -v musl-gcc))
STATIC_TARGET := $(if $(HAS_MUSL),$(MUSL),$(HOST))
STATIC := $(TARGET)/static/kubectl-kubelet_logs
static: $(NO_UNWIND) $(REPLACED) ## build a static binary, try it in an empty root directory, hold it to its size
	$(CARGO) fetch --locked --quiet --target $(STATIC_TARGET)
	RUSTFLAGS="$(SMALL) $(UNNAMED)" .ci/static $(if $(HAS_MUSL),musl,gnu) $(TARGET)/static $(STATIC) || { \
		test $$? = 3 && echo "static: built by the toolchain as it is: larger" >&2 && \
		RUSTFLAGS="$(SMALL) $(UNNAMED)" $(CARGO) build --release --target $(STATIC_TARGET) --bin kubectl-kubelet_logs && \
		install -D $(TARGET)/$(STATIC_TARGET)/release/kubectl-kubelet_logs $(STATIC); }
	$(CARGO) build --quiet --example cluster
	@tests/static.sh $(STATIC) $(TARGET)/debug/examples/cluster $(if $(wildcard $(TARGET)/static/unpacked),$(if $(HAS_MUSL),$(LIMIT_MUSL),$(LIMIT)))

MUSL_STATIC := $(TARGET)/static/musl/kubectl-kubelet_logs
static-musl: $(NO_UNWIND) $(REPLACED) ## the same with musl (Debian 12, no rustup needed)
	$(CARGO) fetch --locked --quiet --target $(MUSL)
	RUSTFLAGS="$(SMALL) $(UNNAMED)" .ci/static musl $(TARGET)/static $(MUSL_STATIC)
	$(CARGO) build --quiet --example cluster
	@tests/static.sh $(MUSL_STATIC) $(TARGET)/debug/examples/cluster $(LIMIT_MUSL)

test: ## run all tests
	$(CARGO) test

check: ## formatting, lints, documentation, and cargo-deny where it is installed
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --quiet
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny --config .deny.toml check bans licenses sources; \
	else echo "cargo-deny is not installed: licences and bans are not checked (cargo install cargo-deny)"; fi

# A name alone tries one target: `make fuzz FUZZ=kubeconfig FUZZ_SECONDS=600`. What breaks one is kept in tests/fuzz/artifacts.
FUZZ_SECONDS ?= 10
FUZZER := $(TARGET)/fuzz/release/fuzz
fuzz: ## try mutated inputs on every decoder, each for FUZZ_SECONDS
	$(CARGO) build --quiet --release --manifest-path tests/fuzz/Cargo.toml --target-dir $(TARGET)/fuzz
	@for target in $(or $(FUZZ),$$($(FUZZER))); do \
		$(FUZZER) $$target --seconds $(FUZZ_SECONDS) --crashes tests/fuzz/artifacts || exit 1; done

size: build ## the release binary's size, and the bytes of each crate in it
	@echo "$(TARGET)/release/kubectl-kubelet_logs: $$(wc -c <$(TARGET)/release/kubectl-kubelet_logs) bytes, stripped; of these"
	@CARGO_PROFILE_RELEASE_STRIP=none $(CARGO) build --quiet --release --bin kubectl-kubelet_logs --target-dir $(TARGET)/size
	@nm -C -S -t d $(TARGET)/size/release/kubectl-kubelet_logs | \
		sed -nE 's/^[0-9]+ 0*([0-9]+) [^bB] [<&*([]*((mut|dyn) )*[<&*([]*/\1 /p' | \
		awk '{ crate = $$2 ~ /^ring_core/ ? "ring::" : $$2; if (!sub(/(::|\[).*/, "", crate)) crate = "(C, and names without a crate)"; \
			sum[crate] += $$1 } END { for (crate in sum) printf "%9d  %s\n", sum[crate], crate }' | sort -rn | head -30

# What is shipped is static, so that is what is measured: what `make static` builds here, and what `make static-musl` built
# last. PROGRAMS="a b" measures others; tests/bench/main.rs tells of BENCH_GB, BENCH_RUNS and the like.
PROGRAMS = $(STATIC) $(wildcard $(MUSL_STATIC))
bench: static ## measure it beside kubectl and curl on the simulated cluster, and hold it to its targets
	$(CARGO) build --release --example bench
	@$(TARGET)/release/examples/bench $(PROGRAMS)

golden: ## rewrite the golden files from what the program prints now
	UPDATE=1 $(CARGO) test --test tests golden

PREFIX ?= /usr/local
install: build ## install the plugin and kubectl's completion hook into PREFIX/bin
	install -d $(DESTDIR)$(PREFIX)/bin
	install $(TARGET)/release/kubectl-kubelet_logs $(DESTDIR)$(PREFIX)/bin/
	ln -sf kubectl-kubelet_logs $(DESTDIR)$(PREFIX)/bin/kubectl_complete-kubelet_logs

clean: ## remove what was built
	$(CARGO) clean
