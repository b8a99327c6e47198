"""Process trees that go wrong: daemons, wrappers, job control, bombs, and processes that cannot act.

Those that need more of Debian are in tests/real/trees.py.
"""

import contextlib
import os
import subprocess
import time

from harness import Skip, check, equal, eventually, proc_status, read, scenario, tool

TERM, INT, USR1, KILL, STOP = 15, 2, 10, 9, 19


def told(init, *signals):
    """What the one payload that says so has heard, in this order and no more."""
    equal([line for line in init.lines() if line.startswith("got ")], [f"got {n}" for n in signals])


# --- who is in between ---


@scenario()
def daemon_forks_twice(case):
    """The app leaves a daemon in a session of its own: it is told to stop, and has its time."""
    app = ["/bin/sh", "-c", f"(setsid sh -c '{case.payload} slow 15 300 0 & exit 0'); read x; exit 3"]
    init = case.start(app, stdin=-1)
    init.line("^ready")
    init.close_input()
    equal(init.wait(), 3)
    told(init, TERM)
    check("flushed" in init.lines(), init.out)


@scenario()
def daemon_that_is_the_app(case):
    """--until-empty: the command is over at once, the daemon is the app, and is told once."""
    init = case.start(
        ["/bin/sh", "-c", f"setsid sh -c '{case.payload} slow 15 300 9 & exit 0'"],
        opts=["--until-empty", "--grace", "8s"],
    )
    init.line("^ready")
    init.quiet(0.5)
    check(init.process.poll() is None, "it has ended with the command")
    init.signal(TERM)
    equal(init.wait(), 0)
    told(init, TERM)
    check("flushed" in init.lines(), init.out)


@scenario()
def bash_with_jobs_and_a_trap(case):
    """A script that handles TERM itself, and waits for what it has started."""
    script = (
        f"trap 'echo trapped; wait; exit 21' TERM; {case.payload} slow 15 200 0 & sleep 100 & wait"
    )
    init = case.start([tool("bash"), "-c", script])
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 21)
    told(init, TERM)
    check("trapped" in init.lines() and "flushed" in init.lines(), init.out)


@scenario()
def bash_with_a_trap_that_waits_for_a_child_that_does_not_hear(case):
    """--scope child: only the script hears of it, and tells its child itself."""
    script = f"trap 'kill -USR1 $!; wait; exit 21' TERM; {case.payload} signals 10 0 & wait"
    init = case.start([tool("bash"), "-c", script], opts=["--scope", "child"])
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 21)
    told(init, USR1)


@scenario()
def shell_with_job_control(case):
    """set -m: each job has a process group of its own, which the app's group signal misses."""
    init = case.start(
        [tool("bash"), "-mc", f"{case.payload} slow 15 300 0 & {case.payload} slow 15 300 0 & wait"]
    )
    init.line("^ready", count=2)
    init.signal(TERM)
    equal(init.wait(), 143)
    told(init, TERM, TERM)
    equal(init.lines().count("flushed"), 2)


@scenario()
def timeout_around_the_app(case):
    """timeout(1) has a group of its own and passes on what it hears; behind a shell it is not told
    before the shell is gone."""
    timeout = f"{tool('timeout')} 100 {case.payload} slow 15 300 6"
    init = case.start(timeout.split())
    init.line("^ready")
    # Before it waits it may not know its child yet, and leaves with 143 by itself.
    eventually(lambda: proc_status(init.app()).get("State", "?")[0] == "S", "timeout waits")
    init.signal(TERM)
    equal(init.wait(), 6)
    check("flushed" in init.lines(), init.out)
    init = case.start(["/bin/sh", "-c", f"{timeout}; true"])
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 143)
    check("flushed" in init.lines(), init.out)


@scenario()
def timeout_that_is_over(case):
    """It ends the app itself: 124, or 137 when that takes KILL, and nobody is left."""
    for words, status in (
        (["0.2", case.payload, "signals", "15", "0"], 124),
        (["-k", "0.2", "0.2", case.payload, "ignore"], 137),
    ):
        init = case.run([tool("timeout"), *words])
        equal(init.status, status)


@scenario()
def script_around_the_app(case):
    """script(1) gives the app a terminal and a session of its own: told, and its time is its own."""
    done = case.path("done", "", 0o666)
    app = f"trap 'sleep 0.3; echo done >{done}; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    init = case.start([tool("script"), "-qec", app, "/dev/null"], opts=["--grace", "8s"])
    init.line("^ready")
    init.signal(TERM)
    check(init.wait() in (0, 143), "status")
    equal(read(done), "done\n")


@scenario()
def su_around_the_app(case):
    """su -c puts the app into a session of its own and passes TERM on."""
    init = case.start([tool("su"), "-s", "/bin/sh", "nobody", "-c", f"exec {case.payload} slow 15 300 5"])
    init.line("^ready")
    init.signal(TERM)
    check(init.wait() in (5, 143), "status")
    check("flushed" in init.lines(), init.out)


# --- who cannot act ---


@scenario()
def stops_itself_again_and_again(case):
    """A child that stops whenever it is continued: the app ends, and the child with it."""
    child = "while :; do kill -STOP $$; done"
    init = case.start(
        ["/bin/sh", "-c", f"sh -c '{child}' & exec {case.payload} slow 15 100 4"],
        opts=["--linger", "300ms"],
    )
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 4)


@scenario(limit=40)
def many_that_are_stopped(case):
    """500 suspended workers, whose master ends at once: they are continued, and have their time."""
    init = case.start(["crowd", "500", "stopself"], opts=["--linger", "20s"])
    eventually(lambda: list(init.processes().values()).count("T") == 500, "all are stopped")
    init.signal(TERM)
    equal(init.wait(15), 0)
    equal(init.lines().count("got 15"), 501)


@scenario()
def suspended_in_another_session(case):
    """What the app leaves behind may be suspended, too; with --until-empty it may be the app."""
    script = f"setsid {case.payload} stopself & read x; exit 4"
    for opts in (["--linger", "8s"], ["--until-empty"]):
        init = case.start(["/bin/sh", "-c", script], opts=opts, stdin=-1)
        init.line("^stopping")
        eventually(lambda: "T" in init.processes().values(), "it is stopped")
        init.close_input()
        if "--until-empty" in opts:
            init.quiet(0.5)
            init.signal(TERM)
        equal(init.wait(), 4)
        check("got 15" in init.lines(), init.out)


@scenario(limit=90)
def five_thousand_at_once(case):
    """In the app's group, and each in a session of its own."""
    for how in ("", "apart"):
        init = case.start(["crowd", "5000", *how.split()], opts=["--grace", "40s"])
        init.line("^ready", timeout=30)
        begun = time.monotonic()
        init.signal(TERM)
        equal(init.wait(40), 0)
        print(f"5000 {how}: {init.ended - begun:.2f} s")
        case.close()


@scenario()
def leader_is_a_zombie_whose_threads_work_on(case):
    """The main thread is gone, the others live: as the app, and as what the app has left behind."""
    init = case.start(["headless", "15", "300", "5"])
    init.line("^ready")
    init.signal(USR1)
    init.line("^got 10$")
    init.signal(TERM)
    equal(init.wait(), 5)
    check("flushed" in init.lines(), init.out)
    for opts in ([], ["--post-stop", "sleep:100ms"]):
        init = case.start(
            ["/bin/sh", "-c", f"setsid {case.payload} headless 15 300 0 & read x; exit 4"],
            opts=opts,
            stdin=-1,
        )
        init.line("^ready")
        init.close_input()
        equal(init.wait(), 4)
        told(init, TERM)
        check("flushed" in init.lines(), init.out)


@scenario()
def zombie_leader_that_does_not_hear(case):
    """The same, deaf: when the time for it is over it is named and killed."""
    script = (
        "import ctypes, os, signal, threading, time\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
        "os.setsid()\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "print('ready', flush=True)\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    path = case.path("deaf.py", script, 0o644)
    init = case.start(
        ["/bin/sh", "-c", f"/usr/bin/python3 {path} & read x; exit 4"],
        opts=["--linger", "300ms", "-v"],
        stdin=-1,
        after=3000 if case.mode == "sub" else None,
    )
    init.line("^ready")
    init.close_input()
    equal(init.wait(), 4)
    check("python3 (" in init.err, f"who was left is not said: {init.err!r}")
    if case.mode == "sub":
        check("nobody left" in init.out, init.out)


@scenario()
def uninterruptible_sleep(case):
    """State D, and what it waits for ignores everything: the budget ends both, and names them."""
    log = case.path("message")
    init = case.start(["stuck"], opts=["--grace", "1s", "--termination-log", log])
    init.line("^ready")
    eventually(lambda: proc_status(init.app()).get("State", "?")[0] == "D", "the app is in state D")
    init.signal(TERM)
    equal(init.wait(), 137)
    check(read(log).count("payload (") == 2, read(log))


@contextlib.contextmanager
def control_group(controller):
    """A group of a version 1 controller of its own, which is emptied and taken away at the end."""
    base = f"/sys/fs/cgroup/{controller}"
    if not os.path.exists(f"{base}/cgroup.procs"):
        raise Skip(f"needs a cgroup v1 {controller} controller")
    group = f"{base}/shim-trees-{os.getpid()}"
    os.mkdir(group)
    try:
        yield group
    finally:
        if controller == "freezer":
            with open(f"{group}/freezer.state", "w") as f:
                f.write("THAWED")
        eventually(lambda: not read(f"{group}/cgroup.procs"), "the group is empty")
        os.rmdir(group)


@scenario(limit=30)
def not_even_kill_ends_it(case):
    """Frozen by the kernel: the reason is written in time, and the end follows when it thaws."""
    log = case.path("message")
    with control_group("freezer") as group:
        init = case.start(["ignore"], opts=["--grace", "1s", "--termination-log", log])
        init.line("^ready")
        with open(f"{group}/cgroup.procs", "w") as f:
            f.write(str(init.app()))
        with open(f"{group}/freezer.state", "w") as f:
            f.write("FROZEN")
        try:
            eventually(lambda: "FROZEN" in read(f"{group}/freezer.state"), "frozen")
            init.signal(TERM)
            eventually(lambda: "grace period spent" in read(log), "the reason is written")
            check("payload (" in read(log), read(log))
        finally:
            with open(f"{group}/freezer.state", "w") as f:
                f.write("THAWED")
        equal(init.wait(), 137)
        case.close()


DEAD_FILE_SYSTEM = """
import ctypes, os, signal, sys, time
try:
    fd = os.open("/dev/fuse", os.O_RDWR)
except OSError as error:
    print("skip", error, flush=True)
    sys.exit(77)
options = b"fd=%d,rootmode=40000,user_id=0,group_id=0" % fd
failed = ctypes.CDLL(None).mount(b"dead", sys.argv[1].encode(), b"fuse", 0, options)
signal.signal(signal.SIGTERM, lambda *_: (print("told", flush=True), sys.exit(5)))
print("skip" if failed else "mounted", flush=True)
signal.pause()
"""


@scenario(limit=30)
def hook_on_a_dead_file_system(case):
    """Its program cannot be reached, nor can it be told that it is not there: only the hook hangs,
    for as long as it may, and then the app is stopped in time."""
    for opts, why in ((["--grace", "3s"], "time budget"), (["--hook-timeout", "300ms"], "timed out")):
        place, log = case.path(f"dead{len(opts[1])}"), case.path(f"log{len(opts[1])}")
        os.mkdir(place)
        program = case.path("app.py", DEAD_FILE_SYSTEM, 0o644)
        hook = ["--pre-stop", f"{place}/hook", "--termination-log", log]
        init = case.start(["/usr/bin/python3", program, place], opts=[*opts, *hook])
        if init.line("^(mounted|skip)")[1] == "skip":
            raise Skip("needs FUSE")
        begun = time.monotonic()
        init.signal(TERM)
        init.line("^told")
        equal(init.wait(), 5)
        check(init.ended - begun < 3, f"took {init.ended - begun:.1f} s")
        check(why in read(log), read(log))
        case.close()


# --- who is watched ---


@contextlib.contextmanager
def traced(pid, *flags):
    """strace is attached to it from outside."""
    process = subprocess.Popen(
        [tool("strace"), "-qq", "-o", "/dev/null", *flags, "-p", str(pid)], stderr=subprocess.DEVNULL
    )
    try:
        eventually(lambda: proc_status(pid).get("TracerPid", "0") != "0", "strace is there")
        yield process
    finally:
        process.terminate()
        process.wait()


@scenario()
def app_under_a_tracer(case):
    """A debugger is attached to the app: signals arrive, the stop and the status are as ever."""
    init = case.start(["slow", "15", "200", "7"])
    init.line("^ready")
    with traced(init.app(), "-f"):
        init.signal(USR1)
        init.line("^got 10$")
        init.signal(TERM)
        equal(init.wait(), 7)


@scenario()
def shim_under_a_tracer(case):
    """The same for shim itself, which is stopped and continued at every call it makes."""
    init = case.start(["/bin/sh", "-c", f"({case.payload} exit 0 &); exec {case.payload} slow 15 200 7"])
    init.line("^ready")
    with traced(init.pid):
        init.signal(USR1)
        init.line("^got 10$")
        init.signal(TERM)
        equal(init.wait(), 7)


@scenario()
def app_held_by_a_debugger(case):
    """A debugger has stopped the app and does nothing. The budget ends it and says why; the kernel
    lets go of PID 1 when the debugger does."""
    log = case.path("message")
    init = case.start(["signals", "15", "0"], opts=["--grace", "1s", "--termination-log", log])
    init.line("^ready")
    with traced(init.app()) as tracer:
        tracer.send_signal(STOP)  # the app stays in its next trace stop from now on
        try:
            init.signal(TERM)
            eventually(lambda: "grace period spent" in read(log), "the reason is written")
            check("payload (" in read(log), read(log))
        finally:
            tracer.kill()
    equal(init.wait(), 137)


@scenario()
def strace_is_the_app(case):
    """As for finding out what is wrong in a container: strace hears the group's TERM too."""
    init = case.start([tool("strace"), "-f", "-qq", "-o", "/dev/null", case.payload, "slow", "15", "200", "7"])
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 7)
    check("flushed" in init.lines(), init.out)


# --- who is too many ---


@scenario(limit=40)
def fork_bomb_under_a_limit(case):
    """Room for 100 processes, all taken: hooks cannot start, which is said; the budget ends it."""
    log = case.path("message")
    bomb = "bomb() { bomb | bomb & }; bomb 2>/dev/null; while :; do sleep 0.1; done 2>/dev/null"
    with control_group("pids") as group:
        with open(f"{group}/pids.max", "w") as f:
            f.write("100")
        init = case.start(
            [tool("bash"), "-c", f"trap '' TERM; echo ready; {bomb}"],
            opts=["--grace", "3s", "--drain", "100ms:1s", "--pre-stop", "true", "--termination-log", log],
            shell=f"echo $$ >{group}/cgroup.procs",
        )
        init.line("^ready")
        eventually(lambda: int(read(f"{group}/pids.events").split()[1]) > 10, "the limit is reached")
        begun = time.monotonic()
        init.signal(TERM)
        equal(init.wait(20), 137)
        check(init.ended - begun < 10, f"took {init.ended - begun:.1f} s")
        case.close()
