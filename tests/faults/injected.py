"""Every system call of a start fails once, at its first, second, … time: in PID 1 alone, and then in
each of its children, too. No such failure may hang, be taken for success, or leave an app behind that
nobody looks after. And once the app runs, nothing that fails for PID 1 takes the app down.

strace, from outside of the namespace, makes calls fail. A gate (payload with -g) holds PID 1 until it
has taken hold; the count begins there."""

import collections
import os
import re
import subprocess
import time

from harness import check, equal, eventually, proc_children, proc_status, regular, scenario, tool
from network import network

TERM, KILL, USR1 = 15, 9, 10
PORT = 9090

# What the kernel may say. Not rt_sigprocmask: it cannot fail but for a filter, and then at once and
# always (refused.what_shim_cannot_do_without); libc's fork() relies on that, too.
CALLS = {
    "access": "EACCES",
    "bind": "EACCES",
    "brk": "ENOMEM",
    "capset": "EPERM",
    "chdir": "EACCES",
    "clone": "EAGAIN ENOMEM EPERM",
    "close": "EIO",
    "close_range": "ENOSYS",
    "connect": "ECONNREFUSED",
    "dup2": "EBADF",
    "execve": "ENOMEM EACCES",
    "fcntl": "EMFILE",
    "fork": "EAGAIN",
    "fstat": "ENOMEM",
    "ftruncate": "EIO",
    "getcwd": "ENOENT",
    "getdents64": "ENOMEM",
    "getsockname": "ENOBUFS",
    "ioctl": "EPERM",
    "kill": "EPERM",
    "listen": "EADDRINUSE",
    "mmap": "ENOMEM",
    "mprotect": "ENOMEM",
    "munmap": "ENOMEM",
    "open": "EMFILE EACCES",
    "openat": "EMFILE",
    "pipe2": "EMFILE",
    "poll": "ENOMEM",
    "ppoll": "ENOMEM",
    "prctl": "EPERM",
    "pread64": "EIO",
    "prlimit64": "EPERM",
    "pwrite64": "ENOSPC",
    "pwritev2": "ENOSPC",
    "read": "EIO",
    "readlink": "EACCES",
    "readlinkat": "EACCES",
    "rt_sigaction": "EINVAL",
    "rt_sigtimedwait": "EINTR",
    "seccomp": "EINVAL",
    "setgid": "EPERM",
    "setgroups": "EPERM",
    "setpgid": "EPERM",
    "setresgid": "EPERM",
    "setresuid": "EPERM",
    "setsid": "EPERM",
    "setsockopt": "ENOMEM",
    "setuid": "EAGAIN",
    "socket": "EMFILE",
    "stat": "ENOMEM",
    "uname": "EFAULT",
    "unlink": "EACCES",
    "wait4": "EINTR",
    "waitid": "EINVAL",
    "write": "EIO",
}


def options(case):
    return [
        *("--wait-for", "file:/", "--wait-for", "file:/etc"),
        *("--pre-start", f"{case.payload} exit 0", "--post-start", f"{case.payload} exit 0"),
        *("--pre-stop", f"{case.payload} exit 0", "--post-stop", f"{case.payload} exit 0"),
        *("--health", f"127.0.0.1:{PORT}", "--ready-file", case.path("ready")),
        *("--ready-probe", f"tcp://127.0.0.1:{PORT}"),
        *("--drain", "0:1s", "--termination-log", case.path("message")),
        *("--grace", "8s", "--hook-timeout", "3s", "--linger", "500ms", "--wait-timeout", "3s"),
    ]


def rights(case):
    return ["--user", "65534:65534", "--caps", "none", "--no-new-privs"]


class Attempt:
    """One start behind the gate, with strace on it."""

    def __init__(self, case, opts, inject, follow):
        self.case = case
        gate = case.path("gate")
        if not os.path.exists(gate):
            os.mkfifo(gate)
        self.fifo = os.open(gate, os.O_RDWR)
        depth, after = (2, 3000) if case.mode == "sub" else (1, None)
        self.init = case.start(
            ["signals", "15", "6"], opts=opts, prefix=["-g", gate], find=False, after=after
        )
        pid = self.init.process.pid
        for _ in range(depth):
            above = pid
            pid = eventually(lambda: proc_children(above), "the next process runs")[0]
        payload = os.path.realpath(case.payload)
        eventually(lambda: exe(pid) == payload, "it is at the gate")
        self.pid = pid
        self.tracer = attach(case, pid, inject, follow)
        os.write(self.fifo, b".")

    def close(self):
        os.close(self.fifo)
        self.tracer.kill()
        self.tracer.wait()
        self.case.close()


def exe(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return None


def attach(case, pid, inject, follow):
    words = [tool("strace"), "-qq", *["-f"] * follow, "-o", case.path("trace")]
    tracer = subprocess.Popen(
        [*words, *inject, "-p", str(pid)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    eventually(lambda: proc_status(pid).get("TracerPid", "0") != "0", "strace has taken hold")
    return tracer


def has_ended(init):
    return init.process.poll() is not None


def settle(init, seconds):
    """Until the app is there, or all is over, or the time is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not has_ended(init) and "ready" not in init.out:
        init.read(0.02)


def judge(attempt, what, is_app_hit, check_app=None):
    """The promises, of one start. is_app_hit: the app itself may have been made to fail."""
    init = attempt.init
    settle(init, 6)
    if not has_ended(init):
        init.quiet(0.15)  # the post-start hook
    is_up = "ready" in init.out
    if is_up and check_app and not has_ended(init):
        check_app(what, eventually(lambda: proc_children(attempt.pid), "children"))
    if is_up and has_ended(init) and not is_app_hit:
        check("got 15" in init.out, f"{what}: the app ran, and was not told of the end\n{init.err}")
    if not has_ended(init):
        try:
            init.signal(TERM, attempt.pid)
        except ProcessLookupError:
            pass  # just now
    try:
        status = init.wait(12)
    except AssertionError as e:
        raise AssertionError(f"{what}: hangs: {e}\n{init.out}{init.err}") from None
    # In mode sub this is the status that PID 1 saw.
    check(status != 0, f"{what}: a failure taken for success\n{init.out}{init.err}")
    if is_up and not is_app_hit and not re.search("post-start hook .* failed", init.err):
        if "cannot pass on SIGTERM" in init.err:
            equal(status, 137, f"{what}: the time budget")
        else:
            equal(status, 6, f"{what}: the app's own status; {init.err}")
    check("after: somebody left" not in init.out, f"{what}: somebody is left\n{init.err}")
    for name in ("message", "ready"):
        path = attempt.case.path(name)
        if regular(path):
            os.unlink(path)


def count_calls(case, call, opts, follow):
    """How often it is made from the gate to the end of a good life: most that any process does."""
    attempt = Attempt(case, opts, ["-e", f"trace={call}"], follow)
    judge(attempt, "nothing fails", False)
    attempt.tracer.wait(5)
    attempt.close()
    counts = collections.Counter()
    with open(case.path("trace"), errors="replace") as f:
        for line in f:
            pid = line.split()[0] if follow else ""
            counts[pid] += bool(re.match(rf"(\d+ +)?{call}\(", line))
    return max(counts.values(), default=0)


def sweep(case, call, opts, follow, check_app=None):
    errors = CALLS[call].split()
    tries = 0
    for when in range(1, min(count_calls(case, call, opts, follow), 40) + 1):
        for error in errors if not follow else errors[:1]:
            what = f"{call} says {error} the {when}. time"
            inject = ["-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={when}"]
            begun = time.monotonic()
            attempt = Attempt(case, opts, inject, follow)
            try:
                judge(attempt, what, follow, check_app)
            finally:
                attempt.close()
            took = time.monotonic() - begun
            if took > 3:  # for -v
                print(f"{what}: {took:.1f} s, status {attempt.init.process.returncode}")
            tries += 1
    print(f"{tries} failures")


def make_scenarios():
    for call in CALLS:

        def alone(case, call=call):
            network()
            sweep(case, call, options(case), False)

        def everywhere(case, call=call):
            network()
            sweep(case, call, options(case), True)

        alone.__name__ = f"each_{call}_of_pid_1"
        everywhere.__name__ = f"each_{call}_of_all"
        for function, modes in ((alone, ("pid1", "sub")), (everywhere, ("pid1",))):
            globals()[function.__name__] = function
            scenario(modes=modes, limit=110)(function)


make_scenarios()

# For as long as it likes. Required, so not refused here: rt_sigtimedwait and, to reach the app, kill.
LATER = {
    "bind": "EPERM",
    "clone": "EAGAIN",
    "close": "EIO",
    "close_range": "EPERM",
    "fcntl": "EPERM",
    "fork": "EAGAIN",
    "fstat": "EPERM",
    "ftruncate": "EIO",
    "getdents64": "EPERM",
    "getpgid": "EPERM",
    "ioctl": "EPERM",
    "kill": "EPERM",
    "mmap": "ENOMEM",
    "open": "EMFILE",
    "pidfd_open": "EMFILE",
    "pidfd_send_signal": "EPERM",
    "poll": "ENOMEM",
    "ppoll": "ENOMEM",
    "prctl": "EPERM",
    "pread64": "EIO",
    "pwrite64": "ENOSPC",
    "pwritev2": "EIO",
    "read": "EIO",
    "readlinkat": "EPERM",
    "rt_sigaction": "EPERM",
    "rt_sigprocmask": "EPERM",
    "signalfd4": "EMFILE",
    "unlink": "EROFS",
    "wait4": "EPERM",
    "waitid": "EPERM",
    "write": "ENOSPC",
}


def while_it_runs(case, call, is_over_before_the_stop):
    """It fails all the time once the app runs: through a signal, an orphan's end, the end of the health
    server, and, the second time, the stop."""
    network()
    script = f"({case.payload} exit 1 500 &); exec {case.payload} signals 15 6"
    init = case.start(["/bin/sh", "-c", script], opts=options(case) + ["--grace", "3s", "-v"])
    init.line("-> running", "err")
    number = init.line("^ready (.*)").group(1)
    shim = os.path.realpath(case.shim)
    helpers = [pid for pid in proc_children(init.pid) if exe(pid) == shim]
    (app,) = (p for p in proc_children(init.pid) if proc_status(p)["NSpid"].split()[-1] == number)
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:error={LATER[call]}"]
    tracer = attach(case, init.pid, inject, False)
    try:
        for pid in helpers:
            init.signal(KILL, pid)
        init.signal(USR1)
        init.quiet(1.3)  # the health server is started again after a second
        check(not has_ended(init), f"{call}: the container has ended\n{init.err}")
        check(proc_status(app).get("State", "X")[0] not in "ZX", f"{call}: the app has ended")
        if is_over_before_the_stop:
            tracer.terminate()
            tracer.wait()
        init.signal(TERM)
        status = init.wait(10)
        if is_over_before_the_stop:
            equal(status, 6, f"{call}\n{init.err}")
            check("got 15" in init.lines(), init.out)
        else:
            # Where the kernel reaps and its answers are refused, nobody knows how the app ended.
            check(status in (6, 137), f"{call}: {status}\n{init.err}")
    finally:
        tracer.kill()
        tracer.wait()


def make_later_scenarios():
    for call in LATER:

        def for_a_while(case, call=call):
            while_it_runs(case, call, True)

        def for_good(case, call=call):
            while_it_runs(case, call, False)

        for_a_while.__name__ = f"{call}_fails_for_a_while"
        for_good.__name__ = f"{call}_fails_for_good"
        for function in (for_a_while, for_good):
            globals()[function.__name__] = function
            scenario(modes=("pid1", "kernel"), limit=40)(function)


make_later_scenarios()

RIGHTS = ("prctl", "capset", "setresuid", "setresgid", "setgroups", "setuid", "setgid", "read", "open")


@scenario(modes=("pid1",), limit=110)
def rights_that_cannot_be_given_up(case):
    """The app runs with what was listed, or not at all."""

    def has_no_rights(what, children):
        for pid in children:
            if exe(pid) != os.path.realpath(case.payload):
                continue
            status = proc_status(pid)
            equal(status["Uid"].split(), ["65534"] * 4, what)
            equal(status["Gid"].split(), ["65534"] * 4, what)
            equal(status["Groups"].split(), [], what)
            equal(status["NoNewPrivs"], "1", what)
            for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                equal(int(status[name], 16), 0, f"{what}: {name}")

    for call in RIGHTS:
        if subprocess.run(
            [tool("strace"), "-e", f"trace={call}", "/bin/true"], capture_output=True
        ).returncode:
            continue  # not on this architecture
        sweep(case, call, rights(case), True, has_no_rights)


# -- limits


def with_little(case, what, shell="", prefix=()):
    """It works or says why not, and is not in between."""
    init = case.start(
        ["signals", "15", "6"], opts=options(case), shell=shell or None, prefix=prefix, find=False
    )
    settle(init, 8)
    is_up = "ready" in init.out
    if is_up and not has_ended(init):
        pid = eventually(lambda: proc_children(init.process.pid), "PID 1")[0]
        init.quiet(0.2)
        if not has_ended(init):
            init.signal(TERM, pid)
    status = init.wait(12)
    check(status != 0, f"{what}: a failure taken for success")
    if is_up:
        check("got 15" in init.out, f"{what}: the app was not told\n{init.err}")
        if not re.search("post-start hook .* failed", init.err):
            equal(status, 6, f"{what}\n{init.err}")
    else:
        check(init.err or status in (126, 127, 137, 139), f"{what}: not a word, {status}")
    case.close()
    return is_up


@scenario(modes=("pid1",), limit=110)
def little_memory(case):
    """RLIMIT_AS, from too little for any program to enough for all."""
    network()
    sizes = (100, 300, 500, 600, 700, 800, 900, 1000, 1100, 1200, 1400, 1700, 2000, 3000, 6000)
    ups = [with_little(case, f"{kib} KiB", shell=f"ulimit -v {kib}") for kib in sizes]
    check(ups[-1] and not ups[0], ups)


@scenario(modes=("pid1",), limit=110)
def few_descriptors(case):
    """RLIMIT_NOFILE."""
    network()
    ups = [with_little(case, f"{n} files", prefix=["-N", str(n)]) for n in range(1, 16)]
    check(ups[-1], ups)


@scenario(modes=("pid1",), limit=110)
def few_processes(case):
    """RLIMIT_NPROC, which counts for other users than root only."""
    network()
    os.chmod(case.dir, 0o777)
    ups = []
    for n in range(0, 9):
        ups.append(with_little(case, f"{n} processes", prefix=["-n", str(n), "-u", str(61000 + n)]))
        for name in ("message", "ready"):
            if regular(case.path(name)):
                os.unlink(case.path(name))
    check(ups[-1] and not ups[0], ups)
