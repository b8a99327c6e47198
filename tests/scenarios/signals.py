"""B. Signals: which, when, to whom."""

import os
import select
import signal
import subprocess
import time

from harness import INIT, NAMED, Skip, check, equal, eventually, proc_children, proc_status, scenario, tool

TERM, INT, QUIT, HUP, USR1 = 15, 2, 3, 1, 10
FAULTS = (4, 5, 6, 7, 8, 11, 31)
NOBODY_FORWARDS = (9, 17, 19)  # KILL and STOP cannot be caught; CHLD is shim's own business
RTMIN = 34


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
        subprocess.run([tool("nsenter"), "-t", str(init.pid), "-p", "-m", case.payload, "send", number,
                        str(signo)], check=True)
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


def master_and_worker(case, *opts):
    """A shell that stops its worker itself, by USR1."""
    script = (f"trap 'echo master; sleep 0.3; kill -USR1 $W; wait; exit 0' TERM;"
              f"{case.payload} signals 10 0 & W=$!; echo set; wait; wait")
    init = case.start(["/bin/sh", "-c", script], opts=opts)
    init.line("^ready")
    init.line("^set")
    init.signal(TERM)
    equal(init.wait(), 0)
    check("master" in init.lines() and "got 10" in init.lines(), init.out)
    return init.lines().count("got 15")


@scenario()
def p13_scope(case):
    for opts, want in ((["--scope", "child"], 0), (["-c"], 0), (["--single-child"], 0),
                       (["--scope", "group"], 1), (["-g"], 1), ([], 1), (["--scope=session"], 1)):
        equal(master_and_worker(case, *opts), want, f"TERMs the worker heard with {opts}")


@scenario()
def p14_other_sessions_hear_the_end(case):
    """A setsid'ed grandchild is told once the app is gone, and may finish."""
    init = case.start(["/bin/sh", "-c",
                       f"setsid {case.payload} slow 15 300 0 & exec {case.payload} hold"])
    init.line("^ready", count=2)
    init.signal(TERM)
    equal(init.wait(), 143)
    equal(init.lines().count("got 15"), 1)
    check("flushed" in init.lines(), init.out)


@scenario()
def p14_scope_all(case):
    script = f"setsid {case.payload} signals & {case.payload} signals & exec {case.payload} signals 10 6"
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
    init = case.start(["/bin/sh", "-c",
                       f"setsid {case.payload} signals & exec {case.payload} signals 10 6"],
                      opts=["--linger", "0"])
    init.line("^ready", count=2)
    init.signal(TERM)
    init.line("^got 15$")
    init.quiet(0.3)
    equal(init.lines().count("got 15"), 1)


@scenario(modes=("sub",))
def p14_scope_all_is_not_the_whole_machine(case):
    """Not PID 1: what is not below shim hears nothing, and shim never uses pid -1."""
    words = case.command(["signals", "15", "0"], opts=["--scope", "all"])
    init = case.start(["-c", f'{case.payload} signals & "$0" "$@"; echo over; kill -USR2 $!; wait',
                       *words], binary="/bin/sh", dashes=False, subreaper=False, find=False)
    init.line("^ready", count=2)
    init.find(True)
    init.signal(TERM)
    init.line("^over$")
    init.line("^got 12$")
    equal(init.lines().count("got 15"), 1)


@scenario()
def p15_may_not_signal_the_app(case):
    """CAP_KILL (5) dropped and the app under another user: one warning, and the app lives on."""
    init = case.start(["with", "-u", "65534", "--", case.payload, "exit", "4", "2000"],
                      prefix=["-k", "5"])
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
    init = case.start(["with", "-u", "65534", "--", case.payload, "exit", "4", "60000"],
                      prefix=["-k", "5"], opts=["--grace", "2s", "--termination-log", log])
    eventually(lambda: proc_status(init.app()).get("Uid", "0").startswith("65534"), "the user")
    init.signal(TERM)
    equal(init.wait(), 137)


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
    for rule, sent, want in (("TERM:QUIT", 15, 3), ("15:3", 15, 3), ("sigterm:SIGQUIT", 15, 3),
                             ("TERM:RTMIN+3", 15, 37), ("RTMIN:USR1", 34, 10), ("64:HUP", 64, 1),
                             ("RTMAX-1:33", 63, 33), ("INT:INT", 2, 2)):
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
        case.inits.clear()


def first_process(case, init):
    """shim's pid as soon as TERM is blocked there: in `payload with`, or in shim itself."""
    def search():
        pids = proc_children(init.process.pid)
        if pids and case.mode == "sub":
            pids = proc_children(pids[0])
        for pid in pids:
            name = proc_status(pid).get("Name")
            if name == "shim" or name == "payload" and int(proc_status(pid)["SigBlk"], 16) == 1 << 14:
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
        case.inits.clear()


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
    for how in (dict(opts=["--scope", "child"]), dict(opts=["--scope", "session"]),
                dict(opts=["--scope", "all"]), dict(shell="mount -t tmpfs t /proc"),
                dict(opts=["--scope", "child"], shell="mount -t tmpfs t /proc")):
        init = case.start(["stopself"], **how)
        init.line("^stopping")
        app = init.app()
        eventually(lambda: proc_status(app)["State"][0] == "T", "the app is stopped")
        init.signal(TERM)
        equal(init.wait(), 0, how)


@scenario()
def a_stop_wakes_the_whole_group(case):
    """The app runs, but a member of its group is stopped."""
    init = case.start(["/bin/sh", "-c", f"{case.payload} stopself & W=$!;"
                       f"trap 'wait $W; echo over; exit 5' TERM; wait; wait"])
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


@scenario(modes=INIT)
def a_flood_of_signals(case):
    init = case.start(["signals", "15", "0"])
    init.line("^ready")
    for _ in range(2000):
        for signo in (1, 10, 12, 17, 28):
            os.kill(init.pid, signo)
    init.signal(TERM)
    equal(init.wait(), 0)


@scenario(modes=("sub",))
def never_a_group_whose_leader_was_reaped(case):
    """The app is gone, its number is given to a stranger: who must not hear what shim is sent."""
    last = "/proc/sys/kernel/ns_last_pid"
    if not os.path.exists(last):
        raise Skip(f"needs {last}")
    init = case.start(["/bin/sh", "-c", f"setsid {case.payload} signals & read x; exit 5"],
                      opts=["--until-empty"], stdin=-1)
    init.line("^ready")
    app = init.app()
    number = int(proc_status(app)["NSpid"].split()[-1])
    init.close_input()
    eventually(lambda: not proc_status(app), "the app is reaped")
    stranger = subprocess.Popen(
        [tool("nsenter"), "-t", str(init.pid), "-p", "-m", "/bin/sh", "-c",
         f"echo {number - 1} >{last}; setsid {case.payload} signals; true"],
        stdout=subprocess.PIPE, bufsize=0)
    try:
        equal(stranger.stdout.readline(), b"ready %d\n" % number, "the stranger has the app's number")
        for signo in (1, USR1, TERM):
            init.signal(signo)
        init.quiet(0.5)
        check(not select.select([stranger.stdout], [], [], 0)[0], "the stranger heard a signal")
    finally:
        stranger.kill()
        stranger.wait()
