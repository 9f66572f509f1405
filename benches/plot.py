#!/usr/bin/env python3
"""Draws the pictures of measurements in docs/.

    for run in 1 2 3; do cargo bench -p bulla --bench revocation; done | benches/plot.py revocations > docs/revocations.svg
    benches/plot.py verify > docs/verify.svg
    cargo bench -p bulla-server --bench propagation | benches/plot.py propagation > docs/propagation.svg
    benches/plot.py gateways < docs/gateways.json > docs/gateways.svg
    { cargo bench -p bulla --bench growth; cargo bench -p bulla-server --bench issue; } | grep ^grow > docs/growth.tsv
    benches/plot.py growth < docs/growth.tsv > docs/growth.svg

`revocations` reads what the benchmark printed, and takes the medians of the runs. `verify` reads the table of
docs/PERFORMANCE.md, and takes the medians of its runs. `propagation` reads what the benchmark printed, `gateways` the
figures that `benches/gateways` wrote, `growth` the lines that its benchmarks printed.
"""

import json
import math
import pathlib
import re
import statistics
import sys

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "PERFORMANCE.md"
WIDTH, HEIGHT, LEFT, TOP = 330, 220, 60, 40
STYLE = """<style>
  .paper { fill: #fff } text { fill: #1c2733 } .grid { stroke: #ddd } .bound { stroke: #777 } .boundtext { fill: #666 }
  .first { stroke: #27b } .firsttext { fill: #27b } .second { stroke: #b33 } .secondtext { fill: #b33 }
  .peer { fill: #9aa9ba } .own { fill: #2e7d43 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } text { fill: #e6edf3 } .grid { stroke: #30363d } .bound { stroke: #8b949e } .boundtext { fill: #a9b8c9 }
    .first { stroke: #6cb0ff } .firsttext { fill: #6cb0ff } .second { stroke: #ff8f8f } .secondtext { fill: #ff8f8f }
    .peer { fill: #5d6f83 } .own { fill: #5fbf78 }
  }
</style>"""


def picture(width, height, lines):
    """An SVG that is readable on a light and on a dark page."""
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">')
    print(STYLE, f'<rect class="paper" width="{width}" height="{height}"/>', *lines, "</svg>", sep="\n")


def panel(x, title, ticks, height, lines):
    """One panel: `height` is where between 0 and 1 a figure stands; a line is its name, class, dash and points."""
    def at(ids, figure):
        return x + WIDTH * (math.log10(ids) - 1) / 6, TOP + HEIGHT * (1 - height(figure))

    yield f'<text x="{x}" y="{TOP - 18}" font-weight="bold">{title}</text>'
    for figure, name in ticks:
        _, y = at(10, figure)
        yield f'<path class="grid" d="M{x} {y:.1f}h{WIDTH}"/><text x="{x - 6}" y="{y + 4:.1f}" text-anchor="end">{name}</text>'
    for power, name in enumerate(["10", "100", "1,000", "10 k", "100 k", "1 M", "10 M"], 1):
        yield f'<text x="{at(10 ** power, 1)[0]:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{name}</text>'
    for place, (name, kind, dash, points) in enumerate(lines):
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in (at(*point) for point in points))
        yield f'<polyline class="{kind}" points="{path}" fill="none" stroke-width="2" stroke-dasharray="{dash}"/>'
        yield f'<text class="{kind}text" x="{x + 12}" y="{TOP + 18 + 16 * place}">{name}</text>'


def revocations():
    row = re.compile(r"^ *(\d+) +(\d+) +[\d.]+ +\d+ +(-?[\d.]+) \(.*?\) +(-?[\d.]+) \(")
    rows = {}
    for found in filter(None, map(row.match, sys.stdin)):
        ids, *figures = map(float, found.groups())
        if ids:
            rows.setdefault(ids, []).append(figures)
    memory, hot, cold = ([(ids, statistics.median(run[at] for run in runs)) for ids, runs in sorted(rows.items())]
                         for at in range(3))
    top = max(0.5, max(figure for _, figure in hot + cold))
    ends = [10, 10 ** 7]
    cost = panel(LEFT, "cost of a look-up, in parts of raw open, by ids", [(t / 10, f"{t / 10}") for t in range(int(top * 10) + 1)],
                 lambda figure: max(figure, 0) / top,
                 [("65,536 keys in turn", "second", "none", cold), ("512 keys in turn", "first", "none", hot),
                  ("at most, at a million: 0.15", "bound", "4", [(ids, 0.15) for ids in ends])])
    size = panel(WIDTH + 2 * LEFT, "memory in bytes, by ids", [(10 ** p, name) for p, name in ((3, "1 kB"), (6, "1 MB"), (9, "1 GB"))],
                 lambda figure: (math.log10(figure) - 2) / 7,
                 [("measured", "first", "none", memory), ("at most: 48 each", "bound", "4", [(ids, 48 * ids) for ids in ends])])
    picture(2 * WIDTH + 3 * LEFT, HEIGHT + 2 * TOP, [*cost, *size])


def verify():
    section = PAGE.read_text(encoding="utf-8").split("## Verify\n", 1)[1].split("\n## ", 1)[0]
    table = next(table for table in section.split("\n\n") if "| Fernet" in table)
    row = re.compile(r"^\| \**([^|*]+?)\**(?: \([^|]*\))?\** \|(.*)\|$", re.M)
    times = [(name, statistics.median(int(cell.rsplit(", ", 1)[0].replace(",", "")) for cell in cells.split("|")))
             for name, cells in row.findall(table) if re.match(r" \d", cells)]
    shown = [(name, time) for name, time in times if not re.search("forged|garbage|scope|suite", name)]
    longest = max(time for _, time in shown)
    left, width, high = 290, 430, 26

    def bars():
        yield f'<text x="{left}" y="22" font-weight="bold">nanoseconds for one API key, one core; less is better</text>'
        for place, (name, time) in enumerate(shown):
            y = 38 + high * place
            own = name.startswith("bulla")
            weight = ' font-weight="bold"' if own else ""
            yield f'<text x="{left - 8}" y="{y + 14}" text-anchor="end"{weight}>{name}</text>'
            yield f'<rect class="{"own" if own else "peer"}" x="{left}" y="{y}" width="{width * time / longest:.1f}" height="{high - 7}"/>'
            yield f'<text x="{left + width * time / longest + 6:.1f}" y="{y + 14}"{weight}>{time:,.0f}</text>'

    picture(left + width + 60, 38 + high * len(shown) + 8, bars())


def propagation():
    row = re.compile(r"^plot\t(.+)\t(\d+)\t([\d.]+)$")
    lines = {}
    for name, percent, time in (found.groups() for found in map(row.match, sys.stdin) if found):
        if "nodes" not in name and "gateway" not in name:
            lines.setdefault(name, []).append((int(percent), max(float(time), 1)))
    width, kinds = 2 * WIDTH, [("first", "none"), ("first", "4"), ("second", "none"), ("second", "4")]

    def at(percent, time):
        return LEFT + width * percent / 100, TOP + HEIGHT * (1 - math.log10(time) / 3.3)

    def figure():
        yield f'<text x="{LEFT}" y="{TOP - 18}" font-weight="bold">milliseconds until it is refused, from the acknowledgement, and from when it was asked for</text>'
        for time in (1, 10, 100, 1000):
            _, y = at(0, time)
            yield f'<path class="grid" d="M{LEFT} {y:.1f}h{width}"/><text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{time:,}</text>'
        for percent in (0, 25, 50, 75, 90, 99):
            yield f'<text x="{at(percent, 1)[0]:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{percent} %</text>'
        x, y = at(99, 1000)
        yield f'<path class="bound" d="M{LEFT} {y:.1f}H{x:.1f}V{TOP + HEIGHT}" fill="none" stroke-dasharray="4"/>'
        for place, ((name, points), (kind, dash)) in enumerate(zip(lines.items(), kinds)):
            path = " ".join(f"{px:.1f},{py:.1f}" for px, py in (at(*point) for point in points))
            yield f'<polyline class="{kind}" points="{path}" fill="none" stroke-width="2" stroke-dasharray="{dash}"/>'
            yield f'<text class="{kind}text" x="{LEFT + 12}" y="{TOP + 32 + 16 * place}">{name}{" (dashed)" if dash != "none" else ""}</text>'
        yield f'<text class="boundtext" x="{x - 6:.1f}" y="{y - 6:.1f}" text-anchor="end">at most, at 99 %: 1 s</text>'

    picture(width + 2 * LEFT, HEIGHT + 2 * TOP, figure())


def gateways():
    rows = [row for row in json.load(sys.stdin)["rows"] if row["kind"] != "plain"]
    classes = {"own": "peer", "forward": "secondtext", "module": "own"}
    left, width, high = 250, 330, 22
    panels = [("requests per second, plain gateway = 1", "ratio", 1.05, "{:.2f}"), ("processor µs added to a request", "added", 80, "{:+.1f}")]

    def bars():
        y = 26
        for gateway in dict.fromkeys(row["gateway"] for row in rows):
            yield f'<text x="12" y="{y + 16}" font-weight="bold">{gateway}</text>'
            for row in (row for row in rows if row["gateway"] == gateway):
                yield f'<text x="{left - 8}" y="{y + 15}" text-anchor="end">{row["setting"]}</text>'
                for place, (_, field, full, form) in enumerate(panels):
                    x, figure = left + place * (width + 70), row[field]
                    middle, low, top = (max(0, min(figure[end], full)) * width / full for end in ("median", "min", "max"))
                    yield f'<rect class="{classes[row["kind"]]}" x="{x}" y="{y + 2}" width="{middle:.1f}" height="{high - 6}"/>'
                    yield f'<path class="bound" d="M{x + low:.1f} {y + high / 2 - 1}H{x + top:.1f}"/>'
                    yield f'<text x="{x + max(middle, top) + 6:.1f}" y="{y + 15}">{form.format(figure["median"])}</text>'
                y += high
            y += 10
        for place, (title, *_) in enumerate(panels):
            yield f'<text x="{left + place * (width + 70)}" y="18" font-weight="bold">{title}</text>'
        legend = [("peer", "the gateway's own check"), ("secondtext", "it asks bulla"), ("own", "bulla inside")]
        for place, (kind, name) in enumerate(legend):
            x = left + 190 * place
            yield f'<rect class="{kind}" x="{x}" y="{y + 4}" width="12" height="12"/><text x="{x + 18}" y="{y + 14}">{name}</text>'

    gaps = 10 * len({row["gateway"] for row in rows})
    picture(left + 2 * (width + 70), 26 + high * len(rows) + gaps + 28, bars())


def growth():
    names = {"list": "ids revoked", "claims": "bytes of claims", "realms": "realms", "versions": "key versions", "batch": "keys issued at once"}
    rows = {}
    for line in sys.stdin:
        _, plot, size, _, ratio, memory = line.rstrip("\n").split("\t")
        rows.setdefault(plot, []).append((int(size), float(ratio), int(memory)))
    side, below = 210, TOP + HEIGHT + 90
    times = {plot: [(size, ratio) for size, ratio, _ in points] for plot, points in rows.items() if plot != "batch"}
    # Where nothing was measured there is no curve.
    memories = {plot: [(size, memory) for size, _, memory in points if memory] for plot, points in rows.items() if plot != "batch"}
    memories = {plot: points for plot, points in memories.items() if len(points) > 1}
    most = max(2.0, max(ratio for points in times.values() for _, ratio in points))

    def frame(x, y, title, last, points, ticks, height):
        """A curve of a plot whose greatest size is `last`. Sizes that go up by tens stand on a logarithmic axis, with none at its left end."""
        tens = last >= 1000
        scale = (lambda size: math.log10(max(size, 1))) if tens else float

        def at(size, figure):
            return x + side * scale(size) / scale(last), y + HEIGHT * (1 - height(figure))

        yield f'<text x="{x}" y="{y - 18}" font-weight="bold">{title}</text>'
        for figure, name in ticks:
            _, line = at(last, figure)
            yield f'<path class="grid" d="M{x} {line:.1f}h{side}"/><text x="{x - 6}" y="{line + 4:.1f}" text-anchor="end">{name}</text>'
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in (at(*point) for point in points))
        yield f'<polyline class="first" points="{path}" fill="none" stroke-width="2"/>'
        for place, (size, figure) in enumerate(points):
            name = next((f"{size // n:,}{unit}" for n, unit in ((10 ** 6, " M"), (10 ** 3, " k")) if size >= n), size)
            if tens or place % 2 == 0 or place == len(points) - 1:
                yield f'<text x="{at(size, figure)[0]:.1f}" y="{y + HEIGHT + 18}" text-anchor="middle">{name}</text>'

    def panels():
        for place, (plot, points) in enumerate(rows.items()):
            x, last = LEFT + place * (side + LEFT), points[-1][0]
            if plot in times:
                ticks = [(tick, tick) for tick in range(int(most) + 1)]
                yield from frame(x, TOP, names[plot], last, times[plot], ticks, lambda ratio: ratio / most)
            else:
                rates = [(size, 1 / ratio) for size, ratio, _ in points]
                powers = max(1, math.ceil(math.log10(max(rate for _, rate in rates))))
                ticks = [(10 ** power, f"{10 ** power:,} ×") for power in range(powers + 1)]
                yield from frame(x, TOP, names[plot], last, rates, ticks, lambda rate: math.log10(rate) / powers)
                yield f'<text x="{x}" y="{TOP + HEIGHT + 44}">keys a second, beside one at a time</text>'
            if plot in memories:
                ticks = [(10 ** power, name) for power, name in ((3, "1 kB"), (6, "1 MB"), (9, "1 GB"))]
                yield from frame(x, below, names[plot], last, memories[plot], ticks, lambda memory: (math.log10(memory) - 2) / 7)

    lines = [f'<text x="{LEFT}" y="{y + HEIGHT + 44}">{text}</text>'
             for y, text in ((TOP, "time of a verify, as ratio to the smallest size"), (below, "memory"))]
    picture(len(rows) * (side + LEFT) + LEFT, below + HEIGHT + 60, [*panels(), *lines])


{"gateways": gateways, "growth": growth, "propagation": propagation, "revocations": revocations, "verify": verify}[sys.argv[1]]()
