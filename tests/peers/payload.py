"""What runs under the init: prints each signal it gets. Only ever started by these tests, in a namespace of their own.

payload.py LABEL [SIGNAL...]   the label goes before each number; a SIGNAL that is named ends it with status 0
"""
import os
import signal
import sys

label = sys.argv[1]
last = {int(word) for word in sys.argv[2:]}
everything = signal.valid_signals()

signal.pthread_sigmask(signal.SIG_BLOCK, everything)
os.write(1, f"{label}ready {os.getpid()}\n".encode())
while True:
    got = signal.sigwaitinfo(everything).si_signo
    if got == signal.SIGCHLD:
        continue
    os.write(1, f"{label}{got}\n".encode())
    if got in last:
        sys.exit(0)
