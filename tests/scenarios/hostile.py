"""F. Hostile or odd environments."""

import fcntl
import os
import platform
import re
import subprocess

from harness import (
    INIT,
    NAMED,
    Skip,
    check,
    equal,
    eventually,
    fill,
    proc_status,
    read,
    scenario,
    strip_mode,
    tool,
)

TERM, USR1 = 15, 10
NO_PROC = "mount -t tmpfs t /proc"


@scenario()
def p41_arbitrary_uid(case):
    how = dict(prefix=["-u", "1000680000", "-p"])
    facts = case.start(["report"], find=False, **how).report()
    equal((facts["uid"], facts["gid"], facts["nnp"]), ("1000680000", "0", "1"))
    equal(case.run(["id", "-u"], **how).out, "1000680000\n")
    init = case.works("as uid 1000680000", **how)
    equal(init.err, "")


@scenario(modes=NAMED)
def p42_read_only_and_nothing_there(case):
    """Only shim and the app on a read-only root: no /tmp, /run, /dev, /proc, no shell."""
    root = case.path("root")
    os.mkdir(root)
    os.link(case.shim, root + "/shim")
    os.link(case.payload, root + "/payload")
    words = [
        "-r",
        root,
        "--",
        "/shim",
        *["-s"] * (case.mode == "sub"),
        "--",
        "/payload",
        "signals",
        "15",
        "6",
    ]
    init = case.start(
        ["with", *words],
        dashes=False,
        subreaper=False,
        binary="/usr/bin/env",
        shell=f"mount --bind {root} {root}; mount -o remount,bind,ro {root}",
    )
    init.line("^ready")
    init.signal(USR1)
    init.line("^got 10$")
    init.signal(TERM)
    equal((init.wait(), init.err), (6, ""))
    equal(sorted(os.listdir(root)), ["payload", "shim"])


@scenario(modes=NAMED)
def p43_no_proc(case):
    init = case.works("without /proc", shell=NO_PROC)
    check(len(init.err.splitlines()) <= 1, init.err)
    equal(case.run(["/nope"], shell=NO_PROC).status, 127)
    equal(case.run(["kill", "9"], shell=NO_PROC).status, 137)


@scenario()
def p43_no_proc_lingering(case):
    """What the app left in its own group is still told and waited for."""
    init = case.start(["/bin/sh", "-c", f"{case.payload} slow 15 400 0; true"], shell=NO_PROC)
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 143)
    check("flushed" in init.lines(), init.out)


@scenario()
def p43_no_proc_grace(case):
    init = case.start(
        ["/bin/sh", "-c", f"setsid {case.payload} ignore & exec {case.payload} ignore"],
        opts=["--grace", "1s"],
        shell=NO_PROC,
    )
    init.line("^ready", count=2)
    init.signal(TERM)
    equal(init.wait(), 137)


@scenario(modes=INIT)
def p43_no_proc_scope_all(case):
    script = f"setsid {case.payload} signals & exec {case.payload} signals 10 6"
    init = case.start(
        ["/bin/sh", "-c", script], opts=["--scope", "all", "--linger", "0"], shell=NO_PROC
    )
    init.line("^ready", count=2)
    init.signal(TERM)
    init.line("^got 15$", count=2)
    init.signal(USR1)
    equal(init.wait(), 6)


@scenario()
def p43_hidepid(case):
    case.works("hidepid", shell="mount -o remount,hidepid=2 /proc", prefix=["-u", "1000"])


@scenario()
def p47_working_directory_removed(case):
    gone = case.path("gone")
    init = case.run(["exit", "6"], prefix=["-D", gone])
    equal((init.status, init.err), (6, ""))
    facts = case.start(["report"], prefix=["-D", gone], find=False).report()
    check(facts["cwd"] != "/", "the app was moved")


@scenario()
def p47_working_directory(case):
    init = case.start(["report"], cwd=case.dir, find=False)
    equal(init.report()["cwd"], case.dir, "the app's")
    init = case.start(["signals"], cwd=case.dir)
    init.line("^ready")
    eventually(lambda: os.readlink(f"/proc/{init.pid}/cwd") == "/", "shim goes to /")
    equal(os.readlink(f"/proc/{init.app()}/cwd"), case.dir)


@scenario(modes=NAMED)
def p47_relative_command(case):
    case.path("tool", "#!/bin/sh\nexit 6\n", 0o755)
    equal(case.run(["./tool"], cwd=case.dir).status, 6)
    equal(case.run(["tool"], cwd=case.dir, env={"PATH": ":/bin"}).status, 6, "an empty PATH entry")


@scenario()
def p47_unreadable_working_directory(case):
    os.mkdir(case.path("locked"), 0o700)
    init = case.run(["exit", "6"], prefix=["-d", case.path("locked"), "-u", "1000"])
    equal((init.status, init.err), (6, ""))


@scenario()
def p49_descriptors(case):
    """The app gets all; shim keeps none of them."""
    prefix = ["-f", "3", "/etc/hosts", "-f", "7", "/etc/hosts", "-f", "200", "/etc/hosts"]
    equal(case.start(["report"], prefix=prefix, find=False).report()["fds"], "0 1 2 3 7 200")
    equal(case.start(["report"], find=False).report()["fds"], "0 1 2", "shim adds none")
    init = case.start(["signals"], prefix=prefix)
    init.line("^ready")
    folder = f"/proc/{init.pid}/fd"

    def kept():
        return [os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder) if int(fd) > 2]

    eventually(lambda: "/etc/hosts" not in kept(), "shim closes what it inherited")
    check(
        all(re.search("pidfd|signalfd", target) for target in kept()),
        f"descriptors of shim: {kept()}",
    )


@scenario()
def p49_listen_pid(case):
    for value, own in (("$$", True), ("4711", False)):
        init = case.start(["report"], shell=f"export LISTEN_PID={value} LISTEN_FDS=1", find=False)
        facts = init.report()
        want = facts["pid"] if own else "4711"
        check(f"LISTEN_PID={want}" in facts["env"], f"{facts['env']} of pid {facts['pid']}")
        check("LISTEN_FDS=1" in facts["env"])


@scenario()
def p50_standard_input_is_the_apps(case):
    init = case.start(["/bin/cat"], stdin=-1, find=False)
    init.process.stdin.write(b"abc\ndef")
    init.close_input()
    equal((init.wait(), init.out), (0, "abc\ndef"))


@scenario(modes=NAMED)
def p50_closed_descriptors(case):
    for closed in (["0"], ["1"], ["2"], ["0", "1", "2"]):
        prefix = [word for fd in closed for word in ("-c", fd)]
        equal(case.run(["exit", "7"], prefix=prefix).status, 7, f"{closed} closed")
        equal(case.run(["/nope"], prefix=prefix).status, 127, f"{closed} closed")
    for closed, want in (("0", "1 2"), ("2", "0 1")):
        facts = case.start(["report"], prefix=["-c", closed], find=False).report()
        equal(facts["fds"], want, "nothing else takes the number that was free")


@scenario()
def p50_closed_descriptors_and_a_message_file(case):
    """The file shim opens does not become the app's standard output."""
    log = case.path("message")
    for closed in ("0", "1", "2", "12", "012"):
        init = case.run(
            ["/bin/sh", "-c", "echo lost; echo lost >&2; exit 7"],
            prefix=[word for fd in closed for word in ("-c", fd)],
            opts=["--termination-log", log, "-vv"],
        )
        equal(init.status, 7)
        got = read(log)
        check("lost" not in got and "exited 7" in got and len(got.splitlines()) == 1, got)
        os.unlink(log)


@scenario(modes=INIT)
def p50_logs_through_proc_1_fd(case):
    equal(case.run(["/bin/sh", "-c", "echo x >/proc/1/fd/1; echo y >/proc/1/fd/2"]).out, "x\n")


@scenario()
def p50_reader_goes_away(case):
    for level in ([], ["-vv"]):
        r, w = os.pipe()
        init = case.start(["signals", "15", "7"], opts=level, stderr=w)
        os.close(w)
        os.close(r)
        init.line("^ready")
        for _ in range(20):
            init.signal(USR1)
        init.signal(TERM)
        equal(init.wait(), 7)
    init = case.run(["/bin/sh", "-c", "yes | head -n 1; exit 7"])
    equal((init.status, init.out), (7, "y\n"))


@scenario(modes=NAMED)
def p50_full_device(case):
    with open("/dev/full", "wb") as full:
        equal(case.run(["exit", "7"], opts=["-vv"], stderr=full).status, 7)
        equal(case.run(["/nope"], stderr=full).status, 127)


@scenario(modes=NAMED)
def full_pipe_as_stderr(case):
    """Nobody reads the log: shim neither waits nor dies."""
    r, w = os.pipe()
    fcntl.fcntl(w, fcntl.F_SETPIPE_SZ, 4096)
    fill(w)
    init = case.start(["signals", "15", "7"], opts=["-vv"], stderr=w)
    os.close(w)
    init.line("^ready")
    for n in range(30):
        init.signal(USR1)
        init.line("^got 10$", count=n + 1, timeout=3)
    init.signal(TERM)
    equal(init.wait(5), 7)
    equal(
        case.run(["/nope"], stderr=os.open(f"/proc/self/fd/{r}", os.O_WRONLY), timeout=5).status,
        127,
    )
    os.close(r)


@scenario()
def shim_leaves_the_flags_of_stderr_alone(case):
    """They are shared with the app: O_NONBLOCK set by shim would break it."""
    r, w = os.pipe()
    init = case.start(["signals", "15", "0"], opts=["-vv"], stderr=w)
    init.line("^ready")
    check(not fcntl.fcntl(w, fcntl.F_GETFL) & os.O_NONBLOCK, "stderr is non-blocking now")
    init.signal(TERM)
    init.wait()
    check(not fcntl.fcntl(w, fcntl.F_GETFL) & os.O_NONBLOCK)
    os.close(r)
    os.close(w)


@scenario(modes=NAMED)
def p51_options_of_the_app(case):
    init = case.run(["/bin/ls", "-d", "/"], dashes=False)
    equal((init.status, init.out), (0, "/\n"))
    equal(case.run(["/bin/sh", "-c", "exit 5"], dashes=False).status, 5)
    init = case.start(["report", "--", "-weird", "", "--grace", "a b", "-h"], find=False)
    equal(init.report()["arg"], ["--", "-weird", "", "--grace", "a b", "-h"])
    equal(case.run(["-weird"]).status, 127)


@scenario()
def p52_environment(case):
    env = {
        "PATH": "/bin:/usr/bin",
        "A": "1",
        "EMPTY": "",
        "B C": "x=y",
        "SHIM_OTHER": "kept",
        "SHIM_OPTS": "--linger 1s",
        "TINI_SUBREAPER": "1",
        "LISTEN_FDS": "1",
    }
    got = strip_mode(case.start(["report"], env=env, find=False).report()["env"])
    equal(got, sorted(f"{k}={v}" for k, v in env.items() if k != "SHIM_OPTS"))


@scenario(modes=NAMED)
def p52_empty_environment(case):
    equal(strip_mode(case.start(["report"], env={}, find=False).report()["env"]), [])
    equal(case.run(["exit", "7"], env={}).status, 7)
    equal(case.run(["ls", "/nope"], env={}).status, 2, "a command is found without PATH")
    case.works("no environment", env={})
    equal(
        case.start(["report"], prefix=["-x"], find=False).report()["env"], [], "not even an array"
    )


@scenario(modes=INIT, limit=30)
def p53_monotonic_clock_only(case):
    """The wall clock is for text. Read without the vDSO here, so that strace sees it."""
    if platform.machine() != "x86_64":
        raise Skip("hides the vDSO on x86-64 only")
    log = case.path("trace")
    init = case.start(
        ["ignore"],
        opts=["--grace", "2s", "--termination-log", case.path("message")],
        wrap=[case.payload, "novdso"],
    )
    init.line("^ready")
    trace = subprocess.Popen(
        [tool("strace"), "-qq", "-o", log, "-p", str(init.pid)], stderr=subprocess.DEVNULL
    )
    try:
        eventually(lambda: proc_status(init.pid).get("TracerPid", "0") != "0", "strace is there")
        init.signal(TERM)
        equal(init.wait(), 137)
        trace.wait(5)
    finally:
        trace.kill()
        trace.wait()
    calls = read(log)
    check("CLOCK_MONOTONIC" in calls, f"no clock was seen: {calls[:500]}")
    for call in (
        "gettimeofday(",
        "time(",
        "timerfd_create(CLOCK_REALTIME",
        "clock_nanosleep(CLOCK_REALTIME",
        "setitimer(",
        "alarm(",
    ):
        check(not re.search(rf"^{re.escape(call)}", calls, re.M), f"{call} is used")
    wall = len(re.findall("CLOCK_REALTIME", calls))
    check(wall <= 4, f"the wall clock is read {wall} times while stopping")


@scenario()
def started_with_every_signal_blocked_and_ignored(case):
    prefix = [
        w for n in range(1, 65) if n not in (9, 19, 32, 33) for w in ("-i", str(n), "-b", str(n))
    ]
    case.works("all blocked and ignored", prefix=prefix)


@scenario(modes=NAMED)
def tiny_stack_and_no_files(case):
    case.works("ulimit -s 64, -n 8", shell="ulimit -s 64; ulimit -n 8")
    init = case.start(["signals", "15", "6"], prefix=["-N", "3"])
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 6, "not one descriptor is free")
