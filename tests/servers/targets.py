"""What test_tls.py and test_targets.py share: the tool, servers that end with the test, the count.

The tool is tests/servers/target_tool.c, built beforehand: TARGET_TOOL, or build/target_tool.
"""

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.path.abspath(os.environ.get("TARGET_TOOL", os.path.join(ROOT, "build", "target_tool")))
RUN_SECONDS = 30

passed = []
failed = []


def verdict(name, problem):
    """Counts one case; problem is empty when it went well."""
    (failed if problem else passed).append(name)
    if problem:
        print(f"FAILED {name}: {problem}", flush=True)


def run(*args, **more):
    """The tool's exit status, what it said and how long it took."""
    began = time.monotonic()
    done = subprocess.run([TOOL, *args], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=RUN_SECONDS, check=False, **more)
    return done.returncode, (done.stdout + done.stderr).strip(), time.monotonic() - began


def expect(name, status, words, *args, at_most=10.0, **more):
    """One run of the tool: its exit status, and a regular expression for what it says ('' for nothing)."""
    got, said, took = run(*args, **more)
    fits = re.search(words, said) if words else not said
    if got != status or not fits:
        verdict(name, f"exit {got}, said {said!r}; expected exit {status}, {words!r}")
    elif took > at_most:
        verdict(name, f"took {took:.1f} s, more than {at_most}")
    else:
        verdict(name, "")


def free_port(host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def wait_for_port(port, process, host="127.0.0.1"):
    for _ in range(100):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"nothing listens on {host}:{port}")


@contextlib.contextmanager
def process(*args, port=None, **more):
    """A server program, ended by its pid."""
    p = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, **more)
    try:
        if port is not None:
            wait_for_port(port, p)
        yield p
    finally:
        p.kill()
        p.wait()


@contextlib.contextmanager
def listener(behave, host="127.0.0.1", port=0):
    """A server in a thread: behave(connection) for each; gives the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    s = socket.create_server((host, port), family=family)
    ended = threading.Event()

    def serve_one(c):
        with c, contextlib.suppress(OSError):
            c.settimeout(10)
            behave(c)

    def serve():
        while not ended.is_set():
            with contextlib.suppress(OSError):
                c, _ = s.accept()
                threading.Thread(target=serve_one, args=(c,), daemon=True).start()

    s.settimeout(0.2)
    t = threading.Thread(target=serve, daemon=True)
    t.start()
    try:
        yield s.getsockname()[1]
    finally:
        ended.set()
        t.join()
        s.close()


def hold(c):
    """Reads until the client has gone."""
    while c.recv(4096):
        pass


def finish():
    print(f"{len(passed)} passed, {len(failed)} failed")
    sys.exit(1 if failed or not passed else 0)


if not os.access(TOOL, os.X_OK):
    sys.exit(f"no {TOOL}: build it first, or name it in TARGET_TOOL")
