#!/usr/bin/env bash
# The Rust crate csv 1.4.0: in a file with CRLF, the position of a record has the line of the record before it, since the line
# feed of CRLF is counted with the next record. With line feeds alone the lines are right.
#
# Seen: LF [2, 3, 4], CRLF [1, 2, 3]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cargo init --quiet --name lines --vcs none
cargo add --quiet csv@=1.4.0
cat >src/main.rs <<'RS'
fn main() {
    for end in ["\n", "\r\n"] {
        let file = ["head", "one", "two", "three", ""].join(end);
        let mut rows = csv::Reader::from_reader(file.as_bytes());
        let lines: Vec<u64> = rows.records().map(|row| row.unwrap().position().unwrap().line()).collect();
        println!("{end:?} {lines:?}");
    }
}
RS
seen=$(CARGO_TARGET_DIR=$folder/target cargo run --quiet)
echo "$seen"
[[ $seen == '"\n" [2, 3, 4]'$'\n''"\r\n" [1, 2, 3]' ]]
