#!/usr/bin/env bash
# Cargo 1.95.0: a profile with `strip = true` does not strip the program of a package that has a table of its own in that profile,
# [profile.NAME.package.PACKAGE], or in one that it inherits from: the debug information is left out, and the symbols stay. Nothing is
# said about it. The package's own table has to say `strip = true` again.
#
# Seen: alone: strip=symbols; beside a package's codegen-units: strip=debuginfo; said again: strip=symbols
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
echo 'fn main() {}' >src/main.rs
strip_of() {
    printf '[package]\nname = "small"\nversion = "0.1.0"\nedition = "2024"\n\n[profile.dist]\ninherits = "release"\nstrip = true\n%b' "$1" >Cargo.toml
    rm -rf target
    env -u CARGO_TARGET_DIR cargo build --profile dist --verbose 2>&1 | grep -o 'strip=[a-z]*'
}
cargo --version
table='\n[profile.dist.package.small]\ncodegen-units = 1\n'
seen="alone: $(strip_of ''); beside a package's codegen-units: $(strip_of "$table"); said again: $(strip_of "${table}strip = true\n")"
echo "$seen"
[[ $(cargo --version) == "cargo 1.95.0 "* ]]
[[ $seen == "alone: strip=symbols; beside a package's codegen-units: strip=debuginfo; said again: strip=symbols" ]]
