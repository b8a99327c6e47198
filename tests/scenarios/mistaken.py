"""What shim may be mistaken about: a number, a stop, how often, a /proc that is another's."""

import signal

from harness import check, equal, read, scenario, tool

LAST_PID = "/proc/sys/kernel/ns_last_pid"


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
