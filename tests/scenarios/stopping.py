"""Stopping: the time budget, and what the app leaves behind (P28, P32, P35 to P37)."""

import os
import re
import signal
import time

from harness import check, equal, eventually, read, regular, scenario

TERM, USR1, KILL = 15, 10, 9


@scenario(limit=30)
def grace_ends_before_the_platform_does(case):
    """4 s of grace end at 3.6: all is killed, and the status is 137."""
    log = case.path("message")
    init = case.start(["ignore"], opts=["--grace", "4s", "--termination-log", log])
    init.line("^ready")
    begun = time.monotonic()
    init.signal(TERM)
    equal(init.wait(), 137)
    took = init.ended - begun
    check(3.2 < took < 4.0, f"took {took:.2f} s")
    check("payload" in read(log), f"who was still alive is not said: {read(log)!r}")


@scenario()
def p32_last_words_come_before_the_kill(case):
    """Killed from outside a moment before the budget is spent: the file has the stage by then."""
    log = case.path("message")
    init = case.start(["ignore"], opts=["--grace", "30s", "--termination-log", log])
    init.line("^ready")
    init.signal(TERM)
    eventually(lambda: regular(log) and "stop" in read(log), "the message says it is stopping")
    init.signal(KILL)
    init.wait()
    check(re.search("stop", read(log)), read(log))


@scenario()
def grace_kills_everything_that_is_left(case):
    init = case.start(
        [
            "/bin/sh",
            "-c",
            f"setsid {case.payload} ignore & {case.payload} ignore & exec {case.payload} ignore",
        ],
        opts=["--grace", "1s"],
        after=3000 if case.mode == "sub" else None,
    )
    init.line("^ready", count=3)
    init.signal(TERM)
    equal(init.wait(), 137)
    if case.mode == "sub":
        check("nobody left" in init.out, init.out)


@scenario()
def grace_does_not_count_before_a_stop(case):
    init = case.start(["signals", "10", "5"], opts=["--grace", "500ms"])
    init.line("^ready")
    init.quiet(1.0)
    init.signal(USR1)
    equal(init.wait(), 5)


@scenario()
def grace_is_an_upper_bound(case):
    for reserve in ([], ["--reserve", "20s"], ["--reserve", "1s"]):
        init = case.start(["slow", "15", "100", "5"], opts=["--grace", "60s", *reserve])
        init.line("^ready")
        init.signal(TERM)
        equal(init.wait(), 5)


@scenario()
def grace_covers_the_lingering_too(case):
    """The app ends at once, what it left behind would take longer than the platform waits."""
    log = case.path("message")
    init = case.start(
        ["/bin/sh", "-c", f"setsid {case.payload} ignore & exec {case.payload} signals 15 0"],
        opts=["--grace", "2s", "--linger", "60s", "--termination-log", log],
    )
    init.line("^ready", count=2)
    begun = time.monotonic()
    init.signal(TERM)
    init.wait()
    check(init.ended - begun < 2.2, f"took {init.ended - begun:.2f} s of 2")


@scenario()
def grace_counts_from_a_stop_while_lingering(case):
    """The app has ended by itself, the platform's stop comes while the rest is waited for."""
    init = case.start(
        ["/bin/sh", "-c", f"setsid {case.payload} ignore & read x; exit 4"],
        opts=["--grace", "2s", "--linger", "60s"],
        stdin=-1,
    )
    init.line("^ready")
    init.close_input()
    init.quiet(0.5)
    begun = time.monotonic()
    init.signal(TERM)
    check(init.wait() in (4, 137), "either the app's status or that of a budget spent")
    check(init.ended - begun < 2.2, f"took {init.ended - begun:.2f} s of 2")


@scenario()
def no_grace_no_limit(case):
    init = case.start(["slow", "15", "3000", "5"])
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 5)


@scenario(limit=60)
def p36_behind_a_shell(case):
    """sh -c 'app; true': the shell dies of TERM at once, the app's handler still finishes, and the
    app hears one stop signal, not a second one from the lingering."""
    for _ in range(15):
        init = case.start(["/bin/sh", "-c", f"{case.payload} slow 15 200 0; true"])
        init.line("^ready")
        init.signal(TERM)
        equal(init.wait(), 143)
        check("flushed" in init.lines(), init.out)
        equal(init.lines().count("got 15"), 1, "stop signals the app saw")
        case.close()


@scenario(modes=("sub",))
def p36_behind_a_shell_without_subreaper(case):
    """Neither PID 1 nor told to reap (docker run --init and our ENTRYPOINT, a pod with one PID
    namespace): the shell dies of the stop signal, and the app behind it still has its time."""
    init = case.start(["/bin/sh", "-c", f"{case.payload} slow 15 200 0; true"], subreaper=False)
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 143)
    check("flushed" in init.lines(), init.out)


@scenario(limit=30)
def p36_behind_a_shell_python(case):
    program = case.path(
        "app.py",
        """
import os, signal, sys, time
def stop(*_):
    os.write(1, b"handler\\n")
    time.sleep(0.3)
    os.write(1, b"bye\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
os.write(1, b"ready\\n")
while True:
    time.sleep(60)
""",
    )
    init = case.start(["/bin/sh", "-c", f"/usr/bin/python3 {program}; true"])
    init.line("^ready")
    init.signal(TERM)
    init.line("^handler$")
    equal(init.wait(), 143)
    equal(init.lines(), ["ready", "handler", "bye"])


@scenario()
def p36_rewritten_stop_is_seen_once(case):
    init = case.start(
        ["/bin/sh", "-c", f"{case.payload} slow 3 300 0; true"], opts=["-r", "TERM:QUIT"]
    )
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 131)
    equal(init.lines(), [init.lines()[0], "got 3", "flushed"])


@scenario()
def p36_the_rest_may_finish(case):
    """The app ends by itself; what it started is told once and may flush."""
    for opts in ([], ["--linger", "30s"]):
        init = case.start(
            ["/bin/sh", "-c", f"{case.payload} slow 15 500 0 & read x; exit 4"], opts=opts, stdin=-1
        )
        init.line("^ready")
        begun = time.monotonic()
        init.close_input()
        equal(init.wait(), 4)
        check("flushed" in init.lines(), init.out)
        equal(init.lines().count("got 15"), 1)
        check(init.ended - begun < 15, "waited though nobody was left")


@scenario()
def p36_linger_has_an_end(case):
    init = case.start(
        ["/bin/sh", "-c", f"{case.payload} ignore & read x; exit 4"],
        opts=["--linger", "700ms"],
        stdin=-1,
        after=2000 if case.mode == "sub" else None,
    )
    init.line("^ready")
    begun = time.monotonic()
    init.close_input()
    equal(init.wait(), 4)
    check(init.ended - begun >= 0.6, f"left after {init.ended - begun:.2f} s")
    check("payload" in init.err, f"the straggler is not named: {init.err!r}")
    if case.mode == "sub":
        check("nobody left" in init.out, init.out)


@scenario()
def p36_no_linger(case):
    init = case.start(
        ["/bin/sh", "-c", f"{case.payload} slow 15 60000 0 & read x; exit 4"],
        opts=["--linger", "0"],
        stdin=-1,
    )
    init.line("^ready")
    init.close_input()
    equal(init.wait(), 4)
    check("flushed" not in init.lines())


@scenario()
def linger_is_cut_short_by_a_person(case):
    """While lingering signals still reach what is left."""
    init = case.start(
        ["/bin/sh", "-c", f"{case.payload} signals 10 0 & read x; exit 4"],
        opts=["--linger", "30s"],
        stdin=-1,
    )
    init.line("^ready")
    init.close_input()
    init.line("^got 15$")
    init.signal(USR1)
    equal(init.wait(), 4)


@scenario()
def p35_until_empty(case):
    init = case.run(
        ["/bin/sh", "-c", f"(setsid {case.payload} exit 0 1200; echo end) & exit 5"],
        opts=["--until-empty"],
    )
    equal((init.status, init.out), (5, "end\n"))
    init = case.run(["/bin/sh", "-c", f"(setsid {case.payload} exit 0 1200; echo end) & exit 5"])
    equal((init.status, init.out), (5, ""), "without the option the rest is told to end")


@scenario()
def p35_until_empty_stops_too(case):
    """The daemon that is left hears the stop; the status stays the app's."""
    init = case.start(
        ["/bin/sh", "-c", f"setsid {case.payload} slow 15 300 9 & read x; exit 5"],
        opts=["--until-empty"],
        stdin=-1,
    )
    init.line("^ready")
    init.close_input()
    eventually(
        lambda: len([s for s in init.processes().values() if s != "Z"])
        <= (3 if case.mode == "sub" else 2),
        "the shell has gone",
    )
    init.quiet(0.3)
    check("got 15" not in init.lines(), "told to stop by nobody")
    init.signal(TERM)
    equal(init.wait(), 5)
    check("flushed" in init.lines(), init.out)
    equal(init.lines().count("got 15"), 1)


@scenario()
def p35_until_empty_with_grace(case):
    init = case.start(
        ["/bin/sh", "-c", f"setsid {case.payload} ignore & read x; exit 5"],
        opts=["--until-empty", "--grace", "1s"],
        stdin=-1,
    )
    init.line("^ready")
    init.close_input()
    init.quiet(0.3)
    init.signal(TERM)
    check(init.wait() in (5, 137), "either the app's status or that of a budget spent")


@scenario()
def p35_until_empty_restart(case):
    """Jenkins: forks its successor and dies, twice."""
    script = case.path(
        "again",
        "#!/bin/sh\n[ $1 = 0 ] && echo done && exit 9\nsetsid $0 $(($1 - 1)) &\nexit 6\n",
        0o755,
    )
    init = case.run([script, "4"], opts=["--until-empty"])
    equal((init.status, init.out), (6, "done\n"))


@scenario()
def p37_orphans_live_as_long_as_the_app(case):
    """Not ended when their parent is; told when the app has ended."""
    init = case.start(
        [
            "/bin/sh",
            "-c",
            f"/bin/sh -c '{case.payload} slow 15 100 0 & exit';"
            f"exec {case.payload} signals 10 0",
        ]
    )
    init.line("^ready", count=2)
    init.quiet(0.3)
    check("got 15" not in init.lines())
    init.signal(USR1)
    equal(init.wait(), 0)
    check("flushed" in init.lines(), init.out)


@scenario()
def a_foreign_kill_of_the_app(case):
    init = case.start(["hold"])
    init.line("^ready")
    init.signal(KILL, init.app())
    equal(init.wait(), 137)


@scenario(modes=("sub",))
def a_killed_shim_leaves_the_app_as_tini_does(case):
    """-p is about shim; without it the app outlives a killed shim as under tini."""
    init = case.start(["hold"], after=500)
    init.line("^ready")
    os.kill(init.pid, signal.SIGKILL)
    init.wait()
    check("somebody left" in init.out, init.out)
