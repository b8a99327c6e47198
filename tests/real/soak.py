#!/usr/bin/python3
"""Soak: what must stay flat while a container lives long. tests/real/soak.py [--minutes N] [WORD...]

A million orphans with each way of reaping, a hundred thousand signals with each, ten thousand starts and
stops, a health server that is asked all the time; then all of it together in one container for what is left
of the time (2 minutes in all, 60 at most). Each has an equal share of the time and ends early when it is
through; what it got done is printed. Fails when memory, descriptors or zombies of PID 1 grow, when a signal
is lost, or when an end has the wrong status. WORD: only the stories with it in their name. The init is $SHIM,
./shim if that is not set. The last line is `N passed, N failed`.
"""

import argparse
import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path.insert(0, TESTS)
sys.dont_write_bytecode = True
import harness  # noqa: E402
from harness import check, equal, eventually, proc_children, proc_status  # noqa: E402

ORPHANS, SIGNALS, STARTS, REQUESTS = 1_000_000, 100_000, 10_000, 200_000
TERM, FIRST_REAL_TIME, REAL_TIME = 15, 34, 30
WINDOW = 500  # signals under way at a time: far below RLIMIT_SIGPENDING


class Watch:
    """Samples of one init: first, largest and last of each figure."""

    def __init__(self, init):
        self.init = init
        self.samples = []

    def look(self):
        pid = self.init.pid
        with open(f"/proc/{pid}/smaps_rollup") as f:
            memory = {line.split(":")[0]: int(line.split()[1]) for line in f if line.endswith("kB\n")}
        status = proc_status(pid)
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        self.samples.append({
            "Pss KiB": memory["Pss"],
            "anonymous KiB": memory["Anonymous"],
            "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
            "children": len(proc_children(pid)),
            "zombies": sum(proc_status(child).get("State", "?")[0] == "Z" for child in proc_children(pid)),
            "wake-ups": int(status["voluntary_ctxt_switches"]),
            "CPU ms": (int(fields[11]) + int(fields[12])) * 1000 // os.sysconf("SC_CLK_TCK"),
        })

    def flat(self, name, slack=0):
        """The later half is not above the earlier one."""
        values = [sample[name] for sample in self.samples]
        middle = len(values) // 2
        check(max(values[middle:]) <= max(values[: middle + 1]) + slack, name, "grows:", values)

    def report(self):
        parts = []
        for name in self.samples[0]:
            values = [sample[name] for sample in self.samples]
            if name in ("wake-ups", "CPU ms"):
                parts.append(f"{name} {values[-1] - values[0]}")
            else:
                parts.append(f"{name} {values[0]}/{max(values)}/{values[-1]}")
        return ", ".join(parts) + f" (first/largest/last of {len(self.samples)})"

    def left(self):
        """Zombies, but for the one child that an app which is stopped by now had no time to wait for."""
        app = str(self.init.app())
        return [pid for pid in self.init.zombies() if proc_status(pid).get("PPid") != app]

    def judge(self):
        """Its own memory is counted exactly; Pss has a share of what others map too, so it wobbles."""
        for name in ("anonymous KiB", "descriptors"):
            self.flat(name)
        eventually(lambda: not self.left(), "no zombie is left in the namespace")
        self.look()
        equal(self.samples[-1]["zombies"], 0, "zombies at the end")
        print("    " + self.report(), flush=True)


class Counted:
    """Counts lines of the app without keeping them."""

    def __init__(self, init):
        self.init = init
        self.counts = {}

    def take(self, timeout=0.0):
        self.init.read(timeout)
        data = self.init.buffers["out"]
        whole, newline, rest = data.rpartition(b"\n")
        self.init.buffers["out"] = rest
        for line in whole.split(b"\n") if newline else ():
            self.counts[line] = self.counts.get(line, 0) + 1


def orphans(case, until):
    init = case.start(["orphans", str(ORPHANS)])
    watch = Watch(init)
    begun = time.monotonic()
    while time.monotonic() < until and f"made {ORPHANS}" not in init.out:
        init.quiet(min(1.0, max(0.05, (until - begun) / 20)))
        watch.look()
    said = [line.split() for line in init.lines()]
    done = max([int(words[-1]) for words in said if words[0] in ("so", "made")], default=0)
    print(f"    {done} orphans in {time.monotonic() - begun:.0f} s", flush=True)
    is_through = f"made {ORPHANS}" in init.out
    if not is_through:
        init.signal(signal.SIGSTOP, init.app())  # no more of them
    watch.judge()
    check(is_through or done > 0, "none was made")
    if is_through:
        init.signal(TERM)
        equal(init.wait(), 0)


def signals(case, until):
    """Real-time signals are queued, so none may be missing; the orphan is for the kernel's way of reaping."""
    init = case.start(["/bin/sh", "-c", f"({case.payload} exit 0 &); exec {case.payload} signals 15 6"])
    init.line("^ready")
    init.quiet(0.3)
    init.buffers["out"] = b""
    watch, counted, sent, begun = Watch(init), Counted(init), 0, time.monotonic()
    while sent < SIGNALS and time.monotonic() < until:
        init.signal(FIRST_REAL_TIME + sent % REAL_TIME)
        sent += 1
        while sent - sum(counted.counts.values()) >= WINDOW:
            counted.take(0.01)
        if sent % (SIGNALS // 100) == 0:
            watch.look()
    end = time.monotonic() + 10
    while sum(counted.counts.values()) < sent and time.monotonic() < end:
        counted.take(0.1)
    print(f"    {sent} signals in {time.monotonic() - begun:.0f} s", flush=True)
    for n in range(REAL_TIME):
        due = len(range(n, sent, REAL_TIME))
        equal(counted.counts.get(f"got {FIRST_REAL_TIME + n}".encode(), 0), due, f"signal {FIRST_REAL_TIME + n}")
    watch.judge()
    init.signal(TERM)
    equal(init.wait(), 6)


def health(case, until):
    """The server is a child that is forked once: PID 1 and it stay as they are."""
    init = case.start(["signals", "15", "6"], opts=["--health", "127.0.0.1:8086"])
    init.line("^ready")
    server = eventually(lambda: [p for p in proc_children(init.pid) if p != init.app()], "it serves")[0]
    count, begun, watch = 0, time.monotonic(), Watch(init)
    theirs = Watch(type("Server", (), {"pid": server}))
    while count < REQUESTS and time.monotonic() < until:
        link = http.client.HTTPConnection("127.0.0.1", 8086, timeout=5)
        for path in ("/readyz", "/livez", "/status", "/startupz", "/nothing"):
            link.request("GET", path)
            answer = link.getresponse()
            answer.read()
            equal(answer.status, 404 if path == "/nothing" else 200, path)
            count += 1
        link.close()
        if count % 500 == 0:
            watch.look()
            theirs.look()
    print(f"    {count} requests in {time.monotonic() - begun:.0f} s", flush=True)
    watch.judge()
    theirs.flat("anonymous KiB")
    theirs.flat("descriptors", 1)  # the connection that was just closed, and the next one
    print("    the server: " + theirs.report(), flush=True)
    init.signal(TERM)
    equal(init.wait(), 6)


def one_life(case, number):
    """Start and end in one of six ways; what it should have ended with is checked."""
    opts, app, status, is_stopped = (
        ([], ["exit", "7"], 7, False),
        ([], ["kill", "9"], 137, False),
        ([], ["signals", "15", "6"], 6, True),
        (["--pre-start", f"{case.payload} exit 0", "--post-stop", f"{case.payload} exit 0"], ["exit", "3"], 3, False),
        (["--grace", "20s", "--drain", "0s:1s", "--pre-stop", f"{case.payload} exit 0"], ["signals", "15", "6"], 6, True),
        ([], ["/nowhere"], 127, False),
    )[number % 6]
    words = [case.payload, *app] if app[0] != "/nowhere" else app
    process = subprocess.Popen(
        [harness.tool("unshare"), "-pf", "--mount-proc", "--kill-child", case.shim, *opts, "--", *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=harness.die_with_parent)
    try:
        if is_stopped:
            check(process.stdout.readline().startswith(b"ready"), "it did not start")
            os.kill(proc_children(process.pid)[0], TERM)
        code = process.wait(20)
        equal(code if code >= 0 else 128 - code, status, f"start {number}")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def starts(case, until):
    begun, lock, numbers, errors = time.monotonic(), threading.Lock(), iter(range(STARTS)), []
    done = [0]
    files = len(os.listdir("/proc/self/fd"))

    def work():
        while time.monotonic() < until and not errors:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                one_life(case, number)
            except Exception as e:  # is raised by the main thread
                errors.append(e)
            with lock:
                done[0] += 1

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    print(f"    {done[0]} starts and ends in {time.monotonic() - begun:.0f} s", flush=True)
    equal(len(os.listdir("/proc/self/fd")), files, "descriptors of this program")
    mine = os.stat(case.shim)
    left = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            st = os.stat(f"/proc/{pid}/exe")
        except OSError:
            continue
        if (st.st_dev, st.st_ino) == (mine.st_dev, mine.st_ino):
            left.append(pid)
    equal(left, [], "inits that are still there")


def ask(path):
    link = http.client.HTTPConnection("127.0.0.1", 8086, timeout=5)
    try:
        link.request("GET", path)
        return link.getresponse().status
    finally:
        link.close()


def together(case, until):
    """Orphans, signals, requests and commands from outside (as kubectl exec), and at last a stop."""
    init = case.start(
        ["/bin/sh", "-c", f"setsid {case.payload} orphans 2000000000 & exec {case.payload} signals 15 6"],
        opts=["--health", "127.0.0.1:8086", "--drain", "1s:5s", "--grace", "30s"])
    init.line("^ready")
    watch, counted, begun = Watch(init), Counted(init), time.monotonic()
    sent = requests = commands = 0
    enter = [harness.tool("nsenter"), "-t", str(init.pid), "-p", "-m", "--"]
    while time.monotonic() < until:
        for _ in range(100):
            init.signal(FIRST_REAL_TIME + sent % REAL_TIME)
            sent += 1
        equal(ask("/readyz"), 200)
        done = subprocess.run([*enter, "/bin/sh", "-c", f"({case.payload} exit 0 20 &); exec {case.shim} --check"
                               " http://127.0.0.1:8086/livez"], capture_output=True, timeout=20)
        equal(done.returncode, 0, done.stderr)
        requests, commands = requests + 2, commands + 1
        counted.take()
        if commands % 20 == 0:
            watch.look()
    end = time.monotonic() + 10
    got = 0
    while got < sent and time.monotonic() < end:
        counted.take(0.1)
        got = sum(n for line, n in counted.counts.items() if line.startswith(b"got "))
    equal(got, sent, "signals")
    made = sum(n for line, n in counted.counts.items() if line.startswith(b"so far")) * 10000
    print(f"    {made} orphans, {sent} signals, {requests} requests, {commands} commands in"
          f" {time.monotonic() - begun:.0f} s", flush=True)
    for name in ("anonymous KiB", "descriptors"):
        watch.flat(name)
    check(max(sample["zombies"] for sample in watch.samples) < 1000, watch.report())
    print("    " + watch.report(), flush=True)
    init.signal(TERM)
    eventually(lambda: ask("/readyz") == 503, "not ready")
    equal(init.wait(30), 6)


STORIES = (  # name, story, mode of the harness
    ("orphans, reaped by shim", orphans, "plain"),
    ("orphans, reaped by the kernel where it can", orphans, "pid1"),
    ("signals, plain", signals, "plain"),
    ("signals after an orphan", signals, "pid1"),
    ("health", health, "pid1"),
    ("starts", starts, "pid1"),
    ("together", together, "pid1"),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("words", nargs="*")
    args = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("tests/real/soak.py: needs root, for namespaces")
    chosen = [s for s in STORIES if not args.words or any(word in s[0] for word in args.words)]
    work = tempfile.mkdtemp(prefix="shim-soak-")
    failed = 0
    try:
        os.chmod(work, 0o755)
        os.environ["SHIM_TEST_BINARY"] = shutil.copy(
            os.environ.get("SHIM") or os.path.join(os.path.dirname(TESTS), "shim"), os.path.join(work, "shim"))
        os.environ["SHIM_TEST_PAYLOAD"] = os.path.join(work, "payload")
        harness.build_payload(os.environ["SHIM_TEST_PAYLOAD"])
        end = time.monotonic() + min(args.minutes, 60) * 60
        for i, (name, story, mode) in enumerate(chosen):
            print(f"{name}:", flush=True)
            case = harness.Case(mode, tempfile.mkdtemp(dir=work))
            try:
                now = time.monotonic()
                story(case, now + max(1, (end - now) / (len(chosen) - i)))
                print("ok", flush=True)
            except Exception as e:  # whatever it is, it is this story that failed
                failed += 1
                print(f"FAIL {name}: {type(e).__name__}: {e}", flush=True)
            finally:
                case.close()
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
