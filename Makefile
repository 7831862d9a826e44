# `make demo` and `make test` are all that a newcomer needs; both set up what they miss.

CARGO ?= cargo
TARGET = $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: help demo test truth lint bench image release release-test generate torture hostile fuzz kernels vm setup

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## See it work: a leak in a container, found, explained, reaped (under a minute)
	@scripts/setup cc
	@$(CARGO) build --release --locked --quiet -p sexton
	@"$(TARGET)/release/sexton" demo

test: setup ## Build everything, then run every test; says what it skips and why
	@scripts/test

truth: setup ## Is what Sexton says true? Situations set up for real, and how many answers are right
	@SEXTON_TRUTH=write $(CARGO) test --quiet --locked -p sexton --test truth what_sexton_says -- --nocapture

lint: ## Formatting, and clippy with warnings as errors
	$(CARGO) fmt --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

bench: setup ## Benchmarks, each beside what it is measured against
	@scripts/bench

image: ## The container image as an OCI archive, target/sexton.oci.tar: static, reproducible, no Docker
	@scripts/image

release: ## All that a tag publishes, in target/release-VERSION: built twice, and compared
	@scripts/release

release-test: ## Use each file of target/release-VERSION: install, run, unpack, render
	@scripts/release-test

generate: ## What is made from sources in the tree: runbooks, alerts, dashboard, CRDs, manifests
	@scripts/generate

torture: setup ## The long test of reaping: kill -9 of the tracer at random moments
	@scripts/torture

hostile: setup ## All attacks of a hostile node, then ten minutes of hostile load; on cgroup v2, too
	@scripts/hostile

fuzz: ## Fuzz each parser for a short while (needs cargo-fuzz and a nightly toolchain)
	@scripts/fuzz

kernels: setup ## Scan and reap for real on other kernels, cgroup v2 and v1, under QEMU
	@lab/kernels.sh

vm: setup ## The tests on a real cluster with cgroup v2 alone, in a machine of QEMU
	@lab/cluster/in-vm

setup: # What the tests need beside Rust, by apt-get where that may be done
	@scripts/setup
