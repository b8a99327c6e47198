"""The truth about readiness: what the endpoints and the file say in each phase (P61, P76)."""

import json
import os
import re
import socket
import threading
import time

from harness import NAMED, check, equal, eventually, read, scenario
from network import (
    Server,
    answer,
    becomes,
    get,
    network,
    silent,
)

TERM, USR1 = 15, 10
PORT = 9090
HEALTH = ["--health", f"127.0.0.1:{PORT}"]
APP = ["signals", "15", "6"]


def answers(want, phase=None):
    """livez, readyz, startupz are these, and /status agrees."""
    got = tuple(get(PORT, path)[0] for path in ("/livez", "/readyz", "/startupz"))
    equal(got, want, f"livez, readyz, startupz while {phase}")
    code, body = get(PORT, "/status")
    equal(code, 200)
    status = json.loads(body)
    if phase:
        check(phase in json.dumps(status), phase, status)
    return status


@scenario(limit=30)
def p61_through_all_phases(case):
    network()
    path = case.path("file")
    for name in ("pre", "post", "stop", "after"):
        os.mkfifo(case.path(name))
    opts = [*HEALTH, "--wait-for", f"file:{path}", "--linger", "0"]
    for kind, name in zip(
        ("pre-start", "post-start", "pre-stop", "post-stop"), ("pre", "post", "stop", "after")
    ):
        opts += [f"--{kind}", f"sh -c 'read x <{case.path(name)}'"]
    init = case.start(["slow", "15", "1000", "6"], opts=opts)

    def go_on(name):
        with open(case.path(name), "w") as f:
            f.write("\n")

    becomes(PORT, "/livez", 200)
    equal(get(PORT, "/readyz")[1], f"waiting for file:{path}\n")
    answers((200, 503, 503), "waiting")
    case.path("file", "")
    eventually(lambda: "pre-start" in get(PORT, "/readyz")[1], "pre-start")
    answers((200, 503, 503), "preparing")
    go_on("pre")
    eventually(lambda: "post-start" in get(PORT, "/readyz")[1], "post-start")
    answers((200, 503, 503), "starting")
    go_on("post")
    becomes(PORT, "/readyz", 200)
    answers((200, 200, 200), "running")
    init.line("^ready")
    init.signal(TERM)
    eventually(lambda: "draining" in get(PORT, "/readyz")[1], "draining")
    answers((200, 503, 200), "draining")
    go_on("stop")
    eventually(lambda: "stopping" in get(PORT, "/readyz")[1], "stopping")
    answers((200, 503, 200), "stopping")
    eventually(lambda: "ended" in get(PORT, "/readyz")[1], "finishing")
    answers((200, 503, 200), "finishing")
    go_on("after")
    equal(init.wait(), 6)
    equal(get(PORT, "/livez"), (0, ""))


@scenario()
def readiness_fails_first(case):
    """Before anything else that a stop brings: the first hook finds it so already."""
    network()
    out = case.path("out", "")
    hook = (
        '/usr/bin/python3 -c "import urllib.request, urllib.error\n'
        f"try: print(urllib.request.urlopen('http://127.0.0.1:{PORT}/readyz').status)\n"
        'except urllib.error.HTTPError as e: print(e.code, e.read().decode())"'
    )
    init = case.start(
        APP,
        opts=[*HEALTH, "--pre-stop", f'sh -c "{hook.replace(chr(34), chr(92) + chr(34))} >{out}"'],
    )
    becomes(PORT, "/readyz", 200)
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 6)
    check(re.match("503 .*draining", read(out)), read(out), init.err)


@scenario(modes=NAMED)
def readiness_fails_without_a_drain(case):
    """Nothing to wait for: the app is told at once, and by then it is not ready."""
    network()
    init = case.start(["slow", "15", "1000", "6"], opts=HEALTH)
    init.line("^ready")
    becomes(PORT, "/readyz", 200)
    init.signal(TERM)
    init.line("^got 15$")
    equal(get(PORT, "/readyz")[0], 503)
    equal(get(PORT, "/livez")[0], 200)
    equal(init.wait(), 6)


@scenario(modes=NAMED)
def a_failing_start_is_never_ready(case):
    network()
    path = case.path("ready")
    seen = []
    over = threading.Event()

    def poll():
        while not over.is_set():
            seen.append(get(PORT, "/readyz")[0])
            seen.append(200 if os.path.exists(path) else 0)

    threading.Thread(target=poll, daemon=True).start()
    hook = "sh -c 'sleep 0.5; exit 3'"
    for kind in ("pre-start", "post-start"):
        init = case.run(APP, opts=[*HEALTH, f"--{kind}", hook, "--ready-file", path])
        equal(init.status, 3)
    over.set()
    check(503 in seen and 200 not in seen, set(seen))


# -- the probe of the app


@scenario(modes=NAMED, limit=30)
def ready_probe(case):
    """/readyz asks it each time; the others do not."""
    network()
    init = case.start(APP, opts=[*HEALTH, "--ready-probe", "http://127.0.0.1:8080/up"])
    init.line("^ready")
    body = becomes(PORT, "/readyz", 503)
    eventually(lambda: "refused" in get(PORT, "/readyz")[1], "why it is not ready")
    equal((get(PORT, "/livez")[0], get(PORT, "/startupz")[0]), (200, 200))
    server = Server(answer(200), 8080)
    becomes(PORT, "/readyz", 200)
    check(server.requests[-1].startswith(b"GET /up HTTP/1.1\r\n"), server.requests, body)
    server.act = answer(500)
    check("status 500" in becomes(PORT, "/readyz", 503))
    count = len(server.requests)
    get(PORT, "/livez")
    equal(len(server.requests), count, "the liveness asked the app")
    server.act = silent
    begun = time.monotonic()
    equal(get(PORT, "/readyz")[0], 503)
    check(0.8 < time.monotonic() - begun < 2.9, f"{time.monotonic() - begun:.2f} s")
    server.act = answer(200)
    becomes(PORT, "/readyz", 200)
    init.signal(TERM)
    equal(init.wait(), 6)


@scenario(modes=("pid1", "plain"))
def ready_probe_kinds(case):
    network()
    path, sock = case.path("file"), case.path("sock")
    listener = socket.socket(socket.AF_UNIX)

    def make_socket():
        listener.bind(sock)
        listener.listen()

    for target, make in (
        ("tcp://127.0.0.1:8081", lambda: Server(answer(200), 8081)),
        (f"file:{path}", lambda: case.path("file", "")),
        (f"unix:{sock}", make_socket),
    ):
        init = case.start(APP, opts=[*HEALTH, "--ready-probe", target])
        init.line("^ready")
        becomes(PORT, "/startupz", 200)
        equal(get(PORT, "/readyz")[0], 503)
        make()
        becomes(PORT, "/readyz", 200)
        init.signal(TERM)
        equal(init.wait(), 6)


@scenario(modes=("pid1",))
def a_silent_app_delays_nobody_else(case):
    """While one /readyz waits for the app, the liveness is answered."""
    network()
    Server(silent, 8080)
    init = case.start(APP, opts=[*HEALTH, "--ready-probe", "http://127.0.0.1:8080/"])
    becomes(PORT, "/livez", 200)
    waiting = threading.Thread(target=get, args=(PORT, "/readyz"), daemon=True)
    waiting.start()
    init.quiet(0.2)
    begun = time.monotonic()
    equal(get(PORT, "/livez")[0], 200)
    check(time.monotonic() - begun < 0.6 and waiting.is_alive())


# -- the file


@scenario()
def ready_file(case):
    """There exactly while ready; one left over from before is removed first."""
    path = case.path("ready", "old")
    gate = case.path("gate")
    os.mkfifo(gate)
    opts = ["--ready-file", path, "--post-start", f"sh -c 'read x <{gate}'"]
    opts += ["--pre-stop", f"sh -c 'test ! -e {path} && echo gone by then'"]
    init = case.start(APP, opts=opts)
    init.line("^ready")
    check(not os.path.exists(path), "it is there while post-start runs")
    with open(gate, "w") as f:
        f.write("\n")
    eventually(lambda: os.path.exists(path), "the file")
    equal(read(path), "")
    init.signal(TERM)
    equal(init.wait(), 6)
    check("gone by then" in init.err, "it was still there when the first hook ran")
    check(not os.path.exists(path), "it is left behind")


@scenario()
def ready_file_goes_with_the_app(case):
    path = case.path("ready")
    for end in (["exit", "3", "500"], ["signals", "10", "3"]):
        init = case.start(end, opts=["--ready-file", path, "--post-stop", f"ls {path}"])
        eventually(lambda: os.path.exists(path), "the file")
        if end[0] == "signals":
            init.line("^ready")
            init.signal(USR1)
        equal(init.wait(), 3)
        check("ls: cannot access" in init.err, init.err)
        check(not os.path.exists(path))


@scenario(modes=NAMED)
def ready_file_relative(case):
    """To where shim was started: it goes to / later."""
    init = case.start(APP, opts=["--ready-file", "ready"], cwd=case.dir)
    eventually(lambda: os.path.exists(case.path("ready")), "the file")
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 6)
    check(not os.path.exists(case.path("ready")))


@scenario(modes=("pid1",))
def ready_file_that_cannot_be(case):
    """A folder that is not there, or nothing may be written to: said once, the app runs."""
    for path in ("/nope/ready", "/proc/ready"):
        init = case.start(APP, opts=["--ready-file", path])
        init.line("^ready")
        init.line(f"--ready-file: {path}: ", where="err")
        init.signal(TERM)
        equal(init.wait(), 6)
        equal(len(init.err.splitlines()), 1, init.err)


@scenario(modes=("pid1",))
def ready_file_is_no_way_to_another(case):
    """A link in its place is replaced, not followed."""
    victim = case.path("victim", "precious")
    os.symlink(victim, case.path("ready"))
    init = case.start(APP, opts=["--ready-file", case.path("ready")])
    init.line("^ready")
    eventually(lambda: not os.path.islink(case.path("ready")), "the link is gone")
    init.signal(TERM)
    equal(init.wait(), 6)
    equal(read(victim), "precious")
