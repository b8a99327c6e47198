"""--json-logs, --log-format and --termination-tail: what becomes of the app's output."""

import json
import os
import platform
import re
import socket
import time

from harness import NAMED, Skip, check, equal, eventually, proc_children, proc_status, read, scenario, tool

TERM, KILL, PIPE = 15, 9, 13
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"
PIECE = 16 * 1024  # a longer line is cut
HELD = 900 * 1024  # what the child, the pipe and the buffers of a test can hold, generously


def sh(text):
    return ["/bin/sh", "-c", text]


def records(text):
    """Each line of a log as a dict; that each is one object is the first thing to check."""
    found = []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            raise AssertionError(f"no JSON: {line!r}") from None
    return found


def messages(text, stream="stdout"):
    return [r["message"] for r in records(text) if r.get("stream") == stream]


def run(case, app, opts=(), status=0, **how):
    init = case.run(app, opts=["--json-logs", *opts], **how)
    equal(init.status, status, init.err)
    return init


def writer(init):
    """The outer pid of the child that writes the log: shim's own, and not the server or so."""
    mine = os.readlink(f"/proc/{init.pid}/exe")

    def find():
        for pid in proc_children(init.pid):
            try:
                if os.readlink(f"/proc/{pid}/exe") == mine:
                    return pid
            except OSError:
                pass
        return None

    return eventually(find, "the log is written by a child")


def app_of(init):
    mine = writer(init)
    return eventually(lambda: [p for p in proc_children(init.pid) if p != mine], "an app")[0]


# -- records


@scenario()
def one_object_a_record(case):
    before = time.time()
    init = run(case, sh("echo one; echo two; echo three >&2; exit 5"), status=5)
    out, err = records(init.out), records(init.err)
    equal([list(r) for r in out + err], [["time", "stream", "message"]] * 3)
    equal([(r["stream"], r["message"]) for r in out], [("stdout", "one"), ("stdout", "two")])
    equal([(r["stream"], r["message"]) for r in err], [("stderr", "three")])
    for r in out + err:
        check(re.fullmatch(TIME, r["time"]), r)
        seconds = time.mktime(time.strptime(r["time"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        check(before - 2 < seconds < time.time() + 2, r)


@scenario(modes=NAMED)
def json_stays_as_it_is(case):
    lines = [
        '{"a": 1, "b": [1.5e-3, "\\u00e9 \\" ü", null, true], "c": {}}',
        '  {"indented":{}}  ',
        "{}",
        '{"long":"' + "x" * 40000 + '"}',
    ]
    wrong = ['{"a":}', '{"a":1} x', "[1]", "{", '{"a":01}', '{"a":"\t"}', "12", '{"a":1']
    path = case.path("lines", "\n".join(lines + wrong) + "\n")
    init = run(case, ["cat", path])
    got = init.out.splitlines()
    equal(got[: len(lines)], lines)
    equal(messages("\n".join(got[len(lines) :])), wrong)
    init = run(case, ["cat", path], opts=["--json-nest", "app"])
    got = records(init.out)
    equal([r["app"] for r in got[: len(lines)]], [json.loads(line) for line in lines])
    equal(list(got[0]), ["time", "stream", "app"])
    equal([r["message"] for r in got[len(lines) :]], wrong)


@scenario()
def partial_lines_are_not_held_for_long(case):
    init = case.start(sh("printf part; sleep 3; echo ' and rest'; echo x"), opts=["--json-logs"])
    init.line('"part"')
    began = time.monotonic()
    init.wait()
    check(time.monotonic() - began > 1.5, "it was there long before the rest")
    got = records(init.out)
    equal([r["message"] for r in got], ["part", " and rest", "x"])
    equal([r.get("partial") for r in got], [True, None, None])


@scenario(modes=NAMED)
def the_end_of_a_file_is_the_end_of_a_line(case):
    equal([r for r in records(run(case, sh("printf end")).out)][0].get("partial"), None)
    equal(messages(run(case, sh("printf 'a\\n\\nb'")).out), ["a", "", "b"])


@scenario()
def long_lines_are_cut(case):
    text = "".join(f"{i:07d}é" for i in range(7000))
    path = case.path("long", f"before\n{text}\n{'y' * PIECE}\nafter\n")
    got = records(run(case, ["cat", path]).out)
    equal((got[0]["message"], got[-1]["message"]), ("before", "after"))
    equal((got[-2]["message"], got[-2].get("partial")), ("y" * PIECE, None), "just short enough")
    pieces = got[1:-2]
    equal("".join(p["message"] for p in pieces), text)
    check(all(len(p["message"].encode()) <= PIECE for p in pieces))
    equal([p.get("partial") for p in pieces], [True] * (len(pieces) - 1) + [None])


@scenario(modes=NAMED)
def binary_is_safe(case):
    junk = bytes(range(256)).replace(b"\n", b"") * 3
    path = case.path("junk", junk + b"\nok\r\n\xe2\x82\n\xed\xa0\x80\n\xf0\x9f\x98\x80\n")
    init = run(case, ["cat", path])
    data = init.buffers["out"].decode()  # which is a check: it is UTF-8
    got = messages(data)
    equal(got[0], junk.decode("ascii", errors="replace"))
    equal(got[1:], ["ok", "\ufffd\ufffd", "\ufffd" * 3, "\U0001f600"])


@scenario(modes=NAMED)
def traces_are_folded(case):
    """Of the programs that really throw, see traces.py."""
    script = r"""
        printf 'plain\nException in thread "main" java.lang.E: x\n\tat a.B.c(B.java:1)\n' >&2
        sleep 0.05
        printf 'Caused by: java.lang.F: y\n\t... 1 more\nafter\n' >&2"""
    got = records(run(case, sh(script)).err)
    equal([(r["message"].split("\n")[0][:9], r.get("lines")) for r in got],
          [("plain", None), ("Exception", 5 - 1), ("after", None)])


@scenario(modes=NAMED)
def traces_of_two_streams_do_not_mix(case):
    script = r"""for i in 1 2 3 4 5 6 7 8; do
        printf 'E%d\n\tat a\n' $i; printf 'F%d\n' $i >&2; printf '\tat b\n'; done"""
    with open(case.path("both"), "wb") as both:
        run(case, sh(script), stdout=both, stderr=both)
    got = read(case.path("both"))
    equal([m.split("\n") for m in messages(got)],
          [[f"E{i}", "\tat a", "\tat b"] for i in range(1, 9)])
    equal(messages(got, "stderr"), [f"F{i}" for i in range(1, 9)])


# -- readers who are slow, or gone


def fill(path):
    """A line at a time, 100 bytes each, and how many in path."""
    return ["/usr/bin/python3", "-c", f"""
import os
for i in range(100000):
    os.write(1, b"%09d " % i + b"x" * 89 + b"\\n")
    if i % 100 == 99: os.truncate({path!r}, i + 1)
    if i == 9999: os.write(2, b"still here\\n")
"""]


@scenario(limit=60)
def a_reader_who_stops_stops_the_app(case):
    done = case.path("done", "")
    from_app, to_log = os.pipe()
    init = case.start(fill(done), opts=["--json-logs"], stdout=to_log)
    os.close(to_log)
    last = -1
    for _ in range(50):
        size = os.stat(done).st_size
        if size and size == last:
            break
        last = size
        time.sleep(0.3)
    check(0 < last * 100 < HELD, f"the app has written {last} lines and waits")
    with os.fdopen(from_app, "rb") as f:
        text = f.read()
    equal(init.wait(), 0)
    equal([m[:9] for m in messages(text.decode())], [f"{i:09d}" for i in range(100000)])
    equal(messages(init.err, "stderr"), ["still here"])


@scenario(modes=NAMED, limit=60)
def an_old_kernel(case):
    """Without pwritev2() a pipe is asked first, and gets no more than it has promised to take."""
    if platform.machine() != "x86_64":
        raise Skip("the number is that of x86-64")
    for error in ("1", "38"):
        done = case.path("done", "")
        from_app, to_log = os.pipe()
        init = case.start(fill(done), opts=["--json-logs"], stdout=to_log,
                          prefix=["-e", error, "328"])
        os.close(to_log)
        eventually(lambda: os.stat(done).st_size, "the app has begun")
        time.sleep(0.3)
        check(os.stat(done).st_size * 100 < HELD, "and waits")
        with os.fdopen(from_app, "rb") as f:
            text = f.read()
        equal(init.wait(), 0)
        equal([m[:9] for m in messages(text.decode())], [f"{i:09d}" for i in range(100000)])
        equal(messages(init.err, "stderr"), ["still here"])


@scenario(modes=NAMED)
def a_socket(case):
    """systemd's journal is one."""
    ours, logs = socket.socketpair()
    init = case.start(sh("seq 20000; echo err >&2"), opts=["--json-logs"], stdout=logs, stderr=logs)
    logs.close()
    with ours.makefile() as f:
        text = f.read()
    equal(init.wait(), 0)
    equal(messages(text), [str(i) for i in range(1, 20001)])
    equal(messages(text, "stderr"), ["err"])


@scenario()
def one_stream_does_not_wait_for_the_other(case):
    from_app, to_log = os.pipe()
    script = "(while :; do echo 0123456789abcdef; done) & sleep 1; echo here >&2; wait"
    init = case.start(sh(script), opts=["--json-logs", "--linger", "0"], stdout=to_log)
    os.close(to_log)
    init.line('"here"', where="err")
    os.close(from_app)


@scenario()
def a_reader_who_goes_away(case):
    """The app gets the SIGPIPE that it would get without shim."""
    from_app, to_log = os.pipe()
    init = case.start(["yes"], opts=["--json-logs"], stdout=to_log)
    os.close(to_log)
    check(os.read(from_app, 100).startswith(b'{"time":'))
    os.close(from_app)
    equal(init.wait(), 128 + PIPE)


@scenario(modes=NAMED)
def a_full_disk(case):
    with open("/dev/full", "wb") as full:
        init = run(case, sh("seq 100000 && echo fine >&2"), stdout=full)
    equal(messages(init.err, "stderr"), ["fine"])
    check("No space left" in init.err, init.err)


@scenario(modes=NAMED)
def closed_descriptors(case):
    """What is closed is closed for the app, too, and nothing else gets its number."""
    look = "exec 9>$0; for fd in 0 1 2; do test -e /proc/$$/fd/$fd || echo $fd >&9; done; exit 3"
    for closing, closed in ((">&-", "1"), ("2>&-", "2"), (">&- 2>&-", "12"), ("<&- >&- 2>&-", "012")):
        out = case.path("closed")
        init = case.run([*sh(look), out], opts=["--json-logs"], shell=f"exec {closing}")
        equal((init.status, read(out).split()), (3, list(closed)), closing)
    init = case.run(sh("echo still"), opts=["--json-logs"], shell="exec 2>&-")
    equal(messages(init.out), ["still"])


# -- the child


@scenario(limit=60)
def the_child_is_killed(case):
    """The app waits and hears nothing of it; what is lost is what the child held."""
    script = "import os\nfor i in range(200000): os.write(1, b'%09d\\n' % i)\nos.write(2, b'end\\n')"
    init = case.start(["/usr/bin/python3", "-c", script], opts=["--json-logs"])
    for _ in range(2):
        before = len(init.buffers["out"])
        eventually(lambda: init.read(0.05) and len(init.buffers["out"]) > before + 2000000, "more")
        pid = writer(init)
        os.kill(pid, KILL)
        eventually(lambda: writer(init) != pid, "it is started again")
    equal(init.wait(40), 0)
    lines = init.out.splitlines()
    numbers, torn = [], 0
    for line in lines:
        try:
            numbers.append(json.loads(line)["message"])
        except ValueError:
            torn += 1  # the child was killed within a line
    check(torn <= 2, torn)
    whole = [int(n) for n in numbers if re.fullmatch(r"\d{9}", n)]
    check(len(numbers) - len(whole) <= 2, "and began within one")
    equal(whole, sorted(whole))
    equal((whole[0], whole[-1]), (0, 199999))
    gaps = [(a, b) for a, b in zip(whole, whole[1:]) if b != a + 1]
    check(len(gaps) <= 2, gaps)
    check(all((b - a) * 10 <= 512 * 1024 for a, b in gaps), gaps)
    equal(messages(init.err, "stderr"), ["end"])
    equal(init.err.count("starting it again"), 2)


@scenario()
def the_child_is_killed_at_rest(case):
    """Nothing is lost then, and nobody is hurt."""
    init = case.start(["signals", "15", "6"], opts=["--json-logs"])
    init.line('"ready')
    os.kill(writer(init), KILL)
    init.signal(10)
    init.line('"got 10"')
    init.signal(TERM)
    equal(init.wait(), 6)
    init.line('"got 15"')


@scenario()
def the_child_is_killed_at_the_end(case):
    """It is started once more for what is in the pipe."""
    from_app, to_log = os.pipe()
    script = "seq 1000000 & sleep 0.5; exit 4"  # seq fills all there is, and waits
    init = case.start(sh(script), opts=["--json-logs", "--linger", "0", "-v"], stdout=to_log)
    os.close(to_log)
    init.line("exited with 4", where="err")
    os.kill(writer(init), KILL)
    init.line("starting it again", where="err")
    with os.fdopen(from_app, "rb") as f:
        lines = f.read().splitlines()
    equal(init.wait(), 4)
    numbers = []
    for line in lines:
        try:
            numbers.append(int(json.loads(line)["message"]))
        except ValueError:
            numbers.append(-1)  # it was killed within a line
    gap = numbers.index(-1)
    check(len(numbers) - gap > 5000, f"{len(numbers)} lines, cut after {gap}")
    rest = numbers[gap + 2 : -1]  # the next one begins within one, and what is last may be cut, too
    equal(rest, list(range(rest[0], rest[0] + len(rest))))


@scenario(modes=("sub",))
def somebody_still_holds_the_pipe(case):
    """The end does not wait for what a daemon might say."""
    script = "echo said; setsid sleep 30 & exit 3"
    began = time.monotonic()
    init = case.start(sh(script), opts=["--json-logs", "--linger", "0"], find=False)
    equal(init.wait(), 3)
    equal(messages(init.out), ["said"])
    check(time.monotonic() - began < 9)


@scenario(limit=40)
def nobody_reads_at_the_end(case):
    """It is waited for, but not for ever, and the budget is kept."""
    from_app, to_log = os.pipe()
    message = case.path("message")
    init = case.start(
        sh("seq 12000; echo over >&2; exec sleep 60"),
        opts=["--json-logs", "--grace", "3s", "--termination-log", message],
        stdout=to_log,
    )
    os.close(to_log)
    init.line('"over"', where="err")
    began = time.monotonic()
    init.signal(TERM)
    equal(init.wait(), 143)
    check(1 < time.monotonic() - began < 3, "within the grace period")
    check("lost" in init.err, init.err)
    check("killed by SIGTERM" in read(message))
    os.close(from_app)


@scenario(modes=NAMED)
def a_terminal_is_left_alone(case):
    init = case.run(sh("test -t 1 && echo a terminal"), opts=["--json-logs"], tty="leader")
    check("\na terminal" in init.text("tty"), init.text("tty"))
    check("warning: --json-logs: stdout is a terminal" in init.text("tty"))


# -- who else speaks


@scenario()
def hooks_are_in_the_log(case):
    opts = ["--pre-start", "sh -c 'echo out; echo err >&2'", "--post-stop", "echo late"]
    init = run(case, sh("echo app"), opts=opts)
    got = [r for r in records(init.err) if r["source"] == "hook"]
    equal([(r["stream"], r["message"]) for r in got],
          [("stderr", "out"), ("stderr", "err"), ("stderr", "late")])
    equal(messages(init.out), ["app"])


@scenario(modes=NAMED)
def what_shim_says(case):
    """JSON with --json-logs, or when it is asked for; text otherwise, also when that is."""
    init = run(case, sh("exit 3"), opts=["-v"], status=3)
    got = [r for r in records(init.err) if r["source"] == "shim"]
    check(all(list(r) == ["time", "level", "source", "message"] for r in got), got)
    check(any(r["message"].startswith("app exited with 3") and r["level"] == "info" for r in got))
    init = case.run(['/no\n"where'], opts=["--log-format", "json"])
    equal((init.status, len(init.err.splitlines())), (127, 1))
    got = json.loads(init.err)
    check(got["level"] == "error" and "where" in got["message"], got)
    init = case.run(sh("exit 3"), opts=["--log-format=json", "--log-format", "text", "-v"])
    check(init.err.startswith("shim: "), init.err)
    init = case.run(sh("exit 3"), opts=["--log-format", "json", "--nope"])
    equal(json.loads(init.err)["level"], "error", "bad usage, too")


@scenario(modes=("pid1",))
def never_in_a_peers_name(case):
    link = case.path("tini")
    os.symlink(case.shim, link)
    init = case.run(["/nope"], opts=["-vvv"], binary=link,
                    env={"SHIM_OPTS": "--log-format=json", "PATH": "/bin"})
    check("{" not in init.err and "[FATAL tini" in init.err, init.err)


# -- the last lines in the termination message


def tail(case, script, opts=(), status=4, **how):
    path = case.path("message")
    if os.path.exists(path):
        os.unlink(path)
    init = case.run(sh(script), opts=["--termination-log", path, *opts], **how)
    equal(init.status, status, init.err)
    return read(path), init


@scenario()
def tail_of_stderr(case):
    script = "for i in 1 2 3 4; do echo out; echo err $i >&2; done; exit 4"
    for opts in ([], ["--json-logs"]):
        got, init = tail(case, script, ["--termination-tail", "2", *opts])
        lines = got.splitlines()
        check(re.match(r"\S+ exited 4 after ", lines[0]), got)
        equal(lines[1:], ["err 3", "err 4"])
        got, _ = tail(case, script, ["--termination-tail=3", "--termination-format=json", *opts])
        equal(json.loads(got)["tail"], "err 2\nerr 3\nerr 4")
        check("err" not in json.loads(got)["message"])
        got, _ = tail(case, script.replace("4;", "4;").replace("exit 4", "exit 0"),
                      ["--termination-tail", "2", *opts], status=0)
        equal(len(got.splitlines()), 1, "it did not fail")
    init = case.run(sh("exit 4"), opts=["--termination-tail", "5"])
    equal((init.status, init.err), (4, ""))


@scenario(modes=NAMED)
def tail_is_bounded(case):
    """4096 bytes in all, cut between lines and characters; what is no text does no harm."""
    script = "for i in 1 2 3 4 5 6 7 8 9; do printf '%0700d %d\\n' 0 $i >&2; done; exit 4"
    got, _ = tail(case, script, ["--termination-tail", "100"])
    lines = got.splitlines()
    check(len(got) <= 4096 and lines[0].startswith("sh exited 4"), got)
    equal([line[-2:] for line in lines[1:]], [f" {i}" for i in range(5, 10)])
    got, _ = tail(case, script, ["--termination-tail", "100", "--termination-format", "json"])
    check(len(got) <= 4096)
    equal([line[-2:] for line in json.loads(got)["tail"].splitlines()],
          [f" {i}" for i in range(5, 10)])
    script = r"printf 'a\033[31m\377\000b\303\251\r\n\n\nlast' >&2; exit 4"
    got, _ = tail(case, script, ["--termination-tail", "4"])
    equal(got.splitlines()[1:], ["a?[31m\ufffd?b\u00e9 ", "", "", "last"])


@scenario()
def tail_passes_everything_through(case):
    """Without --json-logs not a byte is changed; stdout is not touched at all."""
    junk = os.urandom(300000) + b"no line break at the end"
    path = case.path("junk", junk)
    init = case.run(sh(f"test -p /proc/self/fd/2; cat {path} >&2; exec cat {path}"),
                    opts=["--termination-tail", "1"])
    equal(init.status, 0)
    check(init.buffers["err"] == junk and init.buffers["out"] == junk, "as it was")


@scenario(modes=NAMED)
def tail_keeps_the_order_of_one_file(case):
    with open(case.path("both"), "wb") as both:
        init = case.run(sh("for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done; exit 1"),
                        opts=["--termination-tail", "1"], stdout=both, stderr=both)
    equal(init.status, 1)
    equal(read(case.path("both")), "".join(f"o{i}\ne{i}\n" for i in range(1, 6)))


# -- places


@scenario(modes=NAMED)
def standard_input_is_the_apps(case):
    path = case.path("input", "one\ntwo\n")
    with open(path, "rb") as f:
        equal(messages(run(case, ["cat"], stdin=f).out), ["one", "two"])


@scenario(modes=NAMED)
def another_user(case):
    """/dev/stdout can be opened by whom the app becomes; shim itself may be anybody."""
    setpriv = tool("setpriv")
    become = [setpriv, "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    init = run(case, [*become, *sh("echo a >/dev/stdout; echo b >/dev/stderr; echo c")])
    equal(messages(init.out), ["a", "c"])
    equal(messages(init.err, "stderr"), ["b"])
    init = run(case, sh("echo a >/dev/stdout; id -u; echo b >&2"), prefix=["-u", "1000680000"])
    equal(messages(init.out), ["a", "1000680000"])
    equal(messages(init.err, "stderr"), ["b"])


@scenario(modes=NAMED)
def no_helper_is_left_of_it(case):
    """The child dies with shim, and does not keep it from ending."""
    init = case.start(["hold"], opts=["--json-logs"])
    pid = writer(init)
    app_of(init)
    init.signal(KILL if case.mode == "sub" else TERM)
    init.wait()
    eventually(lambda: proc_status(pid).get("State", "Z")[0] in "ZX", "it is gone")


@scenario(modes=("pid1",))
def explained(case):
    init = case.run(["hold"], opts=["--explain", "--json-logs", "--termination-tail", "2",
                                    "--termination-log", "none"])
    equal(init.status, 0)
    check("one JSON object a record" in init.out and "warning: --termination-tail" in init.out)


@scenario(modes=("pid1",))
def nobody_wakes_up_at_rest(case):
    """What is held is written once, and then there is silence."""
    init = case.start(sh("printf 'E\\npart'; exec sleep 60"), opts=["--json-logs"])
    init.line('"part"')

    def switches():
        return [proc_status(pid)["voluntary_ctxt_switches"] for pid in (init.pid, writer(init))]

    init.quiet(0.5)
    before = switches()
    init.quiet(1)
    equal(switches(), before)
