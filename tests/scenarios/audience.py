"""B. To whom a signal goes, and whether it gets there."""

import os
import select
import subprocess
import time

from harness import (
    Skip,
    check,
    equal,
    eventually,
    proc_status,
    read,
    scenario,
    tool,
)

TERM, INT, HUP, USR1 = 15, 2, 1, 10


def master_and_worker(case, *opts):
    """A shell that stops its worker itself, by USR1."""
    script = (
        f"trap 'echo master; sleep 0.3; kill -USR1 $W; wait; exit 0' TERM;"
        f"{case.payload} signals 10 0 & W=$!; echo set; wait; wait"
    )
    init = case.start(["/bin/sh", "-c", script], opts=opts)
    init.line("^ready")
    init.line("^set")
    init.signal(TERM)
    equal(init.wait(), 0)
    check("master" in init.lines() and "got 10" in init.lines(), init.out)
    return init.lines().count("got 15")


@scenario()
def p13_scope(case):
    for opts, want in (
        (["--scope", "child"], 0),
        (["-c"], 0),
        (["--single-child"], 0),
        (["--scope", "group"], 1),
        (["-g"], 1),
        ([], 1),
        (["--scope=session"], 1),
    ):
        equal(master_and_worker(case, *opts), want, f"TERMs the worker heard with {opts}")


@scenario()
def p14_other_sessions_hear_the_end(case):
    """A setsid'ed grandchild is told once the app is gone, and may finish."""
    init = case.start(
        ["/bin/sh", "-c", f"setsid {case.payload} slow 15 300 0 & exec {case.payload} hold"]
    )
    init.line("^ready", count=2)
    init.signal(TERM)
    equal(init.wait(), 143)
    equal(init.lines().count("got 15"), 1)
    check("flushed" in init.lines(), init.out)


@scenario()
def p14_scope_all(case):
    script = (
        f"setsid {case.payload} signals & {case.payload} signals & exec {case.payload} signals 10 6"
    )
    init = case.start(["/bin/sh", "-c", script], opts=["--scope", "all", "--linger", "0"])
    init.line("^ready", count=3)
    init.signal(TERM)
    init.line("^got 15$", count=3)
    init.quiet(0.2)
    equal(init.lines().count("got 15"), 3)
    init.signal(USR1)
    equal(init.wait(), 6)


@scenario()
def p14_scope_group_leaves_other_sessions_alone(case):
    init = case.start(
        ["/bin/sh", "-c", f"setsid {case.payload} signals & exec {case.payload} signals 10 6"],
        opts=["--linger", "0"],
    )
    init.line("^ready", count=2)
    init.signal(TERM)
    init.line("^got 15$")
    init.quiet(0.3)
    equal(init.lines().count("got 15"), 1)


@scenario(modes=("sub",))
def p14_scope_all_is_not_the_whole_machine(case):
    """Not PID 1: what is not below shim hears nothing, and shim never uses pid -1."""
    words = case.command(["signals", "15", "0"], opts=["--scope", "all"])
    init = case.start(
        ["-c", f'{case.payload} signals & "$0" "$@"; echo over; kill -USR2 $!; wait', *words],
        binary="/bin/sh",
        dashes=False,
        subreaper=False,
        find=False,
    )
    init.line("^ready", count=2)
    init.find(True)
    init.signal(TERM)
    init.line("^over$")
    init.line("^got 12$")
    equal(init.lines().count("got 15"), 1)


@scenario()
def p15_may_not_signal_the_app(case):
    """CAP_KILL (5) dropped and the app under another user: one warning, and the app lives on."""
    init = case.start(
        ["with", "-u", "65534", "--", case.payload, "exit", "4", "2000"], prefix=["-k", "5"]
    )
    eventually(lambda: proc_status(init.app()).get("Uid", "0").startswith("65534"), "the user")
    for signo in (HUP, TERM, USR1, TERM):
        init.signal(signo)
        time.sleep(0.1)
    equal(init.wait(), 4)
    equal(len(init.err.splitlines()), 1, f"lines on stderr: {init.err!r}")
    check("not permitted" in init.err or "CAP_KILL" in init.err, init.err)


@scenario()
def p15_grace_still_ends_it(case):
    log = case.path("message")
    init = case.start(
        ["with", "-u", "65534", "--", case.payload, "exit", "4", "60000"],
        prefix=["-k", "5"],
        opts=["--grace", "2s", "--termination-log", log],
    )
    eventually(lambda: proc_status(init.app()).get("Uid", "0").startswith("65534"), "the user")
    init.signal(TERM)
    equal(init.wait(), 137)
    check("cannot pass on SIGTERM: Operation not permitted (" in read(log), read(log))
    check("CAP_KILL is missing" in read(log), read(log))


@scenario()
def p16_app_sees_each_stop_signal_once(case):
    init = case.start(["signals", "10", "0"])
    init.line("^ready")
    init.signal(TERM)
    init.line("^got 15$")
    init.quiet(0.3)
    equal(init.lines().count("got 15"), 1)
    init.signal(TERM)  # there is nothing to drain: what comes after the stop signal is passed on
    init.line("^got 15$", count=2)
    init.signal(INT)
    init.line("^got 2$")
    init.signal(USR1)
    equal(init.wait(), 0)
    equal(init.lines().count("got 15"), 2)


@scenario()
def a_stop_wakes_a_stopped_app(case):
    """TERM, then CONT: a stopped app would never see the first."""
    init = case.start(["stopself"])
    init.line("^stopping")
    app = init.app()
    eventually(lambda: proc_status(app)["State"][0] == "T", "the app is stopped")
    init.signal(TERM)
    equal(init.wait(), 0)
    check("continued" in init.lines() and "got 15" in init.lines(), init.out)


@scenario()
def a_stop_wakes_a_stopped_app_in_every_scope(case):
    for how in (
        dict(opts=["--scope", "child"]),
        dict(opts=["--scope", "session"]),
        dict(opts=["--scope", "all"]),
        dict(shell="mount -t tmpfs t /proc"),
        dict(opts=["--scope", "child"], shell="mount -t tmpfs t /proc"),
    ):
        init = case.start(["stopself"], **how)
        init.line("^stopping")
        app = init.app()
        eventually(lambda: proc_status(app)["State"][0] == "T", "the app is stopped")
        init.signal(TERM)
        equal(init.wait(), 0, how)


@scenario()
def a_stop_wakes_the_whole_group(case):
    """The app runs, but a member of its group is stopped."""
    init = case.start(
        [
            "/bin/sh",
            "-c",
            f"{case.payload} stopself & W=$!;"
            f"trap 'wait $W; echo over; exit 5' TERM; wait; wait",
        ]
    )
    init.line("^stopping")
    time.sleep(0.1)
    init.signal(TERM)
    equal(init.wait(), 5)
    check("over" in init.lines() and init.lines().count("got 15") == 1, init.out)


@scenario()
def no_cont_for_an_app_that_runs(case):
    init = case.start(["signals", "10", "0"])
    init.line("^ready")
    init.signal(TERM)
    init.line("^got 15$")
    init.signal(USR1)
    equal(init.wait(), 0)
    equal(init.lines()[1:], ["got 15", "got 10"])


@scenario(limit=60)
def two_thousand_processes_of_one_group(case):
    init = case.start(["crowd", "2000"])
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(20), 0)


@scenario(modes=("sub",))
def never_a_group_whose_leader_was_reaped(case):
    """The app is gone, its number is given to a stranger: who must not hear what shim is sent."""
    last = "/proc/sys/kernel/ns_last_pid"
    if not os.path.exists(last):
        raise Skip(f"needs {last}")
    init = case.start(
        ["/bin/sh", "-c", f"setsid {case.payload} signals & read x; exit 5"],
        opts=["--until-empty"],
        stdin=-1,
    )
    init.line("^ready")
    app = init.app()
    number = int(proc_status(app)["NSpid"].split()[-1])
    init.close_input()
    eventually(lambda: not proc_status(app), "the app is reaped")
    stranger = subprocess.Popen(
        [
            tool("nsenter"),
            "-t",
            str(init.pid),
            "-p",
            "-m",
            "/bin/sh",
            "-c",
            f"echo {number - 1} >{last}; setsid {case.payload} signals; true",
        ],
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    try:
        equal(
            stranger.stdout.readline(), b"ready %d\n" % number, "the stranger has the app's number"
        )
        for signo in (1, USR1, TERM):
            init.signal(signo)
        init.quiet(0.5)
        check(not select.select([stranger.stdout], [], [], 0)[0], "the stranger heard a signal")
    finally:
        stranger.kill()
        stranger.wait()
