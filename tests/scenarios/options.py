"""Options, SHIM_OPTS and usage errors; --install; P19, P51, P52."""

import os
import re
import shutil

from harness import NAMED, check, equal, read, scenario

TERM, USR1 = 15, 10

WRONG = [
    (["--grace", "5x"], "5x"),
    (["--grace", "-1"], "-1"),
    (["--grace", ""], "--grace"),
    (["--grace", "1.5"], "1.5"),
    (["--grace"], "--grace"),
    (["--reserve", "abc"], "abc"),
    (["--linger", "1d"], "1d"),
    (["--linger=5 s"], "5 s"),
    (["-r", "TERM"], "TERM"),
    (["-r", "FOO:TERM"], "FOO"),
    (["-r", "TERM:99"], "99"),
    (["-r", "TERM:"], "TERM:"),
    (["-r", "0:TERM"], "0:TERM"),
    (["-r", "15:3x"], "15:3x"),
    (["--rewrite", "65:1"], "65"),
    (["--stop-signal", "FOO"], "FOO"),
    (["--stop-signal", "0"], "0"),
    (["--stop-on", "TERM,,INT"], "TERM,,INT"),
    (["--stop-on", ""], "--stop-on"),
    (["--stop-on", "TERM INT"], "TERM INT"),
    (["--scope", "everything"], "everything"),
    (["--scope"], "--scope"),
    (["-e", "256"], "256"),
    (["-e", "abc"], "abc"),
    (["-e", "1:300"], "300"),
    (["-e", "5junk"], "5junk"),
    (["-e", "-1"], "-1"),
    (["-e", ""], "-e"),
    (["--termination-format", "xml"], "xml"),
    (["--termination-on", "never"], "never"),
    (["-p", "FOO"], "FOO"),
    (["-p", "0"], "0"),
    (["--bogus"], "--bogus"),
    (["-Z"], "Z"),
    (["--until-empty=yes"], "--until-empty"),
    (["--scop", "group"], "--scop"),
    (["-p"], "-p"),
    (["--stop-signal", "RTMIN+31"], "RTMIN+31"),
]


def refused(init, what, words=""):
    equal(init.status, 125, what)
    equal(init.out, "", what)
    check(init.err.strip(), f"{what}: says nothing")
    check(words in init.err, f"{what}: {words!r} is not in {init.err!r}")


@scenario(modes=("pid1",), limit=30)
def usage_errors(case):
    """One line that names option, value and what was expected; 125; nothing was started."""
    for options, words in WRONG:
        init = case.run(["/bin/sh", "-c", "echo started"], opts=options)
        refused(init, f"{options}", words)
        equal(len(init.err.splitlines()), 1, f"lines for {options}: {init.err!r}")
        case.close()


@scenario(modes=("pid1",))
def options_of_later_issues_are_absent_or_work(case):
    """Never accepted silently: what --help does not list is refused."""
    listed = case.run(["-h"], dashes=False).out
    for name in (
        "wait-for",
        "pre-start",
        "post-start",
        "pre-stop",
        "post-stop",
        "drain",
        "health",
        "ready-probe",
        "user",
        "caps",
        "json-logs",
        "explain",
        "check",
    ):
        if f"--{name}" not in listed:
            refused(case.run(["echo"], opts=[f"--{name}", "x"]), name)


@scenario(modes=("pid1",))
def p51_no_command(case):
    for words in ([], ["--"], ["--grace", "5s"], ["-g", "--"]):
        init = case.run(words, dashes=False)
        refused(init, f"shim {words}")
    equal(case.run([""]).status, 127)


@scenario(modes=NAMED)
def p52_shim_opts(case):
    env = {"PATH": "/bin:/usr/bin", "SHIM_OPTS": "-r TERM:QUIT --linger '1s'"}
    init = case.start(["signals", "3", "6"], env=env)
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 6)
    init = case.start(["signals", "1", "6"], env=env, opts=["--rewrite", "TERM:HUP"])
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 6, "the command line comes after SHIM_OPTS")
    for value in ("", "   "):
        equal(case.run(["exit", "7"], env={"SHIM_OPTS": value}).status, 7)


@scenario(modes=("pid1",))
def p52_shim_opts_that_are_wrong(case):
    for value, words in (
        ("--grace 5x", "5x"),
        ("--bogus", "--bogus"),
        ("'open", "SHIM_OPTS"),
        ("--grace", "--grace"),
        ("echo hi", "SHIM_OPTS"),
        ("-- echo", "SHIM_OPTS"),
    ):
        init = case.run(["/bin/sh", "-c", "echo started"], env={"SHIM_OPTS": value})
        refused(init, f"SHIM_OPTS={value}", words)
        equal(len(init.err.splitlines()), 1, init.err)


@scenario(modes=("pid1",))
def p52_shim_opts_is_split_like_a_shell_would(case):
    log = case.path("a b")
    for value in (
        f"--termination-log '{log}'",
        f'--termination-log "{log}"',
        "--termination-log " + log.replace(" ", "\\ "),
        f"'--termination-log={log}'",
    ):
        equal(case.run(["exit", "7"], env={"SHIM_OPTS": value}).status, 7)
        check("exited 7" in read(log), value)
        os.unlink(log)
    case.run(["exit", "7"], env={"SHIM_OPTS": "--termination-log $HOME/x", "HOME": case.dir})
    check(not os.path.exists(case.path("x")), "expanded a variable")


@scenario(modes=NAMED)
def p52_a_nested_shim_gets_nothing(case):
    inner = [case.shim, "-s", "--", case.payload, "signals", "15", "6"]
    init = case.start(inner, env={"SHIM_OPTS": "-r TERM:QUIT -r QUIT:TERM"})
    init.line("^ready")
    init.signal(3)
    equal(init.wait(), 6, "QUIT is rewritten once, by the outer one")


@scenario(modes=("pid1",))
def help_version_licence(case):
    for words, pattern in (
        (["-h"], r"--grace"),
        (["--help"], r"--scope"),
        (["-V"], r"^shim \d"),
        (["--version"], r"^shim \d"),
        (["-l"], r"MIT|Permission is hereby granted"),
        (["-L"], r"MIT|Permission is hereby granted"),
    ):
        init = case.run(words, dashes=False)
        equal((init.status, init.err), (0, ""), f"{words}")
        check(re.search(pattern, init.out, re.M), f"{words}: {init.out[:200]!r}")
        check(max(len(line) for line in init.out.splitlines()) <= 80, f"{words}: wide lines")


@scenario(modes=("pid1",))
def help_cannot_be_written(case):
    with open("/dev/full", "wb") as full:
        case.run(["-h"], dashes=False, stdout=full)  # whatever the status: it ends


@scenario(modes=("pid1",))
def p19_shebang(case):
    script = case.path("script", f"#!{case.shim} /bin/sh\necho hi $1\nexit 6\n", 0o755)
    init = case.run(["a"], binary=script, dashes=False)
    equal((init.status, init.out), (6, "hi a\n"))


@scenario(modes=("pid1",))
def p19_version_as_docker_reads_it(case):
    binary = case.path("docker-init")
    shutil.copy(case.shim, binary)
    init = case.run(["--version"], binary=binary, dashes=False)
    equal(init.status, 0)
    check(
        re.match(r"tini version \d+\.\d+\.\d+( - git\.[0-9a-f]+)?$", init.out.splitlines()[0]),
        init.out,
    )


@scenario(modes=NAMED)
def verbose(case):
    """-v tells the lifecycle, -vv every signal too; on stderr only."""
    init = case.run(["exit", "7"], opts=["-v"])
    equal((init.status, init.out), (7, ""))
    check(init.err and all(line.startswith("shim") for line in init.err.splitlines()), init.err)
    init = case.start(["signals", "15", "7"], opts=["-v"])
    init.line("^ready")
    init.signal(USR1)
    init.line("^got 10$")
    init.signal(TERM)
    equal(init.wait(), 7)
    check("stop" in init.err and re.search(r"\d\.\ds", init.err), init.err)
    init = case.start(["signals", "15", "7"], opts=["-vv"])
    init.line("^ready")
    init.signal(USR1)
    init.line("^got 10$")
    init.signal(TERM)
    equal(init.wait(), 7)
    check("SIGUSR1" in init.err, init.err)
    check("got" not in init.err and "shim" not in init.out)


@scenario(modes=("pid1",))
def option_forms(case):
    """Long with a blank or =, short with or without one, and flags in one word."""
    for opts in (
        ["--expect-exit", "7"],
        ["--expect-exit=7"],
        ["-e", "7"],
        ["-e7"],
        ["-gse7"],
        ["-se", "7"],
    ):
        equal(case.run(["exit", "7"], opts=opts).status, 0, f"{opts}")
    for value in ("250ms", "5s", "2m", "1h", "3", "0"):
        equal(case.run(["exit", "7"], opts=["--linger", value]).status, 7, value)
    for value in ("TERM", "SIGTERM", "term", "15", "RTMIN+3", "RTMAX", "SIGRTMIN+30"):
        equal(case.run(["exit", "7"], opts=["--stop-signal", value]).status, 7, value)


@scenario(modes=("pid1",))
def install(case):
    target = case.path("volume")
    os.mkdir(target)
    for _ in range(2):  # the second time it is there already
        init = case.run(["--install", target], dashes=False)
        equal((init.status, init.err), (0, ""))
        equal(os.listdir(target), ["shim"])
        equal(os.stat(target + "/shim").st_mode & 0o7777, 0o755)
        with open(target + "/shim", "rb") as a, open(case.shim, "rb") as b:
            check(a.read() == b.read(), "not the same bytes")
    equal(case.run(["exit", "7"], binary=target + "/shim").status, 7)


@scenario(modes=("pid1",))
def install_while_it_runs(case):
    """Replaced, not written over (ETXTBSY, or a torn binary)."""
    target = case.path("volume")
    os.mkdir(target)
    case.run(["--install", target], dashes=False)
    first = os.stat(target + "/shim").st_ino
    case.run(["--install", target], dashes=False)
    check(os.stat(target + "/shim").st_ino != first, "the file was written over")


@scenario(modes=("pid1",))
def install_under_a_narrow_umask(case):
    target = case.path("volume")
    os.mkdir(target)
    case.run(["--install", target], dashes=False, shell="umask 077")
    equal(os.stat(target + "/shim").st_mode & 0o7777, 0o755)


@scenario(modes=("pid1",))
def install_that_cannot(case):
    os.mkdir(case.path("full"))
    for words, how in (
        (["--install", case.path("missing")], {}),
        (["--install", "/etc/passwd"], {}),
        (["--install", case.dir], {"prefix": ["-u", "1000"]}),
        (
            ["--install", case.path("full")],
            {"shell": f"mount -t tmpfs -o size=8k t {case.path('full')}"},
        ),
    ):
        init = case.run(words, dashes=False, **how)
        refused(init, f"{words}", words[1])
        equal(len(init.err.splitlines()), 1, init.err)
    equal(sorted(os.listdir(case.dir)), ["full"], "nothing half done is left")


@scenario(modes=("pid1",))
def an_error_is_one_line(case):
    """Whatever the value holds."""
    for option in ("--wait-for", "--health", "--grace", "--pre-stop"):
        init = case.run(["exit", "0"], opts=[option, "a\nb\x1b[31m'"])
        equal(init.status, 125, option)
        equal(len(init.err.splitlines()), 1, init.err)
        check("\x1b" not in init.err, init.err)
        case.close()


@scenario(modes=("pid1",))
def explain_opens_and_changes_nothing(case):
    log, ready = case.path("message", "the app's"), case.path("ready", "")
    trace = case.path("trace")
    init = case.run(
        ["exit", "0"],
        opts=[
            *("--explain", "--health", "8080", "--drain", "5s", "--grace", "30s"),
            *("--termination-log", log, "--ready-file", ready, "--pre-stop", "sleep:1s"),
        ],
        wrap=["strace", "-f", "-o", trace, "-e", "trace=bind,unlink,unlinkat,openat,open"],
    )
    equal(init.status, 0)
    check(re.search(r"^ +25\.0s  at the latest", init.out, re.M), init.out)
    equal([read(log), os.path.exists(ready)], ["the app's", True])
    calls = read(trace).split('execve')[-1]
    check("bind(" not in calls and "unlink" not in calls, calls)


@scenario(modes=("pid1",))
def a_method_without_a_url_is_no_command(case):
    init = case.run(["exit", "0"], opts=["--pre-stop", "POST :8080/quit"])
    equal(init.status, 125)
    check("POST http://" in init.err, init.err)
