"""Shim's own children: what each may still do, and what becomes of one that tries more.

The forbidden call is put into the running child from outside, as a debugger does: the binary under
test needs no door for it. Issue 6, part 2.
"""

import ctypes
import os
import platform
import signal
import socket
import subprocess
import threading

from harness import (
    LIBC,
    NAMED,
    Skip,
    check,
    equal,
    eventually,
    proc_children,
    proc_status,
    scenario,
)
from network import Server, answer, becomes, get, network, silent

TERM, KILL = 15, 9
PORT, HEALTH, TARGET = 8080, 9090, 8081
EPERM, ENOSYS, EINVAL = "1", "38", "22"
PRCTL, CAPSET, SECCOMP = "157", "126", "317"
SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
URL = f"http://127.0.0.1:{TARGET}/"


def has_filter(case):
    """Builds against glibc, for sanitizers, come without filters."""
    with open(case.shim, "rb") as f:
        return b"ld-linux" not in f.read(4096) and platform.machine() in ("x86_64", "aarch64")


def is_shim(case, pid):
    try:
        return os.path.samestat(os.stat(f"/proc/{pid}/exe"), os.stat(case.shim))
    except OSError:
        return False


def helpers(case, init):
    """The children that are shim itself, oldest first."""
    return [pid for pid in proc_children(init.pid) if is_shim(case, pid)]


def first(case, init, what="a helper runs"):
    return eventually(lambda: helpers(case, init), what)[0]


def descriptors(pid):
    folder = f"/proc/{pid}/fd"
    found = {}
    for fd in os.listdir(folder):
        try:
            found[int(fd)] = os.readlink(f"{folder}/{fd}")
        except OSError:
            pass
    return found


def is_counter(name):
    """The cgroup's, which the health server keeps open to read."""
    return name.startswith("/sys/fs/cgroup/") and name.endswith(("memory.events", "memory.oom_control"))


def wait_sealed(case, pid):
    """It has come as far as its seal."""
    key, value = ("Seccomp", "2") if has_filter(case) else ("NoNewPrivs", "1")
    eventually(lambda: proc_status(pid).get(key, value) == value, f"{pid} is sealed")


def modes_of_file(case, pid):
    """How the parts of the binary are mapped. A part that is r-- was rw- in the file (RELRO)."""
    with open(f"/proc/{pid}/maps") as f:
        return [line.split()[1] for line in f if line.rstrip().endswith(case.shim)]


def is_sealed(case, init, pid, group=None, writes=False):
    wait_sealed(case, pid)
    status = proc_status(pid)
    for name in SETS:
        equal(int(status[name], 16), 0, f"{name} of {pid}")
    equal(status["NoNewPrivs"], "1", "NoNewPrivs")
    if has_filter(case):
        equal(status["Seccomp"], "2", "Seccomp")
    equal(status["NSpgid"].split()[0], str(group or pid), "its process group")
    mine, theirs = descriptors(pid), descriptors(init.pid)
    equal(mine.get(2), theirs[2], "stderr")
    if writes:
        equal(mine.pop(1, None), theirs[1], "stdout")
    for fd, name in mine.items():
        check(fd == 2 or name not in (theirs[0], theirs[1]), f"descriptor {fd} is {name}")
        is_expected = name.startswith(("socket:", "pipe:")) or is_counter(name)
        check(fd == 2 or is_expected, f"descriptor {fd} is {name}")


def is_free(init, pid):
    """The app and shim itself have what they were given."""
    ours, theirs = proc_status(os.getpid()), proc_status(pid)
    for name in (*SETS, "NoNewPrivs", "Seccomp"):
        equal(theirs[name], ours[name], f"{name} of {pid}")


def start(case, opts, app=("signals", "15", "6"), **how):
    return case.start(list(app), opts=["-v", *opts], stdin=subprocess.PIPE, **how)


def app_of(case, init):
    init.line("^ready")
    return next(pid for pid in proc_children(init.pid) if not is_shim(case, pid))


def stop(init, status=6):
    init.signal(TERM)
    equal(init.wait(), status)
    check("not fully sealed" not in init.err, init.err)


# -- what each has


@scenario(modes=NAMED)
def the_one_that_waits(case):
    network()
    init = start(case, ["--wait-for", f"tcp://127.0.0.1:{TARGET}", "--wait-for", "file:/none"])
    for pid in eventually(lambda: (lambda h: h if len(h) == 2 else 0)(helpers(case, init)), "two"):
        is_sealed(case, init, pid)
    is_free(init, init.pid)
    init.signal(TERM)
    equal(init.wait(), 143)


@scenario(modes=NAMED)
def the_reader_of_notify(case):
    init = start(case, ["--notify"])
    app = app_of(case, init)
    reader = first(case, init)
    is_sealed(case, init, reader)
    equal(len(descriptors(reader)), 2, "descriptors")
    is_free(init, app)
    stop(init)


@scenario(modes=NAMED)
def the_health_server_and_its_prober(case):
    """Three processes: one is asked, one asks, and one is a question under way."""
    network()
    Server(silent, TARGET)
    init = start(case, ["--health", f"127.0.0.1:{HEALTH}", "--ready-probe", URL])
    app = app_of(case, init)
    server = first(case, init)
    is_sealed(case, init, server)
    prober = eventually(lambda: proc_children(server), "the prober")[0]
    is_sealed(case, init, prober, group=server)
    for pid in (server, prober):
        names = descriptors(pid).values()
        others = [name for name in names if pid != server or not is_counter(name)]
        equal(len(others), 3 if pid == server else 2, f"descriptors {names}")
    asking = threading.Thread(target=get, args=(HEALTH, "/readyz"))
    asking.start()
    is_sealed(case, init, eventually(lambda: proc_children(prober), "a probe")[0], group=server)
    asking.join()
    is_free(init, app)
    is_free(init, init.pid)
    stop(init)


@scenario(modes=NAMED)
def the_request_of_a_hook(case):
    network()
    Server(silent, TARGET)
    init = start(case, ["--post-start", URL, "--hook-timeout", "60s"])
    app = app_of(case, init)
    is_sealed(case, init, first(case, init))
    is_free(init, app)
    stop(init)


@scenario(modes=NAMED)
def the_drain_watcher(case):
    network()
    init = start(case, ["--drain", "60s", "--second-stop", "skip"])
    app = app_of(case, init)
    init.signal(TERM)
    init.line("-> draining", where="err")
    is_sealed(case, init, first(case, init))
    is_free(init, app)
    stop(init)


@scenario(modes=NAMED)
def the_log_writer(case):
    network()
    init = start(case, ["--json-logs"])
    init.line("ready")
    is_sealed(case, init, first(case, init), writes=True)
    stop(init)


@scenario(modes=("pid1",))
def the_process_that_looks_a_name_up(case):
    """It is a child of a child, and its end comes by its own timer."""
    network()
    mute = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    mute.bind(("127.0.0.1", 53))
    conf = case.path("resolv.conf", "nameserver 127.0.0.1\n")
    init = start(
        case,
        ["--pre-start", "http://some.name/", "--hook-timeout", "1s"],
        shell=f"mount --bind {conf} /etc/resolv.conf",
    )
    asks = first(case, init)
    looks = eventually(lambda: proc_children(asks), "the resolver")[0]
    is_sealed(case, init, looks, group=asks)
    init.line("http://some.name/ failed after .*: timed out after 1.0s .looking up", where="err")
    equal(proc_status(looks), {}, "the resolver after its deadline")
    equal(init.wait(), 1)


@scenario(modes=("pid1",))
def a_check(case):
    """--check is sealed as well: it is the same code with the same neighbours."""
    network()
    Server(silent, TARGET)
    check_it = case.start(
        [], opts=["--check", URL, "--timeout", "5s"], dashes=False, shell=None, find=True
    )
    wait_sealed(case, check_it.pid)
    for name in SETS:
        equal(int(proc_status(check_it.pid)[name], 16), 0, name)
    equal(check_it.wait(), 1)
    Server(answer(200), TARGET + 1)
    again = case.run(
        [], opts=["--check", f"http://127.0.0.1:{TARGET + 1}/"], dashes=False, shell=None
    )
    equal((again.status, again.err), (0, ""))


@scenario(modes=("sub",))
def they_die_with_shim(case):
    """Parent death: SIGKILL leaves shim no time for them."""
    network()
    Server(silent, TARGET)
    init = start(
        case, ["--health", f"127.0.0.1:{HEALTH}", "--ready-probe", URL, "--post-start", URL]
    )
    app_of(case, init)
    mine = eventually(lambda: (lambda h: h if len(h) == 2 else 0)(helpers(case, init)), "both")
    for pid in mine:
        wait_sealed(case, pid)
    mine += proc_children(mine[0])
    init.signal(KILL)
    for pid in mine:
        eventually(lambda: proc_status(pid).get("State", "Z")[0] in "ZX", f"{pid} is gone")


# -- a forbidden call


class Registers(ctypes.Structure):
    """user_regs_struct of x86-64."""

    _fields_ = [
        (name, ctypes.c_ulonglong)
        for name in (
            "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs "
            "eflags rsp ss fs_base gs_base ds es fs gs"
        ).split()
    ]


ATTACH, DETACH, SYSCALL, GETREGS, SETREGS, POKEDATA = 16, 17, 24, 12, 13, 5
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long


def trace(request, pid, address=None, data=None):
    if LIBC.ptrace(request, pid, address, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")


def make_call(pid, number, *arguments):
    """The process, asleep in a system call, makes another one instead of waking up. With a bytes
    object for an argument, that is put below its stack."""
    trace(ATTACH, pid)
    os.waitpid(pid, 0x40000000)
    now = Registers()
    trace(GETREGS, pid, None, ctypes.addressof(now))
    now.rip -= 2  # at the instruction that brought it to sleep
    now.rax, now.orig_rax = number, 2**64 - 1
    for name, value in zip(("rdi", "rsi", "rdx", "r10"), arguments):
        if isinstance(value, bytes):
            trace(POKEDATA, pid, now.rsp - 1024, int.from_bytes(value, "little"))
            value = now.rsp - 1024
        setattr(now, name, value)
    trace(SETREGS, pid, None, ctypes.addressof(now))
    trace(DETACH, pid)


def call_in(case, pid, number, *arguments):
    if platform.machine() != "x86_64":
        raise Skip("the registers are those of x86-64")
    if not has_filter(case):
        raise Skip("this build has no filter")
    wait_sealed(case, pid)
    asleep = lambda: proc_status(pid).get("State", "S")[0] == "S"  # noqa: E731
    eventually(asleep, "asleep")
    make_call(pid, number, *arguments)


EXECVE, PTRACE, KILL_CALL, SOCKET, OPEN, MMAP, SOCKETPAIR = 59, 101, 62, 41, 2, 9, 53
SIGACTION, SIGPROCMASK = 13, 14


@scenario(limit=40)
def the_health_server_breaks_out(case):
    """It dies, it is told which call it was, there is another; the app hears nothing of it."""
    network()
    init = start(case, ["--health", f"127.0.0.1:{HEALTH}"])
    app_of(case, init)
    becomes(HEALTH, "/livez", 200)
    for name, number, *arguments in (
        ("execve", EXECVE),
        ("socket", SOCKET, 2, 1, 0),
        ("open", OPEN),
        ("kill", KILL_CALL, 1, 15),
    ):
        server = first(case, init)
        call_in(case, server, number, *arguments)
        init.line(f"health server killed: system call {name} is not allowed", where="err")
        init.line("the health server ended .killed: system call " + name, where="err")
        eventually(lambda: helpers(case, init) not in ([], [server]), "another one")
        becomes(HEALTH, "/livez", 200)
    stop(init)
    equal(init.lines()[1:], ["got 15"])


@scenario()
def a_request_breaks_out(case):
    network()
    Server(silent, TARGET)
    for name, number, *arguments in (
        ("ptrace", PTRACE, 16, 1),
        ("socket", SOCKET, 16, 3, 0),  # AF_NETLINK
        ("mmap", MMAP, 0, 4096, 7, 0x22),  # executable
        ("kill", KILL_CALL, 1, 15),
    ):
        init = start(case, ["--post-start", URL, "--hook-timeout", "60s"])
        app_of(case, init)
        call_in(case, first(case, init), number, *arguments)
        equal(init.wait(), 128 + signal.SIGSYS, name)
        init.line(f"client killed: system call {name} is not allowed", where="err")
        init.line(f"hook {URL} failed after .*: killed: system call {name}", where="err")
        case.close()


@scenario()
def the_one_that_waits_breaks_out(case):
    network()
    path = case.path("late")
    init = start(case, ["--wait-for", f"file:{path}"])
    call_in(case, first(case, init), OPEN, b"/etc/x\0\0", 0o101, 0o600)  # to write
    init.line("client killed: system call open is not allowed", where="err")
    init.line("the process that does it ended .*SYS.*; starting it again", where="err")
    case.path("late", "")
    app_of(case, init)
    stop(init)


@scenario()
def the_drain_watcher_breaks_out(case):
    network()
    init = start(case, ["--drain", "3s:60s"])
    app_of(case, init)
    init.signal(TERM)
    init.line("-> draining", where="err")
    call_in(case, first(case, init), SOCKETPAIR, 1, 1, 0)
    init.line("drain watcher killed: system call socketpair is not allowed", where="err")
    init.line("--drain: .*; waiting for the least time instead", where="err")
    equal(init.wait(), 6)


@scenario()
def the_log_writer_breaks_out(case):
    """Not a line of the app's is lost by it but what it held."""
    network()
    init = start(case, ["--json-logs"])
    init.line("ready")
    old = first(case, init)
    call_in(case, old, OPEN, b"/etc/x\0\0", 0)
    init.line("log writer killed: system call open is not allowed", where="err")
    init.line("the log writer ended .killed by SIGSYS.; starting it again", where="err")
    eventually(lambda: helpers(case, init) not in ([], [old]), "another one")
    init.signal(TERM)
    init.line("got 15")
    equal(init.wait(), 6)


@scenario()
def the_prober_breaks_out(case):
    network()
    Server(answer(200), TARGET)
    init = start(case, ["--health", f"127.0.0.1:{HEALTH}", "--ready-probe", URL])
    app_of(case, init)
    becomes(HEALTH, "/readyz", 200)
    prober = proc_children(first(case, init))[0]
    call_in(case, prober, EXECVE)
    init.line("client killed: system call execve is not allowed", where="err")
    init.line("the health server ended .*; starting it again", where="err")
    becomes(HEALTH, "/readyz", 200)
    stop(init)


@scenario(modes=("pid1",))
def no_way_round_the_end(case):
    """With SIGSYS blocked it dies all the same, and may not give it another handler."""
    network()
    sigsys = (1 << (signal.SIGSYS - 1)).to_bytes(8, "little")
    for last, words in ((EXECVE, 0), (SIGACTION, 1)):
        init = start(case, ["--wait-for", "file:/none", "--wait-interval", "2s"])
        pid = first(case, init)
        if last == EXECVE:
            call_in(case, pid, SIGPROCMASK, 0, sigsys, 0, 8)
            eventually(lambda: int(proc_status(pid)["SigBlk"], 16) >> 30 & 1, "SIGSYS is blocked")
            call_in(case, pid, EXECVE)
        else:
            call_in(case, pid, SIGACTION, 31, 0, 0, 8)
        init.line("the process that does it ended .*SYS.*; starting it again", where="err")
        equal(len([1 for l in init.err.splitlines() if "is not allowed" in l]), words, init.err)
        case.close()


@scenario()
def a_wait_goes_on_after_a_freeze(case):
    """SIGSTOP and SIGCONT make poll() a restart_syscall(), which has to be in each list."""
    network()
    Server(silent, TARGET)
    init = start(
        case, ["--health", f"127.0.0.1:{HEALTH}", "--post-start", URL, "--hook-timeout", "60s"]
    )
    app_of(case, init)
    mine = eventually(lambda: (lambda h: h if len(h) == 2 else 0)(helpers(case, init)), "both")
    for pid in mine:
        wait_sealed(case, pid)
        os.kill(pid, signal.SIGSTOP)
        eventually(lambda: proc_status(pid)["State"][0] == "T", "stopped")
        os.kill(pid, signal.SIGCONT)
        eventually(lambda: proc_status(pid)["State"][0] == "S", "asleep again")
    equal(helpers(case, init), mine, "the same as before")
    becomes(HEALTH, "/livez", 200)
    stop(init)
    check("killed" not in init.err.replace("killed by SIGKILL", ""), init.err)


# -- where the kernel will not


@scenario(modes=("pid1", "plain"), limit=60)
def what_is_refused_is_told_once(case):
    """An old kernel, gVisor, a policy in the way: the work is done all the same."""
    if platform.machine() != "x86_64":
        raise Skip("the numbers are those of x86-64")
    network()
    Server(answer(200), TARGET)
    opts = ["--health", f"127.0.0.1:{HEALTH}", "--ready-probe", URL, "--pre-start", URL]
    opts += ["--wait-for", URL, "--post-start", URL]
    told = "not fully sealed"
    for words, prefix in (
        ("seccomp", ["-E", EINVAL, PRCTL, "0x10"]),
        ("seccomp", ["-E", EPERM, PRCTL, "0x10"]),
        ("capabilities|seccomp", ["-e", EPERM, CAPSET]),
        ("no_new_privs|seccomp", ["-e", ENOSYS, PRCTL]),
        ("no_new_privs|seccomp", ["-e", EPERM, PRCTL]),
    ):
        if not has_filter(case) and words == "seccomp":
            continue
        for verbose in ([], ["-v"]):
            init = case.start(["signals", "15", "6"], opts=[*verbose, *opts], prefix=prefix)
            init.line("^ready")
            becomes(HEALTH, "/readyz", 200)
            init.signal(TERM)
            equal(init.wait(), 6, words)
            equal(init.err.count(told), len(verbose), f"{prefix}: {init.err}")
            if verbose:
                init.line(f"{told}: ({words}): ", where="err")
            case.close()
