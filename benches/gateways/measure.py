"""One measurement: a gateway on one core, wrk on the other, and what processor time each took."""

import os
import pathlib
import re
import subprocess
import time

from parts import LOAD_CORE

CONNECTIONS = 32
TICK = os.sysconf("SC_CLK_TCK")


def family(pid):
    """A process and all that it started."""
    found, waiting = [], [pid]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            try:
                waiting += map(int, (task / "children").read_text().split())
            except OSError:
                pass
    return found


def busy(pid):
    """Seconds that all threads of a process were on a core."""
    total = 0
    for process in family(pid):
        for task in pathlib.Path(f"/proc/{process}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except OSError:
                pass
    return total / 1e9


def machine():
    """Seconds that the cores were at work."""
    user, nice, system, _, _, irq, soft, *_ = map(int, pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:])
    return (user + nice + system + irq + soft) / TICK


class Outcome:
    def __init__(self, requests, seconds, cpu, p99, foreign):
        self.rate = requests / seconds
        self.micros = cpu / requests * 1e6
        self.p99 = p99
        self.foreign = foreign


def milliseconds(text):
    number, unit = re.match(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def load(setting, seconds, services):
    """Asks a setting's gateway as fast as it answers. An answer with another status ends the program: it would measure something else."""
    wrk = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    for header in setting.headers:
        wrk += ["-H", header]
    pids = [setting.pid, *services]
    before, own = machine(), [busy(pid) for pid in pids]
    load_before = os.times()
    began = time.monotonic()
    text = subprocess.run([*wrk, f"http://127.0.0.1:{setting.port}/orders/7"], check=True, capture_output=True, text=True).stdout
    took = time.monotonic() - began
    load_after = os.times()
    gateway, *others = (after - first for after, first in zip([busy(pid) for pid in pids], own))
    children = (load_after.children_user + load_after.children_system) - (load_before.children_user + load_before.children_system)
    foreign = (machine() - before) - gateway - sum(others) - children
    requests, span = re.search(r"(\d+) requests in ([\d.]+)s", text).groups()
    requests = int(requests)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    refused = int(refused[1]) if refused else 0
    if requests == 0 or refused != (0 if setting.status == 200 else requests) or "Socket errors" in text:
        raise SystemExit(f"{setting.gateway}, {setting.name}: not every answer was {setting.status}:\n{text}")
    p99 = milliseconds(re.search(r"^ +99% +(\S+)", text, re.M)[1])
    return Outcome(requests, float(span), gateway, p99, max(foreign, 0) / took)
