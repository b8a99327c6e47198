#!/usr/bin/python3
"""The health server and hostile clients, through tests/servers/health_driver.c.

    test_health.py [DRIVER]    DRIVER: the built program; else it is built with ASan and UBSan

Loopback only; each test has its own server. The last line is 'N passed, N failed'.
"""
import contextlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from health_server import GET, RESET, Server, build, eventually, is_closed, parse, read_all, read_reply


# ---- what it answers ----


def test_routes():
    with Server() as s:
        s.set("phase waiting", "reason waiting for tcp://db:5432: refused")
        assert s.ask("/livez") == (200, "ok\n")
        assert s.ask("/readyz") == (503, "waiting for tcp://db:5432: refused\n")
        assert s.ask("/startupz") == (503, "waiting for tcp://db:5432: refused\n")
        assert s.ask("/")[0] == 404
        assert s.ask("/livezz")[0] == 404
        assert s.ask("/readyz?verbose")[0] == 503
        s.set("phase running", "reason ", "ready 1", "started 1", "pid 7")
        assert s.ask("/readyz") == (200, "ok\n")
        assert s.ask("/startupz") == (200, "ok\n")
        s.set("phase draining", "reason draining", "ready 0", "active 3")
        assert s.ask("/readyz") == (503, "draining\n")
        assert s.ask("/livez") == (200, "ok\n")
        assert s.ask("/startupz") == (200, "ok\n")
        status = json.loads(s.ask("/status")[1])
        assert status["phase"] == "draining" and status["activeConnections"] == 3, status
        assert status["pid"] == 7 and status["ready"] is False and status["started"] is True
        assert status["startedAt"].endswith("Z") and status["uptimeSeconds"] >= 0, status


def test_both_families_and_head():
    with Server() as s:
        assert s.ask("/livez", family=socket.AF_INET6) == (200, "ok\n")
        with s.connect() as c:
            c.sendall(b"HEAD /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            data = read_all(c)
        assert b"Content-Length: 3\r\n" in data and data.endswith(b"\r\n\r\n"), data


def test_only_one_address():
    port = free_port()
    with Server(address="127.0.0.1:%d" % port) as s:
        s.is_served()
        try:
            s.connect(socket.AF_INET6)
            raise AssertionError("listens on ::1 as well")
        except ConnectionRefusedError:
            pass


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_port_in_use():
    for host, family in (("0.0.0.0", socket.AF_INET), ("::", socket.AF_INET6)):
        with socket.socket(family) as taken:
            taken.bind((host, 0))
            taken.listen()
            port = taken.getsockname()[1]
            r = subprocess.run([Server.driver, str(port)], stdin=subprocess.DEVNULL,
                               capture_output=True, text=True, timeout=10)
            assert r.returncode == 125 and r.stderr == "port %d is in use\n" % port, r


def test_hostile_status_text_is_valid_json():
    with Server() as s:
        s.set('reason a"b\\c\x01\x7f\u00e9' + "\u2028" + "x" * 100)
        s.set("hook " + '"\\' * 60)
        reply = s.ask("/status")
        status = json.loads(reply[1])
        assert status["reason"].startswith('a"b\\c\x01\x7f\u00e9'), status
        assert status["hooks"]["running"] == '"\\' * 60


def test_keep_alive_and_pipelining():
    with Server() as s, s.connect() as c:
        for _ in range(100):
            c.sendall(GET % b"/livez")
            assert read_reply(c) == (200, "ok\n")
        c.sendall((GET % b"/livez") * 300 + GET % b"/nothing")
        for _ in range(300):
            assert read_reply(c)[0] == 200
        assert read_reply(c)[0] == 404
        c.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
        assert parse(read_all(c)) == (200, "ok\n")


def test_refusals():
    cases = [
        (b"POST /livez HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", 405),
        (b"BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        (b"GET /livez\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100, 400),
        (b"GET /livez HTTP/1.1\nHost: h\n\n", 400),
        (b"GET /livez HTTP/1.1\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: h\r\nBad Header: x\r\n\r\n", 400),
        (b"GET /livez HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 431),
        (b"GET /livez HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 2000 + b"\r\n", 431),
        (b"GET /livez HTTP/1.1\r\nHost: h\r\nX: " + b"y" * 100000 + b"\r\n\r\n", 431),
    ]
    with Server() as s:
        for request, status in cases:
            with s.connect() as c:
                c.sendall(request)
                c.shutdown(socket.SHUT_WR)
                data = b""  # to a clean end: after a reset other systems' clients have no answer
                while piece := c.recv(65536):
                    data += piece
                assert data and parse(data)[0] == status, (request[:60], status, data[:100])
                assert b"Connection: close\r\n" in data
                assert (b"Allow: GET, HEAD\r\n" in data) == (status == 405)
        s.is_served()


# ---- slow and hostile clients ----


def test_slow_request_is_timed_out():
    with Server() as s:
        silent, dripping = s.connect(), s.connect()
        start = time.monotonic()
        for byte in b"GET /livez HTTP/1.1\r\nHost: somewhere\r\n":  # a byte each 0.3 s does not help
            if select.select([dripping], [], [], 0.3)[0]:
                break
            dripping.send(bytes([byte]))
            s.is_served()
        took = time.monotonic() - start
        assert 4 < took < 10, took
        for c in (silent, dripping):
            assert parse(read_all(c))[0] == 408
            c.close()
        eventually(lambda: s.descriptors() == 2)


def test_partial_requests_do_not_starve_probes():
    with Server() as s:
        held = [s.connect() for _ in range(200)]  # three times as many as there is room for
        for c in held:
            with contextlib.suppress(OSError):
                c.sendall(b"GET /li")
        for _ in range(20):
            start = time.monotonic()
            s.is_served()
            assert time.monotonic() - start < 3
        assert s.descriptors() <= 2 + 64
        for c in held:
            c.close()
        eventually(lambda: s.descriptors() == 2)


def test_oldest_idle_one_gives_way():
    with Server() as s:
        kept = []
        for _ in range(64):
            c = s.connect()
            c.sendall(GET % b"/livez")
            assert read_reply(c)[0] == 200
            kept.append(c)
        kept[0].sendall(GET % b"/livez")  # the first is no longer the oldest
        assert read_reply(kept[0])[0] == 200
        new = s.connect()
        new.sendall(GET % b"/livez")
        assert read_reply(new)[0] == 200
        assert is_closed(kept[1], 2)
        kept[0].sendall(GET % b"/livez")
        assert read_reply(kept[0])[0] == 200
        for c in kept + [new]:
            c.close()


def test_many_connections():
    with Server() as s:
        s.is_served()
        eventually(lambda: s.descriptors() == 2)
        before = s.memory_kib()
        for i in range(10000):
            with s.connect() as c:
                kind = i % 4
                if kind == 0:
                    c.sendall(GET % b"/livez")
                    assert read_reply(c)[0] == 200
                elif kind == 1:
                    c.sendall(b"GET /livez HT")
                elif kind == 2:
                    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    c.sendall(GET % b"/status")
        eventually(lambda: s.descriptors() == 2)
        s.is_served()
        after = s.memory_kib()
        assert after <= before + 600, (before, after)  # ASan keeps some


def test_random_bytes():
    dice = random.Random(5)
    pieces = [b"GET ", b"HEAD ", b"/livez", b" HTTP/1.1", b"\r\n", b"\r", b"\n", b"Host: h", b":",
              b"Connection: keep-alive", b"Content-Length: ", b"99999999999999999999", b"\0",
              b"Transfer-Encoding: chunked", b"\xff\xfe", b" ", b"http://h/readyz", b"?", b"%00"]
    with Server() as s:
        s.is_served()
        for i in range(2000):
            if i % 2:
                data = dice.randbytes(dice.randrange(1, 600))
            else:
                data = b"".join(dice.choice(pieces) for _ in range(dice.randrange(1, 40)))
            with s.connect(timeout=2) as c, contextlib.suppress(OSError):
                for at in range(0, len(data), max(1, len(data) // 3)):
                    c.sendall(data[at:at + max(1, len(data) // 3)])
                if i % 3 == 0:
                    c.shutdown(socket.SHUT_WR)
                    reply = read_all(c)
                    assert not reply or reply.startswith(b"HTTP/1.1 "), reply[:80]
        s.is_served()
        eventually(lambda: s.descriptors() == 2)


def test_slow_reader():
    """Pipelines requests and reads nothing: it is dropped, nobody waits for it."""
    with Server() as s:
        c = socket.socket()
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        c.settimeout(1)
        c.connect(("127.0.0.1", s.port))
        with contextlib.suppress(OSError):
            for _ in range(3000):
                c.sendall((GET % b"/status") * 50)
        s.is_served()
        eventually(lambda: s.descriptors() == 2, 100)
        c.close()


def test_one_byte_windows():
    """Bytes one by one, in both directions, are served like any others."""
    with Server() as s:
        c = socket.socket()
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        c.settimeout(10)
        c.connect(("127.0.0.1", s.port))
        for _ in range(3):
            for byte in GET % b"/status":
                c.send(bytes([byte]))
            assert read_reply(c)[0] == 200
        c.close()
        eventually(lambda: s.descriptors() == 2)


def test_smuggling():
    """What a proxy in front could read otherwise ends the connection, or is no second request."""
    with Server() as s:
        for head, status in ((b"Content-Length: 0\r\nContent-Length: 40", 400), (b"Content-Length: +0", 400),
                             (b"Content-Length: 0x0", 400), (b"Content-Length:\r\n 0", 400),
                             (b"Content-Length : 5", 400), (b"Host: other", 400), (b"X: a\nHost: b", 400),
                             (b"X: a\rY: b", 400), (b"X: a\0b", 400), (b"Transfer-Encoding: chunked", 200),
                             (b"Transfer-Encoding: identity, chunked\r\nContent-Length: 3", 200),
                             (b"Content-Length: 5", 200), (b"Content-Length: 999999999999999999", 200),
                             (b"Content-Length: 99999999999999999999", 400)):
            with s.connect() as c:
                c.sendall(b"GET /livez HTTP/1.1\r\nHost: h\r\n" + head + b"\r\n\r\n" + GET % b"/nothing")
                data = read_all(c)
                assert data.count(b"HTTP/1.1 ") == 1, (head, data)
                assert int(data.split()[1]) == status, (head, data)
                assert b"Connection: close" in data, (head, data)
        s.is_served()


def test_reset_storm():
    """Resets in every state: before, within and behind a request, with answers unread."""
    with Server() as s:
        for i in range(1500):
            c = s.connect()
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            with contextlib.suppress(OSError):
                c.sendall([b"", b"GET /li", GET % b"/status", (GET % b"/status") * 40, b"\r\n",
                           b"POST / HTTP/1.1\r\n\r\n"][i % 6])
                if i % 7 == 0:
                    c.shutdown(socket.SHUT_WR)
            c.close()
        s.is_served()
        eventually(lambda: s.descriptors() == 2)


def test_header_flood():
    with Server() as s:
        stop = time.monotonic() + 3

        def flood():
            while time.monotonic() < stop:
                with s.connect() as c, contextlib.suppress(OSError):
                    c.sendall(b"GET /livez HTTP/1.1\r\n")
                    for i in range(100000):
                        c.sendall(b"X-%d: %s\r\n" % (i, b"y" * 500))

        threads = [threading.Thread(target=flood) for _ in range(4)]
        for t in threads:
            t.start()
        while time.monotonic() < stop:
            s.is_served()
        for t in threads:
            t.join()
        eventually(lambda: s.descriptors() == 2)


def test_half_close_and_resets():
    with Server() as s:
        with s.connect() as c:
            c.sendall(GET % b"/livez")
            c.shutdown(socket.SHUT_WR)
            assert parse(read_all(c)) == (200, "ok\n")
        for _ in range(500):
            c = s.connect()
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            c.close()
        s.is_served()
        eventually(lambda: s.descriptors() == 2)


def test_no_descriptors_left():
    """With a limit below its 64 connections: the oldest gives way, and it does not spin."""
    with Server("-f", "8") as s:
        held = [s.connect() for _ in range(40)]
        s.is_served()
        before = s.cpu_ticks()
        time.sleep(1)
        assert s.cpu_ticks() - before < 30
        for c in held:
            c.close()
        s.is_served()
    with Server("-k", "-f", "3") as s:  # not one is left: pauses, no spinning
        c = s.connect()
        time.sleep(0.5)
        before, ticks = s.switches(), s.cpu_ticks()
        time.sleep(2)
        assert s.cpu_ticks() - ticks < 20, "spins"
        assert s.switches() - before < 60, s.switches() - before
        c.close()


# ---- the --ready-probe ----


class Script:
    def __init__(self, folder, text):
        self.path = os.path.join(folder, "script")
        self.write(text)

    def write(self, text):
        with open(self.path, "w") as f:
            f.write(text + "\n")

    def count(self):
        try:
            return os.path.getsize(self.path + ".count")
        except FileNotFoundError:
            return 0


@contextlib.contextmanager
def probed(text):
    with tempfile.TemporaryDirectory() as folder:
        script = Script(folder, text)
        with Server("-p", script.path) as s:
            s.set("phase running", "reason ", "ready 1", "started 1")
            yield s, script


def prober_of(s):
    def children():
        with open("/proc/%d/task/%d/children" % (s.pid, s.pid)) as f:
            return f.read().split()
    eventually(children)
    return int(children()[0])


def test_probe_results():
    with probed("ok") as (s, script):
        assert s.ask("/readyz") == (200, "ok\n")
        script.write("fail connection refused")
        assert s.ask("/readyz") == (503, "probe http://test/: connection refused\n")
        script.write("crash")
        assert s.ask("/readyz") == (503, "probe http://test/: the probe broke down\n")
        script.write("ok")
        assert s.ask("/readyz") == (200, "ok\n")
        n = script.count()
        assert s.ask("/livez")[0] == s.ask("/startupz")[0] == s.ask("/status")[0] == 200
        s.set("ready 0", "reason draining")
        assert s.ask("/readyz") == (503, "draining\n")
        assert script.count() == n, "asked though it is not ready anyway"


def test_probe_blocks_nobody_and_is_shared():
    with probed("sleep 600") as (s, script):
        waiting = [s.connect() for _ in range(10)]
        for c in waiting:
            c.sendall(GET % b"/readyz")
        start = time.monotonic()
        for _ in range(10):
            s.is_served()
        assert time.monotonic() - start < 0.5
        for c in waiting:
            assert read_reply(c) == (200, "ok\n")
            c.close()
        assert script.count() <= 2, script.count()  # one, or one more for those who came late


def test_probe_hangs():
    with probed("hang") as (s, script):
        start = time.monotonic()
        assert s.ask("/readyz") == (503, "probe http://test/: timed out\n")
        took = time.monotonic() - start
        assert 0.9 < took < 3, took
        script.write("ok")
        assert s.ask("/readyz") == (200, "ok\n")


def test_stop_during_a_probe():
    with probed("sleep 600") as (s, script), s.connect() as c:
        c.sendall(GET % b"/readyz")
        eventually(lambda: script.count() == 1)
        s.set("ready 0", "reason draining")
        assert read_reply(c) == (503, "draining\n")


def test_prober_dies():
    with probed("ok") as (s, _):
        s.may_die = True
        prober = prober_of(s)
        os.kill(prober, signal.SIGKILL)
        eventually(lambda: s.state() == "Z")  # PID 1 starts it again


def test_prober_ends_with_the_server():
    with probed("ok") as (s, _):
        s.may_die = True
        prober = prober_of(s)
        os.kill(s.pid, signal.SIGKILL)

        def gone():
            try:
                with open("/proc/%d/stat" % prober) as f:
                    return f.read().rpartition(")")[2].split()[0] == "Z"
            except (FileNotFoundError, ProcessLookupError):
                return True
        eventually(gone)


# ---- rest ----


def test_idle_wakes_never():
    with tempfile.TemporaryDirectory() as folder:
        with Server("-p", Script(folder, "ok").path) as s:
            s.set("phase running", "reason ", "ready 1")
            with s.connect() as c:  # an idle kept connection as well
                c.sendall(GET % b"/readyz")
                assert read_reply(c)[0] == 200
                time.sleep(0.2)
                before = s.switches()
                time.sleep(10)
                assert s.switches() == before, s.switches() - before


def main():
    with tempfile.TemporaryDirectory() as folder:
        Server.driver = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else build(folder)
        passed = failed = 0
        for name, test in list(globals().items()):
            if not name.startswith("test_"):
                continue
            start = time.monotonic()
            signal.alarm(120)  # a time limit for each
            try:
                test()
                passed += 1
                print("ok      %-44s %.1fs" % (name, time.monotonic() - start), flush=True)
            except Exception:
                failed += 1
                print("FAILED  %s" % name, flush=True)
                traceback.print_exc()
            signal.alarm(0)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
