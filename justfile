# What developers run. Continuous integration runs `.ci/run` instead, which needs nothing but Rust and a C compiler;
# both call the same commands.

# These recipes.
default:
    @just --list --unsorted

# Format all code.
fmt:
    cargo fmt --all
    cargo fmt --manifest-path fuzz/Cargo.toml
    cargo fmt --manifest-path bench/sparse_lu/Cargo.toml

# Formatting and lints, as continuous integration checks them.
lint:
    cargo fmt --all -- --check
    cargo clippy --workspace --all-targets -- -D warnings

# All ordinary tests.
test:
    cargo test --workspace

# Property tests with new cases, several times over; failures leave their seeds in proptest-regressions.
properties RUNS="10":
    for run in $(seq {{RUNS}}); do \
        PROPTEST_RNG_SEED=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ') cargo test --package phasic-engine || exit 1; \
    done

# The tests marked as heavy: minutes, or gigabytes.
heavy:
    cargo test --release --workspace -- --ignored

# The long fault tests: processes killed at 40 random moments of each kind, and calls to files that fail.
faults:
    cargo test --package phasic-hub-tests --test faults_crash -- --ignored --nocapture --test-threads 1

# Licences, bans and sources of all dependencies; no network.
deny:
    cargo deny check licenses bans sources

# Known vulnerabilities of dependencies; fetches the advisory database.
advisories:
    cargo deny check advisories

# The unmodified phasic against a real hub and the `phasic` command (Python registry for the first run).
interop:
    interop/run

# Schemathesis against a real hub and its API document (Python registry for the first run).
schemathesis *OPTIONS:
    interop/schemathesis {{OPTIONS}}

# Time of each stage on the public workloads.
bench *FILTER:
    cargo bench --package phasic-engine -- {{FILTER}}

# The same stages beside the published phasic and sparse solvers; renews docs/performance.md (registries for the first run).
bench-vs-phasic *OPTIONS:
    bench/versus-phasic --write {{OPTIONS}}

# The hub beside nginx serving the same bytes, on loopback; --write renews its part of docs/performance.md. Needs wrk.
bench-hub *OPTIONS:
    bench/hub {{OPTIONS}}

# Instructions of the main kernels beside the recorded ones; --record writes them anew. Skipped without valgrind.
bench-instructions *OPTIONS:
    bench/instructions {{OPTIONS}}

# Fuzz one target: artifact_read, graph_json, model_json, registry_read, expr_parse, plan_read, url_guard. Needs cargo-fuzz and a nightly.
fuzz TARGET SECONDS="60":
    fuzz/run {{TARGET}} {{SECONDS}}
