"""A. Terminals and job control, in each shape a terminal can have (see Case.start)."""

import os
import signal
import time

from harness import INIT, check, equal, eventually, proc_status, scenario, tool

SHAPES = ("leader", "unshared", "front")


def shapes(case):
    """Mode sub starts shim from another PID 1: with a terminal that is the shape a shell makes."""
    return ("front",) if case.mode == "sub" else SHAPES


@scenario(limit=40)
def p01_job_control_of_a_shell(case):
    for shape in shapes(case):
        init = case.start(
            ["/bin/bash", "--norc", "-i", "-c", "set -m; sleep 0.2 & jobs; fg %1; echo fine"],
            tty=shape,
            find=False,
        )
        equal(init.wait(), 0, shape)
        text = init.text("tty")
        check("fine" in text and "Running" in text, f"{shape}: {text!r}")
        for trouble in ("no job control", "cannot set terminal", "ioctl"):
            check(trouble not in text, f"{shape}: {text!r}")


@scenario(modes=INIT, limit=60)
def p02_no_hangup_at_start(case):
    for _ in range(150):
        init = case.run(["exit", "7"], tty="leader")
        equal(init.status, 7)
        case.close()


@scenario(modes=INIT)
def p02_first_hangup_is_real(case):
    init = case.start(["signals"], tty="leader")
    init.line("ready", "tty")
    init.signal(signal.SIGHUP)
    init.line("^got 1$", "tty")


@scenario(modes=("pid1",))
def p02_terminal_is_hung_up(case):
    """The other end goes away: the kernel tells the leader and the foreground, and all ends."""
    init = case.start(["hold"], tty="leader")
    init.line("ready", "tty")
    os.close(init.master)
    init.name.clear()
    init.master = None
    equal(init.wait(), 129)


@scenario(limit=40)
def p03_ctrl_c_ends_shell_and_program(case):
    for shape in shapes(case):
        init = case.start(["/bin/sh", "-c", f"{case.payload} hold; echo after"], tty=shape)
        init.line("ready", "tty")
        init.type("\x03")
        equal(init.wait(), 130, shape)
        check("after" not in init.text("tty"))


@scenario()
def p03_relayed_int_goes_to_the_group(case):
    init = case.start(["/bin/sh", "-c", f"{case.payload} hold; echo after"])
    init.line("^ready")
    init.signal(signal.SIGINT)
    equal(init.wait(), 130)
    check("after" not in init.out)


@scenario(limit=40)
def ctrl_c_once_only(case):
    """The kernel tells the foreground, not shim's group: the app hears one INT, not two."""
    for shape in shapes(case):
        init = case.start(["signals"], tty=shape)
        init.line("ready", "tty")
        init.type("\x03")
        init.line("^got 2$", "tty")
        init.quiet(0.3)
        equal(init.text("tty").count("got 2"), 1, shape)


@scenario()
def p05_tstp_is_forwarded(case):
    init = case.start(["signals", "15", "0"])
    init.line("^ready")
    for signo in (20, 21, 22):
        init.signal(signo)
        init.line(f"^got {signo}$")
    check(proc_status(init.pid)["State"][0] != "T", "the init stopped")
    init.signal(15)
    equal(init.wait(), 0)
    equal(case.start(["report"], find=False).report()["blocked"], "0" * 16)


@scenario(modes=INIT)
def p05_ctrl_z_without_a_shell(case):
    """As PID 1 there is nobody to go back to: the app goes on, and Ctrl-C still works."""
    for app in (["/bin/cat"], ["/bin/sh", "-c", "cat; true"]):
        init = case.start(app, tty="leader")
        init.type("hello\n")
        init.line("^hello$", "tty")
        for n in range(1, 4):
            init.type("\x1a")
            init.type(f"again {n}\n")
            init.line(f"^again {n}$", "tty")
        init.type("\x03")
        equal(init.wait(), 130)


@scenario(modes=INIT)
def p05_stopped_by_somebody_then_stop(case):
    """SIGSTOP is meant: the app stays stopped, but a stop still works."""
    init = case.start(["hold"], tty="leader")
    init.line("ready", "tty")
    init.signal(signal.SIGSTOP, init.app())
    eventually(lambda: proc_status(init.app()).get("State", "?")[0] == "T", "the app is stopped")
    init.quiet(0.3)
    equal(proc_status(init.app())["State"][0], "T")
    init.signal(signal.SIGTERM)
    equal(init.wait(), 143)


@scenario(limit=40)
def the_app_owns_the_terminal(case):
    for shape in shapes(case):
        facts = case.start(["report"], tty=shape, find=False).report()
        equal(facts["pgid"], facts["pid"], shape)
        equal(facts["tpgid"], facts["pid"], shape)


@scenario(limit=30)
def scope_session_with_terminal(case):
    """As dumb-init: a session of its own and, where shim led the old one, the terminal with it."""
    facts = case.start(["report"], opts=["--scope", "session"], find=False).report()
    equal((facts["sid"], facts["pgid"]), (facts["pid"],) * 2)
    if case.mode != "sub":
        facts = case.start(
            ["report"], opts=["--scope", "session"], tty="leader", find=False
        ).report()
        equal((facts["sid"], facts["tpgid"]), (facts["pid"],) * 2)


@scenario(modes=INIT)
def scope_session_ctrl_c(case):
    init = case.start(["hold"], opts=["--scope", "session"], tty="leader")
    init.line("ready", "tty")
    init.type("\x03")
    equal(init.wait(), 130)


@scenario(modes=("sub",))
def background_never_takes_the_terminal(case):
    facts = case.start(["report"], tty="behind", find=False).report()
    check(facts["tpgid"] not in ("-1", facts["pgid"]), f"foreground is {facts['tpgid']}")
    equal(facts["tpgid"], "1", "the foreground stays with who had it")


@scenario(modes=("sub",))
def terminal_is_given_back(case):
    for app, want in ((["exit", "3"], 3), (["kill", "9"], 137), (["/nope"], 127)):
        init = case.start(app, tty="front", after=0, find=False)
        equal(init.wait(), want)
        check("terminal given back" in init.text("tty"), f"{app}: {init.text('tty')!r}")


def shell(case):
    """bash in front of a terminal, as a person has it; shim is one of its jobs."""
    words = [
        tool("unshare"),
        "-pf",
        "--mount-proc",
        "--kill-child",
        case.payload,
        "init",
        "-t",
        "--",
        "/bin/bash",
        "--norc",
        "--noprofile",
        "-i",
    ]
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "PS1": "> ", "HISTFILE": ""}
    init = case.launch(words, env, "leader", None, None, None, "/")
    init.type("bind 'set enable-bracketed-paste off' 2>/dev/null; echo sh''ell\n")
    init.line("shell$", "tty")
    return init


@scenario(modes=("pid1", "sub"), limit=30)
def ctrl_z_and_fg_under_a_shell(case):
    for opts, first in (("", ""), ("-c", ""), ("--scope group", ""), ("", "with -O -- ")):
        init = shell(case)
        init.type(
            f"{' '.join(case.command([], opts.split()))} {case.payload} "
            f"{first}{case.payload if first else ''} hold\n"
        )
        init.line("ready", "tty")
        init.type("\x1a")
        init.line("Stopped", "tty")
        init.type("echo promp''t\n")
        init.line("prompt$", "tty")
        init.type("fg\n")
        init.line("shim.*hold$", "tty", count=2)
        time.sleep(0.2)  # bash says so before it does it
        init.type("\x03")
        init.type("echo status''=$?\n")
        equal(init.line(r"status=(\d+)", "tty").group(1), "130", opts + first)


@scenario(modes=("pid1", "sub"), limit=30)
def background_reader_under_a_shell(case):
    """A job that reads from the terminal is stopped by TTIN; fg lets it read."""
    init = shell(case)
    init.type(f"{' '.join(case.command([]))} /bin/sh -c 'read x; echo sai\"\"d $x' &\n")
    init.type("echo promp''t\n")
    init.line("prompt$", "tty")
    time.sleep(0.3)
    init.type("jobs\n")
    init.line("Stopped", "tty")
    init.type("fg\n")
    time.sleep(0.3)
    init.type("words\n")
    init.line("said words$", "tty")
    init.type("echo status''=$?\n")
    equal(init.line(r"status=(\d+)", "tty").group(1), "0")


@scenario(modes=("pid1", "sub"), limit=30)
def background_job_leaves_the_shell_alone(case):
    init = shell(case)
    init.type(f"{' '.join(case.command([]))} {case.payload} hold &\n")
    init.line("ready", "tty")
    init.type("echo promp''t\n")
    init.line("prompt$", "tty")
    init.type("kill -TERM $!; wait $!; echo status''=$?\n")
    equal(init.line(r"status=(\d+)", "tty").group(1), "143")


@scenario()
def no_terminal(case):
    init = case.start(["report"], find=False)
    equal(init.report()["tpgid"], "-1")
    equal((init.wait(), init.err), (0, ""))
