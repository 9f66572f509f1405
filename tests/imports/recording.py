"""What the makers of fixtures in record.py have in common: where to write, and parts of packages that are not installed."""

import ast
import csv
import io
import json
import os
import pathlib
import sys

FOLDER = pathlib.Path(sys.argv[1])
UNPACKED = pathlib.Path(os.environ.get("BULLA_IMPORTS_UNPACKED", "unpacked"))
APP = "3f2b8c1e-9a7d-4d52-8a55-0123456789ab"
WANTED = sys.argv[2:]
SECRET = "a secret of the old system: 7f3a, longer than thirty-two characters"


def write(name, package, how, arguments, rows, keys, wrong=(), format="jsonl", secret=None, encoding="text"):
    """One fixture. `how` is run, extracted (functions of the package, run without what the whole of it needs), or documented (made
    here, as the project documents it)."""
    if WANTED and name not in WANTED:
        return
    if format == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        text = text.getvalue()
    else:
        text = "".join(json.dumps(row, default=str) + "\n" for row in rows)
    fixture = {"package": package, "how": how, "arguments": arguments, "format": format, "rows": text, "keys": keys}
    fixture["wrong"] = list(wrong) or [changed(keys[0])]
    if secret is not None:
        fixture["secret"] = {"text": secret, "encoding": encoding}
    (FOLDER / f"{name}.json").write_text(json.dumps(fixture, indent=1, ensure_ascii=False) + "\n")
    print(name)


def changed(key):
    """The key with another character near its end, so that its form stays."""
    at = len(key) - 5
    return key[:at] + ("a" if key[at] != "a" else "b") + key[at + 1 :]


def function(path, name, **names):
    """One function of a file that cannot be imported without its framework."""
    tree = ast.parse((UNPACKED / path).read_text())
    found = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name)
    found.decorator_list, found.returns = [], None
    for argument in found.args.args:
        argument.annotation = None
    scope = dict(names)
    exec(compile(ast.fix_missing_locations(ast.Module([found], [])), path, "exec"), scope)
    made = scope[name]
    # It may call one of its own name.
    scope.update(names)
    return made


def classes(path, *wanted, **names):
    """The same for classes, which may need one another."""
    tree = ast.parse((UNPACKED / path).read_text())
    found = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name in wanted]
    scope = dict(names)
    exec(compile(ast.Module(found, []), path, "exec"), scope)
    return [scope[name] for name in wanted]


def of(system, *more):
    return ["--from", system, "--app", APP, *more]
