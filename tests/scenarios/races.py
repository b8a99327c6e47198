"""What happens between two system calls of shim's: strace makes that time long."""

import signal
import subprocess
import threading

from harness import check, equal, eventually, proc_children, read, scenario, tool


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
    eventually(lambda: len(proc_children(init.pid)) == 3, "the hook runs, and who reads it")
    tracer = slow_down(case, init, "rt_sigaction", 300)
    try:
        init.signal(15, init.app())
        equal(init.wait(), 6)
    finally:
        tracer.kill()
        tracer.wait()


class Flood:
    """SIGUSR1 faster than the init passes it on: each kill(2) of the init takes long."""

    def __init__(self, case, init):
        self.init = init
        self.tracer = slow_down(case, init, "kill", 20)
        self.over = threading.Event()
        self.sender = threading.Thread(target=self.send)

    def send(self):
        while not self.over.wait(0.002):
            try:
                self.init.signal(signal.SIGUSR1)
            except ProcessLookupError:
                return

    def __enter__(self):
        self.sender.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.sender.join()
        self.tracer.kill()
        self.tracer.wait()


@scenario(modes=("pid1", "plain", "kernel", "sub"), limit=40)
def a_flood_of_signals_hides_no_end(case):
    """SIGUSR1 has a lower number than SIGCHLD, so the kernel hands it out first, always."""
    init = case.start(["signals", "15", "6"])
    init.line("^ready")
    app = init.app()
    with Flood(case, init):
        init.line("^got 10$", count=3)
        init.signal(signal.SIGKILL, app)
        equal(init.wait(20), 137)


@scenario(modes=("pid1", "plain", "kernel"), limit=40)
def a_flood_of_signals_holds_back_no_stop(case):
    """Nor does the kernel ever come to SIGTERM by itself."""
    init = case.start(["signals", "15", "6"])
    init.line("^ready")
    with Flood(case, init):
        init.line("^got 10$", count=3)
        init.signal(signal.SIGTERM)
        equal(init.wait(20), 6)


@scenario(modes=("pid1", "plain", "kernel", "sub"), limit=40)
def a_flood_of_signals_stops_no_clock(case):
    """The budget ends while signals are pending all the time."""
    init = case.start(["ignore", "10", "15"], opts=["--grace", "2s"])
    init.line("^ready")
    with Flood(case, init):
        init.signal(signal.SIGTERM)
        equal(init.wait(20), 137)


@scenario(limit=30)
def the_apps_last_words_meet_shims(case):
    """Both write to the termination file when a stop comes: the app's words are not written over."""
    log = case.path("message", "")
    script = f"trap 'echo good bye >{log}; exit 3' TERM; echo ready; while :; do sleep 0.05; done"
    init = case.start(["/bin/sh", "-c", script], opts=["--termination-log", log])
    init.line("^ready")
    tracer = slow_down(case, init, "pwrite64", 300)
    try:
        init.signal(signal.SIGTERM)
        equal(init.wait(20), 3)
    finally:
        tracer.kill()
        tracer.wait()
    check(read(log).startswith("good bye\n") and "exited 3" in read(log), repr(read(log)))
