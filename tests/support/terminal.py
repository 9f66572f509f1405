"""Runs a program on a terminal of its own and types a line at every prompt, once nothing that is typed shows any more.

terminal.py [--echo] LINE PROGRAM [ARGUMENT…]    with --echo what is typed may show;
                                        what the terminal showed, on standard output; the program's exit code
"""

import os
import pty
import sys
import termios
import time

echo = sys.argv[1] == "--echo"
line, program = sys.argv[1 + echo], sys.argv[2 + echo :]
child, terminal = pty.fork()
if child == 0:
    os.execvp(program[0], program)
shown, answered = b"", 0
deadline = time.monotonic() + 120
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part:
        break
    shown += part
    if shown.endswith(b": ") and answered < shown.count(b": "):
        answered = shown.count(b": ")
        while not echo and termios.tcgetattr(terminal)[3] & termios.ECHO:
            if time.monotonic() > deadline:
                sys.exit("what is typed would show")
            time.sleep(0.005)
        os.write(terminal, line.encode() + b"\n")
sys.stdout.buffer.write(shown)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
