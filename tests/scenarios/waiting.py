"""--wait-for: dependencies (P74 to P76)."""

import os
import re
import shutil
import socket
import subprocess
import threading
import time

from harness import NAMED, check, equal, read, regular, scenario, tool
from network import Server, answer, certificate, needs_ipv6, network, no_names, silent

TERM, INT, HUP, USR1 = 15, 2, 1, 10


def run(case, targets, opts=(), app=("exit", "5"), **how):
    words = [word for target in targets for word in ("--wait-for", target)]
    return case.start(list(app), opts=[*words, *opts], **how)


@scenario(limit=30)
def p75_each_kind_and_all_at_once(case):
    """None is up at first; the app is not started before the last one is."""
    network()
    context, _ = certificate(case)
    path, sock = case.path("file"), case.path("sock")
    targets = ["tcp://127.0.0.1:8080", "http://127.0.0.1:8081/", "https://127.0.0.1:8443/"]
    init = run(case, [*targets, f"unix:{sock}", f"file:{path}"], app=["signals", "15", "5"])
    for target in targets:
        init.line(f"waiting for {target}: connection refused", where="err")
    init.line(f"waiting for unix:{sock}: ", where="err")
    init.line(f"waiting for file:{path}: ", where="err")
    Server(answer(200), 8080)
    Server(answer(302), 8081)
    Server(answer(204), 8443, tls=context)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sock)
    listener.listen()
    init.quiet(1.5)
    check("ready" not in init.out, "the app was started before the file was there")
    case.path("file", "")
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 5)


@scenario(modes=NAMED)
def silent_when_all_is_up(case):
    network()
    Server(answer(200), 8080)
    path = case.path("file", "")
    init = run(case, ["tcp://127.0.0.1:8080", "http://127.0.0.1:8080/", f"file:{path}"])
    equal((init.wait(), init.err), (5, ""))


@scenario()
def p74_timeout_names_all_that_are_down(case):
    network()
    Server(answer(503), 8080)
    Server(answer(200), 8081)
    log, sock = case.path("message"), case.path("sock")
    targets = ["tcp://127.0.0.1:81", "http://127.0.0.1:8080/ready", f"unix:{sock}", "file:/nope"]
    begun = time.monotonic()
    init = run(
        case,
        [*targets, "tcp://127.0.0.1:8081"],
        ["--wait-timeout", "700ms", "--termination-log", log],
        app=["report"],
    )
    equal(init.wait(), 124)
    check(0.6 < init.ended - begun < 4, f"took {init.ended - begun:.2f} s")
    equal(init.out, "", "the app was started")
    for text in (init.err.splitlines()[-1], read(log)):
        for target, why in zip(
            targets, ("connection refused", "status 503", "No such file", "No such file")
        ):
            check(re.search(f"{re.escape(target)}: {why}", text, re.I), target, text)
        check("8081" not in text, f"one that is up: {text}")
        check(re.search(r"waited 0\.\d", text), text)
    equal(len(read(log).splitlines()), 1)


@scenario()
def p74_a_stop_ends_it_at_once(case):
    network()
    trace = case.path("trace", "")
    for signo, code in ((TERM, 143), (INT, 130)):
        log = case.path("message", "")
        init = run(
            case,
            ["tcp://127.0.0.1:81", "file:/nope"],
            ["--termination-log", log, "--pre-stop", f"sh -c 'echo pre-stop >>{trace}'"]
            + ["--post-stop", f"sh -c 'echo post-stop $SHIM_EXIT_CODE >>{trace}'"],
            app=["report"],
        )
        init.line("waiting for tcp", where="err")
        init.line("waiting for file", where="err")
        begun = time.monotonic()
        init.signal(signo)
        equal(init.wait(), code)
        check(init.ended - begun < 1.5, f"took {init.ended - begun:.2f} s")
        equal(init.out, "", "the app was started")
        check("tcp://127.0.0.1:81: connection refused" in read(log), read(log))
        check(re.search("SIG(TERM|INT) after waiting", read(log)), read(log))
    equal(read(trace).splitlines(), ["post-stop 143", "post-stop 130"])


@scenario(modes=NAMED)
def a_stop_while_a_server_is_silent(case):
    """The try that is under way holds nothing up."""
    network()
    server = Server(silent, 8080)
    init = run(case, ["http://127.0.0.1:8080/"])
    while not server.requests:
        init.quiet(0.05)
    begun = time.monotonic()
    init.signal(TERM)
    equal(init.wait(), 143)
    check(init.ended - begun < 1.5, f"took {init.ended - begun:.2f} s")


@scenario(modes=NAMED)
def other_signals_are_kept(case):
    """They are for the app, as soon as there is one; real-time ones each."""
    path = case.path("file")
    blocked = [word for signo in (HUP, USR1, 40) for word in ("-b", str(signo))]
    init = run(case, [f"file:{path}"], app=["signals", "15", "5"], prefix=blocked)
    init.line("waiting for", where="err")
    for signo in (HUP, USR1, 40, 40):
        init.signal(signo)
    init.quiet(0.3)
    case.path("file", "")
    init.line("^got 40$", count=2)
    init.signal(TERM)
    equal(init.wait(), 5)
    equal(init.lines()[1:], ["got 1", "got 10", "got 40", "got 40", "got 15"])


@scenario(modes=("pid1",), limit=40)
def progress_now_and_then(case):
    """A line when the reason changes and each 5 seconds, not for each try; tries every 200 ms."""
    network()
    server = Server(answer(503), 8080)
    init = run(
        case,
        ["http://127.0.0.1:8080/"],
        ["--wait-interval", "200ms", "--wait-timeout", "11500ms"],
    )
    equal(init.wait(20), 124)
    lines = re.findall(r"waiting for http://127.0.0.1:8080/: status 503(, \d+s)?$", init.err, re.M)
    check(2 <= len(lines) <= 4, init.err)
    check(20 < len(server.requests) < 70, f"{len(server.requests)} tries in 11.5 s")


@scenario(modes=NAMED)
def backs_off(case):
    """100 ms at first, then longer, to --wait-interval at most (1 s if not said otherwise)."""
    network()
    server = Server(answer(503), 8080)
    run(case, ["http://127.0.0.1:8080/"], ["--wait-timeout", "3s"]).wait()
    check(4 <= len(server.requests) <= 8, f"{len(server.requests)} tries in 3 s")


@scenario(modes=NAMED)
def names_are_resolved_anew(case):
    """P76: the name is not known at first, and is another address later."""
    network()
    hosts = case.path("hosts", "127.0.0.1 localhost\n")
    init = run(
        case,
        ["tcp://database.test:8080"],
        ["--wait-interval", "100ms"],
        shell=f"{no_names(case)}; mount --bind {hosts} /etc/hosts",
    )
    init.line("waiting for tcp://database.test:8080: name not found", where="err")
    with open(hosts, "a") as f:
        f.write("127.0.0.9 database.test\n")
    init.line("waiting for tcp://database.test:8080: connection refused", where="err")
    Server(answer(200), 8080, host="127.0.0.8")
    init.quiet(0.3)
    check(init.process.poll() is None, "it went on with an address that is not the name's")
    with open(hosts, "r+") as f:
        f.write("127.0.0.1 localhost\n127.0.0.8 database.test\n")
    equal(init.wait(), 5)


@scenario(modes=("pid1", "plain"))
def both_families(case):
    network()
    needs_ipv6()
    for host, target in (
        ("127.0.0.1", "tcp://:{}"),
        ("::1", "tcp://:{}"),
        ("127.0.0.1", "http://localhost:{}/"),
        ("::1", "http://localhost:{}/"),
        ("::1", "tcp://[::1]:{}"),
    ):
        server = Server(answer(200), host=host)
        init = run(case, [target.format(server.port)])
        equal(init.wait(), 5, f"{host} {target}")
        server.close()


@scenario(modes=("pid1", "plain"))
def hook_ca_counts_for_https(case):
    network()
    context, ca = certificate(case)
    _, stranger = certificate(case, "stranger")
    Server(answer(200), 8443, tls=context)
    target = ["https://127.0.0.1:8443/"]
    equal(run(case, target, ["--hook-ca", ca]).wait(), 5)
    init = run(case, target, ["--hook-ca", stranger, "--wait-timeout", "500ms"])
    equal(init.wait(), 124)
    check("certificate" in init.err, init.err)


@scenario(modes=NAMED)
def before_the_pre_start_hooks(case):
    trace = case.path("trace", "")
    path = case.path("file")
    init = run(case, [f"file:{path}"], ["--pre-start", f"sh -c 'echo hook >>{trace}'"])
    init.line("waiting for", where="err")
    equal(read(trace), "")
    case.path("file", "")
    equal(init.wait(), 5)
    equal(read(trace), "hook\n")


@scenario(modes=("pid1",))
def many(case):
    """As many as can be given, each with a name of its own; the 16th counts as the first."""
    paths = [case.path(f"file{n}") for n in range(16)]
    init = run(case, [f"file:{path}" for path in paths])
    init.line("waiting for file:.*/file15", where="err")
    for path in paths:
        check(init.process.poll() is None and not regular(path))
        open(path, "w").close()
        init.quiet(0.05)
    equal(init.wait(), 5)


@scenario(modes=("pid1", "plain"))
def relative_paths_are_those_of_the_start(case):
    case.path("file", "")
    init = run(case, ["file:file"], cwd=case.dir)
    equal(init.wait(), 5)


@scenario(modes=("pid1",))
def an_accept_that_never_comes(case):
    """The backlog is full: the connection hangs, and the end of the waiting cuts it off."""
    network()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 8080))
    listener.listen(0)
    held = []
    for _ in range(3):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", 8080))
        held.append(s)
    begun = time.monotonic()
    init = run(case, ["tcp://127.0.0.1:8080"], ["--wait-timeout", "1s"])
    equal(init.wait(), 124)
    check(init.ended - begun < 4, f"took {init.ended - begun:.2f} s")
    check("tcp://127.0.0.1:8080" in init.err.splitlines()[-1], init.err)


@scenario()
def a_worker_that_is_killed(case):
    """Somebody kills the process that waits: that is said, and it is started again."""
    path = case.path("file")
    init = run(case, [f"file:{path}"])
    init.line("waiting for", where="err")
    first = init.app()
    init.signal(9, first)
    init.line("waiting for file:.* ended \\(killed by SIGKILL\\); starting it again", where="err")
    check(init.app() != first)
    case.path("file", "")
    equal(init.wait(), 5)


@scenario(modes=NAMED)
def up_while_others_still_wait(case):
    """One that has been up is not asked again."""
    network()
    server = Server(answer(200), 8080)
    path = case.path("file")
    init = run(case, ["http://127.0.0.1:8080/", f"file:{path}"])
    threading.Timer(1.5, lambda: case.path("file", "")).start()
    equal(init.wait(), 5)
    equal(len(server.requests), 1)


# -- --check: the same, once, as a client (P77)


def probe(case, target, opts=(), **how):
    """Its status, and what it said."""
    init = case.start(
        [], opts=["--check", target, *opts], find=False, dashes=False, subreaper=False, **how
    )
    status = init.wait()
    equal(init.out, "")
    return status, init.err


@scenario(modes=("pid1",))
def p77_check(case):
    network()
    server = Server(answer(200), 8080)
    url = "http://127.0.0.1:8080/healthz"
    for good in (200, 204, 302):
        server.act = answer(good)
        equal(probe(case, url), (0, ""))
    server.act = answer(503)
    status, err = probe(case, url)
    equal((status, len(err.splitlines())), (1, 1), err)
    check("status 503" in err, err)
    server.act = silent
    begun = time.monotonic()
    status, err = probe(case, url, ["--timeout", "500ms"])
    equal(status, 1)
    check("timed out" in err and time.monotonic() - begun < 3, err)
    status, err = probe(case, "tcp://127.0.0.1:81")
    check(status == 1 and "connection refused" in err, err)
    equal(probe(case, "tcp://127.0.0.1:8080"), (0, ""))
    equal(probe(case, f"file:{case.path('file', '')}"), (0, ""))
    equal(probe(case, "file:/nope")[0], 1)
    equal(probe(case, "nonsense")[0], 125)


@scenario(modes=("pid1",))
def p77_check_where_there_is_nothing_else(case):
    """An image of shim alone: no shell, no /proc, no resolv.conf; localhost is known anyway."""
    network()
    Server(answer(200), 8080)
    os.mkdir(case.path("root"))
    shutil.copy(case.shim, case.path("root/shim"))

    def run(target):
        command = [tool("unshare"), "-pf", "--kill-child", tool("chroot"), case.path("root")]
        got = subprocess.run([*command, "/shim", "--check", target], capture_output=True, timeout=8)
        return got.returncode, got.stderr.decode()

    for host in ("127.0.0.1", "", "localhost"):
        equal(run(f"http://{host}:8080/"), (0, ""), host)
    status, err = run("http://127.0.0.1:81/")
    check(status == 1 and "refused" in err, err)
