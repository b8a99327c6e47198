"""Process trees of real programs that come between PID 1 and the app: supervisord, cron, sudo, tmux, gdb.

`tests/run --folder trees`; make check-real installs the packages.
"""

import os
import subprocess

from harness import check, equal, eventually, proc_status, read, scenario, tool

TERM, USR1, HUP = 15, 10, 1


def mounts(*folders):
    """Shell commands that put an empty place over each of these."""
    return "; ".join(f"mount -t tmpfs none {folder}" for folder in folders)


def supervisor(case, extra="", program=None):
    """Two programs; each is in a process group of its own, which is supervisord's way."""
    program = program or f"{case.payload} slow 15 300 0"
    text = (
        f"[supervisord]\nlogfile={case.dir}/log\npidfile={case.dir}/pid\nuser=root\n{extra}\n"
        f"[program:one]\ncommand={program}\nstdout_logfile={case.dir}/one\nredirect_stderr=true\n"
        f"[program:two]\ncommand={program}\nstdout_logfile={case.dir}/two\nredirect_stderr=true\n"
    )
    return case.path("supervisord.conf", text, 0o644)


def both(case, words):
    return all(os.path.exists(case.path(n)) and words in read(case.path(n)) for n in ("one", "two"))


def told_once(case):
    for name in ("one", "two"):
        text = read(case.path(name))
        equal(text.count("got 15"), 1, text)
        check("flushed" in text, text)


@scenario(limit=40)
def supervisord_in_front(case):
    """supervisord is the app: it alone hears of the stop, and stops its programs in order."""
    init = case.start([tool("supervisord"), "-n", "-c", supervisor(case)])
    eventually(lambda: both(case, "ready"), "both run")
    init.signal(TERM)
    equal(init.wait(20), 0)
    told_once(case)


@scenario(limit=40)
def supervisord_as_a_daemon(case):
    """It goes to the background: --until-empty lives on with it, and a stop reaches all of it."""
    init = case.start(
        [tool("supervisord"), "-c", supervisor(case)], opts=["--until-empty", "--grace", "20s"]
    )
    eventually(lambda: both(case, "ready"), "both run")
    init.quiet(0.3)
    check(init.process.poll() is None, "it has ended with the command")
    init.signal(TERM)
    equal(init.wait(20), 0)
    for name in ("one", "two"):
        check("flushed" in read(case.path(name)), read(case.path(name)))


@scenario(limit=40)
def supervisord_with_a_program_that_does_not_end(case):
    """Its own stopwaitsecs is 10 s, the budget 3: all is dead before the platform kills."""
    log = case.path("message")
    conf = supervisor(case, program=f"{case.payload} ignore")
    init = case.start(
        [tool("supervisord"), "-n", "-c", conf],
        opts=["--grace", "3s", "--termination-log", log],
        after=3000 if case.mode == "sub" else None,
    )
    eventually(lambda: both(case, "ready"), "both run")
    init.signal(TERM)
    equal(init.wait(), 137)
    check(read(log).count("payload (") == 2 and "supervisord (" in read(log), read(log))
    if case.mode == "sub":
        check("nobody left" in init.out, init.out)


def stop_cron(case, command, status, opts=()):
    """A job in a session of its own: it is told, and has its time."""
    done = case.path("done", "", 0o666)
    job = f"exec {case.payload} slow 15 300 0 >{done} 2>&1"
    init = case.start(
        command,
        opts=opts,
        shell=f"{mounts('/run', '/etc/cron.d', '/var/spool/cron')}; mkdir /var/spool/cron/crontabs;"
        f" echo '@reboot root {job}' >/etc/cron.d/job",
    )
    eventually(lambda: "ready" in read(done), "the job runs")
    init.signal(TERM)
    equal(init.wait(), status)
    check("flushed" in read(done), read(done))


@scenario(limit=40)
def cron_with_a_job(case):
    stop_cron(case, [tool("cron"), "-f"], 143)


@scenario(limit=40)
def cron_that_is_a_daemon(case):
    stop_cron(case, [tool("cron")], 0, ["--until-empty", "--grace", "8s"])


@scenario(limit=40)
def sudo_around_the_app(case):
    """sudo passes on what PID 1 sends; with and without a terminal of its own for the app."""
    for pty in ("!use_pty", "use_pty"):
        place = f"{mounts('/run', '/etc/sudoers.d')}; echo 'Defaults {pty}' >/etc/sudoers.d/x"
        init = case.start(
            [tool("sudo"), "-n", "-u", "nobody", case.payload, "slow", "15", "300", "5"], shell=place
        )
        init.line("^ready")
        init.signal(USR1)
        init.line("^got 10$")
        init.signal(TERM)
        equal(init.wait(), 5, pty)
        check("flushed" in init.lines(), init.out)


@scenario(limit=40)
def sudo_at_a_terminal(case):
    """Ctrl-C, and the app's own status."""
    init = case.start(
        [tool("sudo"), "-n", case.payload, "slow", "2", "300", "6"], tty="leader", shell=mounts("/run")
    )
    init.line("^ready", "tty")
    init.type("\x03")
    equal(init.wait(), 6)
    check("flushed" in init.text("tty"), init.text("tty"))


def tmux(case, app):
    return [tool("tmux"), "-f", "/dev/null", "-S", case.path("socket"), "new-session", "-d", app]


@scenario(limit=40)
def tmux_server(case):
    """tmux goes to the background with a server that has the app on a terminal of its own."""
    done = case.path("done", "", 0o666)
    init = case.start(
        tmux(case, f"exec {case.payload} slow 15 300 0 >{done}"),
        opts=["--until-empty", "--grace", "8s"],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TERM": "screen"},
    )
    eventually(lambda: "ready" in read(done), "the app runs")
    init.signal(TERM)
    equal(init.wait(), 0)
    check("got 15" in read(done) and "flushed" in read(done), read(done))


@scenario(limit=40)
def tmux_server_without_until_empty(case):
    """The command is over at once: what it left behind is told, and has two seconds."""
    done = case.path("done", "", 0o666)
    init = case.start(
        tmux(case, f"exec {case.payload} slow 15 300 0 >{done}"),
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TERM": "screen"},
    )
    equal(init.wait(), 0)
    check("ready" not in read(done) or "flushed" in read(done), read(done))


@scenario(limit=40)
def gdb_is_attached(case):
    """gdb holds the app, then lets it run: the stop signal that came meanwhile is not lost."""
    init = case.start(["slow", "15", "300", "7"])
    init.line("^ready")
    go_on = case.path("go")
    app = init.app()
    script = case.path(
        "gdb", f"attach {app}\nshell while ! [ -e {go_on} ]; do sleep 0.1; done\ndetach\nquit\n"
    )
    gdb = case.launch(
        [tool("gdb"), "-nx", "-batch", "-x", script], None, None, subprocess.DEVNULL, subprocess.DEVNULL, subprocess.DEVNULL, case.dir
    )
    eventually(lambda: proc_status(app).get("State", "?")[0] == "t", "gdb holds it")
    init.signal(TERM)
    init.quiet(0.3)
    check("got 15" not in init.out, "it was not held")
    case.path("go", "", 0o644)
    equal(init.wait(), 7)
    check("flushed" in init.lines(), init.out)
    gdb.process.wait(10)


@scenario(limit=40)
def gdb_is_the_app(case):
    """gdb runs the app: nobody is left when the budget is spent, whatever gdb makes of TERM."""
    init = case.start(
        [tool("gdb"), "-nx", "-batch", "-ex", "handle all nostop pass", "-ex", "run", "--args",
         case.payload, "slow", "15", "300", "0"],
        opts=["--grace", "5s"],
        after=3000 if case.mode == "sub" else None,
    )
    init.line("^ready")
    init.signal(TERM)
    check(init.wait() in (0, 137, 143), "status")
    if case.mode == "sub":
        check("nobody left" in init.out, init.out)
