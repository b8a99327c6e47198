"""What is rare: names, places, rights and relations that nobody thinks of."""

import os
import re
import shutil
import signal
import subprocess

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

TERM, KILL, STOP, CONT, USR1 = 15, 9, 19, 18, 10
PYTHON = "/usr/bin/python3"


def attach(case, init, pid, *words):
    """strace on pid, once it has taken hold."""
    tracer = subprocess.Popen(
        [tool("strace"), "-qq", "-o", case.path("trace"), *words, "-p", str(pid)],
        stderr=subprocess.DEVNULL,
    )
    eventually(lambda: proc_status(pid).get("TracerPid", "0") != "0", "strace has taken hold")
    return tracer


# -- relations

LEAVER = """
import os, signal, sys
signal.signal(15, lambda *_: (os.write(1, b"app told "), os._exit(7)))
go, told = os.pipe(), os.pipe()
if os.fork() == 0:  # stays in the app's group
    signal.signal(15, lambda *_: (os.write(1, b"member told "), os._exit(0)))
    os.write(go[1], b".")
    while True:
        signal.pause()
other = os.fork()
if other == 0:
    os.setpgid(0, 0)
    os.write(go[1], b".")
    while True:
        signal.pause()
os.read(go[0], 1), os.read(go[0], 1)
os.setpgid(0, other)
print("ready", flush=True)
while True:
    signal.pause()
"""


@scenario()
def an_app_that_leaves_its_group_to_others(case):
    """It is told to stop, and so is who stayed."""
    init = case.start([PYTHON, "-c", LEAVER], opts=["--grace", "5s"])
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 7)
    check("app told" in init.out and "member told" in init.out, init.out)


@scenario(modes=NAMED)
def a_hook_that_leaves_its_group(case):
    """Its time limit finds it all the same."""
    mover = (
        "import os, time; r, w = os.pipe(); c = os.fork()\n"
        "if c == 0: os.setpgid(0, 0); os.write(w, b'.'); time.sleep(60)\n"
        "os.read(r, 1); os.setpgid(0, c); time.sleep(60)"
    )
    script = case.path("mover.py", mover)
    init = case.start(
        ["signals", "15", "6"],
        opts=["--pre-stop", f"{PYTHON} {script}", "--hook-timeout", "1s"],
    )
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 6)
    check("timed out" in init.err, init.err)


@scenario(modes=("kernel",), limit=30)
def a_helper_without_a_status_is_not_the_app(case):
    """The kernel reaps, and will not tell how a hook ended: the hook failed, and the app runs on."""
    init = case.start(
        ["signals", "15", "6"], opts=["--post-start", f"{case.payload} hold", "--hook-timeout", "1m"]
    )
    init.line("^ready", count=1)
    hook = eventually(lambda: proc_children(init.pid)[1:], "the hook runs")[-1]
    tracer = attach(case, init, init.pid, "-e", "inject=ioctl:error=EPERM")
    try:
        init.signal(KILL, hook)
        init.line("post-start hook .* failed", "err")
        init.line("^got 15$")
        check(init.wait() != 0)
    finally:
        tracer.kill()
        tracer.wait()


@scenario(modes=("kernel",), limit=30)
def a_hook_that_a_tracer_holds(case):
    """It has ended, but the tracer has not let go of it: its parent gets it later, and nobody waits
    for that."""
    init = case.start(["signals", "15", "6"], opts=["--post-start", "sleep 60", "-v"])
    init.line("^ready")
    hook = eventually(lambda: proc_children(init.pid)[1:], "the hook runs")[-1]
    seize = f"import ctypes; print(ctypes.CDLL(None).ptrace(0x4206, {hook}, 0, 0), flush=True); input()"
    tracer = subprocess.Popen(
        [PYTHON, "-c", seize], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        equal(tracer.stdout.readline(), "0\n", "the tracer has taken hold")
        init.signal(KILL, hook)
        eventually(lambda: proc_status(hook).get("State", "?")[0] == "Z", "the hook has ended")
        init.signal(TERM, init.app())
        init.line("-> finishing", "err")
        init.quiet(1.5)  # the tracer takes its time
        tracer.communicate("go\n")
        equal(init.wait(), 6)
    finally:
        tracer.kill()
        tracer.wait()


# -- names


def exec_as(case, argv):
    """The init as PID 1, with any argv, and what a broken parent leaves in its environment. Python's
    execv() insists on a name."""
    if not os.path.exists(case.path("as")):
        source = case.path(
            "as.c",
            "#include <unistd.h>\nint main(int c, char **v) { (void)c; "
            'char *e[] = {"-x", "--version", 0}; return execve(v[1], v + 2, e); }\n',
        )
        subprocess.run([tool("gcc"), "-o", case.path("as"), source], check=True)
    words = [tool("unshare"), "-pf", "--mount-proc", "--kill-child", case.path("as"), case.shim]
    init = case.launch([*words, *argv], None, None, subprocess.DEVNULL, -1, -1, "/")
    return init, init.wait()


@scenario(modes=("pid1",))
def odd_names(case):
    """argv[0] is what a program's parent says it is."""
    for name in (
        "",
        "/",
        "//",
        ".",
        "tini/",
        "x" * 100_000,
        "/a/" * 20_000 + "shim",
        "shim\n",
        "\udcff\udcfe",
        "s\tp ace",
        "-tini",
        "tini-static-2",
    ):
        init, status = exec_as(case, [name, "--", "/bin/sh", "-c", "exit 3"])
        equal((status, init.err), (3, ""), f"{name[:20]!r}")
    for name in ("/a/b/tini-static", "tini", "/x/docker-init", "d/dumb-init", "/catatonit"):
        init, status = exec_as(case, [name, "--", "/bin/sh", "-c", "exit 3"])
        equal((status, init.err), (3, ""), name)
        init, status = exec_as(case, [name, "--no-such-option"])
        check(status in (1, 2), f"{name}: {status}")


@scenario(modes=("pid1",))
def left_its_directory(case):
    """As dumb-init it has gone to / before the program can look; all on one CPU, where going there
    afterwards is often too late."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    look = "exec readlink /proc/$PPID/cwd /proc/self/cwd"
    script = 'for i in $(seq 40); do "$0" -- /bin/sh -c "$1" || exit 9; done'
    os.symlink(case.shim, case.path("dumb-init"))
    words = [tool("unshare"), "-pf", "--mount-proc", "--kill-child", "/bin/sh", "-c", script]
    words += [case.path("dumb-init"), look]
    init = case.launch(words, None, None, subprocess.DEVNULL, -1, -1, "/etc")
    equal((init.wait(), init.err), (0, ""))
    equal(init.out, "/\n/etc\n" * 40)


@scenario(modes=("pid1",))
def no_name_at_all(case):
    """argc 0. Linux 5.18 puts an empty string there; earlier ones left what follows, the environment,
    to be taken for arguments."""
    init, status = exec_as(case, [])
    equal(status, 125)
    equal((len(init.err.splitlines()), init.out), (1, ""))


@scenario(modes=NAMED)
def odd_search_paths(case):
    """Relative entries, empty ones, and such as no path can be made of."""
    case.path("tool", "#!/bin/sh\nexit 9\n", 0o755)
    os.mkdir(case.path("bin"))
    shutil.copy(case.path("tool"), case.path("bin/inner"))
    long = "/" + "y" * 4090
    for path, name, status in (
        (f"{long}:{long}/{long}:{case.dir}", "tool", 9),
        (":".join(["/" + "z" * 200] * 600) + f":{case.dir}", "tool", 9),
        (f"{case.dir}/tool:/dev/null:{case.dir}", "tool", 9),
        ("bin", "inner", 9),
        ("/nowhere:bin", "inner", 9),
        (":/nowhere", "tool", 9),
        ("/nowhere::", "tool", 9),
        ("./bin/.", "inner", 9),
        (long, "tool", 127),
        ("", "tool", 9),
        (case.dir, "t" * 300, 127),
    ):
        init = case.run([name], env={"PATH": path}, cwd=case.dir)
        if len(name) > 255:
            check(init.status in (126, 127), init.status)
        else:
            equal(init.status, status, f"{path[:60]!r} {name}")


# -- places and rights


@scenario(modes=NAMED)
def a_file_system_without_programs(case):
    """noexec: the file is all right, and that is not what the user is told."""
    mount = f"mount -t tmpfs -o noexec t {case.path('m')}; cp {case.payload} {case.path('m/app')}"
    os.mkdir(case.path("m"))
    init = case.run([case.path("m/app"), "exit", "3"], shell=mount)
    equal(init.status, 126)
    check(re.search(r"mounted noexec", init.err), init.err)
    equal(len(init.err.splitlines()), 1)


@scenario(modes=INIT)
def an_app_that_takes_on_rights(case):
    """setuid: an unprivileged shim may not signal what it has become. That is said once, and the
    time budget still holds."""
    app = case.path("app")
    shutil.copy(case.payload, app)
    os.chmod(app, 0o4755)
    init = case.start([app, "exit", "5", "600"], prefix=["-u", "1000"])
    equal(init.wait(), 5)
    init = case.start([app, "signals"], opts=["--grace", "1500ms"], prefix=["-u", "1000"])
    init.line("^ready")
    check(proc_status(init.app())["Uid"].split()[1] == "0", "it has become root")
    for _ in range(3):
        init.signal(USR1)
    init.signal(TERM)
    check(init.wait() in (6, 137), init.process.returncode)
    check(len(re.findall("cannot pass on", init.err)) <= 1, init.err)
