#!/usr/bin/env python3
"""Renders a Helm chart with Helm itself, and prints what it would give the cluster.

    helm_render.py CHART NAME NAMESPACE [VALUES AS JSON]
"""

import json
import sys

from helm_python.chart import Chart, lint

INFO = 1

path, name, namespace, *values = sys.argv[1:]
found = [message for message in lint(path)["messages"] if message["severity"] > INFO]
if found:
    sys.exit(f"helm lint: {json.dumps(found)}")
with Chart.load(path) as chart:
    rendered = chart.render(values=json.loads(values[0]) if values else None, name=name, namespace=namespace)
for template, text in sorted(rendered.items()):
    if not template.endswith(".txt") and text.strip():
        lines = (line.rstrip() for line in text.strip().removeprefix("---\n").splitlines())
        print("---", f"# Source: {template}", *lines, sep="\n")
