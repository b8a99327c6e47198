"""C. Exit codes, exec errors, and the reason for the end."""

import os
import re
import signal

from harness import INIT, NAMED, Skip, check, equal, read, scenario

TERM = signal.SIGTERM
FATAL = [n for n in range(1, 65) if n not in (17, 18, 19, 20, 21, 22, 23, 28)]  # end by default


@scenario(limit=120)
def p24_every_exit_code(case):
    for code in range(256):
        equal(case.run(["exit", str(code)]).status, code)
        case.close()


@scenario(limit=120)
def p26_every_signal_as_cause_of_death(case):
    for signo in FATAL:
        equal(case.run(["kill", str(signo)]).status, 128 + signo, f"killed by {signo}")
        case.close()


@scenario(modes=NAMED)
def p20_exec_failures(case):
    loop = case.path("loop")
    os.symlink(loop, loop)
    bad_elf = case.path(
        "elf", b"\x7fELF\x02\x01\x01" + b"\0" * 9 + b"\x02\x00\xff\x7f" + b"\0" * 60, 0o755
    )
    for command, want, words in (
        ("/nope", 127, "No such file"),
        ("nope-nowhere", 127, "(No such file|not found)"),
        ("", 127, ""),
        ("/etc/passwd", 126, "(Permission denied|not executable)"),
        ("/etc", 126, "directory"),
        (bad_elf, 126, ""),
        ("/etc/passwd/x", 126, "Not a directory"),
        (loop, 126, "symbolic links"),
        ("/" + "x" * 300, 126, "name too long"),
    ):
        init = case.run(["/usr/bin/env", command][1:])
        equal(init.status, want, command)
        equal(init.out, "")
        equal(len(init.err.splitlines()), 1, f"lines on stderr for {command!r}: {init.err!r}")
        check(command[:80] in init.err, f"{command!r} is not named: {init.err!r}")
        check(re.search(words, init.err, re.I), f"{words!r} not in {init.err!r}")


@scenario(modes=NAMED)
def p20_path_search(case):
    case.path("tool", "#!/bin/sh\nexit 9\n", 0o644)
    path = f"{case.dir}:/usr/bin:/bin"
    equal(case.run(["tool"], env={"PATH": path}).status, 126, "found, may not be executed")
    os.chmod(case.path("tool"), 0o755)
    equal(case.run(["tool"], env={"PATH": path}).status, 9)
    equal(case.run(["tool"], env={"PATH": "/usr/bin:/nowhere"}).status, 127)


@scenario(modes=NAMED)
def exec_errors_explain_themselves(case):
    machine = bytearray(read_bytes(case.payload))
    machine[18:20] = b"\xb7\x00" if machine[18] != 0xB7 else b"\x3e\x00"  # arm64, or else x86-64
    for name, content, words in (
        ("noint", "#!/opt/python9/bin/python\n", "/opt/python9/bin/python"),
        ("cr", "#!/bin/sh\r\necho hi\r\n", r"(CR|carriage return|\\r|Windows|DOS)"),
        ("arch", bytes(machine), "(architecture|aarch64|arm64|x86|machine)"),
    ):
        path = case.path(name, content, 0o755)
        init = case.run([path])
        check(init.status in (126, 127), f"{name}: status {init.status}")
        if name == "arch":
            equal(init.status, 126)
        check(re.search(words, init.err, re.I), f"{name}: {init.err!r} does not say {words}")
        equal(len(init.err.splitlines()), 1, f"{name}: lines")


def read_bytes(path):
    with open(path, "rb") as f:
        return f.read()


@scenario(modes=NAMED)
def exec_error_dynamic_loader_missing(case):
    """The classic of glibc programs in an Alpine image: the file is there, its loader is not."""
    data = read_bytes("/bin/true")
    at = data.find(b"/lib64/ld-linux-x86-64.so.2\0")
    if at < 0:
        raise Skip("needs a dynamic /bin/true of x86-64")
    path = case.path(
        "app",
        data.replace(b"/lib64/ld-linux-x86-64.so.2\0", b"/lib64/ld-nowhere-64.so.9\0\0\0"),
        0o755,
    )
    init = case.run([path])
    check(init.status in (126, 127), init.status)
    check("/lib64/ld-nowhere-64.so.9" in init.err, f"loader not named: {init.err!r}")


@scenario(modes=("sub",), limit=40)
def exec_error_arguments_too_long(case):
    """Only a #! line makes the arguments longer than those shim itself was started with."""
    script = case.path("script", "#!/bin/sh " + "x" * 100 + "\n", 0o755)
    loop = case.path(
        "loop.sh",
        f"""
ulimit -s 512
pad=$(head -c 129000 /dev/zero | tr '\\0' x)
more=$(head -c 32 /dev/zero | tr '\\0' y)
for i in $(seq 80); do
    pad=$pad$more
    {case.shim} -s -- {script} "$pad" 2>err && continue
    [ $? = 126 ] && grep -q '^shim:' err && cat err && exit 42
done
cat err
exit 43
""",
    )
    init = case.run(
        ["/bin/sh", loop],
        binary="/usr/bin/env",
        cwd=case.dir,
        dashes=False,
        opts=[],
        subreaper=False,
    )
    equal(init.status, 42, "no length found at which only the app is too large")
    check(re.search("argument", init.out, re.I), f"{init.out!r}")
    check(re.search(r"\d", init.out.replace(script, "")), f"no size, no limit: {init.out!r}")


@scenario(modes=NAMED)
def exec_error_process_limit(case):
    init = case.run(["exit", "0"], prefix=["-n", "1", "-u", "1000680000"])
    check(init.status in (125, 126), f"status {init.status}")
    check(re.search("limit", init.err, re.I), f"says nothing of a limit: {init.err!r}")


@scenario(modes=NAMED)
def p22_script_without_shebang(case):
    script = case.path("script", "echo hi $1\n", 0o755)
    init = case.run([script, "there"])
    equal((init.status, init.out), (0, "hi there\n"))


@scenario(modes=NAMED)
def p22_script_without_shebang_and_shell(case):
    os.link(case.shim, case.path("shim"))
    case.path("script", "echo hi\n", 0o755)
    init = case.run(["/script"], prefix=["-r", case.dir], binary="/shim")
    equal(init.status, 126)
    check("#!" in init.err, f"does not say that there is no #!: {init.err!r}")


@scenario()
def p23_expected_exit_code(case):
    equal(case.run(["exit", "143"], opts=["-e", "143"]).status, 0)
    equal(case.run(["exit", "143"], opts=["-e", "143:7"]).status, 7)
    equal(case.run(["exit", "142"], opts=["-e", "143"]).status, 142)
    equal(case.run(["kill", "9"], opts=["-e", "137:3"]).status, 3, "a death counts as 128+n")
    equal(case.run(["exit", "4"], opts=["-e", "3", "--expect-exit=4", "-e", "5"]).status, 0)
    equal(case.run(["exit", "0"], opts=["-e", "0:9"]).status, 9)


@scenario(limit=30)
def p23_clean_stop(case):
    log = case.path("message")
    opts = ["--clean-stop", "--termination-log", log]
    for app, stop, want in (
        (["signals", "15", "143"], True, 0),
        (["hold"], True, 0),
        (["exit", "143"], False, 143),
        (["exit", "128"], False, 128),
        (["kill", "15"], False, 143),
        (["signals", "15", "3"], True, 3),
        (["signals", "15", "130"], True, 130),
        (["signals", "15", "0"], True, 0),
    ):
        init = case.start(app, opts=opts, find=stop)
        if stop:
            init.line("^ready")
            init.signal(TERM)
        equal(init.wait(), want, f"{app}")
        if "143" in app and stop:
            check("143" in read(log), f"the real code is not in the message: {read(log)!r}")


@scenario()
def p23_clean_stop_leaves_something(case):
    """A shell with a handler has decided to end, whatever it started in that very moment and left
    behind; one that the signal killed has not."""
    for handler, want in (("trap 'exit 143' TERM;", 0), ("", 143)):
        script = f"{handler} {case.payload} slow 15 60000 0 & wait"
        init = case.start(["/bin/sh", "-c", script], opts=["--clean-stop", "--linger", "200ms"])
        init.line("^ready")
        init.signal(TERM)
        equal(init.wait(), want, f"{handler!r}")
        check("payload" in init.err, init.err)
        case.close()


@scenario()
def p23_clean_stop_with_another_signal(case):
    init = case.start(["signals", "3", "131"], opts=["--clean-stop", "--stop-signal", "QUIT"])
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 0, "stopped by QUIT, ended with 128+QUIT")


@scenario()
def p26_core_dump(case):
    if read("/proc/sys/kernel/core_pattern").startswith("|"):
        raise Skip("cores go to a program here")
    log = case.path("message")
    opts = ["--termination-log", log]
    init = case.run(["kill", "11"], opts=opts, prefix=["-C"], cwd=case.dir)
    equal(init.status, 139)
    check(re.search(r"killed by SIGSEGV \(core dumped\)", read(log)), read(log))
    os.unlink(log)
    init = case.run(["kill", "11"], opts=opts, shell="ulimit -c 0")
    check("SIGSEGV" in read(log) and "core" not in read(log), read(log))
    equal(case.run(["/bin/sh", "-c", "ulimit -c"], prefix=["-C"]).out, "unlimited\n")


@scenario(modes=INIT, limit=40)
def p27_out_of_memory(case):
    base = "/sys/fs/cgroup/memory"
    if not os.path.exists(base + "/memory.oom_control"):
        raise Skip("needs a cgroup v1 memory controller (v2: see containers)")
    group = f"{base}/shim-test-{os.getpid()}"
    os.mkdir(group)
    try:
        with open(group + "/memory.limit_in_bytes", "w") as f:
            f.write(str(64 << 20))
        place = f"echo $$ > {group}/cgroup.procs; mount --bind {group} {base}"
        log = case.path("message")
        hog = ["/usr/bin/python3", "-c", "x = bytearray(200 << 20)"]
        equal(case.run(hog, opts=["--termination-log", log], shell=place).status, 137)
        check(re.search("out of memory.*64", read(log), re.I), read(log))
        os.unlink(log)
        equal(case.run(["kill", "9"], opts=["--termination-log", log], shell=place).status, 137)
        check("memory" not in read(log), f"an old OOM is blamed: {read(log)!r}")
    finally:
        case.close()
        os.rmdir(group)


@scenario()
def p28_status_of_the_app_in_every_path(case):
    equal(case.run(["exit", "10"]).status, 10)
    init = case.start(["signals", "15", "10"], opts=["--grace", "30s"])
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 10)
    init = case.start(["slow", "15", "500", "10"], opts=["--linger", "0", "--grace", "30"])
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 10)


@scenario(modes=NAMED)
def no_words_in_normal_work(case):
    init = case.run(["exit", "3"])
    equal((init.status, init.out, init.err), (3, "", ""))
    init = case.start(["signals", "15", "0"])
    init.line("^ready")
    init.signal(signal.SIGHUP)
    init.line("^got 1$")
    init.signal(TERM)
    equal((init.wait(), init.err), (0, ""))
