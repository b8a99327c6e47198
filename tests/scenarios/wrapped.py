"""A shell before the app that the stop signal kills: what it leaves behind is the real app."""

import time

from harness import check, equal, scenario

TERM = 15
QUIT = ["--stop-signal", "QUIT"]
MASTER = """
import os, signal, time

worker = os.fork()
if worker == 0:
    signal.signal(signal.SIGUSR1, lambda *_: os._exit(os.write(1, b"worker done\\n") and 0))
    while True:
        time.sleep(60)

def stop(*_):
    time.sleep(0.3)
    os.kill(worker, signal.SIGUSR1)
    os.waitpid(worker, 0)
    os.write(1, b"master done\\n")
    os._exit(0)

signal.signal(signal.SIGQUIT, stop)
os.write(1, b"ready\\n")
while True:
    time.sleep(60)
"""


@scenario()
def in_a_session_of_its_own(case):
    """As PHP-FPM does with -F: the group's stop signal does not reach it, and TERM would cut it off."""
    init = case.start(["/bin/sh", "-c", f"setsid {case.payload} slow 3 300 0; true"], opts=QUIT)
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 131)
    equal(init.lines()[1:], ["got 3", "flushed"])


@scenario()
def not_in_the_scope(case):
    opts = [*QUIT, "--scope", "child"]
    init = case.start(["/bin/sh", "-c", f"{case.payload} slow 3 300 0; true"], opts=opts)
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 131)
    equal(init.lines()[1:], ["got 3", "flushed"])


@scenario()
def its_children_are_not_in_the_scope(case):
    """A master that lets its workers finish, as Celery's: with --scope child they are not told."""
    opts = [*QUIT, "--scope", "child"]
    script = case.path("master", MASTER)
    init = case.start(["/bin/sh", "-c", f"/usr/bin/python3 {script}; true"], opts=opts)
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 131)
    equal(init.lines(), ["ready", "worker done", "master done"])


@scenario(limit=30)
def it_has_the_grace_period(case):
    """Without the shell it would have it, too: two seconds are not enough for a database."""
    init = case.start(
        ["/bin/sh", "-c", f"{case.payload} slow 15 3500 0; true"], opts=["--grace", "30s"]
    )
    init.line("^ready")
    begun = time.monotonic()
    init.signal(TERM)
    equal(init.wait(20), 143)
    equal(init.lines()[1:], ["got 15", "flushed"])
    check(init.ended - begun < 15, f"took {init.ended - begun:.1f} s")


@scenario(limit=30)
def the_grace_period_ends(case):
    init = case.start(["/bin/sh", "-c", f"{case.payload} ignore; true"], opts=["--grace", "4s"])
    init.line("^ready")
    begun = time.monotonic()
    init.signal(TERM)
    equal(init.wait(), 137)  # the real app was killed
    took = init.ended - begun
    check(3.2 < took < 4.0, f"took {took:.2f} s")


@scenario()
def a_linger_that_is_given_counts(case):
    init = case.start(
        ["/bin/sh", "-c", f"{case.payload} ignore; true"],
        opts=["--grace", "30s", "--linger", "300ms"],
    )
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(8), 143)


@scenario(limit=30)
def who_handles_the_signal_is_no_wrapper(case):
    """The app has ended as it wanted to; its leftovers get TERM, and no more than two seconds."""
    script = f"setsid {case.payload} ignore & setsid {case.payload} slow 15 100 0 & "
    script += "trap 'exit 5' QUIT; wait"
    init = case.start(["/bin/sh", "-c", script], opts=[*QUIT, "--grace", "30s"])
    init.line("^ready", count=2)
    init.signal(TERM)
    equal(init.wait(15), 5)
    equal(init.lines().count("got 15"), 1)
