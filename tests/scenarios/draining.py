"""--drain: the app goes on serving, until the connections are gone (P16, P56 to P60)."""

import json
import os
import re
import socket
import subprocess
import threading
import time

from harness import (
    MODES,
    Skip,
    check,
    die_with_parent,
    equal,
    eventually,
    proc_children,
    read,
    scenario,
)
from network import Client, Talk, becomes, get, needs_ipv6, network, serving_app

TERM, INT, USR1, KILL = 15, 2, 10, 9
PORT, HEALTH = 8080, 9090
SOME = ("pid1", "plain", "sub")
LATE = 6.0  # how much later than it should be the machine may make something


def serve(case, drain, opts=(), delay=0, ipv6=False, **how):
    init = case.start(
        serving_app(case, PORT, delay, ipv6), opts=["--drain", drain, "-v", *opts], **how
    )
    init.line("^ready$")
    init.line("-> running", where="err")
    return init


def stopped_after(init, least, most, status=6, signo=TERM):
    """Sends it, and sees when the app is told: between least and most seconds later."""
    begun = time.monotonic()
    init.signal(signo)
    return told_after(init, begun, least, most, status)


def told_after(init, begun, least, most, status=6):
    init.line("^got 15$", timeout=most)
    took = time.monotonic() - begun
    check(least - 0.05 <= took, f"the app was told after {took:.2f} s, not {least}")
    equal(init.wait(), status)
    return took


@scenario()
def without_connections_it_is_the_least_time(case):
    network()
    init = serve(case, "1s:30s")
    stopped_after(init, 1, LATE)


@scenario(modes=SOME)
def zero_is_at_once(case):
    """P57: valid, and no reason to wait."""
    network()
    init = serve(case, "0")
    stopped_after(init, 0, LATE)


@scenario(modes=SOME)
def p56_new_connections_are_served_meanwhile(case):
    """No client is refused while the least time lasts."""
    network()
    init = serve(case, "1500ms")
    init.signal(TERM)
    begun = time.monotonic()
    answers = 0
    while time.monotonic() - begun < 1.2:
        equal(get(PORT, "/")[0], 200, "a request while draining")
        answers += 1
    check(answers > 10, answers)
    check("got 15" not in init.out, "the app was told at once")
    equal(init.wait(), 6)


@scenario()
def a_request_under_way_holds_it(case):
    """P58: one of 3 s; it ends soon after that, not at the most."""
    network()
    init = serve(case, "200ms:30s", ["--drain-idle", "300ms"], delay=3)
    client = Client(PORT)
    client.ask()
    init.quiet(0.2)
    begun = time.monotonic()
    init.signal(TERM)
    check(client.answer().startswith(b"HTTP/1.1 200"), "the answer was lost")
    told_after(init, begun, 2.7, 20)


@scenario(modes=SOME, limit=40)
def an_idle_keep_alive_connection_does_not(case):
    """P59: it was busy once, and is idle for --drain-idle; it holds nothing up after that."""
    network()
    init = serve(case, "300ms:30s", ["--drain-idle", "1s"])
    client = Client(PORT)
    client.ask()
    client.answer()
    took = stopped_after(init, 0.6, 15)
    check(took < 10, took)


@scenario(modes=SOME)
def a_connection_that_has_said_nothing_does_not(case):
    network()
    init = serve(case, "300ms:30s", ["--drain-idle", "500ms"])
    client = Client(PORT)
    init.quiet(0.7)
    stopped_after(init, 0.3, LATE)
    client.close()


@scenario()
def a_busy_keep_alive_connection_holds_it_to_the_most(case):
    network()
    log = case.path("message")
    init = serve(case, "200ms:2s", ["--drain-idle", "1s", "--termination-log", log])
    talk = Talk(PORT)
    init.quiet(0.2)
    stopped_after(init, 2, 2 + LATE)
    check(talk.count > 20, f"{talk.count} requests were answered")
    check(re.search(r"warning: drain: .*still active: 1", init.err), init.err)


@scenario(modes=SOME)
def it_ends_when_the_clients_have_gone(case):
    network()
    init = serve(case, "200ms:30s", ["--drain-idle", "500ms"])
    talks = [Talk(PORT), Talk(PORT)]
    init.quiet(0.2)
    begun = time.monotonic()
    init.signal(TERM)
    init.line("drain: connections active: 2", where="err")
    init.quiet(1)
    check("got 15" not in init.out, "busy connections did not hold it")
    for talk in talks:
        talk.close()
    told_after(init, begun, 1, 15)
    check("drain: no connection active" in init.err, init.err)


@scenario(modes=("pid1", "plain"))
def outgoing_connections_do_not_count(case):
    """A database is talked to all the time, by the app, which listens on another port."""
    network()
    database = socket.create_server(("127.0.0.1", 5432))

    def serve_rows():
        conn, _ = database.accept()
        while conn.recv(100):
            conn.sendall(b"row")

    threading.Thread(target=serve_rows, daemon=True).start()
    busy = (
        "import socket, time\n"
        "s = socket.create_connection(('127.0.0.1', 5432))\n"
        "print('talking', flush=True)\n"
        "while True: s.sendall(b'query'); s.recv(100); time.sleep(0.05)\n"
    )
    script = f"/usr/bin/python3 -c \"{busy}\" & exec {' '.join(serving_app(case, PORT))}"
    init = case.start(["/bin/sh", "-c", script], opts=["--drain", "200ms:30s", "-v"])
    init.line("^ready$")
    init.line("^talking$")
    stopped_after(init, 0.2, LATE)


@scenario(modes=("pid1", "plain"))
def the_health_port_does_not_count(case):
    network()
    init = serve(case, "200ms:30s", ["--health", f"127.0.0.1:{HEALTH}"])
    becomes(HEALTH, "/livez", 200)
    over = threading.Event()

    def poll():
        client = Client(HEALTH)
        while not over.is_set():
            try:
                client.socket.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                client.answer()
            except OSError:
                return
            time.sleep(0.05)

    threading.Thread(target=poll, daemon=True).start()
    init.quiet(0.2)
    stopped_after(init, 0.2, LATE)
    over.set()


@scenario(modes=("pid1", "plain"), limit=30)
def another_containers_connections_do_not_count(case):
    """A sidecar shares the network, not the processes: a server of its own, with a busy client."""
    network()
    program = serving_app(case, 7070)
    sidecar = subprocess.Popen(program, stdout=subprocess.PIPE, preexec_fn=die_with_parent)
    try:
        sidecar.stdout.readline()
        init = serve(case, "200ms:30s")
        talk = Talk(7070)
        stopped_after(init, 0.2, LATE)
        check(talk.count > 0)
        talk.close()
    finally:
        sidecar.kill()
        sidecar.wait()


@scenario(modes=SOME)
def drain_port(case):
    """Of two ports the connections to one count."""
    network()
    init = serve(case, "200ms:30s", ["--drain-port", "9999"])
    talk = Talk(PORT)
    init.quiet(0.2)
    stopped_after(init, 0.2, LATE)
    talk.close()
    case.close()
    init = serve(case, "200ms:3s", ["--drain-port", "9999", "--drain-port", str(PORT)])
    talk = Talk(PORT)
    init.quiet(0.2)
    stopped_after(init, 3, 3 + LATE)


@scenario(modes=("pid1", "plain"))
def ipv6(case):
    """An IPv6 server that takes both; the client that comes with IPv4 counts once."""
    network()
    needs_ipv6()
    for host in ("::1", "127.0.0.1"):
        init = serve(case, "200ms:1500ms", ipv6=True)
        client = Client(PORT, host)
        over = threading.Event()

        def talk(client=client, over=over):
            try:
                while not over.is_set():
                    client.ask()
                    if not client.answer():
                        return
                    time.sleep(0.02)
            except OSError:
                pass

        threading.Thread(target=talk, daemon=True).start()
        init.quiet(0.2)
        stopped_after(init, 1.5, 1.5 + LATE)
        check("drain: connections active: 1, idle: 0" in init.err, init.err)
        check("active: 2" not in init.err, init.err)
        over.set()
        case.close()


# -- more signals


@scenario()
def p16_a_second_term_changes_nothing(case):
    network()
    init = serve(case, "1500ms")
    begun = time.monotonic()
    for _ in range(3):
        init.signal(TERM)
        init.quiet(0.2)
    told_after(init, begun, 1.5, 1.5 + LATE)
    equal(init.lines().count("got 15"), 1)


@scenario()
def int_skips_the_rest(case):
    network()
    init = serve(case, "30s", ["--pre-stop", f"{case.payload} hold", "--pre-stop", "echo second"])
    init.signal(TERM)
    init.line("^ready", where="err")
    begun = time.monotonic()
    init.signal(INT)
    told_after(init, begun, 0, LATE)
    check("second" not in init.err.splitlines(), "a hook that was to be skipped has run")
    check(re.search("pre-stop hook .* failed after .*: skipped by another", init.err), init.err)


@scenario(modes=SOME)
def second_stop_skip(case):
    network()
    init = serve(case, "30s", ["--second-stop", "skip"])
    init.signal(TERM)
    init.quiet(0.3)
    begun = time.monotonic()
    init.signal(TERM)
    told_after(init, begun, 0, LATE)


@scenario(modes=SOME)
def int_alone_drains_too(case):
    """It is a stop signal; the app is sent what came, here rewritten to TERM."""
    network()
    init = serve(case, "1s", ["--stop-signal", "TERM"])
    stopped_after(init, 1, 1 + LATE, signo=INT)


@scenario(modes=SOME)
def other_signals_pass(case):
    network()
    init = case.start(["signals", "15", "6"], opts=["--drain", "1s"])
    init.line("^ready")
    init.signal(TERM)
    init.quiet(0.1)
    for signo in (1, USR1, 40):
        init.signal(signo)
        init.line(f"^got {signo}$")
    check("got 15" not in init.lines())
    equal(init.wait(), 6)


# -- the end of the app


@scenario()
def p65_the_app_ends_meanwhile(case):
    """All is over at once, with the app's status."""
    network()
    init = serve(case, "30s:60s")
    init.signal(TERM)
    init.quiet(0.3)
    begun = time.monotonic()
    init.signal(USR1)
    equal(init.wait(), 4)
    check(init.ended - begun < LATE, f"took {init.ended - begun:.1f} s")
    check("got 15" not in init.out)


@scenario(modes=SOME)
def pre_stop_beside_it(case):
    """Side by side: the longer one counts, not the sum."""
    network()
    for drain, hook in (("1500ms", "sleep:300ms"), ("300ms", "sleep:1500ms")):
        init = serve(case, drain, ["--pre-stop", hook])
        took = stopped_after(init, 1.5, 1.5 + LATE)
        check(took < 6, took)
        case.close()


# -- where it does not work as it should


@scenario()
def the_watcher_is_killed(case):
    """Whoever sends connections still has the least time; it is warned of."""
    network()
    init = serve(case, "1500ms:30s")
    talk = Talk(PORT)
    before = set(proc_children(init.pid))
    begun = time.monotonic()
    init.signal(TERM)
    init.line("-> draining", where="err")
    watcher = eventually(lambda: set(proc_children(init.pid)) - before, "the watcher is there")
    os.kill(watcher.pop(), KILL)
    told_after(init, begun, 1.5, 1.5 + LATE)
    check(re.search("warning: --drain: .*SIGKILL.*least time", init.err), init.err)
    talk.close()


@scenario(modes=("pid1", "plain"))
def the_watcher_is_stopped(case):
    """Or hangs in the kernel: the time budget holds."""
    network()
    init = serve(case, "200ms:30s", ["--grace", "3s", "--reserve", "1s"])
    before = set(proc_children(init.pid))
    begun = time.monotonic()
    init.signal(TERM)
    watcher = eventually(lambda: set(proc_children(init.pid)) - before, "the watcher is there")
    os.kill(watcher.pop(), 19)
    took = told_after(init, begun, 1.9, 1.9 + LATE)
    check(took < 2.7, f"took {took:.2f} s of 3, of which 1 was kept")


@scenario(modes=("pid1",))
def no_process_for_the_watcher(case):
    network()
    uid = 1000000 + os.getpid()
    init = case.start(
        ["crowd", "20"], opts=["--drain", "700ms:30s"], prefix=["-n", "22", "-u", str(uid)]
    )
    init.line("^ready")
    begun = time.monotonic()
    init.signal(TERM)
    equal(init.wait(), 0)
    check(0.65 < init.ended - begun < LATE, f"{init.ended - begun:.2f} s")
    check(re.search("warning: --drain: .*least time", init.err), init.err)


@scenario(modes=("pid1",), limit=30)
def without_netlink(case):
    """gVisor, seccomp: /proc/net/tcp tells who is connected, though not who is idle."""
    network()
    socket_call = {"x86_64": "41", "aarch64": "198"}.get(os.uname().machine)
    if not socket_call:
        raise Skip("another architecture")
    # Socket family 16 is 0x10; AF_INET (2) and AF_INET6 (10) have not got that bit.
    opts = ["--drain", "200ms:30s", "-v"]
    init = case.start(serving_app(case, PORT), opts=opts, prefix=["-E", "1", socket_call, "16"])
    init.line("^ready$")
    client = Client(PORT)
    begun = time.monotonic()
    init.signal(TERM)
    init.line("drain: connections active: 1", where="err")
    init.quiet(1)
    check("got 15" not in init.lines(), "a connection was not seen")
    client.close()
    told_after(init, begun, 1, 15)


@scenario(modes=("pid1", "plain"))
def as_any_uid_without_capabilities(case):
    network()
    init = serve(case, "200ms:30s", ["--drain-idle", "500ms"], prefix=["-u", "1234567"])
    talk = Talk(PORT)
    begun = time.monotonic()
    init.signal(TERM)
    init.line("drain: connections active: 1", where="err")
    talk.close()
    told_after(init, begun, 0.2, 15)


@scenario(modes=("pid1", "plain"))
def says_how_many_are_left_once_a_second(case):
    network()
    init = serve(case, "3200ms:3200ms")
    talk = Talk(PORT)
    stopped_after(init, 3.2, 3.2 + LATE)
    talk.close()
    lines = re.findall(r"drain: connections active: \d+, idle", init.err)
    check(3 <= len(lines) <= 6, init.err)


@scenario(modes=("pid1",))
def silent_without_v(case):
    network()
    init = case.start(serving_app(case, PORT), opts=["--drain", "200ms"])
    init.line("^ready$")
    init.signal(TERM)
    equal((init.wait(), init.err), (6, ""))


@scenario(modes=SOME)
def where_the_time_went(case):
    network()
    log = case.path("message")
    opts = ["--termination-log", log, "--termination-format", "json"]
    init = serve(case, "1s", opts)
    init.signal(TERM)
    eventually(lambda: "drain" in read(log), "the message says it is draining")
    equal(init.wait(), 6)
    phases = json.loads(read(log))["phases"]
    check(float(re.search(r'"draining": "?([\d.]+)', json.dumps(phases))[1]) >= 0.9, phases)


@scenario(modes=MODES)
def no_drain_unless_asked_for(case):
    network()
    init = case.start(serving_app(case, PORT))
    init.line("^ready$")
    talk = Talk(PORT)
    begun = time.monotonic()
    init.signal(TERM)
    told_after(init, begun, 0, LATE)
    talk.close()


@scenario(modes=SOME)
def how_many_are_active_outlives_pid_1(case):
    """SIGKILL while it drains: the message tells what was going on."""
    network()
    log = case.path("message", "")
    init = serve(case, "1s:30s", opts=["--termination-log", log])
    talks = [Talk(PORT), Talk(PORT)]
    eventually(lambda: all(t.count > 2 for t in talks), "both talk")
    init.signal(TERM)
    expected = "draining: 2 active connections; SIGTERM "
    eventually(lambda: read(log).startswith(expected), "the message counts them")
    init.signal(KILL)
    init.wait()
    check(read(log).startswith(expected), read(log))
    for talk in talks:
        talk.close()
