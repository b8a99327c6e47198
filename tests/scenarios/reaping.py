"""E. Reaping, being no PID 1, and the weight of the init itself."""

import os
import struct
import subprocess
import time

from harness import (
    INIT,
    NAMED,
    check,
    equal,
    eventually,
    proc_children,
    proc_status,
    scenario,
    tool,
)

TERM, USR1 = 15, 10


def switches(pid):
    status = proc_status(pid)
    return int(status["voluntary_ctxt_switches"]), int(status["nonvoluntary_ctxt_switches"])


@scenario(limit=60)
def ten_thousand_orphans(case):
    init = case.start(["orphans", "10000"])
    init.line("^made 10000$", timeout=40)
    eventually(lambda: not init.zombies(), "no zombie is left")
    equal(len(proc_children(init.pid)), 1, "children of the init")
    init.signal(TERM)
    equal(init.wait(), 0)


@scenario(limit=60)
def orphans_that_end_all_at_once(case):
    init = case.start(["orphans", "1500", "1500"])
    init.line("^made 1500$", timeout=40)
    check(len(proc_children(init.pid)) > 1, "the orphans are not the init's")
    eventually(
        lambda: len(init.processes()) <= (3 if case.mode == "sub" else 2), "all are gone", 20
    )
    init.signal(TERM)
    equal(init.wait(), 0)


@scenario()
def status_of_the_app_among_orphans(case):
    """The app ends while orphans end by the hundred: its status is not mixed up with theirs."""
    for _ in range(5):
        init = case.run(
            [
                "/bin/sh",
                "-c",
                f"for i in 1 2 3 4 5 6 7 8; do ({case.payload} exit 9 20 &"
                f" {case.payload} exit 8 21 &) ; done; sleep 0.02; exit 4",
            ]
        )
        equal(init.status, 4)


@scenario(modes=INIT, limit=30)
def p33_zombies_of_exec_probes(case):
    """docker exec: processes that come from outside the tree and leave orphans."""
    init = case.start(["signals", "15", "0"])
    init.line("^ready")
    probe = subprocess.Popen(
        [tool("nsenter"), "-t", str(init.pid), "-p", "-m", case.payload, "orphans", "1000", "50"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        equal(probe.stdout.readline(), "made 1000\n")
        eventually(lambda: len(init.processes()) <= 3, "the orphans are reaped")
        equal(init.zombies(), [])
    finally:
        probe.kill()
        probe.wait()
    init.signal(TERM)
    equal(init.wait(), 0)


@scenario()
def p34_a_zombie_of_the_app(case):
    """It has a parent that lives, so it is not shim's; it does no harm at the end either."""
    init = case.start(
        ["/bin/sh", "-c", f"{case.payload} exit 0 & exec {case.payload} signals 15 3"]
    )
    init.line("^ready")
    app = init.app()
    eventually(init.zombies, "the zombie")
    equal([int(proc_status(z)["PPid"]) for z in init.zombies()], [app])
    init.signal(TERM)
    equal(init.wait(), 3)


@scenario(modes=NAMED)
def warn_reap(case):
    """-w names each orphan that is reaped, as tini."""
    init = case.run(
        [
            "/bin/sh",
            "-c",
            f"({case.payload} exit 0 100 &); ({case.payload} exit 0 100 &);"
            f"exec {case.payload} exit 5 500",
        ],
        opts=["-w"],
    )
    equal(init.status, 5)
    equal(len([line for line in init.err.splitlines() if "reap" in line.lower()]), 2, init.err)


@scenario(modes=("sub",))
def p38_not_pid_1(case):
    init = case.run(["exit", "7"], subreaper=False)
    equal(init.status, 7)
    check("PID 1" in init.err and "subreaper" in init.err, f"no warning: {init.err!r}")
    init = case.run(["exit", "7"])
    equal((init.status, init.err), (7, ""))
    equal(
        case.run(["exit", "7"], subreaper=False, prefix=["-S"]).err.count("subreaper"),
        0,
        "registered by whoever started it",
    )


@scenario(modes=("sub",))
def p38_signals_without_subreaper(case):
    init = case.start(["signals", "15", "6"], subreaper=False, prefix=["-e", "1", "157"])
    init.line("^ready")
    init.signal(USR1)
    init.line("^got 10$")
    init.signal(TERM)
    equal(init.wait(), 6)


@scenario(modes=("sub",))
def p38_subreaper_refused(case):
    for error in ("1", "22", "38"):
        init = case.run(["exit", "7"], prefix=["-e", error, "157"])
        equal(init.status, 7, error)
        check(len(init.err.splitlines()) <= 3, init.err)


@scenario(modes=("sub",))
def subreaper_adopts_and_reaps(case):
    init = case.start(["orphans", "300", "100"])
    init.line("^made 300$")
    check(len(proc_children(init.pid)) > 1, "orphans do not come to shim")
    eventually(lambda: len(init.processes()) <= 3, "the orphans are reaped")
    init.signal(TERM)
    equal(init.wait(), 0)


@scenario()
def p40_no_wake_ups(case):
    for app, opts in (
        (["signals", "15", "0"], []),
        (["signals", "15", "0"], ["--grace", "30s", "--until-empty", "--linger", "5s"]),
    ):
        init = case.start(app, opts=opts)
        init.line("^ready")
        init.quiet(0.2)
        before = switches(init.pid)
        init.quiet(3)
        equal(switches(init.pid), before, "context switches in 3 s")
        init.signal(TERM)
        equal(init.wait(), 0)


@scenario(modes=("kernel",))
def orphans_do_not_wake_it(case):
    """Linux 6.15: the kernel reaps from the second on; before, two wake-ups each at most. A health
    server, which runs since before the first, changes nothing."""
    for opts in ([], ["--health", "127.0.0.1:8086"]):
        init = case.start(
            ["/bin/sh", "-c", f"read x; exec {case.payload} orphans 500"],
            opts=opts,
            stdin=-1,
            wrap=["unshare", "-n"] if opts else (),
        )
        init.quiet(0.5)
        before = switches(init.pid)[0]
        init.close_input()
        init.line("^made 500$")
        eventually(lambda: not init.zombies(), "no zombie is left")
        woken = switches(init.pid)[0] - before
        release = tuple(int(n) for n in os.uname().release.split("-")[0].split(".")[:2])
        equal(woken, 0, f"wake-ups {opts}") if release >= (6, 15) else check(woken <= 1000, woken)
        init.signal(TERM)
        equal(init.wait(), 0)


@scenario(modes=("pid1",))
def p40_static_and_small(case):
    with open(case.shim, "rb") as f:
        data = f.read()
    equal(data[:4], b"\x7fELF")
    check(data[4] == 2, "not a 64-bit binary")
    (offset,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    types = [struct.unpack_from("<II", data, offset + i * size) for i in range(count)]
    check(3 not in [t for t, _ in types], "it has an interpreter: not static")
    equal([flags & 1 for t, flags in types if t == 0x6474E551], [0], "executable stack")
    check(0x6474E552 in [t for t, _ in types], "no RELRO")


@scenario(modes=("sub",))
def p55_parent_dies(case):
    """-p: shim goes with whoever started it, or hands the signal on."""
    for name, heard in (("KILL", None), ("SIGTERM", "got 15"), ("9", None)):
        words = case.command(["signals", "15", "0"], opts=["-p", name])
        init = case.start(
            ["-c", '"$0" "$@" & read x; kill -KILL $$', *words],
            binary="/bin/sh",
            dashes=False,
            subreaper=False,
            find=False,
            stdin=-1,
            after=3000,
        )
        init.line("^ready")
        shim = init.find(True).pid
        init.close_input()
        eventually(lambda: proc_status(shim).get("State", "Z")[0] == "Z", f"shim ended ({name})")
        if heard:
            init.line(f"^{heard}$")


@scenario()
def p55_the_app_does_not_inherit_it(case):
    """With -p the app still outlives a thread of shim's: nothing of it is seen in normal work."""
    equal(case.run(["exit", "4"], opts=["-p", "TERM"]).status, 4)
    init = case.start(["signals", "15", "3"], opts=["-p", "SIGTERM"])
    init.line("^ready")
    time.sleep(0.2)
    check("got 15" not in init.lines())
    init.signal(TERM)
    equal(init.wait(), 3)
