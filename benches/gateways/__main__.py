"""Gateways beside each other in one run: what checking an API key costs in each, in each way that it has.

    python3 benches/gateways --output docs/gateways.json           20 minutes; nothing else may run on this machine
    python3 benches/gateways --rounds 2 --seconds 1                a try
    python3 benches/gateways --program-before PATH --only 'ext_authz|auth_request'
                                                                   asking bulla, beside asking another program of it
    benches/plot.py gateways < docs/gateways.json > docs/gateways.svg

Each gateway has one worker on core 0. wrk asks from core 1, over 32 connections kept alive, with the same key of two scopes;
where a gateway asks bulla, bulla runs on core 1, too. No request has a body, and none goes to an application: with one all
ratios are nearer to 1.

The settings take turns: a round has each of them once. "ratio" is requests per second by those of the plain gateway in the same
round, "added" the processor time of the gateway's process for a request, less that of the plain gateway. Near full load of
wrk's core the ratio flatters; the processor time does not. A measurement during which others used more than 8 % of one core is
repeated, five times at most, and then the whole round of that gateway does not count.

With --program-before, each way to ask bulla over a port is there a second time, with a service of that program, in turns with
the first: "beside before" is requests per second by those in the same round. The gateway's configuration is the same.

It needs wrk and the parts of tests/parts, a release build of bulla, and the modules of keys/gateways. A setting whose module is
not built is skipped, and said so.
"""

import argparse
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import envoy  # noqa: E402
import haproxy  # noqa: E402
import nginx  # noqa: E402
from measure import load  # noqa: E402
from parts import BEFORE, MILLION, ROOT, Deployment  # noqa: E402

FOREIGN, TRIES = 0.08, 5


class Good:
    def __init__(self, key):
        self.key = key


class Parts:
    """What settings are made from."""

    def __init__(self, arguments, folder):
        self.folder, self.folder_of_parts = folder, arguments.parts
        self.modules, self.c_abi, self.only = arguments.modules, arguments.c_abi, arguments.only
        self.service = Deployment(arguments.bulla, folder / "service")
        good, self.forged = self.service.keys()
        self.good = Good(good)
        self._million, self._bulla, self.before = None, arguments.bulla, None
        if arguments.program_before:
            deployment = Deployment(arguments.program_before, folder / "before", unix=False)
            self.before = deployment, Good(deployment.keys()[0])

    def million(self):
        """A deployment with a million revoked keys, and a good key of it."""
        if not self._million:
            print("a million keys are revoked …", file=sys.stderr)
            deployment = Deployment(self._bulla, self.folder / "million", MILLION)
            self._million = deployment, Good(deployment.keys()[0])
        return self._million

    def _deployments(self):
        return [self.service] + [other[0] for other in (self._million, self.before) if other]

    def services(self):
        return [process.pid for deployment in self._deployments() for process in deployment.processes]

    def end(self):
        for deployment in self._deployments():
            deployment.end()


def measured(setting, seconds, services):
    """An outcome without others' load, or None."""
    for _ in range(TRIES):
        outcome = load(setting, seconds, services)
        if outcome.foreign <= FOREIGN:
            return outcome
        print(f"  {setting.gateway}, {setting.name}: others used {outcome.foreign:.0%} of a core; again", file=sys.stderr)
    return None


def rounds(settings, arguments, services):
    """Each gateway's settings in turn; what was measured, by gateway and name, one entry for each round that counts."""
    found = {(setting.gateway, setting.name): [] for setting in settings}
    discarded = 0
    for number in range(arguments.rounds):
        for gateway in dict.fromkeys(setting.gateway for setting in settings):
            own = [setting for setting in settings if setting.gateway == gateway]
            turn = number % len(own)
            outcomes = {}
            for setting in own[turn:] + own[:turn]:
                outcomes[setting.name] = measured(setting, arguments.seconds, services())
                if outcomes[setting.name] is None and not arguments.noisy:
                    break
            if any(outcome is None for outcome in outcomes.values()):
                discarded += 1
                print(f"  round {number + 1} of {gateway} does not count: others were at work", file=sys.stderr)
                continue
            plain = outcomes["plain"]
            for name, outcome in outcomes.items():
                beside = outcomes.get(f"{name}{BEFORE}")
                found[gateway, name].append({
                    **({"beside_before": round(outcome.rate / beside.rate, 4)} if beside else {}),
                    "per_second": round(outcome.rate), "ratio": round(outcome.rate / plain.rate, 4), "micros": round(outcome.micros, 3),
                    "added": round(outcome.micros - plain.micros, 3), "p99_ms": outcome.p99, "p99_ratio": round(outcome.p99 / plain.p99, 3)})
    return found, discarded


def row(setting, entries):
    def spread(field):
        values = [entry[field] for entry in entries]
        return {"median": statistics.median(values), "min": min(values), "max": max(values)}

    return {"gateway": setting.gateway, "setting": setting.name, "kind": setting.kind, "rounds": len(entries),
            **{field: spread(field) for field in entries[0]}}


def shown(rows):
    for each in rows:
        ratio, added, p99, before = each["ratio"], each["added"], each["p99_ratio"], each.get("beside_before")
        print(f"{each['gateway']:8} {each['setting']:34} {each['per_second']['median']:9,.0f}/s"
              f"   ratio {ratio['median']:5.2f} [{ratio['min']:.2f}–{ratio['max']:.2f}]"
              f"   {each['micros']['median']:6.1f} µs, added {added['median']:+6.2f} [{added['min']:+.2f}..{added['max']:+.2f}]"
              f"   p99 × {p99['median']:.2f} [{p99['min']:.2f}–{p99['max']:.2f}]"
              + (f"   beside before {before['median']:.2f} [{before['min']:.2f}–{before['max']:.2f}]" if before else ""))


def versions(parts):
    def first(*command):
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        return re.search(r"\d+\.\d+\.\d+\S*", ran.stdout + ran.stderr)[0]

    return {"Envoy": first(parts / "bin/envoy", "--version").split("/")[0], "nginx": first("nginx", "-v"), "HAProxy": first("haproxy", "-v")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--only", default="", help="settings whose gateway and name match this expression, and the plain ones")
    parser.add_argument("--noisy", action="store_true", help="let measurements count that others disturbed")
    parser.add_argument("--output", type=pathlib.Path, help="where to write the figures, as JSON")
    parser.add_argument("--bulla", type=pathlib.Path, default=ROOT / "target/release/bulla")
    parser.add_argument("--program-before", type=lambda path: pathlib.Path(path).resolve(), help="another bulla, which is asked beside this one")
    parser.add_argument("--modules", type=pathlib.Path, default=ROOT / "keys/gateways/target/release")
    parser.add_argument("--library", dest="c_abi", type=pathlib.Path, default=ROOT / "target/release/libbulla.so")
    parser.add_argument("--parts", type=pathlib.Path, default=ROOT / "target/test-parts")
    arguments = parser.parse_args()
    if arguments.noisy:
        global FOREIGN
        FOREIGN = float("inf")
    if not shutil.which("wrk"):
        raise SystemExit("wrk is not installed: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        parts = Parts(arguments, folder)
        started = []
        try:
            for module in (envoy, nginx, haproxy):
                for setting in module.settings(parts):
                    if setting.kind != "plain" and not re.search(arguments.only, f"{setting.gateway} {setting.name}"):
                        continue
                    if missing := setting.missing():
                        print(f"skipped: {setting.gateway}, {setting.name}: there is no {', '.join(missing)}", file=sys.stderr)
                        continue
                    setting.start(folder / f"gateway-{len(started)}")
                    started.append(setting)
            found, discarded = rounds(started, arguments, parts.services)
        finally:
            for setting in started:
                setting.end()
            parts.end()
    rows = [row(setting, found[setting.gateway, setting.name]) for setting in started if found[setting.gateway, setting.name]]
    shown(rows)
    print(f"{arguments.rounds} rounds of {arguments.seconds} s; {discarded} rounds of a gateway do not count")
    if arguments.output:
        told = {"versions": versions(arguments.parts), "rounds": arguments.rounds, "seconds": arguments.seconds, "discarded": discarded, "rows": rows}
        arguments.output.write_text(json.dumps(told, indent=1) + "\n")


main()
