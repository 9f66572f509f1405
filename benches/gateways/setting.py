"""One gateway in one configuration, and what it is asked."""

import os
import subprocess
import time
import urllib.error
import urllib.request

from parts import GATEWAY_CORE, free_port, until_listening


class Setting:
    """`start` writes files into a folder and returns the command that listens on a port. `kind` is plain, own (the gateway's own key
    check), forward (it asks bulla) or module. `needs` are files without which it is skipped."""

    def __init__(self, gateway, name, start, good, kind, shows=None, status=200, needs=(), environment=None, shares=None):
        self.gateway, self.name, self.kind, self.status, self.shares = gateway, name, kind, status, shares
        self.headers = shows or [f"Authorization: Bearer {good.key}"]
        self._start, self._needs, self._environment = start, needs, environment or {}
        self.pid = self.port = self._process = None

    def missing(self):
        return [str(path) for path in self._needs if not os.path.exists(path)]

    def start(self, folder):
        """In `shares` it is another setting's process that is asked."""
        if self.shares:
            self.pid, self.port = self.shares.pid, self.shares.port
            return
        folder.mkdir()
        self.port = free_port()
        log = folder / "log"
        command = ["taskset", "-c", GATEWAY_CORE, *self._start(folder, self.port)]
        self._process = subprocess.Popen(command, cwd=folder, stdout=log.open("w"), stderr=subprocess.STDOUT, env={**os.environ, **self._environment})
        self.pid = self._process.pid
        until_listening(self.port, self._process, log)
        self._until_it_answers(log)

    def _until_it_answers(self, log):
        """A module refuses until it has read the revocations."""
        headers = dict(header.split(": ", 1) for header in self.headers)
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/orders/7", headers=headers)
        deadline = time.monotonic() + 60
        while True:
            try:
                status = urllib.request.urlopen(request, timeout=10).status
            except urllib.error.HTTPError as error:
                status = error.code
            if status == self.status:
                return
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.gateway}, {self.name}: {status}, not {self.status}\n{log.read_text(errors='replace')[:3000]}")
            time.sleep(0.05)

    def end(self):
        if self._process:
            self._process.kill()
            self._process.wait()
