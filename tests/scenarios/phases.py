"""The table of phases and events, walked with the real binary: a stop, a second and a third one,
another signal, and the end of the app, in every phase."""

import os
import re
import time

from harness import MODES, check, equal, read, scenario

HUP, INT, USR1, TERM, CONT, RT = 1, 2, 10, 15, 18, 40
SOME = ("pid1", "plain", "sub")
BLOCKED = [word for signo in (HUP, USR1, RT) for word in ("-b", str(signo))]


class Story:
    """A container that has come to a phase, and waits there."""

    def __init__(self, case, phase, opts=(), app=("signals", "15", "6"), prefix=()):
        self.case = case
        self.phase = phase
        self.trace = case.path("trace", "")
        self.log = case.path("message", "")
        self.gates = {}
        words = ["-v", "--termination-log", self.log, *opts]
        words += ["--post-stop", f"sh -c 'echo post-stop $SHIM_EXIT_CODE >>{self.trace}'"]
        words += getattr(self, phase)()
        if phase == "stopping":
            app = ("signals", str(USR1), "4")
        self.init = case.start(list(app), opts=words, prefix=prefix)
        getattr(self, f"reach_{phase}", lambda: None)()

    def gate(self, kind):
        """A hook that runs until it is let go, in a child of it, and says who it is."""
        path = self.case.path(f"gate-{kind}")
        if not os.path.exists(path):
            os.mkfifo(path)
        self.gates[kind] = path
        return [
            f"--{kind}",
            f"sh -c 'echo {kind} begun; (read x <{path}; echo {kind} over); exit 0'",
        ]

    def let_go(self, kind):
        with open(self.gates[kind], "w") as f:
            f.write("\n")

    # -- what brings it to each phase, and how it is seen to be there

    def waiting(self):
        self.file = self.case.path("dependency")
        return ["--wait-for", f"file:{self.file}"]

    def reach_waiting(self):
        self.init.line("waiting for file", where="err")

    def preparing(self):
        return self.gate("pre-start")

    def reach_preparing(self):
        self.init.line("^pre-start begun", where="err")

    def starting(self):
        return self.gate("post-start")

    def reach_starting(self):
        self.init.line("^ready")
        self.init.line("^post-start begun", where="err")

    def running(self):
        return []

    def reach_running(self):
        self.init.line("^ready")
        self.init.line("-> running", where="err")

    def draining(self):
        return self.gate("pre-stop")

    def reach_draining(self):
        self.reach_running()
        self.init.signal(TERM)
        self.init.line("^pre-stop begun", where="err")

    def stopping(self):
        return []

    def reach_stopping(self):
        self.reach_running()
        self.init.signal(TERM)
        self.init.line("^got 15$")
        self.init.line("-> stopping", where="err")

    def finishing(self):
        return self.gate("post-stop")

    def reach_finishing(self):
        self.reach_running()
        self.init.signal(TERM)
        self.init.line("^post-stop begun", where="err")

    # -- what came of it

    def ends(self, status, got=None, started=True, patience=5):
        begun = time.monotonic()
        init = self.init
        equal(init.wait(), status, f"status while {self.phase}")
        check(init.ended - begun < patience, f"took {init.ended - begun:.1f} s")
        equal("ready" in init.out, started, "the app was started")
        if got is not None:
            equal([int(n) for n in re.findall(r"^got (\d+)$", init.out, re.M)], got, "signals")
        equal(read(self.trace), f"post-stop {status}\n", f"post-stop while {self.phase}")
        check("internal error" not in init.err, init.err)
        check(read(self.log), "no message")
        return init


# -- a stop signal in every phase


@scenario()
def a_stop_while_waiting(case):
    for signo in (TERM, INT):
        story = Story(case, "waiting")
        story.init.signal(signo)
        story.ends(128 + signo, started=False, patience=2)
        check("dependency" in read(story.log), read(story.log))


@scenario()
def a_stop_while_preparing(case):
    for signo in (TERM, INT):
        story = Story(case, "preparing")
        story.init.signal(signo)
        init = story.ends(128 + signo, started=False, patience=3)
        check("pre-start over" not in init.err.splitlines(), init.err)
        check("before the app was started" in read(story.log), read(story.log))


@scenario()
def a_stop_while_starting(case):
    story = Story(case, "starting")
    story.init.signal(TERM)
    init = story.ends(6, [15], patience=3)
    check("post-start over" not in init.err.splitlines(), init.err)
    check("-> running" not in init.err, init.err)


@scenario()
def a_stop_while_running(case):
    story = Story(case, "running")
    story.init.signal(TERM)
    story.ends(6, [15], patience=3)


@scenario()
def a_stop_while_finishing(case):
    """The app has ended by itself: the hooks of the end may finish."""
    opts = ["--post-stop", "sh -c 'echo begun; sleep 1; echo over'"]
    for signo in (TERM, INT):
        init = case.start(["exit", "3", "300"], opts=[*opts, "-v"])
        init.line("^begun", where="err")
        for _ in range(3):
            init.signal(signo)
            init.quiet(0.05)
        equal(init.wait(), 3)
        check("over" in init.err.splitlines(), init.err)
        check("internal error" not in init.err, init.err)


# -- a second and a third one


@scenario()
def more_stops_while_preparing(case):
    """The first ended it; the hook that ignores it is killed a second later, whatever comes."""
    opts = ["--pre-start", f"{case.payload} ignore", "--post-stop", "echo after"]
    init = case.start(["report"], opts=opts)
    init.line("^ready", where="err")
    begun = time.monotonic()
    for signo in (TERM, TERM, INT):
        init.signal(signo)
        init.quiet(0.1)
    equal((init.wait(), init.out), (143, ""))
    check(init.ended - begun < 5)
    equal(init.err.splitlines().count("after"), 1, init.err)


@scenario()
def more_stops_while_starting(case):
    """The first cancelled the hook, which ignores TERM; those that follow go to the app, that has
    been told."""
    opts = ["--post-start", f"{case.payload} ignore", "-v"]
    init = case.start(["signals", "10", "4"], opts=opts)
    init.line("^ready")
    init.line("^ready", where="err")
    init.signal(TERM)
    init.line("^got 15$")
    init.signal(TERM)
    init.line("^got 15$", count=2)
    init.signal(INT)
    init.line("^got 2$")
    init.signal(USR1)
    equal(init.wait(), 4)
    check("internal error" not in init.err, init.err)


@scenario()
def more_stops_while_draining(case):
    """TERM changes nothing, again and again; INT skips what is left."""
    story = Story(case, "draining")
    for _ in range(3):
        story.init.signal(TERM)
        story.init.quiet(0.1)
    check("got" not in story.init.out, story.init.out)
    story.let_go("pre-stop")
    init = story.ends(6, [15])
    check("pre-stop over" in init.err.splitlines())
    case.close()
    story = Story(case, "draining")
    story.init.signal(TERM)
    story.init.signal(INT)
    init = story.ends(6, [15], patience=3)
    check("pre-stop over" not in init.err.splitlines(), init.err)
    check(re.search("pre-stop .* failed: skipped by another stop signal", read(story.log)))


@scenario()
def second_stop_skip(case):
    story = Story(case, "draining", ["--second-stop", "skip"])
    story.init.signal(TERM)
    init = story.ends(6, [15], patience=3)
    check("pre-stop over" not in init.err.splitlines(), init.err)


@scenario()
def more_stops_while_stopping(case):
    """They are passed on, each as what it is."""
    story = Story(case, "stopping")
    for n, signo in enumerate((TERM, INT, TERM)):
        story.init.signal(signo)
        story.init.line("^got", count=n + 2)
    story.init.signal(USR1)
    story.ends(4, [15, 15, 2, 15, 10])


@scenario()
def more_stops_while_finishing(case):
    story = Story(case, "finishing")
    for signo in (TERM, INT, TERM):
        story.init.signal(signo)
        story.init.quiet(0.05)
    check(story.init.process.poll() is None, "it did not wait for the hook")
    story.let_go("post-stop")
    init = story.ends(6, [15])
    check("post-stop over" in init.err.splitlines(), init.err)


# -- the end of the app in every phase it lives in


@scenario()
def the_app_ends_while_starting(case):
    story = Story(case, "starting", app=("signals", "10", "4"))
    story.init.signal(USR1)
    init = story.ends(4, [10], patience=3)
    check("post-start over" not in init.err.splitlines(), init.err)
    check(re.search("post-start .* failed: the app ended", read(story.log)), read(story.log))


@scenario()
def the_app_ends_while_running(case):
    story = Story(case, "running", app=("signals", "10", "4"))
    story.init.signal(USR1)
    story.ends(4, [10], patience=3)
    check("stop requested" not in read(story.log), read(story.log))


@scenario()
def the_app_ends_while_draining(case):
    """The hook that runs may finish, and the app gets no stop signal any more."""
    story = Story(case, "draining", app=("signals", "10", "4"))
    story.init.signal(USR1)
    story.init.line("-> finishing", where="err")
    story.init.quiet(0.2)
    check(story.init.process.poll() is None, "the hook was not waited for")
    story.let_go("pre-stop")
    init = story.ends(4, [10], patience=3)
    check("pre-stop over" in init.err.splitlines(), init.err)
    check("stop requested" in read(story.log), read(story.log))


@scenario()
def the_app_ends_while_stopping(case):
    story = Story(case, "stopping")
    story.init.signal(USR1)
    story.ends(4, [15, 10], patience=3)
    check("stop requested" in read(story.log), read(story.log))


@scenario(modes=SOME)
def the_app_is_killed_in_every_phase(case):
    """SIGKILL from elsewhere, as by the OOM killer."""
    for phase in ("starting", "running", "draining", "stopping"):
        story = Story(case, phase)
        story.init.signal(9, init_app(story.init))
        if phase == "draining":
            story.init.line("-> finishing", where="err")
            story.let_go("pre-stop")
        story.ends(137, patience=3)
        check("killed by SIGKILL" in read(story.log), read(story.log))
        case.close()


def init_app(init):
    """The outer pid of the app: its own one is what it said."""
    inner = re.search(r"^ready (\d+)$", init.out, re.M)[1]
    for pid in init.processes():
        with open(f"/proc/{pid}/status") as f:
            if re.search(rf"^NSpid:.*\t{inner}$", f.read(), re.M):
                return pid
    raise AssertionError("the app is not there")


# -- other signals


def kept(case, phase, go_on):
    story = Story(case, phase, prefix=BLOCKED)
    for signo in (USR1, HUP, RT, RT):
        story.init.signal(signo)
    story.init.quiet(0.2)
    go_on(story)
    story.init.line(f"^got {RT}$", count=2)
    story.init.signal(TERM)
    init = story.ends(6)
    equal(sorted(re.findall(r"^got (\d+)$", init.out, re.M)), ["1", "10", "15", "40", "40"])


@scenario(modes=SOME)
def others_while_waiting_are_kept(case):
    kept(case, "waiting", lambda story: case.path("dependency", ""))


@scenario(modes=SOME)
def others_while_preparing_are_kept(case):
    kept(case, "preparing", lambda story: story.let_go("pre-start"))


@scenario(modes=SOME)
def kept_ones_are_rewritten_and_dropped_too(case):
    opts = ["--rewrite", f"{HUP}:{USR1}", "--rewrite", f"{RT}:0"]
    story = Story(case, "preparing", opts, prefix=BLOCKED)
    for signo in (HUP, RT):
        story.init.signal(signo)
    story.init.quiet(0.1)
    story.let_go("pre-start")
    story.init.line("^got 10$")
    story.init.signal(TERM)
    story.ends(6, [10, 15])


@scenario(modes=SOME)
def kept_ones_are_lost_with_a_stop(case):
    """There will be no app for them."""
    for phase in ("waiting", "preparing"):
        story = Story(case, phase)
        for signo in (HUP, USR1, TERM):
            story.init.signal(signo)
            story.init.quiet(0.05)
        story.ends(143, started=False, patience=3)


@scenario()
def others_pass_while_the_app_lives(case):
    for phase in ("starting", "running", "draining", "stopping"):
        story = Story(case, phase)
        for signo in (HUP, RT, CONT):
            story.init.signal(signo)
            story.init.line(f"^got {signo}$")
        if phase == "stopping":
            story.init.signal(USR1)
            story.ends(4, [15, HUP, RT, CONT, USR1])
        elif phase == "draining":
            story.let_go("pre-stop")
            story.ends(6, [HUP, RT, CONT, 15])
        else:
            story.init.signal(TERM)
            story.ends(6, [HUP, RT, CONT, 15])
        case.close()


@scenario(modes=SOME)
def others_while_finishing_harm_nobody(case):
    """Nobody is left but a hook, which is not theirs."""
    story = Story(case, "finishing")
    for signo in (HUP, USR1, RT, CONT, 17, 28):
        story.init.signal(signo)
    story.init.quiet(0.2)
    story.let_go("post-stop")
    init = story.ends(6, [15])
    check("post-stop over" in init.err.splitlines(), init.err)


@scenario(modes=SOME)
def others_reach_no_hook(case):
    """What is sent to the app is not for those who work for shim."""
    for phase, scope in (("starting", "all"), ("draining", "all"), ("draining", "group")):
        story = Story(case, phase, ["--scope", scope])
        story.init.signal(HUP)
        story.init.line("^got 1$")
        story.init.quiet(0.1)
        kind = "post-start" if phase == "starting" else "pre-stop"
        story.let_go(kind)
        story.init.line(f"^{kind} over", where="err")
        if phase == "starting":
            story.init.signal(TERM)
        story.ends(6, [1, 15])
        case.close()


# -- what each phase is when it fails


@scenario(modes=MODES)
def every_way_through_the_table(case):
    """The trace names each phase that was gone through, in order, and none twice."""
    story = Story(case, "running", ["--pre-start", "true", "--pre-stop", "true"])
    story.init.signal(TERM)
    init = story.ends(6)
    steps = re.findall(r"(\w+)(?: \+ [^\n]*)? -> (\w+)$", init.err, re.M)
    names = ["waiting", "preparing", "starting", "running", "draining", "stopping", "finishing"]
    equal([step[0] for step in steps], names, init.err)
    equal([step[1] for step in steps], [*names[1:], "done"])


@scenario(modes=SOME)
def paths_that_skip_phases(case):
    for opts, app, status, path in (
        (["--wait-for", "file:/no", "--wait-timeout", "200ms"], ["report"], 124, "finishing done"),
        (["--pre-start", "false"], ["report"], 1, "preparing finishing done"),
        ([], ["/nope/app"], 127, "preparing starting finishing done"),
        (["--post-start", "false"], ["hold"], 1, "preparing starting stopping finishing done"),
        ([], ["exit", "4"], 4, "preparing starting running finishing done"),
    ):
        init = case.run(app, opts=["-v", *opts])
        equal(init.status, status, init.err)
        equal(" ".join(re.findall(r" -> (\w+)$", init.err, re.M)), path, init.err)


@scenario(modes=SOME)
def a_stop_at_any_moment(case):
    """Sent after 0 to 60 ms: never lost, never too much. 127 or 125 would be an app that was
    started by halves."""
    for delay in range(0, 61, 3):
        opts = ["--pre-start", "true", "--post-start", "true", "--pre-stop", "true"]
        init = case.start(["hold"], opts=[*opts, "--post-stop", "echo after"])
        time.sleep(delay / 1000)
        init.signal(TERM)
        status = init.wait()
        equal(status, 143, f"after {delay} ms")
        equal(init.err.splitlines().count("after"), 1, init.err)
        check(not re.search("internal error", init.err), init.err)
        case.close()
