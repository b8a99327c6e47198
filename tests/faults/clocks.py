"""Clocks that are wrong: the wall clock leaps, or the monotonic one has just begun or is very old. The
machine's own clocks are never set: the first is a fake for a shim that is linked to glibc
(`make LIBC=glibc BUILD=build/glibc build/glibc/shim`), the second a time namespace."""

import json
import os
import re
import shutil
import subprocess
import time

from harness import Skip, check, equal, read, scenario, tool

TERM = 15
HERE = os.path.dirname(os.path.abspath(__file__))
LINKED = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build/glibc/shim")


def leaping(case):
    """From here on what is started sees a wall clock that leaps."""
    if not os.path.exists(LINKED):
        raise Skip("needs make LIBC=glibc BUILD=build/glibc build/glibc/shim")
    case.shim = case.path("shim")
    shutil.copy(LINKED, case.shim)
    library = case.path("jump.so")
    source = os.path.join(HERE, "jump.c")
    subprocess.run([tool("gcc"), "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "LD_PRELOAD": library}


def plan(case, start):
    """A life with every kind of deadline in it; each is as long as it was asked to be."""
    log = case.path("message")
    opts = [
        *("--wait-for", "file:/", "--pre-start", "sleep:300ms", "--post-start", "sleep:300ms"),
        *("--pre-stop", "sleep 30", "--hook-timeout", "600ms", "--post-stop", "sleep:300ms"),
        *("--grace", "20s", "--linger", "700ms", "--termination-log", log, "-v"),
        *("--termination-format", "json"),
    ]
    script = f"{case.payload} ignore & exec {case.payload} slow 15 300 6"
    begun = time.monotonic()
    init = start(["/bin/sh", "-c", script], opts)
    init.line("-> running", "err")
    up = time.monotonic()
    check(0.6 <= up - begun < 5, f"start-up took {up - begun:.1f} s")
    init.line("^ready", count=2)
    stopped = time.monotonic()
    init.signal(TERM)
    init.line("^flushed")
    told = time.monotonic()
    check(0.8 <= told - stopped < 5, f"hook and app took {told - stopped:.1f} s")
    equal(init.wait(), 6)
    check(0.6 <= init.ended - told < 5, f"lingering took {init.ended - told:.1f} s")
    check("timed out" in init.err, init.err)
    facts = json.loads(read(log))
    check(re.search(r"after [0-9]\.[0-9]s; stop requested [0-9]\.[0-9]s before", facts["message"]), facts)
    check(all(0 <= seconds < 10 for seconds in facts["phases"].values()), facts)
    return facts


def budget(case, start):
    begun = time.monotonic()
    init = start(["ignore"], ["--grace", "1s"])
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 137)
    check(0.5 <= init.ended - begun < 6, f"took {init.ended - begun:.1f} s")


@scenario(modes=("pid1", "plain"), limit=40)
def the_wall_clock_leaps(case):
    env = leaping(case)
    facts = plan(case, lambda app, opts: case.start(app, opts=opts, env=env))
    years = [int(facts[key][:4]) for key in ("startedAt", "finishedAt")]
    check(years[0] != time.gmtime().tm_year, f"the fake clock was not in use: {facts}")
    equal(years[0], years[1], "one life, as the reader of the message sees it")
    budget(case, lambda app, opts: case.start(app, opts=opts, env=env))


def in_time_namespace(case, offset):
    words = [tool("unshare"), "-T", f"--monotonic={offset}", f"--boottime={offset}"]
    words += ["-pf", "--mount-proc", "--kill-child"]
    if subprocess.run([*words, "/bin/true"], capture_output=True).returncode:
        raise Skip("needs time namespaces")

    def start(app, opts):
        full = [*words, *case.command(app, opts)]
        return case.launch(full, None, None, subprocess.DEVNULL, -1, -1, "/").find(True)

    return start


@scenario(modes=("pid1", "plain"), limit=40)
def a_machine_that_has_just_started(case):
    """CLOCK_MONOTONIC is close to 0, a number that means something to signals_next()."""
    offset = -int(time.clock_gettime(time.CLOCK_MONOTONIC)) + 1
    start = in_time_namespace(case, offset)
    plan(case, start)
    budget(case, start)


@scenario(modes=("pid1", "plain"), limit=40)
def a_machine_that_has_run_for_a_century(case):
    start = in_time_namespace(case, 100 * 365 * 86400)
    plan(case, start)
    budget(case, start)
