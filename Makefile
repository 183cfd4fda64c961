# The commands of this project. Every target sets up what it needs first: Node and packages (scripts/dev/setup.sh).
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup start stop restart status logs example build docs release image clean reference fmt lint check test test-diff test-kill test-kube test-etcdctl test-clients test-docs test-stores test-apiserver test-pack test-helm test-cluster test-release test-vm soak sim sim-many fuzz bench bench-join

# Runs its arguments under this clone's Node with the packages' commands in PATH.
RUN := scripts/dev/run.sh
DEV := $(RUN) node --disable-warning=ExperimentalWarning src/programs/dev.ts
VITEST := $(RUN) vitest run

# Nodes to start, 1 to 9; empty: as many as run now, or one.
NETSY_COUNT ?=
export NETSY_COUNT
# make logs NAME=s3|netsy-1|netsy-2|…, make example NAME=directory|queue|…
NAME ?=
# Passed on by test, test-kill and bench: make test ARGS=test/core
ARGS ?=

help: ## This list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## Verify and install what is needed, and the pre-commit hook
	@scripts/dev/setup.sh --verify

start: ## Start dev-s3 and a node, or NETSY_COUNT=3 nodes, wait until they are ready (NETSY_DEBUG=true: verbose logs)
	@$(DEV) start

stop: ## Stop them; the data stays
	@if [ -d temp/run ]; then $(DEV) stop; else echo "Nothing is running."; fi

restart: ## Restart all nodes that run, dev-s3 stays up
	@$(DEV) restart

status: ## Processes, ports, health
	@$(DEV) status

logs: ## Follow the logs (NAME=s3 or NAME=netsy-1 for one)
	@$(DEV) logs $(NAME)

example: ## Run one of examples/ on the sources as they are: make example NAME=directory
	@$(RUN) node --disable-warning=ExperimentalWarning --import ./test/examples/source.ts examples/$(or $(NAME),directory).ts

build: ## Check the types, and compile src/ to dist/, for the package; the nodes here run src/ itself
	@$(RUN) tsc -p .
	@$(RUN) scripts/build/build.sh
	@echo "The types are right, and dist/ is new. The nodes of this clone run src/ as it is: make build restart."

docs: ## Pages of the public API in dist/api/; what has no description is a failure
	@$(RUN) scripts/apidocs/apidocs.sh

release: ## dist/release: netsy-linux-amd64 and -arm64, one file each, and their SHA-512 sums (docs/release.md)
	@$(RUN) node --disable-warning=ExperimentalWarning scripts/release/build.ts

image: ## The container image of images/netsy, with podman or docker (NETSY_IMAGE=netsy:latest)
	@scripts/release/image.sh

clean: ## Stop, and remove build outputs and temp/ (data, certificates, logs)
	@if [ -d temp/run ]; then $(DEV) stop for-good; fi
	@rm -rf temp dist
	@echo "Removed temp/ and dist/."

reference: ## Write the tables in docs/ that come from the program itself: settings, metrics
	@$(RUN) node --disable-warning=ExperimentalWarning scripts/docs/reference.ts

fmt: ## Format all files, and mend what the linter can
	@$(RUN) oxlint --fix --quiet || true
	@$(RUN) oxfmt

lint: ## oxlint, and Effect's own diagnostics
	@$(RUN) oxlint --deny-warnings
	@$(RUN) effect-tsgo diagnostics --project tsconfig.json --format text --severity error

check: ## Types, Effect's diagnostics, lint, format, and the rules of the house (test/tidy)
	@$(RUN) scripts/dev/check.sh

test: ## All tests (ARGS=test/core for a part)
	@scripts/dev/check-packages.sh
	@$(VITEST) $(ARGS)

test-diff: ## Ten long random sequences to Debian's etcd and to our node: NETSY_SEED=1 for one of them
	@scripts/dev/check-packages.sh
	@NETSY_DIFF_SEEDS=10 NETSY_DIFF_OPERATIONS=$${NETSY_DIFF_OPERATIONS:-20000} $(VITEST) test/diff $(ARGS)

test-kill: ## The durability test in full: 30 kills under load
	@scripts/dev/check-packages.sh
	@NETSY_KILL_ROUNDS=30 $(VITEST) test/kill $(ARGS)

test-kube: ## What kube-apiserver does, 500 writes/s for a minute, on a directory and on dev-s3 with 28/80 ms
	@scripts/dev/check-packages.sh
	@NETSY_KUBE_SECONDS=$${NETSY_KUBE_SECONDS:-60} $(VITEST) test/kube $(ARGS)

test-etcdctl: ## Every command of Debian's etcdctl, with the minute of its check perf
	@scripts/dev/check-packages.sh
	@NETSY_ETCDCTL_PERF=true $(VITEST) test/etcdctl $(ARGS)
	@echo "Again: make test-etcdctl"

test-clients: ## Other real clients: npm's etcd3, etcd's own in Go, PostgreSQL under Patroni (docs/clients.md says what to install)
	@scripts/dev/check-packages.sh clients
	@NETSY_TEST_FILES='test/{clients,goclient,patroni}/*.{test,packages}.ts' $(VITEST) $(ARGS)
	@echo "Again: make test-clients"

test-docs: ## Everything that the pages show is done as shown; make test does it for README.md (NETSY_DOCS_PAGES=docs/x.md for one)
	@scripts/dev/check-packages.sh
	@NETSY_DOCS_PAGES=$${NETSY_DOCS_PAGES:-all} $(VITEST) $(or $(ARGS),test/docs)
	@echo "Again: make test-docs"

test-stores: ## The object stores against other people's servers (docs/storage.md says what to install)
	@NETSY_TEST_FILES='test/objectstore/*.packages.ts' $(VITEST) $(ARGS)
	@echo "Again: make test-stores"

test-helm: ## The chart's pods over their life, and a real helm's rendering where there is one
	@scripts/dev/check-packages.sh
	@NETSY_TEST_FILES='test/helm/*.{test,long$(shell command -v helm >/dev/null && echo ,helm)}.ts' $(VITEST) $(ARGS)
	@echo "Again: make test-helm"

test-pack: ## The package packed, installed by npm in an empty project (some 200 MB from the registry), and used there
	@scripts/dev/check-packages.sh
	@NETSY_TEST_FILES='test/pack/*.{test,packages}.ts' $(VITEST) $(ARGS)
	@echo "Again: make test-pack"

test-apiserver: ## A real kube-apiserver on three nodes; builds one with Go first, ten minutes or more (KUBE_APISERVER=PATH: takes that one)
	@executable=$${KUBE_APISERVER:-$$(scripts/kubernetes/build-kube-apiserver.sh)} && [ -n "$$executable" ] && \
	KUBE_APISERVER=$$executable NETSY_TEST_FILES='test/kubernetes/*.apiserver.ts' $(VITEST) $(ARGS)
	@echo "Again: make test-apiserver"

test-cluster: ## Three processes over mTLS killed, stopped, paused, wiped, cut off, joined (ARGS=test/cluster/Kill.cluster.ts)
	@scripts/dev/check-packages.sh cluster
	@$(VITEST) --config test/cluster/vitest.config.ts $(ARGS)

test-release: ## make release, then its executables: in an empty root, under qemu, and by the tests of etcdctl (docs/release.md)
	@scripts/dev/check-packages.sh release
	@$(MAKE) --no-print-directory release
	@NETSY_TEST_FILES='test/release/*.release.ts' $(VITEST) $(ARGS)
	@NETSY_TEST_PROGRAM=$(CURDIR)/dist/release/netsy-linux-$(if $(filter aarch64 arm64,$(shell uname -m)),arm64,amd64) $(VITEST) test/etcdctl test/auth test/etcdmode test/restore/Program
	@echo "Again: make test-release"

test-vm: ## The guide for VMs on machines with systemd, Nstance and userdata, their hardening, the rights on S3 and GCS (root)
	@scripts/dev/check-packages.sh vm
	@[ -x dist/release/netsy-linux-$$(dpkg --print-architecture) ] || $(MAKE) release
	@NETSY_TEST_FILES='test/vm/*.{test,vm}.ts' $(VITEST) --no-file-parallelism --disableConsoleIntercept $(ARGS)
	@echo "Again: make test-vm"

soak: ## Half an hour of random kills, stops, joins, leases, compaction, then netsy verify: make soak SECONDS=1800 NETSY_SEED=1
	@scripts/dev/check-packages.sh
	@NETSY_CLUSTER_FILES='*.soak.ts' NETSY_SOAK_SECONDS=$(or $(SECONDS),1800) $(VITEST) --config test/cluster/vitest.config.ts $(ARGS)
	@echo "Again: make soak SECONDS=$(or $(SECONDS),1800) NETSY_SEED=$(or $(NETSY_SEED),1)"

sim: ## Three nodes in one process and virtual time, with faults of bucket, network and disks: make sim SEED=7; without a seed three of them
	@$(if $(SEED),NETSY_SEED=$(SEED)) $(VITEST) test/node/ClusterWalk.test.ts $(ARGS)
	@echo "Again: make sim$(if $(SEED), SEED=$(SEED))"

sim-many: ## The same with new seeds for so long: make sim-many SECONDS=600 SEED=1; a failure names its seed
	@$(if $(SEED),NETSY_SEED=$(SEED)) NETSY_SIM_SECONDS=$(or $(SECONDS),600) $(VITEST) test/node/ClusterWalk.test.ts $(ARGS)
	@echo "Again: make sim-many SECONDS=$(or $(SECONDS),600)$(if $(SEED), SEED=$(SEED))"

fuzz: ## Random input for every decoder, and the random walk of whole nodes: make fuzz SECONDS=60 NETSY_SEED=1
	@NETSY_FUZZ_SECONDS=$(or $(SECONDS),60) NETSY_WALK_SECONDS=$(or $(SECONDS),60) $(VITEST) test/fuzz test/node/Walk.test.ts $(ARGS)
	@echo "Again: make fuzz SECONDS=$(or $(SECONDS),60) NETSY_SEED=$(or $(NETSY_SEED),1)"

bench: ## Throughput and latency; the figures are in docs/benchmarks.md
	@$(RUN) node --disable-warning=ExperimentalWarning src/programs/bench.ts $(ARGS)

bench-join: ## A fourth node joins a cluster with 1 GB of data: writes' p99 before and meanwhile (NETSY_JOIN_MIB=1024)
	@NETSY_CLUSTER_FILES='*.bench.ts' $(VITEST) --config test/cluster/vitest.config.ts $(ARGS)
