#!/usr/bin/env bash
# The Rust crate bcrypt 0.19.3: its non_truncating functions refuse what is "longer than 72 bytes", say README and documentation. They
# refuse a password of exactly 72 bytes, too, of which bcrypt sees every byte: the 72nd counts. The error calls them 73.
#
# Seen: 71: hashed; 72: Expected 72 bytes or fewer; found 73 bytes; the last of 72 counts: true
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cargo init --quiet --name lengths --vcs none
cargo add --quiet bcrypt@=0.19.3
cat >src/main.rs <<'RS'
fn main() {
    for length in [71, 72] {
        let hashed = bcrypt::non_truncating_hash("x".repeat(length), 4);
        println!("{length}: {}", hashed.map_or_else(|error| error.to_string(), |_| "hashed".to_owned()));
    }
    let hash = bcrypt::hash("x".repeat(72), 4).unwrap();
    let other = "x".repeat(71) + "y";
    println!("the last of 72 counts: {}", !bcrypt::verify(other, &hash).unwrap());
}
RS
seen=$(CARGO_TARGET_DIR=$folder/target cargo run --quiet)
echo "$seen"
[[ $seen == $'71: hashed\n72: Expected 72 bytes or fewer; found 73 bytes\nthe last of 72 counts: true' ]]
