"""Process numbers that are used again within milliseconds: PID 1 has a namespace of 400 of them
(Linux 6.14 counts per namespace), and hundreds of processes a second come and go. Whoever is told or
reaped by number must be the right one."""

import os
import platform
import re
import time

from harness import Skip, check, equal, eventually, proc_children, proc_status, read, scenario
from network import becomes, network

TERM, KILL, USR1 = 15, 9, 10
PID_MAX = "/proc/sys/kernel/pid_max"
FEW = 400
PORT = 9090

# The app: processes that end at once, of its own and orphans, without a pause. A bystander each in a
# session of its own says what it hears.
CHURN = """
trap 'echo app told; touch {done}; exit 6' TERM
trap 'echo app usr1' USR1
setsid {payload} signals 15 0 &
setsid {payload} signals 15 0 &
n=0
while [ ! -e {done} ]; do
    ({payload} exit 3 & {payload} exit 4 &)
    {payload} exit 5
    n=$((n + 1))
    [ $((n % 100)) -ne 0 ] || echo round $n
done
exit 6
"""


def few_numbers():
    """What a shell does first in the namespace. The machine's own number stays as it is."""
    release = [int(n) for n in re.findall(r"\d+", platform.release())[:2]]
    if release < [6, 14]:
        raise Skip("needs Linux 6.14: before it the number is the machine's")
    return f"echo {FEW} >{PID_MAX}"


def churn(case):
    return CHURN.format(payload=case.payload, done=case.path("done"))


def wrapped(case, init):
    """Numbers have been used again, a dozen times."""
    init.line("^round [1-9]000$", timeout=60)
    every = [proc_status(p).get("NSpid") for p in init.processes()]  # None: it has just ended
    numbers = [int(ids.split()[-1]) for ids in every if ids]
    check(max(numbers) < FEW, numbers)


@scenario(modes=("pid1", "plain"), limit=110)
def signals_reach_the_right_ones(case):
    outside = read(PID_MAX)
    init = case.start(["/bin/sh", "-c", churn(case)], opts=["--grace", "60s"], shell=few_numbers())
    init.line("^ready", count=2)
    for i in range(1, 21):
        init.signal(USR1)
        init.line("^app usr1$", count=i)
    wrapped(case, init)
    init.signal(TERM)
    equal(init.wait(60), 6, init.err[-500:])
    equal(init.lines().count("app told"), 1)
    # At the end all that is left is told, once, and nothing else before.
    heard = [line for line in init.lines() if line.startswith("got ")]
    equal(heard, ["got 15", "got 15"])
    equal(read(PID_MAX), outside, "the machine's own limit")


@scenario(modes=("pid1", "plain"), limit=110)
def hooks_and_helpers_are_the_right_ones(case):
    """Sixteen hooks, one after another, a server that is killed again and again, and a hook that
    overruns its time while numbers go round."""
    network()
    trace = case.path("trace", "")
    opts = ["--health", f"127.0.0.1:{PORT}", "--hook-timeout", "3s", "--grace", "60s"]
    for i in range(16):
        opts += ["--post-start", f"sh -c 'echo {i} >>{trace}; exit 0'"]
    opts += ["--pre-stop", f"{case.payload} ignore", "--pre-stop", f"sh -c 'echo after >>{trace}'"]
    init = case.start(["/bin/sh", "-c", churn(case)], opts=opts, shell=few_numbers())
    init.line("^ready", count=2)
    becomes(PORT, "/readyz", 200, timeout=40)
    equal(read(trace).split(), [str(i) for i in range(16)])
    shim = os.stat(case.shim)
    for _ in range(3):
        for pid in proc_children(init.pid):
            try:
                st = os.stat(f"/proc/{pid}/exe")
            except OSError:
                continue
            if (st.st_dev, st.st_ino) == (shim.st_dev, shim.st_ino):
                init.signal(KILL, pid)
        time.sleep(0.5)
        becomes(PORT, "/readyz", 200, timeout=20)
    wrapped(case, init)
    init.signal(TERM)
    equal(init.wait(60), 6, init.err[-800:])
    check("after" in read(trace), "the hook after the one that overran")
    check("timed out" in init.err, init.err[-500:])
    heard = [line for line in init.lines() if line.startswith("got ")]
    equal(heard, ["got 15", "got 15"])
    eventually(lambda: not os.path.exists(f"/proc/{init.pid}"), "all is gone")
