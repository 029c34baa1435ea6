# Everything needs only a Rust toolchain and a C compiler.
CARGO ?= cargo
KTRIAL = target/release/ktrial
# The gate builds everything in a profile that is quick to build.
GATE = --profile gate
# An environment RUSTFLAGS would replace the flag in .cargo/config.toml, so the simulated build runs without one.
SIM = env -u RUSTFLAGS $(CARGO)
REAL = RUSTFLAGS="" $(CARGO)
REAL_DIR = --target-dir target/real
SMOKE = --profile smoke $(REAL_DIR)
SEEDS ?= 0..8
# Property tests draw the same cases in every run of the gate; without this they draw new ones.
export PROPTEST_RNG_SEED ?= 20261123

.PHONY: demo build test test-sim test-real suite bench campaign serve fmt lint clean

build:
	$(SIM) build --release --bins

demo: build
	$(KTRIAL) run scenarios/cluster/healthy.json --seed 42
	$(KTRIAL) run scenarios/cluster/worker-dies.json --seed 42
	$(KTRIAL) run scenarios/cluster/worker-crashes.json --seed 42
	$(KTRIAL) run scenarios/cluster/controller-dies.json --seed 42

test: lint test-sim suite test-real

lint:
	$(SIM) fmt --check
	$(SIM) clippy $(GATE) --all-targets -- -D warnings
	$(REAL) clippy $(SMOKE) --all-targets -- -D warnings

test-sim:
	$(SIM) test $(GATE)

suite:
	$(SIM) build $(GATE) --bins
	target/gate/ktrial check scenarios
	target/gate/ktrial run scenarios --seeds $(SEEDS)

# The rooms' own tests run in the simulated build; here a real cluster serves a real client.
test-real:
	$(REAL) test $(SMOKE) --test real

bench: build
	$(SIM) bench --bench reference

# The whole range of seeds that each scenario promises to pass.
campaign: build
	$(KTRIAL) run scenarios --seeds 0..500

serve:
	$(REAL) build --release $(REAL_DIR)
	target/real/release/ktrial serve

fmt:
	$(SIM) fmt

clean:
	$(CARGO) clean
