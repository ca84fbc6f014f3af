# Recipes for `just`; each is a plain cargo command.

# Lists the recipes.
default:
    @just --list

# Builds the gateway.
build:
    cargo build --release

# Builds and runs the gateway in the foreground.
run *arguments:
    cargo run --release -- start --foreground {{arguments}}

# Runs every test that needs nothing but Rust and a C compiler.
test:
    cargo test --workspace

# Runs everything, as the continuous integration does.
full-test:
    cargo xtask test

# Compares with nginx and HAProxy on this machine.
bench:
    cargo xtask bench

# Formats the code.
fmt:
    cargo fmt --all

# Checks format and lints.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Writes kong.conf.default and the tables of docs/configuration.md anew.
configuration:
    KONG_CONFIG_WRITE=1 cargo test --package kong-config --test documents
