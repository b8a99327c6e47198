"""D. The termination message."""

import json
import os
import re
import shutil

from harness import NAMED, check, equal, eventually, read, regular, scenario

TERM, KILL = 15, 9
MOUNTED = (
    "mount -t tmpfs t /dev; mknod /dev/null c 1 3; : >/dev/termination-log;"
    "mount --bind {} /dev/termination-log"
)


def message(case, app, want_status, opts=(), stop=None, **how):
    """Runs app with a message file; returns what is in it."""
    log = how.pop("log", None) or case.path("message")
    init = case.start(app, opts=["--termination-log", log, *opts], find=bool(stop), **how)
    if stop:
        init.line("^ready")
        init.signal(stop)
    equal(init.wait(), want_status)
    return read(log) if regular(log) else None


@scenario()
def text(case):
    got = message(case, ["exit", "7"], 7)
    check(re.fullmatch(r"\S+ exited (with )?(status )?7 after \d+(\.\d+)?m?s\n?", got), repr(got))
    os.unlink(case.path("message"))
    got = message(case, ["exit", "0"], 0)
    check(re.match(r"\S+ exited 0 after ", got), f"success is written too: {got!r}")
    os.unlink(case.path("message"))
    got = message(case, ["kill", "9"], 137)
    check(re.match(r"\S+ killed by SIGKILL after ", got), repr(got))
    check("memory" not in got, repr(got))
    os.unlink(case.path("message"))
    got = message(case, ["hold"], 143, stop=TERM)
    check(re.search(r"killed by SIGTERM after .*; stop requested .* before", got), repr(got))


@scenario(modes=NAMED)
def one_line_only(case):
    for app, status in ((["exit", "7"], 7), (["/no\nwhere"], 127)):
        got = message(case, app, status)
        check(len(got.rstrip("\n").splitlines()) == 1, repr(got))
        os.unlink(case.path("message"))


@scenario(modes=NAMED)
def exec_failure_is_a_reason(case):
    got = message(case, ["/nope/app"], 127)
    check("/nope/app" in got and "No such file" in got, repr(got))


@scenario()
def json_facts(case):
    opts = ["--termination-format", "json"]
    got = json.loads(message(case, ["exit", "7"], 7, opts))
    equal(got["exitCode"], 7)
    for key in ("reason", "startedAt", "finishedAt", "phases"):
        check(key in got, f"{key} is missing: {got}")
    check(re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d", got["startedAt"]), got["startedAt"])
    os.unlink(case.path("message"))
    got = json.loads(message(case, ["kill", "11"], 139, opts))
    equal((got["exitCode"], got["coreDumped"]), (139, False))
    check(got["signal"] in ("SIGSEGV", 11), got)
    check(not got.get("oomKilled"), got)
    os.unlink(case.path("message"))
    got = json.loads(message(case, ["hold"], 143, opts, stop=TERM))
    equal(got["exitCode"], 143)
    check("SIGTERM" in json.dumps(got), got)


@scenario(modes=NAMED)
def json_is_valid_whatever_the_name(case):
    name = case.path('a"b\\c\tü', b"#!/bin/sh\nexit 3\n", 0o755)
    got = json.loads(message(case, [name], 3, ["--termination-format=json"]))
    equal(got["exitCode"], 3)


@scenario(modes=NAMED)
def not_utf8_name(case):
    name = os.path.join(os.fsencode(case.dir), b'\xff\xfe"app')
    with open(name, "wb") as f:
        f.write(b"#!/bin/sh\nexit 3\n")
    os.chmod(name, 0o755)
    message(case, [os.fsdecode(name)], 3, ["--termination-format=json"])
    with open(case.path("message"), "rb") as f:
        equal(json.loads(f.read().decode("utf-8"))["exitCode"], 3)


@scenario()
def p32_crash_safe(case):
    """SIGKILL of shim while it stops leaves the last known state."""
    log = case.path("message")
    for form in ("text", "json"):
        init = case.start(["ignore"], opts=["--termination-log", log, "--termination-format", form])
        init.line("^ready")
        init.signal(TERM)
        eventually(lambda: regular(log) and read(log), "the state is written")
        init.signal(KILL)
        init.wait()
        got = read(log)
        check("stop" in got, repr(got))
        if form == "json":
            json.loads(got)
        os.unlink(log)


@scenario()
def p32_budget_spent(case):
    got = message(case, ["ignore"], 137, ["--grace", "1s"], stop=TERM)
    check(re.search(r"stop", got) and "payload" in got, f"stage, survivors: {got!r}")
    check(re.search(r"\d(\.\d)?s", got), f"seconds: {got!r}")


@scenario(modes=NAMED)
def budget_spent_when_no_process_is_left_to_name(case):
    """Only a hook of shim's is left: the line says so, and does not end in nothing."""
    hook = "sh -c 'trap \"\" TERM; echo hook up >&2; while :; do sleep 0.1; done'"
    init = case.start(["exit", "7"], opts=["--post-stop", hook, "--grace", "1s"])
    init.line("hook up", where="err")
    init.signal(TERM)
    equal(init.wait(), 7)
    check(re.search("the grace period is over, killing .", init.err), init.err)


@scenario()
def the_dead_are_no_survivors(case):
    """A zombie that the app has not waited for is not said to be still alive."""
    got = message(
        case,
        ["/bin/sh", "-c", f"sleep 0 & exec {case.payload} signals"],
        137,
        ["--grace", "1s"],
        stop=TERM,
    )
    check("payload" in got and "sleep" not in got, repr(got))


@scenario(modes=NAMED)
def apps_own_message_is_kept(case):
    log = case.path("message")
    for script in (
        f"echo own words >{log}; exit 3",
        f"echo own words >>{log}; exit 3",
        f"printf 'own words' >{log}; exit 3",
    ):
        got = message(case, ["/bin/sh", "-c", script], 3)
        check(got.startswith("own words\n"), repr(got))
        check(re.search(r"\nsh exited 3 after", got), repr(got))
        os.unlink(log)


@scenario()
def apps_message_from_before_shim(case):
    log = case.path("message", "from an init container\n")
    got = message(case, ["exit", "3"], 3, log=log)
    check("exited 3" in got, repr(got))


@scenario()
def apps_own_message_while_stopping(case):
    """By then shim has written a state: the app's words stay, shim's last line follows, once."""
    log = case.path("message")
    for how, form in ((">", "text"), (">>", "text"), (">", "json"), (">>", "json")):
        script = (
            f"trap 'echo good bye {how}{log}; exit 3' TERM; echo ready;"
            f"while :; do sleep 0.1; done"
        )
        init = case.start(
            ["/bin/sh", "-c", script], opts=["--termination-log", log, "--termination-format", form]
        )
        init.line("^ready")
        init.signal(TERM)
        equal(init.wait(), 3)
        got = read(log)
        check("good bye\n" in got, f"{how} {form}: {got!r}")
        check(
            got.index("good bye") < got.index("3", got.index("good bye")), f"{how} {form}: {got!r}"
        )
        equal(got.count("\0"), 0, "holes")
        check(len(got.splitlines()) <= 3, f"{how} {form}: {got!r}")
        os.unlink(log)


@scenario(modes=NAMED)
def a_long_message_is_cut(case):
    log = case.path("message")
    got = message(case, ["/bin/sh", "-c", f"head -c 6000 /dev/zero | tr '\\0' x >{log}; exit 3"], 3)
    check(got.startswith("x" * 100), "the app's own message is gone")
    name = case.path("n" * 200, "#!/bin/sh\nexit 3\n", 0o755)
    os.unlink(log)
    check(len(message(case, [name], 3)) <= 4096)


@scenario()
def on_failure_only(case):
    opts = ["--termination-on", "failure"]
    check(not message(case, ["exit", "0"], 0, opts), "written for success")
    check("exited 3" in message(case, ["exit", "3"], 3, opts))
    os.unlink(case.path("message"))
    check(
        not message(case, ["signals", "15", "0"], 0, opts, stop=TERM), "the state is not taken back"
    )
    check(not message(case, ["exit", "3"], 0, opts + ["-e", "3"]), "reported as success")


@scenario()
def default_file_if_it_exists(case):
    log = case.path("message", "")
    equal(case.run(["exit", "7"], shell=MOUNTED.format(log)).status, 7)
    check("exited 7" in read(log), repr(read(log)))
    log = case.path("other", "")
    equal(
        case.run(["exit", "7"], shell=MOUNTED.format(log), opts=["--termination-log=none"]).status,
        7,
    )
    equal(read(log), "")
    equal(case.run(["exit", "7"], shell="mount -t tmpfs t /dev").status, 7)


@scenario()
def default_file_is_not_made(case):
    os.mkdir(case.path("dev"))
    init = case.run(["exit", "7"], shell=f"mount --bind {case.path('dev')} /dev")
    equal((init.status, init.err), (7, ""))
    equal(os.listdir(case.path("dev")), [])


@scenario(modes=("pid1",))
def p31_nothing_under_a_peers_name(case):
    """FallbackToLogsOnError works as before."""
    for name in ("tini", "docker-init", "tini-static", "dumb-init", "catatonit", "podman-init"):
        binary = case.path(name)
        shutil.copy(case.shim, binary)
        log = case.path("message", "")
        init = case.run(["exit", "7"], shell=MOUNTED.format(log), binary=binary)
        equal((init.status, read(log)), (7, ""), name)


@scenario()
def p29_odd_files(case):
    """Whatever the file is: the status and the time are the app's."""
    target = case.path("target", "untouched")
    os.symlink(target, case.path("symlink"))
    os.mkfifo(case.path("fifo"))
    os.mkdir(case.path("directory"))
    for log in ("symlink", "fifo", "directory", "missing/file"):
        init = case.run(["exit", "7"], opts=["--termination-log", case.path(log)], timeout=5)
        equal(init.status, 7, log)
        equal(init.out, "", log)
        equal(len(init.err.splitlines()), 1, init.err)
        check(re.search(f"warning: no termination message: .*{log}: .", init.err), init.err)
    equal(read(target), "untouched")
    reader = os.open(case.path("fifo"), os.O_RDONLY | os.O_NONBLOCK)
    equal(
        case.run(["exit", "7"], opts=["--termination-log", case.path("fifo")], timeout=5).status, 7
    )
    equal(os.read(reader, 100), b"", "written into a FIFO")
    os.close(reader)
    for device in ("/dev/full", "/dev/null", "/dev/zero"):
        equal(
            case.run(["exit", "7"], opts=["--termination-log", device], timeout=5).status, 7, device
        )
    check(not os.path.exists(case.path("missing")))


@scenario()
def p29_full_and_read_only(case):
    mount = f"mkdir -p {case.dir}/m; mount -t tmpfs -o size=4k t {case.dir}/m;"
    log = f"{case.dir}/m/log"
    for shell in (
        mount + f": >{log}; head -c 9000 /dev/zero >{case.dir}/m/fill || :",
        mount + f": >{log}; mount -o remount,ro {case.dir}/m",
        mount + f"mount -o remount,ro {case.dir}/m",
    ):
        init = case.start(["signals", "15", "7"], opts=["--termination-log", log], shell=shell)
        init.line("^ready")
        init.signal(TERM)
        equal(init.wait(5), 7, shell)


@scenario()
def p29_not_ours_to_write(case):
    log = case.path("message", "", 0o644)
    init = case.run(["exit", "7"], prefix=["-u", "1000"], opts=["--termination-log", log])
    equal((init.status, read(log)), (7, ""))
    os.chmod(log, 0o666)
    init = case.run(["exit", "7"], prefix=["-u", "1000"], opts=["--termination-log", log])
    check("exited 7" in read(log), "as a user that may write it")


@scenario()
def a_relative_path(case):
    """Opened before shim goes to /."""
    init = case.start(["signals", "15", "7"], opts=["--termination-log", "message"], cwd=case.dir)
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 7)
    check("exited 7" in read(case.path("message")))


@scenario()
def the_app_does_not_inherit_the_file(case):
    facts = case.start(
        ["report"], opts=["--termination-log", case.path("message")], find=False
    ).report()
    equal(facts["fds"], "0 1 2")


@scenario()
def p28_real_code_in_the_message(case):
    got = message(case, ["exit", "143"], 0, ["-e", "143"])
    check("143" in got, repr(got))
