"""B. Signals: which, when, to whom."""

import os
import signal
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

TERM, INT, QUIT, HUP, USR1 = 15, 2, 3, 1, 10
FAULTS = (4, 5, 6, 7, 8, 11, 31)
NOBODY_FORWARDS = (9, 17, 19)  # KILL and STOP cannot be caught; CHLD is shim's own business


def bits(signals):
    return "%016x" % sum(1 << (n - 1) for n in signals)


@scenario()
def p08_every_signal_is_forwarded(case):
    init = case.start(["signals"])
    init.line("^ready")
    for signo in range(1, 65):
        if signo not in NOBODY_FORWARDS + FAULTS:
            init.signal(signo)
            init.line(f"^got {signo}$")
    equal(len(init.lines()) - 1, 64 - len(NOBODY_FORWARDS + FAULTS), "signals the app heard")


@scenario()
def p08_faults_sent_by_kill_are_forwarded(case):
    """Somebody sends ABRT or SEGV to the container to see a dump: the app's, not shim's."""
    init = case.start(["signals"])
    init.line("^ready")
    for signo in FAULTS:
        init.signal(signo)
        init.line(f"^got {signo}$", timeout=3)


@scenario()
def p08_signals_from_inside(case):
    """kill -s N 1 by a process of the container, as PID 1's own handlers would see it."""
    init = case.start(["signals"])
    init.line("^ready")
    number = proc_status(init.pid)["NSpid"].split()[-1]
    for signo in (1, 2, 10, 15, 20, 32, 33, 34, 35, 37, 64):
        subprocess.run(
            [
                tool("nsenter"),
                "-t",
                str(init.pid),
                "-p",
                "-m",
                case.payload,
                "send",
                number,
                str(signo),
            ],
            check=True,
        )
        init.line(f"^got {signo}$")


@scenario()
def p08_queued_real_time_signals(case):
    """One for one, also those that came while the app was stopped."""
    init = case.start(["signals"])
    init.line("^ready")
    app = init.app()
    init.signal(signal.SIGSTOP, app)
    for signo, count in ((34, 40), (36, 100), (64, 7)):
        for _ in range(count):
            init.signal(signo)
    init.signal(signal.SIGCONT, app)
    for signo, count in ((34, 40), (36, 100), (64, 7)):
        init.line(f"^got {signo}$", count=count)
    init.quiet(0.2)
    for signo, count in ((34, 40), (36, 100), (64, 7)):
        equal(init.lines().count(f"got {signo}"), count, f"signal {signo}")


@scenario()
def p08_stop_on_a_real_time_signal(case):
    """systemd's containers stop on RTMIN+3, which is 37 whatever libc counts."""
    init = case.start(["signals", "37", "4"], opts=["--stop-on", "RTMIN+3", "--grace", "60s"])
    init.line("^ready")
    init.signal(37)
    equal(init.wait(), 4)


@scenario(modes=NAMED)
def p09_parent_ignores_sigchld(case):
    equal(case.run(["exit", "7"], prefix=["-i", "17"]).status, 7)
    equal(case.run(["kill", "9"], prefix=["-i", "17"]).status, 137)
    equal(case.run(["/nope"], prefix=["-i", "17"]).status, 127)
    init = case.start(["signals", "15", "8"], prefix=["-i", "17"])
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 8)


@scenario()
def p09_sigchld_blocked_by_the_parent(case):
    equal(case.run(["exit", "7"], prefix=["-b", "17"]).status, 7)


@scenario()
def p09_app_can_wait_for_its_own_children(case):
    """shim may let the kernel reap, but no SIG_IGN of its own reaches the app."""
    init = case.run(["/bin/sh", "-c", f"{case.payload} exit 5; echo $?"])
    equal(init.out, "5\n")
    equal(case.start(["report"], find=False).report()["ignored"], bits(()))


@scenario(modes=NAMED)
def p10_ignored_signals_reach_the_app_as_inherited(case):
    equal(case.start(["report"], find=False).report()["ignored"], bits(()))
    want = (1, 2, 13, 15, 17, 20, 21, 22, 33, 34, 40, 64)
    prefix = [word for n in want for word in ("-i", str(n))]
    equal(case.start(["report"], prefix=prefix, find=False).report()["ignored"], bits(want))
    init = case.run(["/bin/sh", "-c", "yes | head -n 1; echo ok"])
    equal(init.out, "y\nok\n")


@scenario()
def p11_mask_reaches_the_app_as_inherited(case):
    equal(case.start(["report"], find=False).report()["blocked"], bits(()))
    want = (1, 2, 10, 15, 17, 20, 32, 33, 34, 64)
    prefix = [word for n in want for word in ("-b", str(n))]
    equal(case.start(["report"], prefix=prefix, find=False).report()["blocked"], bits(want))


@scenario()
def p11_inherited_mask_does_not_deafen_shim(case):
    prefix = [word for n in (2, 10, 15, 17) for word in ("-b", str(n), "-i", str(n))]
    init = case.start(["signals", "15", "3"], prefix=prefix)
    init.line("^ready")
    init.signal(USR1)
    init.line("^got 10$")
    init.signal(TERM)
    equal(init.wait(), 3)


@scenario()
def p17_a_signal_mapped_to_nothing(case):
    for rule in ("USR2:0", "12:0", "SIGUSR2:0"):
        init = case.start(["signals", "10", "0"], opts=["--rewrite", rule])
        init.line("^ready")
        init.signal(12)
        init.signal(HUP)
        init.line("^got 1$")
        init.signal(USR1)
        equal(init.wait(), 0)
        check("got 12" not in init.lines(), rule)


@scenario()
def p18_rewrite(case):
    for rule, sent, want in (
        ("TERM:QUIT", 15, 3),
        ("15:3", 15, 3),
        ("sigterm:SIGQUIT", 15, 3),
        ("TERM:RTMIN+3", 15, 37),
        ("RTMIN:USR1", 34, 10),
        ("64:HUP", 64, 1),
        ("RTMAX-1:33", 63, 33),
        ("INT:INT", 2, 2),
    ):
        init = case.start(["signals", str(want), "6"], opts=["-r", rule])
        init.line("^ready")
        init.signal(sent)
        equal(init.wait(), 6, rule)
        equal(len(init.lines()), 2, f"{rule}: {init.out!r}")


@scenario()
def p18_rewrite_is_done_once(case):
    init = case.start(["signals", "3", "6"], opts=["-r", "TERM:INT", "-r", "INT:QUIT"])
    init.line("^ready")
    init.signal(TERM)
    init.line("^got 2$")
    init.signal(INT)
    equal(init.wait(), 6)


@scenario(limit=30)
def p18_a_rewritten_stop_is_a_stop(case):
    """The signal that came begins the stop (and its clock), not the one it is rewritten to."""
    init = case.start(["ignore"], opts=["-r", "TERM:QUIT", "--grace", "1500ms"])
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 137)
    init = case.start(["signals", "10", "0"], opts=["-r", "QUIT:TERM", "--grace", "1500ms"])
    init.line("^ready")
    init.signal(QUIT)
    init.line("^got 15$")
    init.quiet(2)
    init.signal(USR1)
    equal(init.wait(), 0, "QUIT is rewritten to TERM but begins no stop")


@scenario()
def stop_signal(case):
    for sent in (TERM, INT):
        init = case.start(["signals", "3", "6"], opts=["--stop-signal", "QUIT"])
        init.line("^ready")
        init.signal(HUP)
        init.line("^got 1$")
        init.signal(sent)
        equal(init.wait(), 6)
        equal(len(init.lines()), 3, init.out)


@scenario(limit=30)
def stop_on(case):
    opts = ["--stop-on", "USR1,RTMIN+3", "--grace", "1500ms"]
    for sent in (10, 37):
        init = case.start(["ignore"], opts=opts)
        init.line("^ready")
        init.signal(sent)
        equal(init.wait(), 137, f"{sent} begins a stop")
    init = case.start(["signals", "12", "0"], opts=opts)
    init.line("^ready")
    init.signal(TERM)
    init.line("^got 15$")
    init.quiet(2)
    init.signal(12)
    equal(init.wait(), 0, "TERM is merely forwarded")


@scenario(modes=NAMED, limit=40)
def no_stop_is_lost_at_start(case):
    """TERM at once, many times, at any moment between shim's exec and the app's. Blocked by whoever
    starts shim, so that the kernel keeps it for shim (a PID 1 without a handler hears nothing)."""
    for turn in range(80):
        init = case.start(["signals", "15", "3"], prefix=["-b", "15"], find=turn % 2)
        pid = init.pid or first_process(case, init)
        time.sleep(turn % 8 * 0.0004)
        init.signal(TERM, pid)
        check(init.wait() in (3, 143), f"turn {turn}: status {init.wait()}")
        case.close()


def first_process(case, init):
    """shim's pid as soon as TERM is blocked there: in `payload with`, or in shim itself."""

    def search():
        pids = proc_children(init.process.pid)
        if pids and case.mode == "sub":
            pids = proc_children(pids[0])
        for pid in pids:
            name = proc_status(pid).get("Name")
            if (
                name == "shim"
                or name == "payload"
                and int(proc_status(pid)["SigBlk"], 16) == 1 << 14
            ):
                return pid
        return None

    return eventually(search, "the process that becomes shim")


@scenario(modes=NAMED, limit=40)
def no_signal_is_lost_at_start(case):
    """What is no stop signal is kept for the app, and delivered once it is there."""
    for turn in range(40):
        init = case.start(["signals", "36", "3"], prefix=["-b", "36"])
        time.sleep(turn % 8 * 0.0004)
        init.signal(36)
        equal(init.wait(), 3, f"turn {turn}")
        case.close()


@scenario(modes=INIT)
def a_flood_of_signals(case):
    init = case.start(["signals", "15", "0"])
    init.line("^ready")
    for _ in range(2000):
        for signo in (1, 10, 12, 17, 28):
            os.kill(init.pid, signo)
    init.signal(TERM)
    equal(init.wait(), 0)
