"""What happens between two system calls of shim's: strace makes that time long."""

import subprocess

from harness import equal, eventually, proc_children, scenario, tool


def slow_down(case, init, call, milliseconds):
    """From here on each such call of the init begins late."""
    tracer = subprocess.Popen(
        [
            tool("strace"),
            "-qq",
            "-o",
            case.path("trace"),
            "-e",
            f"trace={call}",
            "-e",
            f"inject={call}:delay_enter={milliseconds * 1000}",
            "-p",
            str(init.pid),
        ],
        stderr=subprocess.DEVNULL,
    )

    def is_traced():
        with open(f"/proc/{init.pid}/status", encoding="ascii") as f:
            return "TracerPid:\t0\n" not in f.read()

    eventually(is_traced, "strace has taken hold")
    return tracer


@scenario(modes=("pid1", "kernel", "sub"), limit=30)
def a_child_ends_while_reaping_changes_hands(case):
    """The kernel reaps until the app has ended. The hook that is ended then may be gone before shim
    takes over, and only its pidfd knows how."""
    init = case.start(
        ["signals", "15", "6"],
        opts=["--post-start", "sleep 60"],
    )
    init.line("^ready")
    eventually(lambda: len(proc_children(init.pid)) == 2, "the hook runs")
    tracer = slow_down(case, init, "rt_sigaction", 300)
    try:
        init.signal(15, init.app())
        equal(init.wait(), 6)
    finally:
        tracer.kill()
        tracer.wait()
