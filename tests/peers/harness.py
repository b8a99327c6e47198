"""Runs each case twice, with the peer's own binary and with ours under the same name, and compares what was seen.

A case is a function from a World to a dict. Each run is a process that is PID 1 of a namespace of its own, has a time limit
and takes everything it started with it when it goes.
"""
import json
import os
import re
import resource
import select
import shutil
import signal
import tempfile
import time
import traceback

import world

PEERS = {
    "tini": "/usr/bin/tini",
    "tini-static": "/usr/bin/tini-static",
    "dumb-init": "/usr/bin/dumb-init",
    "catatonit": "/usr/bin/catatonit",
}
TIME_LIMIT = 60.0
CASES = []


class Case:
    def __init__(self, peer, name, function, kwargs):
        self.peer, self.function, self.kwargs = peer, function, kwargs
        self.name = f"{peer}: {name}"


def case(*peers, **more):
    """Makes the function below a case for each of these peers, named by its docstring. A list in "each" makes one case an entry."""
    def register(function):
        each = more.get("each", [{}])
        for peer in peers:
            for kwargs in each:
                suffix = " ".join(str(value) for value in kwargs.values())
                CASES.append(Case(peer, f"{function.__doc__.strip()} {suffix}".strip(), function, kwargs))
        return function
    return register


class Job:
    """One run of one case with one binary."""

    def __init__(self, which, binary, scratch):
        self.case, self.started = which, time.monotonic()
        self.directory = tempfile.mkdtemp(dir=scratch)
        self.reader, writer = os.pipe()
        self.pid = world.namespace_fork()
        if self.pid == 0:
            try:
                self._stage(binary, writer)
            finally:
                os._exit(0)
        os.close(writer)
        self.data = b""

    def _stage(self, binary, writer):
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.closerange(3, writer)
        os.closerange(writer + 1, 4096)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.chdir(self.directory)
        os.umask(0o022)
        try:
            seen = self.case.function(world.World(binary, self.case.peer), **self.case.kwargs)
        except BaseException:
            seen = {"the case itself failed": traceback.format_exc()}
        os.write(writer, json.dumps(seen).encode())

    def finished(self):
        """Takes what has come; True at the end."""
        data = os.read(self.reader, 65536)
        self.data += data
        return not data

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.reader)
        shutil.rmtree(self.directory, ignore_errors=True)
        try:
            return json.loads(self.data)
        except ValueError:
            return {"the case itself failed": "no answer within its time limit"}


def run_jobs(todo, jobs):
    """todo: (key, case, binary). Yields (key, what was seen, seconds)."""
    active = {}
    todo = list(reversed(todo))
    with tempfile.TemporaryDirectory(prefix="shim-peers-") as scratch:
        os.chmod(scratch, 0o755)
        while todo or active:
            while todo and len(active) < jobs:
                key, which, binary = todo.pop()
                job = Job(which, binary, scratch)
                active[job.reader] = (key, job)
            ready = select.select(list(active), [], [], 0.2)[0]
            for fd, (key, job) in list(active.items()):
                late = time.monotonic() - job.started > TIME_LIMIT
                if late or (fd in ready and job.finished()):
                    del active[fd]
                    yield key, job.close(), time.monotonic() - job.started


def differences(theirs, ours, path=""):
    """The paths at which two observations differ, with both values."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted(set(theirs) | set(ours), key=str):
            yield from differences(theirs.get(key), ours.get(key), f"{path}/{key}")
    elif theirs != ours:
        yield path, theirs, ours


class Permitted:
    """A difference that is meant: where, why, and what either has to be for it (None: that is not fixed), or both together."""

    def __init__(self, case, path, reason, ours=None, theirs=None, both=None):
        self.case, self.path, self.reason = case, path, reason
        self.ours, self.theirs, self.both = ours, theirs, both

    def covers(self, name, path, theirs, ours):
        def fits(want, got):
            return want is None or (want(got) if callable(want) else want == got)
        return (re.search(self.case, name) is not None and re.fullmatch(self.path, path) is not None
                and fits(self.ours, ours) and fits(self.theirs, theirs) and (self.both is None or self.both(theirs, ours)))


def verdict(name, theirs, ours, permitted):
    """(problems, reasons): lines on what must not differ, and why the rest may."""
    problems, reasons = [], []
    for seen, who in ((theirs, "theirs"), (ours, "ours")):
        if "the case itself failed" in seen:
            problems.append(f"{who}: {seen['the case itself failed']}")
    if problems:
        return problems, reasons
    for path, their_value, our_value in differences(theirs, ours):
        cover = next((p for p in permitted if p.covers(name, path, their_value, our_value)), None)
        if cover:
            reasons.append(cover.reason)
        else:
            problems.append(f"{path}: theirs {json.dumps(their_value)}, ours {json.dumps(our_value)}")
    return problems, sorted(set(reasons))
