"""The health server as a process: its end, its port, its visitors, and what it costs."""

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
    switches,
)

TERM, KILL = 15, 9
PORT = 9090
HEALTH = ["--health", f"127.0.0.1:{PORT}"]
APP = ["signals", "15", "6"]


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
        ["slow", "15", "300", "6"],
        opts=[*HEALTH, "--pre-stop", "sleep:2s", "--post-stop", "sleep:2s"],
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


@scenario(modes=("pid1", "plain", "kernel"), limit=40)
def nothing_happens_at_rest(case):
    """With everything switched on, neither PID 1 nor its children wake up in 10 s."""
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
    init.quiet(10)
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
