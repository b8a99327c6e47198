"""Hooks: when they run, what they are told, and what comes of it (P31, P64 to P68)."""

import json
import os
import re
import time

from harness import NAMED, check, equal, eventually, proc_children, proc_status, read, scenario
from network import Server, answer, network, silent

TERM, USR1, KILL = 15, 10, 9
KINDS = ("pre-start", "post-start", "pre-stop", "post-stop")
APP = ["signals", "15", "6"]


# -- when, and in which order


@scenario()
def order(case):
    """Each list in its order, and the lists around the app."""
    trace = case.path("trace", "")
    opts = []
    for kind in reversed(KINDS):
        opts += [f"--{kind}", f"sh -c 'sleep 0.1; echo {kind} 1 >>{trace}'"]
        opts += [f"--{kind}", f"sh -c 'echo {kind} 2 >>{trace}'"]
    script = f"trap 'echo app end >>{trace}; exit 6' TERM; echo app >>{trace}; "
    script += "while :; do sleep 0.05; done"
    init = case.start(["/bin/sh", "-c", script], opts=opts)
    eventually(lambda: "post-start 2" in read(trace) and "app" in read(trace), "it runs")
    init.signal(TERM)
    equal(init.wait(), 6)
    got = read(trace).splitlines()
    for kind in KINDS:
        check(got.index(f"{kind} 1") < got.index(f"{kind} 2"), kind, got)
    check(got.index("pre-start 2") < got.index("app") < got.index("pre-stop 1"), got)
    check(got.index("pre-stop 2") < got.index("app end") < got.index("post-stop 1"), got)
    equal(len(got), 10)


@scenario(modes=NAMED)
def the_app_is_up_at_post_start(case):
    """P68: the hook runs after the exec has worked, beside the app."""
    init = case.start(
        APP, opts=["--post-start", "sh -c 'echo app is $(cat /proc/$SHIM_APP_PID/comm)'"]
    )
    init.line("app is payload", where="err")
    init.signal(TERM)
    equal(init.wait(), 6)


@scenario(modes=NAMED)
def no_post_start_without_the_app(case):
    trace = case.path("trace", "")
    init = case.run(["/nope/app"], opts=["--post-start", f"sh -c 'echo post >>{trace}'"])
    equal((init.status, read(trace)), (127, ""))


@scenario()
def sleep_hooks(case):
    """P57: a pause without a binary; zero is allowed."""
    init = case.start(APP, opts=["--pre-stop", "sleep:0", "--pre-stop", "sleep:700ms", "-v"])
    init.line("^ready")
    begun = time.monotonic()
    init.signal(TERM)
    init.line("^got 15$")
    took = time.monotonic() - begun
    equal(init.wait(), 6)
    check(0.65 < took < 5, f"the app was told after {took:.2f} s")
    check(re.search("pre-stop hook sleep:700ms: ok after", init.err), init.err)


@scenario(modes=NAMED)
def sleep_longer_than_the_hook_timeout(case):
    """The time limit is for what may hang; a pause is as long as it says."""
    init = case.start(APP, opts=["--pre-stop", "sleep:700ms", "--hook-timeout", "100ms"])
    init.line("^ready")
    begun = time.monotonic()
    init.signal(TERM)
    init.line("^got 15$")
    check(time.monotonic() - begun > 0.65)
    equal(init.wait(), 6)


# -- what they are given


def told(case, kind, app=APP, stop=True, opts=(), want=None):
    """The environment of a hook of that kind, as a dict."""
    out = case.path(f"env-{kind}", "")
    init = case.start(app, opts=[f"--{kind}", f"sh -c 'env >{out}'", *opts], env=ENV)
    if stop:
        init.line("^ready")
        if "start" in kind:
            eventually(lambda: "SHIM_REASON" in read(out), "the hook has told")
        init.signal(TERM)
    status = init.wait()
    if want is not None:
        equal(status, want)
    pid = re.search(r"^ready (\d+)$", init.out, re.M)
    return dict(line.split("=", 1) for line in read(out).splitlines()), pid and pid[1]


ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "MINE": "app's own"}


@scenario()
def environment(case):
    for kind in KINDS:
        env, pid = told(case, kind, want=6)
        equal(env["SHIM_HOOK"], kind)
        equal(env["MINE"], "app's own")
        equal(env["SHIM_APP_PID"], "" if kind == "pre-start" else pid, kind)
        if kind == "post-stop":
            equal(env["SHIM_EXIT_CODE"], "6")
            check(re.match(r"payload exited 6 after .*SIGTERM", env["SHIM_REASON"]), env)
        else:
            check(not env.get("SHIM_EXIT_CODE") and not env.get("SHIM_REASON"), kind, env)


@scenario()
def p66_environment_after_each_end(case):
    for app, code, reason in (
        (["exit", "0"], 0, "exited 0"),
        (["exit", "3"], 3, "exited 3"),
        (["kill", "9"], 137, "killed by SIGKILL"),
        (["kill", "11"], 139, "killed by SIGSEGV"),
        (["/nope/app"], 127, "/nope/app"),
    ):
        if case.mode == "kernel" and code == 127:
            continue  # there is another program before it
        env, _ = told(case, "post-stop", app, stop=False, want=code)
        equal(env["SHIM_EXIT_CODE"], str(code))
        check(reason in env["SHIM_REASON"], env["SHIM_REASON"])


@scenario(modes=NAMED)
def the_environment_is_the_hooks_alone(case):
    """The app is not told what only hooks are told."""
    init = case.run(["report"], opts=["--pre-start", "true", "--post-stop", "true"])
    check("SHIM_HOOK" not in init.out and "SHIM_APP_PID" not in init.out, init.out)


@scenario(modes=("pid1", "kernel", "sub"))
def p11_clean_place(case):
    """Empty mask, nothing ignored, no inherited descriptor, a group of its own, not the app's
    input."""
    for kind in KINDS:
        init = case.start(
            ["signals", "15", "6"],
            opts=[f"--{kind}", f"{case.payload} report"],
            prefix=["-b", "10", "-i", "13", "-f", "7", "/dev/null"],
        )
        init.line("^ready")
        if kind == "post-start":
            init.line("^end$", where="err")
        init.signal(TERM)
        equal(init.wait(), 6)
        facts = dict(line.partition(" ")[::2] for line in init.err.splitlines())
        equal(facts["blocked"], "0" * 16, kind)
        equal(facts["ignored"], "0" * 16, kind)
        equal(facts["fds"], "0 1 2", kind)
        equal(facts["pgid"], facts["pid"], kind)
        check("end" not in init.lines(), "it is in the app's stdout")
        case.close()


@scenario()
def p64_output_is_on_stderr(case):
    """Both streams of a hook are in the log, whole, before shim's word on it, and the app's stdout
    has none of it; each line says whose it is, and the last is in the termination message."""
    for kind in KINDS:
        log = case.path("message")
        hook = "sh -c 'echo to out; echo to err >&2; exit 3'"
        init = case.start(APP, opts=[f"--{kind}", hook, "--termination-log", log])
        if "stop" in kind:
            init.line("^ready")
            init.signal(TERM)
        equal(init.wait(), 3 if "start" in kind else 6)
        for line in ("^to out$", "^to err$", rf"{kind} hook .* failed after .*: exit 3$"):
            check(re.search(line, init.err, re.M), line, init.err)
        for line in ("to out", "to err"):
            check(f"{kind}: {line}\n".encode() in init.buffers["err"], init.err)
        check(init.err.index("to err\n") < init.err.index(" failed after "), init.err)
        check("to " not in init.out, init.out)
        check(f"{kind} {hook} failed: exit 3: to err" in read(log), read(log))
        case.close()


@scenario()
def p64_last_line_of_a_hook_that_hangs(case):
    """Also where the hook says it long before its time is up, and without a line break at the end
    where it ends by itself."""
    log = case.path("message")
    hooks = ["sh -c 'echo asking the database; exec sleep 60'", "sh -c 'printf \"a\\n\\n\\tb c\"; exit 5'"]
    init = case.start(
        APP,
        opts=["--pre-stop", hooks[0], "--pre-stop", hooks[1], "--hook-timeout", "500ms"]
        + ["--termination-log", log],
    )
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 6)
    for words in ("failed: timed out: asking the database", "failed: exit 5: b c"):
        check(words in read(log), read(log))


@scenario()
def p64_what_a_hook_left_behind_says(case):
    """Nobody waits for its end, and its last words are not lost: neither beside the app, nor when it
    is told to end."""
    hook = f"sh -c '{case.payload} slow 15 100 0 >&2 &'"
    init = case.start(APP, opts=["--pre-start", hook])
    init.line("^ready")
    init.line("^ready", where="err")
    init.signal(TERM)
    equal(init.wait(), 6)
    check("got 15\nflushed\n" in init.err, init.err)


@scenario(modes=NAMED)
def p64_whose_line_it_is(case):
    """One name for each line, also where it comes in parts or is longer than a pipe takes at once; none
    before JSON; nothing else is changed."""
    said = b'a\n\n  b\n{"c":1}\n' + b"x" * 9000 + b"\n\0\xff\nlast"
    with open(case.path("said"), "wb") as f:
        f.write(said)
    hook = f"sh -c 'printf par; sleep 0.2; echo ts; cat {case.path('said')}'"
    init = case.run(["exit", "0"], opts=["--pre-start", hook])
    equal(init.status, 0)
    lines = [line if line.startswith(b"{") else b"pre-start: " + line for line in said.split(b"\n")]
    equal(bytes(init.buffers["err"]), b"\n".join([b"pre-start: parts", *lines]))


@scenario(modes=NAMED, limit=30)
def much_output_is_whole(case):
    init = case.run(["exit", "0"], opts=["--pre-start", "seq 1 100000"])
    equal(init.status, 0)
    equal(init.err.splitlines(), [str(n) for n in range(1, 100001)])


@scenario(modes=NAMED, limit=30)
def output_that_nobody_reads(case):
    """A hook that fills its output, and a reader that has gone to sleep: the time limit holds."""
    r, w = os.pipe()
    init = case.start(
        APP, opts=["--pre-stop", "yes", "--hook-timeout", "500ms", "--grace", "5s"], stderr=w
    )
    os.close(w)
    init.line("^ready")
    begun = time.monotonic()
    init.signal(TERM)
    init.line("^got 15$")
    equal(init.wait(), 6)
    check(init.ended - begun < 3, f"took {init.ended - begun:.1f} s")
    os.close(r)


@scenario(modes=NAMED)
def words_and_quotes(case):
    """No shell: words are split and quotes honoured, nothing is expanded."""
    hook = f"{case.payload} report 'two words' \"a 'b'\" $HOME * back\\ slash ''"
    init = case.run(["exit", "0"], opts=["--pre-start", hook])
    args = re.findall(r"^arg ?(.*)$", init.err, re.M)
    equal(args, ["two words", "a 'b'", "$HOME", "*", "back slash", ""])


# -- what a failure does to the others


@scenario(modes=NAMED)
def start_lists_end_with_the_first_failure(case):
    for kind, app_ran in (("pre-start", False), ("post-start", True)):
        trace = case.path("trace", "")
        opts = [f"--{kind}", "sh -c 'exit 3'", f"--{kind}", f"sh -c 'echo second >>{trace}'"]
        opts += ["--post-stop", f"sh -c 'echo post-stop $SHIM_EXIT_CODE >>{trace}'"]
        opts += ["--pre-stop", f"sh -c 'echo pre-stop >>{trace}'"]
        init = case.run(APP, opts=opts)
        equal(init.status, 3)
        equal(read(trace), "post-stop 3\n", kind)
        equal("ready" in init.out, app_ran)


@scenario(modes=NAMED)
def stop_lists_go_on_after_a_failure(case):
    trace = case.path("trace", "")
    opts = []
    for kind in ("pre-stop", "post-stop"):
        opts += [f"--{kind}", "sh -c 'exit 3'", f"--{kind}", "/nope/hook"]
        opts += [f"--{kind}", f"sh -c 'echo {kind} >>{trace}'"]
    init = case.start(APP, opts=opts)
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 6)
    equal(read(trace), "pre-stop\npost-stop\n")


@scenario(modes=NAMED)
def post_start_failure_has_the_budget(case):
    """The app ignores TERM: it is killed when the grace period ends."""
    log = case.path("message")
    init = case.start(
        ["ignore"],
        opts=["--post-start", "sh -c 'exit 3'", "--grace", "1s", "--termination-log", log],
    )
    begun = time.monotonic()
    equal(init.wait(), 3)
    check(init.ended - begun < 3, f"took {init.ended - begun:.2f} s")
    check("post-start" in read(log) and "exit 3" in read(log), read(log))


@scenario(modes=NAMED)
def p68_post_start_is_cancelled_by_a_stop(case):
    log = case.path("message")
    init = case.start(APP, opts=["--post-start", f"{case.payload} hold", "--termination-log", log])
    init.line("^ready")
    init.line("^ready", where="err")
    begun = time.monotonic()
    init.signal(TERM)
    equal(init.wait(), 6)
    check(init.ended - begun < 3)
    check(re.search("post-start .*: a stop was asked for", read(log)), read(log))


# -- the app ends during one


@scenario(limit=30)
def the_app_ends_during_post_start(case):
    for hook in (f"{case.payload} hold", "sleep:30s"):
        log = case.path("message", "")
        trace = case.path("trace", "")
        opts = ["--post-start", hook, "--post-start", f"sh -c 'echo second >>{trace}'"]
        opts += ["--post-stop", f"sh -c 'echo post-stop >>{trace}'", "--termination-log", log]
        init = case.start(["signals", "10", "5"], opts=opts)
        init.line("^ready")
        if "hold" in hook:
            init.line("^ready", where="err")
        begun = time.monotonic()
        init.signal(USR1)
        equal(init.wait(), 5)
        check(init.ended - begun < 3, f"took {init.ended - begun:.1f} s")
        equal(read(trace), "post-stop\n")
        if "hold" in hook:
            check(re.search("post-start .*: the app ended", read(log)), read(log))
        case.close()


@scenario()
def p65_the_app_ends_during_pre_stop(case):
    """The hook itself ends the app, and may finish; those not begun are skipped."""
    trace = case.path("trace", "")
    hook = f"sh -c 'kill -USR1 $SHIM_APP_PID; sleep 1; echo finished >>{trace}'"
    opts = ["--pre-stop", hook, "--pre-stop", f"sh -c 'echo second >>{trace}'"]
    opts += ["--post-stop", f"sh -c 'echo post-stop >>{trace}'"]
    init = case.start(["signals", "10", "5"], opts=opts)
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 5)
    equal(read(trace), "finished\npost-stop\n")
    check("got 15" not in init.lines(), "the app was told to end, and had ended")


@scenario(modes=NAMED)
def p58_no_pause_for_an_app_that_is_gone(case):
    """A pause before the stop is for the app's sake."""
    init = case.start(["signals", "10", "5"], opts=["--pre-stop", "sleep:30s"])
    init.line("^ready")
    init.signal(TERM)
    init.quiet(0.2)
    begun = time.monotonic()
    init.signal(USR1)
    equal(init.wait(), 5)
    check(init.ended - begun < 3, f"took {init.ended - begun:.1f} s")


@scenario(modes=NAMED)
def a_pre_stop_that_hangs_after_the_app(case):
    init = case.start(
        ["signals", "10", "5"],
        opts=["--pre-stop", f"{case.payload} ignore", "--hook-timeout", "700ms"],
    )
    init.line("^ready")
    init.signal(TERM)
    init.line("^ready", where="err")
    init.signal(USR1)
    equal(init.wait(), 5)
    check("timed out" in init.err, init.err)


@scenario(modes=NAMED)
def leftovers_do_not_take_hooks_with_them(case):
    """What the app left behind is killed after --linger; the hook beside it and its children are
    not."""
    script = f"setsid {case.payload} ignore & {case.payload} signals 15 6"
    init = case.start(
        ["/bin/sh", "-c", script],
        opts=["--linger", "300ms", "--post-stop", "sh -c '(sleep 1; echo inner); echo outer'"],
    )
    init.line("^ready", count=2)
    init.signal(TERM)
    init.wait()
    equal(re.findall("^(inner|outer)$", init.err, re.M), ["inner", "outer"])


# -- post-stop comes on every path


@scenario(limit=40)
def p66_post_stop_on_every_path(case):
    network()
    hook = ["--post-stop", "sh -c 'echo post-stop $SHIM_EXIT_CODE'"]
    for app, opts, code in (
        (["exit", "0"], [], 0),
        (["exit", "3"], [], 3),
        (["kill", "9"], [], 137),
        (["/nope/app"], [], 127),
        (["/etc/passwd"], [], 126),
        (["exit", "0"], ["--pre-start", "sh -c 'exit 4'"], 4),
        (APP, ["--post-start", "sh -c 'exit 4'"], 4),
        (["exit", "0"], ["--wait-for", "file:/nope", "--wait-timeout", "300ms"], 124),
    ):
        if case.mode == "kernel" and code in (126, 127):
            continue  # there is another program before it
        init = case.run(app, opts=[*hook, *opts])
        equal(init.status, code)
        equal(re.findall("^post-stop .*$", init.err, re.M), [f"post-stop {code}"], f"{app} {opts}")
    for app, opts, ready, code in (
        (APP, [], "ready", 6),
        (["hold"], [], "ready", 143),
        (["exit", "0"], ["--wait-for", "file:/nope"], None, 143),
        (["exit", "0"], ["--pre-start", f"{case.payload} hold"], None, 143),
    ):
        init = case.start(app, opts=[*hook, *opts])
        init.line("ready" if ready else "waiting for|ready", where="out" if ready else "err")
        init.signal(TERM)
        equal(init.wait(), code, f"{app} {opts}")
        equal(re.findall("^post-stop .*$", init.err, re.M), [f"post-stop {code}"], f"{app} {opts}")


@scenario()
def post_stop_comes_once(case):
    trace = case.path("trace", "")
    hook = f"sh -c 'echo begun >>{trace}; sleep 0.7; echo ended >>{trace}'"
    init = case.start(APP, opts=["--post-stop", hook, "--linger", "100ms"])
    init.line("^ready")
    init.signal(TERM)
    eventually(lambda: "begun" in read(trace), "the hook runs")
    init.signal(TERM)
    init.signal(2)
    equal(init.wait(), 6)
    equal(read(trace), "begun\nended\n")


# -- results


@scenario(modes=NAMED)
def results_are_in_the_message(case):
    network()
    Server(answer(500), 8080)
    log = case.path("message", "")
    opts = ["--pre-start", "true", "--post-start", "sleep:1ms"]
    opts += ["--pre-stop", "http://127.0.0.1:8080/quit", "--post-stop", "sh -c 'exit 2'"]
    init = case.start(
        APP, opts=[*opts, "-v", "--termination-log", log, "--termination-format", "json"]
    )
    init.line("^ready")
    init.line("-> running", where="err")
    init.signal(TERM)
    equal(init.wait(), 6)
    got = json.loads(read(log))
    equal(got["exitCode"], 6)
    text = json.dumps(got["hooks"])
    equal(len(got["hooks"]), 4, text)
    for word in ("pre-start", "post-start", "pre-stop", "post-stop", "status 500", "exit 2", "ok"):
        check(word in text, word, text)


@scenario(modes=NAMED)
def a_script_of_many_lines_is_told_on_one(case):
    """As people write them in a manifest."""
    log = case.path("message")
    hook = "sh -c 'echo one\n\texit 3\n'"
    init = case.run(APP, opts=["--pre-start", hook, "--termination-log", log])
    equal(init.status, 3)
    check(init.err.startswith("one\n"), init.err)
    equal(len(init.err.splitlines()), 2, init.err)
    equal(len(read(log).splitlines()), 1, read(log))


@scenario(modes=NAMED)
def silent_when_all_is_well(case):
    opts = []
    for kind in KINDS:
        opts += [f"--{kind}", "true", f"--{kind}", "sleep:1ms"]
    init = case.start(APP, opts=opts)
    init.line("^ready")
    init.quiet(0.3)
    init.signal(TERM)
    equal(init.wait(), 6)
    equal(init.err, "")


# -- odd places


@scenario(modes=("pid1", "plain"))
def as_any_uid(case):
    network()
    server = Server(answer(200), 8080)
    opts = []
    for kind in KINDS:
        opts += [f"--{kind}", f"{case.payload} report", f"--{kind}", "http://127.0.0.1:8080/"]
    init = case.start(APP, opts=[*opts, "-v"], prefix=["-u", "1234567"])
    init.line("^ready")
    init.line("-> running", where="err")
    init.signal(TERM)
    equal(init.wait(), 6)
    equal(re.findall(r"^uid (\d+)$", init.err, re.M), ["1234567"] * 4)
    equal(len(server.requests), 4)
    check("failed" not in init.err, init.err)


@scenario(modes=("pid1", "plain"))
def no_process_to_be_had(case):
    """The limit of processes is reached: that is said, and the stop goes on all the same."""
    log = case.path("message", "", 0o666)
    uid = 1000000 + os.getpid()
    init = case.start(
        ["crowd", "20"],
        opts=["--pre-stop", "true", "--pre-stop", "http://127.0.0.1/", "--termination-log", log],
        prefix=["-n", "22", "-u", str(uid)],
    )
    init.line("^ready")
    begun = time.monotonic()
    init.signal(TERM)
    equal(init.wait(), 0)
    check(init.ended - begun < 5)
    equal(len(re.findall("pre-stop hook .* failed after .*: .*", init.err)), 2, init.err)
    check(re.search("limit|Resource temporarily", init.err), init.err)
    check("pre-stop" in read(log), read(log))


@scenario(modes=("pid1",))
def no_dev_null(case):
    """An image without /dev: hooks run."""
    init = case.run(
        ["exit", "3"],
        opts=["--pre-start", f"{case.payload} exit 0", "--post-stop", f"{case.payload} report"],
        shell="mount -t tmpfs none /dev",
    )
    equal(init.status, 3)
    check("fds" in init.err and "failed" not in init.err, init.err)


@scenario(modes=("pid1", "plain"))
def an_app_that_ignores_everything(case):
    """Its hooks run all the same, and post-stop when it has been killed."""
    init = case.start(
        ["ignore"],
        opts=["--pre-stop", "echo before", "--post-stop", "echo after $x", "--grace", "2s"],
    )
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 137)
    check("before" in init.err.splitlines(), init.err)


@scenario(modes=("sub",))
def hooks_die_with_shim(case):
    """A request under way answers to nobody any more when shim is killed."""
    network()
    server = Server(silent, 8080)
    init = case.start(APP, opts=["--pre-stop", "http://127.0.0.1:8080/"], after=5000)
    init.line("^ready")
    app = init.app()
    init.signal(TERM)
    eventually(lambda: server.requests, "the request")
    worker = next(pid for pid in proc_children(init.pid) if pid != app)
    init.signal(KILL)
    eventually(lambda: not proc_status(worker), "it is gone", 3)
    check(proc_status(app), "the app is the witness that the namespace is not gone")
