"""The truth about readiness: the health server, the ready file, and what they cost (P61, P76)."""

import json
import os
import random
import re
import socket
import threading
import time

from harness import NAMED, check, equal, eventually, proc_children, proc_status, read, scenario
from network import (
    Server,
    answer,
    becomes,
    descriptors,
    get,
    memory_kib,
    needs_ipv6,
    network,
    serving_app,
    silent,
    switches,
)

TERM, USR1, KILL = 15, 10, 9
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
    for kind, name in zip(("pre-start", "post-start", "pre-stop", "post-stop"), ("pre", "post", "stop", "after")):
        opts += [f"--{kind}", f"sh -c 'read x <{case.path(name)}'"]
    init = case.start(["slow", "15", "1000", "6"], opts=opts)

    def go_on(name):
        with open(case.path(name), "w") as f:
            f.write("\n")

    becomes(PORT, "/livez", 200)
    check("dependencies" in get(PORT, "/readyz")[1], get(PORT, "/readyz"))
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
        "/usr/bin/python3 -c \"import urllib.request, urllib.error\n"
        f"try: print(urllib.request.urlopen('http://127.0.0.1:{PORT}/readyz').status)\n"
        "except urllib.error.HTTPError as e: print(e.code, e.read().decode())\""
    )
    init = case.start(APP, opts=[*HEALTH, "--pre-stop", f"sh -c \"{hook.replace(chr(34), chr(92) + chr(34))} >{out}\""])
    becomes(PORT, "/readyz", 200)
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


# -- the server and its trouble


@scenario()
def the_server_is_killed(case):
    """It is said, and there is another at most a second later; the app hears nothing of it."""
    network()
    init = case.start(["signals", "15", "6"], opts=HEALTH)
    init.line("^ready")
    becomes(PORT, "/readyz", 200)
    for _ in range(2):
        before = set(proc_children(init.pid))
        app = init_app(init)
        for pid in before - {app}:
            os.kill(pid, KILL)
        eventually(lambda: set(proc_children(init.pid)) - before, "another one")
        becomes(PORT, "/readyz", 200)
    init.signal(TERM)
    equal(init.wait(), 6)
    equal(init.lines()[1:], ["got 15"])
    equal(len(re.findall("the health server ended .killed by SIGKILL", init.err)), 2, init.err)


def init_app(init):
    """The child that is not shim itself."""
    mine = os.stat(f"/proc/{init.pid}/exe")
    return next(
        pid
        for pid in proc_children(init.pid)
        if not os.path.samestat(os.stat(f"/proc/{pid}/exe"), mine)
    )


def server_of(init):
    return [pid for pid in proc_children(init.pid) if pid != init_app(init)]


@scenario(modes=("pid1", "plain"), limit=30)
def started_again_at_most_once_a_second(case):
    network()
    init = case.start(APP, opts=HEALTH)
    init.line("^ready")
    end = time.monotonic() + 4
    kills = 0
    while time.monotonic() < end:
        for pid in server_of(init):
            if proc_status(pid).get("State", "Z")[0] != "Z":
                os.kill(pid, KILL)
                kills += 1
        init.read(0.02)
    check(2 <= kills <= 6, f"{kills} in 4 s")
    init.signal(TERM)
    equal(init.wait(), 6)
    equal(len(init.err.splitlines()), kills, init.err)


@scenario(modes=("pid1", "plain"))
def the_server_is_killed_at_each_phase(case):
    network()
    init = case.start(
        ["slow", "15", "300", "6"], opts=[*HEALTH, "--pre-stop", "sleep:2s", "--post-stop", "sleep:2s"]
    )
    init.line("^ready")
    init.signal(TERM)
    init.quiet(0.2)
    os.kill(server_of(init)[0], KILL)
    becomes(PORT, "/livez", 200)
    equal(get(PORT, "/readyz")[0], 503)
    init.line("flushed")
    eventually(lambda: "ended" in get(PORT, "/readyz")[1], "the app has ended")
    for pid in proc_children(init.pid):
        os.kill(pid, KILL)
    becomes(PORT, "/livez", 200)
    equal(init.wait(), 6)


@scenario()
def a_port_in_use(case):
    """125, one line, and nothing was started: not even the wait or a hook."""
    network()
    trace = case.path("trace", "")
    Server(answer(200), PORT)
    opts = [*HEALTH, "--wait-for", "file:/nope"]
    for kind in ("pre-start", "post-stop"):
        opts += [f"--{kind}", f"sh -c 'echo x >>{trace}'"]
    init = case.run(["report"], opts=opts)
    equal((init.status, init.out, read(trace)), (125, "", ""))
    equal(len(init.err.splitlines()), 1, init.err)
    check(str(PORT) in init.err and "in use" in init.err, init.err)


@scenario(modes=("pid1",))
def a_port_that_was_just_in_use(case):
    """A container that starts again finds its predecessor's connections in TIME_WAIT."""
    network()
    for _ in range(2):
        init = case.start(APP, opts=HEALTH)
        init.line("^ready")
        with socket.create_connection(("127.0.0.1", PORT)) as s:
            s.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            check(s.recv(1000).startswith(b"HTTP/1.1 200"))
            init.signal(TERM)
            equal(init.wait(), 6)


@scenario(modes=("pid1",))
def bad_addresses(case):
    for address in ("0", "65536", "x", "1.2.3:80", "::1:80", "[::1]", "localhost:80", ""):
        init = case.run(["report"], opts=["--health", address])
        equal((init.status, init.out), (125, ""), address)
        check(re.search(f"--health.*{re.escape(address)}", init.err), init.err)
    network()
    init = case.run(["report"], opts=["--health", "192.0.2.1:80"])
    equal((init.status, init.out), (125, ""))
    init = case.run(["report"], opts=["--health", "9090", "--ready-probe", "nonsense"])
    equal((init.status, init.out), (125, ""))


@scenario(modes=("pid1", "plain"))
def ipv6_and_ipv4(case):
    network()
    needs_ipv6()
    for address, hosts in (
        (str(PORT), ("127.0.0.1", "::1")),
        (f"[::1]:{PORT}", ("::1",)),
        (f"127.0.0.1:{PORT}", ("127.0.0.1",)),
    ):
        init = case.start(APP, opts=["--health", address])
        init.line("^ready")
        for host in ("127.0.0.1", "::1"):
            if host in hosts:
                becomes(PORT, "/readyz", 200, host=host)
            else:
                equal(get(PORT, "/readyz", host=host)[0], 0, f"{address} from {host}")
        init.signal(TERM)
        equal(init.wait(), 6)


@scenario()
def it_answers_while_lingering(case):
    """P61: until shim's own last step."""
    network()
    script = f"setsid {case.payload} slow 15 1500 0 & exec {case.payload} signals 15 6"
    init = case.start(["/bin/sh", "-c", script], opts=[*HEALTH, "--linger", "10s"])
    init.line("^ready", count=2)
    becomes(PORT, "/readyz", 200)
    init.signal(TERM)
    eventually(lambda: "ended" in get(PORT, "/readyz")[1], "the app has ended")
    equal(get(PORT, "/livez")[0], 200)
    check("flushed" not in init.out)
    equal(init.wait(), 6)
    check("flushed" in init.out)


@scenario()
def it_is_no_reason_to_stay(case):
    """Nobody is left but shim's own child: nothing is waited for, and nobody is named."""
    network()
    begun = time.monotonic()
    init = case.run(["exit", "3"], opts=[*HEALTH, "--linger", "20s"])
    equal((init.status, init.err), (3, ""))
    check(init.ended - begun < 5)
    init = case.run(["exit", "3"], opts=[*HEALTH, "--until-empty"])
    equal((init.status, init.err), (3, ""))


@scenario(modes=("pid1", "plain"))
def as_any_uid(case):
    network()
    init = case.start(APP, opts=["--health", "9090"], prefix=["-u", "1234567"])
    init.line("^ready")
    becomes(PORT, "/readyz", 200)
    init.signal(TERM)
    equal((init.wait(), init.err), (6, ""))


@scenario(modes=NAMED)
def the_app_has_none_of_it(case):
    """Neither the listening socket nor the shared page's descriptor."""
    network()
    init = case.run(["report"], opts=[*HEALTH, "--ready-file", case.path("ready"), "--drain", "0"])
    equal(init.report()["fds"], "0 1 2")


# -- what it costs


@scenario(modes=("pid1", "plain", "kernel"), limit=30)
def nothing_happens_at_rest(case):
    """With everything switched on, neither PID 1 nor its children wake up in 5 s."""
    network()
    Server(answer(200), 8080)
    opts = [*HEALTH, "--ready-probe", "http://127.0.0.1:8080/", "--ready-file", case.path("ready")]
    opts += ["--drain", "1s:5s", "--grace", "30s", "--wait-for", "tcp://127.0.0.1:8080"]
    for kind in ("pre-start", "post-start", "pre-stop", "post-stop"):
        opts += [f"--{kind}", "true"]
    init = case.start(APP, opts=opts)
    init.line("^ready")
    becomes(PORT, "/readyz", 200)
    init.quiet(1.5)
    watched = [p for p in init.processes() if p != init_app(init)]
    check(len(watched) >= 2, watched)
    before = {pid: switches(pid) for pid in watched}
    init.quiet(5)
    equal({pid: switches(pid) for pid in watched}, before, "wake-ups")
    get(PORT, "/livez")
    check({pid: switches(pid) for pid in watched} != before, "the count counts nothing")
    init.signal(TERM)
    equal(init.wait(), 6)


def burst(init, count):
    """Strangers: half requests, noise, long lines, many at once, slow readers."""
    noise = random.Random(5)
    words = [
        b"",
        b"GET /readyz HT",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 2000,
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET " + b"/" * 20000,
        b"GET /livez HTTP/1.1\r\n\r\n" * 50,
    ]
    held = []
    for i in range(count):
        s = socket.socket()
        s.settimeout(2)
        held.append(s)
        if len(held) > 150:
            held.pop(0).close()
        try:
            s.connect(("127.0.0.1", PORT))
            s.sendall(words[i % 7] if i % 7 < 6 else noise.randbytes(noise.randrange(1, 5000)))
        except OSError:
            pass
        init.read(0)
    for s in held:
        s.close()


@scenario(modes=("pid1", "plain"), limit=60)
def an_attack_leaves_pid_1_alone(case):
    network()
    init = case.start(APP, opts=HEALTH)
    init.line("^ready")
    becomes(PORT, "/readyz", 200)
    init.quiet(0.3)
    server = server_of(init)
    before = (memory_kib(init.pid), descriptors(init.pid), switches(init.pid))
    burst(init, 1500)
    becomes(PORT, "/readyz", 200)
    after = (memory_kib(init.pid), descriptors(init.pid), switches(init.pid))
    equal(after[1:], before[1:], "descriptors and wake-ups of PID 1")
    check(after[0] <= before[0] + 8, f"memory of PID 1: {before[0]} -> {after[0]} KiB")
    equal(server_of(init), server, "the server had to be started again")
    check(len(descriptors(server[0])) < 80, descriptors(server[0]))
    check(memory_kib(server[0]) < 2000, f"{memory_kib(server[0])} KiB")
    eventually(lambda: len(descriptors(server[0])) < 12, "connections are closed", 8)
    init.signal(TERM)
    equal((init.wait(), init.lines()[1:], init.err), (6, ["got 15"], ""))


@scenario(modes=("pid1",), limit=40)
def a_stop_under_attack(case):
    network()
    init = case.start(
        serving_app(case, 8080), opts=[*HEALTH, "--drain", "500ms:2s", "--grace", "10s"]
    )
    init.line("^ready")
    becomes(PORT, "/readyz", 200)
    threading.Thread(target=burst_quietly, args=(3000,), daemon=True).start()
    init.quiet(0.3)
    begun = time.monotonic()
    init.signal(TERM)
    equal(init.wait(), 6)
    check(init.ended - begun < 6, f"took {init.ended - begun:.1f} s")


class Deaf:
    def read(self, timeout):
        del timeout


def burst_quietly(count):
    try:
        burst(Deaf(), count)
    except OSError:
        pass
