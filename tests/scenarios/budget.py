"""--grace and --reserve over all that a stop brings (P32, P57, P62): whatever takes too long, the
app has its share, and shim ends before the platform's patience does."""

import itertools
import json
import re
import time

from harness import check, equal, read, scenario
from network import Server, Talk, network, serving_app, silent

TERM, INT = 15, 2
GRACE, RESERVE, MARGIN = 3.0, 1.0, 0.3  # margin: a tenth of grace, at most 500 ms
BUDGET = ["--grace", "3s", "--reserve", "1s"]


def hooks(case):
    return {
        "none": [],
        "sleeps": ["--pre-stop", "sleep:60s"],
        "hangs": ["--pre-stop", f"{case.payload} ignore", "--pre-stop", "echo never"],
        "silent": ["--pre-stop", "http://127.0.0.1:8081/"],
        "many": [word for _ in range(9) for word in ("--pre-stop", "sleep 0.7")],
        "fails": ["--pre-stop", "sh -c 'exit 3'"],
    }


def stop(init):
    """TERM; returns how long it took until the app was told, and to the end, and the status."""
    begun = time.monotonic()
    init.signal(TERM)
    init.line("^got 15$")
    told = time.monotonic() - begun
    status = init.wait()
    return told, init.ended - begun, status


DRAINS = {"none": [], "fixed": ["--drain", "60s"], "busy": ["--drain", "100ms"]}
APPS = {"slow": (["slow", "15", "400", "6"], 6), "deaf": (["slow", "15", "60000", "6"], 137)}


def combination(case, hook, drain, app):
    """One of them: the app hears of it in time and has its reserve."""
    command, want = APPS[app]
    talk = None
    log = case.path("message", "")
    opts = [*BUDGET, *hooks(case)[hook], *DRAINS[drain], "--termination-log", log]
    if drain == "busy":
        script = f"{' '.join(serving_app(case, 8080))} & exec {case.payload} {' '.join(command)}"
        init = case.start(["/bin/sh", "-c", script], opts=[*opts, "--scope", "child"])
        init.line("^ready$")
        talk = Talk(8080)
    else:
        init = case.start(command, opts=opts)
    init.line("^ready ")
    told, took, status = stop(init)
    what = f"hook {hook}, drain {drain}, app {app}: told after {told:.2f} s, took {took:.2f} s"
    equal(status, want, what)
    is_long = drain != "none" or hook in ("sleeps", "hangs", "silent", "many")
    check(told < GRACE - RESERVE + 0.6, what)
    check(not is_long or told > GRACE - RESERVE - 0.1, what)
    check(is_long or told < 1, what)
    if want == 137:
        check(GRACE - MARGIN - 0.1 < took < GRACE, what)
        check(re.search(r"grace period spent after 2\.[78]", read(log)), read(log))
        check("while stopping" in read(log), read(log))
    else:
        check(took - told > 0.3, what)  # it works for 0.4 s
    if hook in ("hangs", "silent"):
        check(re.search("pre-stop .* failed: cut short: the time budget", read(log)), read(log))
    if hook == "fails":
        check(re.search("pre-stop .* failed: exit 3", read(log)), read(log))
    check("never" not in init.err.splitlines(), "a hook ran that had no time")
    if talk:
        talk.close()
    case.close()


def all_with(case, drain, app):
    network()
    Server(silent, 8081)
    for hook in hooks(case):
        combination(case, hook, drain, app)


@scenario(modes=("pid1", "plain", "kernel", "sub"), limit=60)
def no_drain_slow_app(case):
    all_with(case, "none", "slow")


@scenario(modes=("pid1", "sub"), limit=60)
def no_drain_deaf_app(case):
    all_with(case, "none", "deaf")


@scenario(modes=("pid1", "sub"), limit=60)
def fixed_drain_slow_app(case):
    all_with(case, "fixed", "slow")


@scenario(modes=("pid1", "plain"), limit=60)
def fixed_drain_deaf_app(case):
    all_with(case, "fixed", "deaf")


@scenario(modes=("pid1",), limit=60)
def busy_drain_slow_app(case):
    all_with(case, "busy", "slow")


@scenario(modes=("pid1",), limit=60)
def busy_drain_deaf_app(case):
    all_with(case, "busy", "deaf")


@scenario(modes=("pid1", "sub"))
def the_reserve_if_nothing_is_said(case):
    """Half of the grace period, at most 5 s (see the next)."""
    for grace, least, most in (("2s", 0.95, 1.6), ("8s", 3.95, 5.5)):
        init = case.start(["signals", "15", "6"], opts=["--grace", grace, "--drain", "60s"])
        init.line("^ready")
        told, _, status = stop(init)
        equal(status, 6)
        check(least < told < most, f"--grace {grace}: told after {told:.2f} s")


@scenario(modes=("pid1",), limit=30)
def the_reserve_is_at_most_five_seconds(case):
    init = case.start(["signals", "15", "6"], opts=["--grace", "11s", "--drain", "60s"])
    init.line("^ready")
    begun = time.monotonic()
    init.signal(TERM)
    init.line("^got 15$", timeout=15)
    told = time.monotonic() - begun
    check(5.9 < told < 7.5, f"told after {told:.2f} s")
    equal(init.wait(), 6)


@scenario(modes=("pid1", "sub"))
def a_reserve_of_all_the_grace(case):
    """Nothing is left for hooks and drain: they are skipped, which is said, and the app is told."""
    opts = ["--grace", "3s", "--drain", "10s", "--pre-stop", "echo no", "--reserve"]
    init = case.start(["signals", "15", "6"], opts=[*opts, "3s"])
    init.line("^ready")
    told, _, status = stop(init)
    equal(status, 6)
    check(told < 1, f"told after {told:.2f} s")
    check("no" not in init.err.splitlines(), init.err)
    check(re.search("pre-stop hook echo no skipped: no time is left", init.err), init.err)
    init = case.run(["report"], opts=[*opts, "4s"])
    equal((init.status, init.out), (125, ""), "more than there is")


@scenario(modes=("pid1", "plain"))
def no_reserve(case):
    """All of it may go into draining; the app is told before the end all the same."""
    init = case.start(
        ["signals", "15", "6"], opts=["--grace", "2s", "--reserve", "0", "--pre-stop", "sleep:1s"]
    )
    init.line("^ready")
    told, _, status = stop(init)
    equal(status, 6)
    check(0.95 < told < 1.8, told)


@scenario(modes=("pid1", "plain", "kernel", "sub"))
def post_stop_that_hangs(case):
    """The app has ended in time; its hook is cut off before the platform does it."""
    log = case.path("message", "")
    init = case.start(
        ["signals", "15", "6"],
        opts=["--grace", "2s", "--post-stop", f"{case.payload} ignore", "--termination-log", log],
    )
    init.line("^ready")
    _, took, status = stop(init)
    check(status in (6, 137), status)
    check(took < 2, f"took {took:.2f} s of 2")
    check("post-stop" in read(log), read(log))


@scenario(modes=("pid1", "plain"))
def post_stop_after_a_deaf_app(case):
    """Nothing is left for it: the platform's patience is over."""
    init = case.start(["ignore"], opts=["--grace", "1s", "--post-stop", "sleep:60s"])
    init.line("^ready")
    begun = time.monotonic()
    init.signal(TERM)
    equal(init.wait(), 137)
    check(init.ended - begun < 1, f"took {init.ended - begun:.2f} s of 1")


@scenario(modes=("pid1", "plain", "sub"))
def more_stops_do_not_extend_it(case):
    init = case.start(["ignore"], opts=[*BUDGET, "--drain", "60s"])
    init.line("^ready")
    begun = time.monotonic()
    for _ in range(5):
        init.signal(TERM)
        init.quiet(0.3)
    init.signal(INT)
    equal(init.wait(), 137)
    check(2.5 < init.ended - begun < 3, f"took {init.ended - begun:.2f} s of 3")


@scenario(modes=("pid1", "plain"))
def an_early_end_is_an_early_end(case):
    """P58: every limit is an upper one."""
    opts = ["--grace", "60s", "--drain", "100ms:30s", "--pre-stop", "true", "--post-stop", "true"]
    network()
    init = case.start(["signals", "15", "6"], opts=opts)
    init.line("^ready")
    _, took, status = stop(init)
    equal(status, 6)
    check(took < 5, f"took {took:.2f} s")


@scenario(modes=("pid1", "plain"))
def before_there_is_an_app(case):
    """The hook of a start ignores TERM, the platform's stop comes: the budget holds."""
    for kind in ("pre-start", "post-start"):
        init = case.start(["ignore"], opts=["--grace", "1s", f"--{kind}", f"{case.payload} ignore"])
        init.line("^ready", where="err")
        begun = time.monotonic()
        init.signal(TERM)
        check(init.wait() in (137, 143), kind)
        check(init.ended - begun < 1.3, f"{kind}: took {init.ended - begun:.2f} s of 1")


@scenario(modes=("pid1", "plain"))
def where_the_time_went(case):
    """JSON: how long each phase took, and each hook."""
    log = case.path("message", "")
    init = case.start(
        ["slow", "15", "500", "6"],
        opts=["--grace", "10s", "--pre-stop", "sleep 0.7", "--post-stop", "sleep 0.3", "-v"]
        + ["--termination-log", log, "--termination-format", "json"],
    )
    init.line("^ready")
    init.line("-> running", where="err")
    init.quiet(0.3)
    init.signal(TERM)
    equal(init.wait(), 6)
    got = json.loads(read(log))
    text = json.dumps(got)
    phases = dict(re.findall(r'"(running|draining|stopping|finishing)": "?([\d.]+)', text))
    for phase, least in (
        ("running", 0.3),
        ("draining", 0.7),
        ("stopping", 0.5),
        ("finishing", 0.3),
    ):
        check(least <= float(phases[phase]) + 0.05 < least + 3, phase, text)
    equal(len(got["hooks"]), 2, text)


@scenario(modes=("pid1", "plain"))
def no_budget_without_grace(case):
    """As tini: nothing is killed, hooks have their own limit."""
    init = case.start(
        ["slow", "15", "2000", "6"],
        opts=["--pre-stop", f"{case.payload} ignore", "--hook-timeout", "500ms"],
    )
    init.line("^ready")
    told, took, status = stop(init)
    equal(status, 6)
    check(told > 1.4 and took - told > 1.8, f"{told:.2f} {took:.2f}")


@scenario(modes=("pid1",), limit=40)
def all_orders_of_two_hooks(case):
    """What is skipped or cut short is said for each."""
    for first, second in itertools.permutations(("sleep 60", "true", "sh -c 'exit 3'"), 2):
        init = case.start(
            ["signals", "15", "6"],
            opts=["--grace", "1s", "--pre-stop", first, "--pre-stop", second, "-v"],
        )
        init.line("^ready")
        told, took, status = stop(init)
        equal(status, 6)
        check(told < 1 and took < 1.9, f"{told:.2f} {took:.2f}")
        for hook in (first, second):
            line = f"pre-stop hook {re.escape(hook)}(:| failed| skipped)"
            equal(len(re.findall(line, init.err)), 1, f"{hook}: {init.err}")
