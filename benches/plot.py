#!/usr/bin/env python3
"""Draws docs/revocations.svg from what `--bench revocation` printed, the medians of several runs one behind the other:

    for run in 1 2 3; do cargo bench -p bulla --bench revocation; done | benches/plot.py > docs/revocations.svg
"""

import math
import re
import statistics
import sys

ROW = re.compile(r"^ *(\d+) +(\d+) +[\d.]+ +\d+ +(-?[\d.]+) \(.*?\) +(-?[\d.]+) \(")
WIDTH, HEIGHT, LEFT, TOP = 330, 220, 60, 40

rows = {}
for row in filter(None, map(ROW.match, sys.stdin)):
    ids, *figures = map(float, row.groups())
    if ids:
        rows.setdefault(ids, []).append(figures)
memory, hot, cold = ([(ids, statistics.median(run[at] for run in runs)) for ids, runs in sorted(rows.items())]
                     for at in range(3))


def panel(x, title, ticks, height, lines):
    """One panel: `height` is where between 0 and 1 a figure stands; a line is its name, colour, dash and points."""
    def at(ids, figure):
        return x + WIDTH * (math.log10(ids) - 1) / 6, TOP + HEIGHT * (1 - height(figure))

    yield f'<text x="{x}" y="{TOP - 18}" font-weight="bold">{title}</text>'
    for figure, name in ticks:
        _, y = at(10, figure)
        yield f'<path d="M{x} {y:.1f}h{WIDTH}" stroke="#ddd"/><text x="{x - 6}" y="{y + 4:.1f}" text-anchor="end">{name}</text>'
    for power, name in enumerate(["10", "100", "1,000", "10 k", "100 k", "1 M", "10 M"], 1):
        yield f'<text x="{at(10 ** power, 1)[0]:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{name}</text>'
    for place, (name, colour, dash, points) in enumerate(lines):
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in (at(*point) for point in points))
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
        yield f'<text x="{x + 12}" y="{TOP + 18 + 16 * place}" fill="{colour}">{name}</text>'


top = max(0.5, max(figure for _, figure in hot + cold))
ends = [10, 10 ** 7]
print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH + 3 * LEFT} {HEIGHT + 2 * TOP}" '
      'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>')
print("\n".join(panel(LEFT, "cost of a look-up, in parts of raw open, by ids", [(t / 10, f"{t / 10}") for t in range(int(top * 10) + 1)],
                      lambda figure: max(figure, 0) / top,
                      [("65,536 keys in turn", "#b33", "none", cold), ("512 keys in turn", "#27b", "none", hot),
                       ("at most, at a million: 0.15", "#777", "4", [(ids, 0.15) for ids in ends])])))
print("\n".join(panel(WIDTH + 2 * LEFT, "memory in bytes, by ids", [(10 ** p, name) for p, name in ((3, "1 kB"), (6, "1 MB"), (9, "1 GB"))],
                      lambda figure: (math.log10(figure) - 2) / 7,
                      [("measured", "#27b", "none", memory), ("at most: 48 each", "#777", "4", [(ids, 48 * ids) for ids in ends])])))
print("</svg>")
