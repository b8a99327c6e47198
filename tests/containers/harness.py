"""Finds tests, runs each in a process group of its own with a time limit, and counts.

A test is a function `test_...(env)` of a module of this folder; its first docstring line is what it shows. It fails by
any exception, and skips by Skip. `limit` and `needs` are set by the decorator @test.
"""

import importlib
import os
import signal
import sys
import tempfile
import time
import traceback

import engines
import image


class Skip(Exception):
    pass


class Test:
    def __init__(self, module, function):
        self.name = f"{module}.{function.__name__[5:]}"
        self.function = function
        self.limit_s = getattr(function, "limit_s", 30)
        self.needs = getattr(sys.modules[module], "NEEDS", [])


def limit(seconds):
    def mark(function):
        function.limit_s = seconds
        return function
    return mark


def collect(modules, words):
    tests = []
    for module in modules:
        found = vars(importlib.import_module(module)).items()
        tests += [Test(module, f) for name, f in found if name.startswith("test_") and callable(f)]
    return [t for t in tests if not words or any(word in t.name for word in words)]


class Env:
    """What a test gets: the engines, the binary under test, and a folder of its own."""

    def __init__(self, work, shim):
        self.work = work
        self.shim = shim
        self.docker = self.podman = self.runc = None
        self.folder = None

    def start(self, needs):
        problems = {}
        for name, start in (("docker", self.start_docker), ("podman", self.start_podman), ("runc", self.start_runc)):
            if name not in needs:
                continue
            try:
                start()
            except engines.Unavailable as error:
                problems[name] = str(error)
        return problems

    def start_docker(self):
        self.docker = engines.Docker(self.work, self.shim)
        image.import_base(self.docker, self.work, self.shim)

    def start_podman(self):
        self.podman = engines.Podman(self.work, self.shim)
        image.import_base(self.podman, self.work, self.shim)

    def start_runc(self):
        self.runc = engines.Runc(self.work, self.shim)
        self.runc.root = image.base_root(self.work, self.shim)

    def stop(self):
        if self.docker:
            self.docker.stop_engine()


def child_main(test, env, output):
    """The forked child that is one test. Never returns."""
    os.setpgid(0, 0)
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    status = 1
    try:
        env.folder = tempfile.mkdtemp(prefix="t.", dir=env.work)
        test.function(env)
        status = 0
    except Skip as reason:
        print(reason)
        status = 77
    except BaseException:  # noqa: B902 - whatever it is, it is the verdict of this test
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


class Running:
    def __init__(self, test, env):
        self.test = test
        self.started = time.monotonic()
        self.output = tempfile.TemporaryFile(mode="w+", errors="replace")
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            child_main(test, env, self.output)

    def poll(self):
        """The verdict, or None while it runs. Beyond its time the whole group is killed."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        late = time.monotonic() - self.started > self.test.limit_s
        if pid == 0 and not late:
            return None
        if pid == 0:
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            return "late"
        return {0: "ok", 77: "skip"}.get(os.waitstatus_to_exitcode(status), "FAIL")

    def report(self, verdict):
        took = time.monotonic() - self.started
        self.output.seek(0)
        said = self.output.read()
        if verdict == "late":
            print(f"FAIL  {self.test.name}: more than {self.test.limit_s} s")
        elif verdict == "skip":
            print(f"skip  {self.test.name}: {said.strip()}")
            return
        else:
            print(f"{verdict:5} {self.test.name}  ({took:.1f} s)")
        if verdict != "ok":
            print("".join(f"      | {line}\n" for line in said.splitlines()), end="")


def run(tests, options):
    os.chdir(options.inside)  # conmon leaves a file "oom" where it was started
    env = Env(options.inside, options.shim)
    problems = env.start({need for test in tests for need in test.needs})
    counts = {"ok": 0, "FAIL": 0, "skip": 0}
    waiting, running = [], []
    for test in tests:
        missing = [problems[need] for need in test.needs if need in problems]
        if missing:
            print(f"skip  {test.name}: {missing[0]}")
            counts["skip"] += 1
        else:
            waiting.append(test)
    waiting.sort(key=lambda test: -test.limit_s)  # the long ones first: they set the length of the whole
    while waiting or running:
        while waiting and len(running) < options.jobs:
            running.append(Running(waiting.pop(0), env))
        for one in list(running):
            verdict = one.poll()
            if verdict is None:
                continue
            running.remove(one)
            one.report(verdict)
            counts["FAIL" if verdict == "late" else verdict] += 1
            sys.stdout.flush()
        time.sleep(0.02)
    env.stop()
    if options.strict:
        counts["FAIL"] += counts["skip"]
    skipped = f", {counts['skip']} skipped" if counts["skip"] else ""
    print(f"{counts['ok']} passed, {counts['FAIL']} failed{skipped}")
    return 1 if counts["FAIL"] else 0
