"""The whole container is suspended for five seconds, in each phase: docker pause, a checkpoint, a
laptop's lid. Deadlines that came meanwhile are due at once, others hold, and nobody is forgotten."""

import os
import re
import time

from harness import check, equal, eventually, read, scenario
from network import network

TERM, KILL, STOP, CONT, USR1 = 15, 9, 19, 18, 10
SECONDS = 5
SOON = 4  # after it goes on: the machine may be busy, the deadline long past
V1, V2 = "/sys/fs/cgroup/freezer", "/sys/fs/cgroup/unified"


class Suspended:
    """with Suspended(case, init): by a cgroup of its own where there is one, else by SIGSTOP from
    outside, PID 1 first and last."""

    def __init__(self, case, init, by_signal=False):
        self.init = init
        self.folder = None if by_signal else self.make_cgroup(case)
        self.pids = []

    @staticmethod
    def make_cgroup(case):
        name = "shim-test-" + os.path.basename(case.dir)
        for root, control in (
            (V1, "freezer.state"),
            (V2, "cgroup.freeze"),
            ("/sys/fs/cgroup", "cgroup.freeze"),
        ):
            folder = os.path.join(root, name)
            try:
                os.mkdir(folder)
            except OSError:
                continue
            if os.path.exists(os.path.join(folder, control)):
                return folder
            os.rmdir(folder)
        return None

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="ascii") as f:
            f.write(text)

    def set(self, frozen):
        if os.path.exists(os.path.join(self.folder, "freezer.state")):
            self.write("freezer.state", "FROZEN" if frozen else "THAWED")
        else:
            self.write("cgroup.freeze", "1" if frozen else "0")

    def __enter__(self):
        self.pids = sorted(self.init.processes())
        if self.folder:
            for pid in self.pids:
                try:
                    self.write("cgroup.procs", str(pid))
                except ProcessLookupError:
                    pass
            self.set(True)
        else:
            for pid in (self.init.pid, *self.pids):
                os.kill(pid, STOP)
        return self

    def __exit__(self, *_):
        if self.folder:
            self.set(False)
        else:
            for pid in (*[p for p in self.pids if p != self.init.pid], self.init.pid):
                try:
                    os.kill(pid, CONT)
                except ProcessLookupError:
                    pass

    def remove(self):
        """When all of its processes are gone."""
        if self.folder and os.path.exists(self.folder):
            eventually(lambda: not read(f"{self.folder}/cgroup.procs"), "the cgroup is empty")
            os.rmdir(self.folder)


def suspend(case, init, meanwhile=lambda: None):
    """Five seconds; returns when it went on."""
    suspended = Suspended(case, init, case.by_signal)
    with suspended:
        time.sleep(SECONDS / 2)
        meanwhile()
        time.sleep(SECONDS / 2)
    case.suspended.append(suspended)
    return time.monotonic()


def ends(case, init, begun, status, least=0.0, most=SOON):
    equal(init.wait(20), status, init.err)
    took = init.ended - begun
    check(least <= took <= most, f"it went on for {took:.1f} s\n{init.err}")


def both_ways(function, modes=("pid1", "kernel")):
    """Each story with the freezer and with SIGSTOP."""
    for by_signal in (False, True):

        def story(case, by_signal=by_signal):
            case.by_signal, case.suspended = by_signal, []
            try:
                function(case)
            finally:
                case.close()
                for suspended in case.suspended:
                    suspended.remove()

        story.__name__ = f"{function.__name__}_by_{'signal' if by_signal else 'freezer'}"
        globals()[story.__name__] = story
        scenario(modes=modes, limit=50)(story)


def waiting_too_long(case):
    init = case.start(["signals"], opts=["--wait-for", f"file:{case.dir}/no", "--wait-timeout", "3s"])
    init.quiet(0.5)
    ends(case, init, suspend(case, init), 124)


def waiting_and_it_comes(case):
    up = case.path("up")
    init = case.start(["signals", "15", "6"], opts=["--wait-for", f"file:{up}", "--wait-timeout", "30s"])
    init.quiet(0.5)
    begun = suspend(case, init, lambda: case.path("up", "") and None)
    init.line("^ready")
    init.signal(TERM)
    ends(case, init, begun, 6)


def preparing_too_long(case):
    init = case.start(["signals"], opts=["--pre-start", "sleep 60", "--hook-timeout", "2s"])
    init.quiet(0.5)
    begun = suspend(case, init)
    equal(init.wait(20) in (124, 143), True, init.err)
    check("timed out" in init.err, init.err)
    ends(case, init, begun, init.process.returncode)


def preparing(case):
    init = case.start(["signals", "15", "6"], opts=["--pre-start", "sleep 2", "--pre-start", "sleep:2s"])
    init.quiet(0.5)
    begun = suspend(case, init)
    init.line("^ready")  # the second step begins when the first has ended
    check(time.monotonic() - begun > 1.5, "the pause was cut short")
    init.signal(TERM)
    ends(case, init, begun, 6)


def starting(case):
    init = case.start(["signals", "15", "6"], opts=["--post-start", "sleep 2", "-v"])
    init.line("^ready")
    begun = suspend(case, init, lambda: init.signal(USR1))
    init.line("-> running", "err")
    init.line("^got 10$")
    init.signal(TERM)
    ends(case, init, begun, 6)


def running(case):
    """A signal from outside meanwhile, an orphan's end, and the health server's."""
    network()
    script = f"({case.payload} exit 1 1500 &); exec {case.payload} signals 15 6"
    init = case.start(["/bin/sh", "-c", script], opts=["--health", "127.0.0.1:9090", "-v"])
    init.line("^ready")
    init.line("-> running", "err")
    begun = suspend(case, init, lambda: init.signal(USR1))
    init.line("^got 10$")
    eventually(lambda: not init.zombies(), "all are reaped")
    init.signal(TERM)
    ends(case, init, begun, 6)


def draining(case):
    init = case.start(["signals", "15", "6"], opts=["--drain", "2s", "--grace", "30s", "-v"])
    init.line("^ready")
    init.signal(TERM)
    init.line("-> draining", "err")
    begun = suspend(case, init)
    init.line("^got 15$")
    ends(case, init, begun, 6)


def draining_goes_on(case):
    """What is not over is not cut short either."""
    init = case.start(["signals", "15", "6"], opts=["--pre-stop", "sleep:7s", "--grace", "30s"])
    init.line("^ready")
    init.signal(TERM)
    stopped = time.monotonic()
    init.quiet(0.2)
    begun = suspend(case, init)
    ends(case, init, begun, 6)
    check(init.ended - stopped > 6.8, f"the pause ended after {init.ended - stopped:.1f} s")


def draining_beyond_the_budget(case):
    log = case.path("message")
    init = case.start(
        ["ignore"], opts=["--drain", "2s", "--grace", "4s", "--termination-log", log, "-v"]
    )
    init.line("^ready")
    init.signal(TERM)
    init.line("-> draining", "err")
    ends(case, init, suspend(case, init), 137)
    check("payload" in read(log) and re.search("stop", read(log)), read(log))


def stopping(case):
    init = case.start(["slow", "15", "1000", "7"], opts=["--grace", "30s"])
    init.line("^ready")
    init.signal(TERM)
    init.line("^got 15$")
    ends(case, init, suspend(case, init), 7)


def stopping_beyond_the_budget(case):
    init = case.start(["ignore"], opts=["--grace", "3s", "-v"])
    init.line("^ready")
    init.signal(TERM)
    init.line("-> stopping", "err")
    ends(case, init, suspend(case, init), 137)


def the_app_ends_in_time_but_unseen(case):
    """It is killed from outside while all is suspended: its status counts, however late it is."""
    init = case.start(["hold"], opts=["--grace", "3s", "-v"])
    init.line("^ready")
    app = init.app()
    begun = suspend(case, init, lambda: init.signal(KILL, app))
    init.wait(20)
    ends(case, init, begun, 137)
    check("app was killed by SIGKILL" in init.err, init.err)


def finishing(case):
    """--linger has an end, and a post-stop hook its time."""
    script = f"{case.payload} ignore & sleep 0.3; exit 4"
    init = case.start(
        ["/bin/sh", "-c", script], opts=["--linger", "2s", "--post-stop", "sleep 1", "-v"]
    )
    init.line("-> finishing", "err")
    init.quiet(0.2)
    ends(case, init, suspend(case, init), 4)
    check("killed as the container ends" in init.err, init.err)


def finishing_a_long_hook(case):
    init = case.start(
        ["exit", "4"], opts=["--post-stop", "sleep 60", "--hook-timeout", "2s", "-v"], find=True
    )
    init.line("-> finishing", "err")
    init.quiet(0.2)
    ends(case, init, suspend(case, init), 4)
    check("timed out" in init.err, init.err)


for story_of_a_phase in (
    waiting_too_long,
    waiting_and_it_comes,
    preparing_too_long,
    preparing,
    starting,
    running,
    draining,
    draining_goes_on,
    draining_beyond_the_budget,
    stopping,
    stopping_beyond_the_budget,
    the_app_ends_in_time_but_unseen,
    finishing,
    finishing_a_long_hook,
):
    both_ways(story_of_a_phase)
