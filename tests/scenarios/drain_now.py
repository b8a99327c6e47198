"""shim --drain-now as a second process of the container, as a pre-stop exec hook runs it."""

import ctypes
import os
import re
import shutil
import subprocess
import time

from harness import INIT, LIBC, check, equal, eventually, read, scenario, tool
from network import Client, becomes, get, network, serving_app

TERM, RTMAX = 15, 64
PORT = 9090
HEALTH = ["--health", f"127.0.0.1:{PORT}"]


def drain_now(case, init, *options, user=None, binary=None):
    """Begins it inside; a Popen."""
    command = [tool("nsenter"), "-t", str(init.pid), "-p", "-m"]
    if user:
        command += [tool("setpriv"), "--reuid", str(user), "--regid", str(user), "--clear-groups"]
    return subprocess.Popen(
        [*command, binary or case.shim, "--drain-now", *options],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )


def ended(process, timeout=15):
    """(status, what it said)."""
    said = process.communicate(timeout=timeout)[0]
    return process.returncode, said


@scenario(modes=INIT, limit=40)
def drained_and_then_stopped_at_once(case):
    network()
    port, trace = 8080, case.path("trace", "")
    hook = f"sh -c 'echo pre-stop >>{trace}'"
    opts = ["-v", *HEALTH, "--drain", "0:30s", "--pre-stop", hook, "--grace", "60s"]
    init = case.start(serving_app(case, port, delay=2), opts=opts)
    init.line("^ready")
    becomes(PORT, "/readyz", 200)
    client = Client(port)
    client.ask()
    process = drain_now(case, init)
    equal(becomes(PORT, "/readyz", 503), "draining\n")
    equal(process.poll(), None, "while a connection is active")
    late = Client(port)
    late.ask()
    check(client.answer() and late.answer(), "the app goes on serving")
    client.close()
    late.close()
    equal(ended(process), (0, ""))
    equal(get(PORT, "/readyz"), (503, "drained\n"))
    check("stopping" not in init.err and init.process.poll() is None, init.err)
    equal(ended(drain_now(case, init)), (0, ""), "once more")
    init.signal(TERM)
    equal(init.wait(5), 6)
    equal(read(trace), "pre-stop\n", "hooks run once")
    words = re.findall(r"(\w+)(?: \+ ([a-z ]+))? -> (\w+)", init.err)
    equal(
        [w for w in words if w[2] in ("draining", "drained", "stopping")],
        [("running", "drain", "draining"), ("draining", "drained", "drained"), ("drained", "stop signal", "stopping")],
    )


@scenario(modes=INIT)
def nothing_to_drain(case):
    """It is not ready any more, and that is all."""
    network()
    init = case.start(["signals", "15", "6"], opts=HEALTH)
    init.line("^ready")
    becomes(PORT, "/readyz", 200)
    equal(ended(drain_now(case, init)), (0, ""))
    equal(get(PORT, "/readyz"), (503, "drained\n"))
    equal(get(PORT, "/livez")[0], 200)
    init.signal(10)
    init.line("^got 10")
    init.signal(TERM)
    equal(init.wait(), 6)


@scenario(modes=INIT)
def the_signal_comes_before_it_is_drained(case):
    """The kubelet did not wait: the drain goes on, and the signal that was sent is the one passed on."""
    init = case.start(["signals", "15", "6"], opts=["-v", "--drain", "2s"])
    init.line("^ready")
    process = drain_now(case, init)
    init.line("-> draining", where="err")
    init.signal(TERM)
    equal(init.wait(), 6)
    ended(process)
    check("draining + drained -> stopping" in init.err, init.err)


@scenario(modes=("pid1", "kernel"), limit=40)
def grace_counts_from_the_drain(case):
    """The platform's clock runs while its hook does."""
    init = case.start(["ignore", "15"], opts=["--grace", "10s", "--drain", "5s"])
    init.line("^ready")
    equal(ended(drain_now(case, init)), (0, ""))
    begun = time.monotonic()
    init.signal(TERM)
    equal(init.wait(15), 137)
    took = time.monotonic() - begun
    check(took < 7.5, f"killed {took:.1f} s after the signal, 5 s after the drain began")


@scenario(modes=("pid1",), limit=30)
def an_old_drain_takes_nothing_from_the_stop(case):
    """Somebody drained by hand; what stops the container later has its whole time."""
    init = case.start(["slow", "15", "1500", "6"], opts=["--grace", "3s"])
    init.line("^ready")
    equal(ended(drain_now(case, init)), (0, ""))
    time.sleep(3.2)
    init.signal(TERM)
    equal(init.wait(), 6)


@scenario(modes=("pid1", "kernel"))
def not_in_time(case):
    init = case.start(["signals", "15", "6"], opts=["--drain", "30s", "--second-stop", "skip"])
    init.line("^ready")
    status, said = ended(drain_now(case, init, "--timeout", "500ms"))
    equal((status, said), (1, "shim: --drain-now: not drained after 0.5s\n"))
    init.signal(TERM)
    init.quiet(0.3)
    init.signal(TERM)
    equal(init.wait(), 6)


@scenario(modes=("pid1",))
def before_the_app(case):
    """There is nothing to drain, and the start goes on."""
    target = case.path("target")
    init = case.start(["signals", "15", "6"], opts=["-v", "--wait-for", f"file:{target}"])
    eventually(lambda: len(init.processes()) > 1, "it waits")
    equal(ended(drain_now(case, init)), (0, ""))
    with open(target, "w", encoding="ascii"):
        pass
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 6)


@scenario(modes=("pid1",), limit=30)
def users(case):
    """The same user or root; nobody else."""
    os.chmod(case.dir, 0o755)
    as_user = [tool("setpriv"), "--reuid", "1234", "--regid", "1234", "--clear-groups"]
    for user, status in ((1234, 0), (None, 0), (4321, 1)):
        init = case.start(["signals", "15", "6"], wrap=as_user)
        init.line("^ready")
        got, said = ended(drain_now(case, init, user=user))
        equal(got, status, f"user {user}: {said}")
        if status:
            equal(said, "shim: --drain-now: PID 1 cannot be asked: Operation not permitted\n")
        init.signal(TERM)
        equal(init.wait(), 6)


@scenario(modes=("sub",))
def another_init(case):
    init = case.start(["signals", "15", "6"])
    init.line("^ready")
    status, said = ended(drain_now(case, init))
    equal(status, 1)
    check(re.fullmatch("shim: --drain-now: PID 1 is not this shim but payload\n", said), said)
    init.signal(TERM)
    equal(init.wait(), 6)
    equal(init.lines()[1:], ["got 15"])


@scenario(modes=("pid1",))
def under_another_name(case):
    """No drain there, and the app hears nothing of it."""
    binary = case.path("tini")
    os.link(case.shim, binary)
    init = case.start(["signals", "15", "6"], binary=binary)
    init.line("^ready")
    status, said = ended(drain_now(case, init))
    equal(status, 1)
    check("as " in said and "tini" in said, said)
    init.signal(TERM)
    equal(init.wait(), 6)
    equal(init.lines()[1:], ["got 15"])


@scenario(modes=("pid1",))
def another_file(case):
    """A second copy may be another version: it does not dare."""
    binary = case.path("other-shim")
    shutil.copy(case.shim, binary)
    init = case.start(["signals", "15", "6"])
    init.line("^ready")
    status, said = ended(drain_now(case, init, binary=binary))
    equal(status, 1)
    check("is not this shim but shim" in said, said)
    init.signal(TERM)
    equal(init.wait(), 6)
    equal(init.lines()[1:], ["got 15"])


@scenario(modes=("pid1",))
def as_pid_1(case):
    init = case.run(["--drain-now"], dashes=False)
    equal(init.status, 1)
    check("PID 1 itself" in init.err, init.err)
    init = case.run(["--drain-now", "true"], dashes=False)
    equal((init.status, init.err), (125, "shim: --drain-now: runs no command, but 'true' was given\n"))
    init = case.run(["true"], env={"SHIM_OPTS": "--drain-now"})
    equal(init.status, 125)


@scenario(modes=INIT)
def what_others_queue_is_passed_on(case):
    """The same signal with the same number from sigqueue(3) is the app's, each of them."""
    init = case.start(["signals", "15", "6"])
    init.line("^ready")
    for value in range(1, 6):
        equal(LIBC.sigqueue(init.pid, RTMAX, ctypes.c_void_p(value)), 0)
        init.line("^got 64$", count=value)
    init.signal(RTMAX)
    init.line("^got 64$", count=6)
    init.signal(TERM)
    equal(init.wait(), 6)
