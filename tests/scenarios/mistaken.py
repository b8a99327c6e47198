"""What shim may be mistaken about: a number, a stop, how often, a /proc that is another's."""

import signal

from harness import NAMED, check, equal, eventually, proc_status, read, scenario, tool

LAST_PID = "/proc/sys/kernel/ns_last_pid"


@scenario()
def the_number_of_the_app_is_used_again(case):
    """Its slot is kept for the sake of its group, but an orphan with its number is an orphan."""
    orphan = f"echo $(($1 - 1)) >{LAST_PID}; sleep 0.1 & echo orphan $!"
    daemon = f"sleep 0.3; sh -c '{orphan}' sh $1; sleep 0.4; echo bye"
    case.path("daemon", daemon)
    script = f"echo app $$; setsid sh {case.dir}/daemon $$ & exit 4"
    init = case.run(["/bin/sh", "-c", script], opts=["--until-empty"])
    equal(init.status, 4)
    equal(init.line("^orphan (.*)").group(1), init.line("^app (.*)").group(1))
    check("bye" in init.lines(), init.out)
    equal(init.err, "")


@scenario(modes=("pid1", "plain"))
def the_proc_of_an_outer_namespace(case):
    """Its numbers are those of strangers: what the app left behind is told without it."""
    far = int(read("/proc/sys/kernel/pid_max")) - 5000
    case.path("daemon", "trap 'echo handled; exit' TERM; echo up; while :; do sleep 0.05; done")
    script = f"echo {far} >{LAST_PID}; setsid sh {case.dir}/daemon & exec sleep 60"
    words = [tool("unshare"), "-pf", "--kill-child", *case.command(["/bin/sh", "-c", script])]
    init = case.launch(words, None, None, None, -1, -1, "/").find(True)
    init.line("^up$")
    init.signal(signal.SIGTERM)
    equal(init.wait(), 143)
    check("handled" in init.lines(), init.out)
    check("shim:" not in init.err, init.err)


@scenario(modes=NAMED)
def signals_kept_for_the_app_are_counted(case):
    """Real-time signals that are queued before the app exists reach it one for one, too."""
    target = case.path("up")
    init = case.start(
        ["signals"],
        opts=["--wait-for", "file:" + target, "--wait-interval", "50ms"],
        prefix=["-b", "40"],
    )
    init.line("waiting for", "err")
    for _ in range(600):
        init.signal(40)
    case.path("up", "")
    init.line("^got 40$", count=600)
    init.quiet(0.2)
    equal(init.lines().count("got 40"), 600)


@scenario(modes=("sub",))
def a_stop_that_was_told_is_not_told_again(case):
    """On a terminal shim asks for the app's stops, and remembers that it still is stopped."""
    init = case.start(["hold"], opts=["-c"], tty="front")
    init.line("ready", "tty")
    app = init.app()
    init.signal(signal.SIGSTOP, app)
    eventually(lambda: proc_status(app).get("State", "?")[0] == "T", "the app is stopped")
    init.quiet(0.2)
    init.signal(signal.SIGTERM)
    equal(init.wait(), 143)


@scenario()
def a_failed_hook_ends_an_app_that_is_sent_no_term(case):
    """-r TERM:0 drops what comes. Here nothing came, and the app has to end."""
    init = case.run(["hold"], opts=["-r", "TERM:0", "--post-start", "false"])
    equal(init.status, 1)
