#!/usr/bin/python3
"""--wait-for and --check where the network is the trouble: name servers that are silent, wrong or late, addresses that
drop everything, a connection that meets itself, a process limit.

Runs itself again in a network and mount namespace of its own (needs root, or user namespaces): its own name server on
127.0.0.1:53, its own /etc/resolv.conf and /etc/hosts. Last line: "N passed, N failed".
"""

import contextlib
import os
import random
import re
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from targets import TOOL, expect, finish, free_port, listener, run, verdict  # noqa: E402

A, AAAA = 1, 28
NXDOMAIN, SERVFAIL = 3, 2
OK = b"HTTP/1.1 200 OK\r\n\r\n"


def enter_namespace():
    """Starts this program anew, alone with a loopback of its own."""
    if os.environ.get("TEST_TARGETS_INSIDE") == "1":
        return
    os.environ["TEST_TARGETS_INSIDE"] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                          "/usr/bin/python3", os.path.abspath(__file__)])


def set_up(directory):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for name, text in (("resolv.conf", "nameserver 127.0.0.1\nsearch a.test b.test c.test d.test\noptions ndots:5\n"),
                       ("hosts", "127.0.0.1 inhosts\n")):
        path = os.path.join(directory, name)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        subprocess.run(["mount", "--bind", path, f"/etc/{name}"], check=True)


class NameServer(threading.Thread):
    """Answers as told: records is {name: [(type, address)]} or an error code; None is silence; a function gives
    the datagrams to send for (query, type)."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        self.answer = NXDOMAIN
        self.asked = 0

    def reply(self, query, kind, name):
        error = self.answer if isinstance(self.answer, int) else 0
        found = [] if error else [a for t, a in self.answer.get(name, []) if t == kind]
        if not error and name not in self.answer:
            error = NXDOMAIN
        question = query[12:]
        packet = query[:2] + struct.pack(">HHHHH", 0x8180 | error, 1, len(found), 0, 0) + question
        for address in found:
            data = socket.inet_pton(socket.AF_INET if kind == A else socket.AF_INET6, address)
            packet += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(data)) + data
        return packet

    def run(self):
        while True:
            query, peer = self.socket.recvfrom(1500)
            self.asked += 1
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode())
                at += 1 + query[at]
            kind = struct.unpack(">H", query[at + 1:at + 3])[0]
            if callable(self.answer):
                for packet in self.answer(query[:at + 5], kind):
                    self.socket.sendto(packet, peer)
            elif self.answer is not None:
                self.socket.sendto(self.reply(query[:at + 5], kind, ".".join(labels)), peer)


def head(query, found, flags=0x8180, number=None):
    number = struct.unpack(">H", query[:2])[0] if number is None else number
    return struct.pack(">HHHHHH", number, flags, 1, found, 0, 0) + query[12:]


def record(kind, data, name=b"\xc0\x0c", length=None):
    return name + struct.pack(">HHIH", kind, 1, 0, len(data) if length is None else length) + data


def answer_ok(c):
    c.recv(4096)
    c.sendall(OK)


def test_names(names):
    port = free_port()
    names.answer = NXDOMAIN
    expect("no such name", 1, ": name not found$", "check", f"tcp://db:{port}")
    names.answer = SERVFAIL
    expect("a name server in trouble", 1, ": name server not available$", "check", f"tcp://db:{port}", "timeout=9000",
           at_most=15)
    names.answer = None
    expect("a silent name server is bounded", 1, r": timed out after 0\.7s \(looking up the name\)$", "check",
           f"tcp://db:{port}", "timeout=700", at_most=3)
    names.answer = {"db": []}
    expect("a name without addresses", 1, ": (the name has no address|name not found)$", "check", f"tcp://db:{port}")
    expect("a refused port under a name of /etc/hosts", 1, ": connection refused$", "check", f"tcp://inhosts:{port}")
    names.answer = {"db.b.test": [(A, "127.0.0.1")]}
    with listener(answer_ok) as up:
        expect("the search list", 0, "", "check", f"http://db:{up}/")
        expect("/etc/hosts", 0, "", "check", f"http://inhosts:{up}/")
        names.asked = 0
        for host in ("127.0.0.1", "localhost", "LOCALHOST", ""):
            expect(f"'{host}' asks nobody", 0, "", "check", f"http://{host}:{up}/")
        verdict("no query for addresses and localhost", "" if names.asked == 0 else f"{names.asked} queries")


@contextlib.contextmanager
def swallower(address, port):
    """A full backlog: the kernel drops what comes, as a firewall or a dead host would."""
    with contextlib.ExitStack() as stack:
        s = stack.enter_context(socket.socket())
        s.bind((address, port))
        s.listen(0)
        for _ in range(8):
            c = stack.enter_context(socket.socket())
            c.setblocking(False)
            c.connect_ex((address, port))
        yield


def test_addresses(names):
    """Every address of a name is tried, and one that swallows everything holds up the rest only for a moment."""
    for host in ("127.0.0.1", "::1"):
        with listener(answer_ok, host) as up:
            names.answer = {"db": [(A, "127.0.0.1"), (AAAA, "::1")]}
            expect(f"both families, server on {host}", 0, "", "check", f"http://db:{up}/")
    with listener(answer_ok) as up:
        names.answer = {"db": [(A, "127.0.0.2"), (A, "127.0.0.3"), (A, "127.0.0.1")]}
        with swallower("127.0.0.2", up), swallower("127.0.0.3", up):
            expect("two addresses swallow, the third answers", 0, "", "check", f"http://db:{up}/", at_most=4)
            names.answer = {"db": [(A, "127.0.0.2"), (A, "127.0.0.3")]}
            expect("addresses that swallow everything", 1, r"timed out after 0\.5s \(connecting\)$", "check",
                   f"tcp://db:{up}", "timeout=500", at_most=3)
        names.answer = {"db": [(A, f"127.0.0.{i}") for i in range(2, 20)]}
        expect("eighteen addresses, none listens", 1, "connection refused$", "check", f"http://db:{up}/", at_most=4)
    expect("no route", 1, ": network (is )?unreachable$", "check", "tcp://192.0.2.1:80")
    names.answer = {"db": [(A, "192.0.2.1"), (A, "127.0.0.1")]}
    expect("what the reachable address said counts", 1, "connection refused$", "check", f"tcp://db:{free_port()}")


def test_self_connection():
    """With two ports to choose from, the kernel soon picks the very port that is asked for. A pair of its own for each
    side: a connection that met itself keeps its port busy for a while."""
    path = "/proc/sys/net/ipv4/ip_local_port_range"

    def choose(port):
        with open(path, "w", encoding="ascii") as f:
            f.write(f"{port} {port + 1}")

    with open(path, encoding="ascii") as f:
        before = f.read()
    choose(40000)
    met = False
    for _ in range(20):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", 40000), timeout=1) as s:
            met = met or s.getsockname() == s.getpeername()
    verdict("a plain client does meet itself (or else the next case proves nothing)", "" if met else "it did not")
    choose(40002)
    said = {run("check", "tcp://127.0.0.1:40002")[:2] for _ in range(20)}
    refused = {(1, "shim: tcp://127.0.0.1:40002: connection refused")}
    verdict("meeting oneself is no server", "" if said == refused else f"{said}")
    with open(path, "w", encoding="ascii") as f:
        f.write(before)


HERE, ELSEWHERE = bytes([127, 0, 0, 1]), bytes([127, 66, 66, 66])


def hostile_answers():
    """(what, the datagrams for (query, type), what the tool may say; '': it must succeed)"""
    def only_a(*records, count=None, **more):
        def give(query, kind):
            if kind != A:
                return [head(query, 0)]
            return [head(query, len(records) if count is None else count, **more) + b"".join(records)]
        return give

    good = record(A, HERE)

    def wrong(query):
        return struct.unpack(">H", query[:2])[0] ^ 0x5555

    failure = r": (name not found|the name has no address|name server not available|the name cannot be looked up|" \
        r"timed out after \S+ \(looking up the name\))$"
    chain = b"".join(record(5, b"\x01" + bytes([97 + i]) + b"\x04test\x00") for i in range(20))
    return [
        ("the right answer", only_a(good), ""),
        ("wrong number first", lambda q, k: [head(q, 1, number=wrong(q)) + record(A, ELSEWHERE),
                                               head(q, 1 if k == A else 0) + (good if k == A else b"")], ""),
        ("only wrong numbers", lambda q, k: [head(q, 1, number=wrong(q)) + record(A, ELSEWHERE)] * 50, failure),
        ("question that is no answer", lambda q, k: [head(q, 1, flags=0x0100) + good], None),
        ("name that points to itself", lambda q, k: [head(q, 1) + record(A, HERE, name=struct.pack(
            ">H", 0xc000 | len(q)))], None),
        ("pointers in a circle", only_a(record(5, b"\xc0\x2a"), record(5, b"\xc0\x20", name=b"\xc0\x2a")), failure),
        ("65535 records that are not there", only_a(good, count=65535), None),
        ("address of three bytes", only_a(record(A, HERE[:3])), failure),
        ("address of sixteen bytes", only_a(record(A, HERE * 4)), failure),
        ("record longer than the datagram", only_a(record(A, HERE, length=60000)), failure),
        ("chain of names", only_a(chain, count=20), failure),
        ("cut off, and nobody at TCP", only_a(good, flags=0x8380), None),
        ("header alone", lambda q, k: [q[:2] + b"\x81\x80" + bytes(8)], failure),
        ("half a header", lambda q, k: [q[:5]], failure),
        ("nothing", lambda q, k: [b""], failure),
        ("64 KiB", lambda q, k: [head(q, 3000 if k == A else 0) + good * 3000], None),
        ("100 addresses", only_a(*[record(A, bytes([127, 1, 0, i])) for i in range(100)]), None),
        ("20 addresses, all refusing", only_a(*[record(A, bytes([127, 1, 0, i])) for i in range(20)]), ": connection "),
    ]


def test_hostile_names(names):
    """The resolver of libc runs in a process of its own: whatever comes, the tool ends in time and says why."""
    with listener(answer_ok, host="127.0.0.1") as up:
        for what, answer, words in hostile_answers():
            names.answer = answer
            status, said, took = run("check", f"http://db:{up}/", "timeout=1200")
            is_right = (status == 0 and not said if words == "" else status in (0, 1) if words is None else
                        status == 1 and re.search(words, said))
            verdict(f"a name server's {what}", "" if is_right and took < 4 else f"{status} {said!r} {took:.1f} s")
        dice, bad = random.Random(11), []
        for _ in range(150):
            def garble(query, kind):
                packet = bytearray(head(query, 2) + record(5, b"\x01b\xc0\x0c") + record(kind, HERE * (1 if kind == A else 4)))
                for _ in range(dice.randrange(1, 6)):
                    packet[dice.randrange(2, len(packet))] = dice.choice((0, 1, 0xc0, 0xff, dice.randrange(256)))
                return [bytes(packet[:dice.randrange(8, len(packet) + 1)]), head(query, 0)]
            names.answer = garble
            status, said, took = run("check", f"http://db:{up}/", "timeout=1000")
            if status not in (0, 1) or took > 4 or len(said.splitlines()) > 1:
                bad.append((status, said, took))
        verdict("150 garbled answers", f"{bad[:5]}" if bad else "")


def test_resolv_conf(names, directory):
    """A configuration that was written by somebody else."""
    names.answer = {"db": [(A, "127.0.0.1")]}
    path = os.path.join(directory, "resolv.conf")
    with open(path, "rb") as f:
        good = f.read()
    cases = [("empty", b"", None), ("only noise", bytes(range(256)) * 40, None), ("a line without an end", b"nameserver 127.0.0.1", 0),
             ("a line of 100 KiB", b"search " + b"a." * 50000 + b"\nnameserver 127.0.0.1\n", None),
             ("200 servers", b"nameserver 127.0.0.1\n" * 200, 0),
             ("numbers out of range", b"options ndots:99999999999 timeout:999999999 attempts:99999\nnameserver 127.0.0.1\n", 0),
             ("a server that is no address", b"nameserver localhost\nnameserver 1.2.3\nnameserver ::g\nnameserver 127.0.0.1\n", 0),
             ("NULs", b"nameserver 127.0.0.1\0junk\n\0\n", None)]
    with listener(answer_ok) as up:
        for what, text, wanted in cases:
            with open(path, "wb") as f:
                f.write(text)
            status, said, took = run("check", f"http://db:{up}/", "timeout=1500")
            is_right = status in (0, 1) if wanted is None else status == wanted
            verdict(f"resolv.conf: {what}", "" if is_right and took < 4 else f"{status} {said!r} {took:.1f} s")
    with open(path, "wb") as f:
        f.write(good)


def test_process_limit(names):
    """Where no process can be made the name is looked up all the same."""
    names.answer = {"db": [(A, "127.0.0.1")]}

    def limited():
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        os.setuid(61357)  # nobody else's: with another process of this user the tool could not be executed

    if b"__asan_init" in open(TOOL, "rb").read():
        print("skipped: the process limit (the leak check needs a process)")
        return
    with listener(answer_ok) as up:
        expect("no process for the name", 0, "", "check", f"http://db:{up}/", preexec_fn=limited, executable=COPY)


def lines_of(p):
    _, said = p.communicate(timeout=30)
    return said.splitlines()


def wait_process(*args):
    return subprocess.Popen([TOOL, "wait", *args], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)


def test_waiting(names):
    """The name server is down, then knows nothing, then the server is late: told once a change, resolved anew."""
    port = free_port()
    names.answer = SERVFAIL
    p = wait_process(f"http://db:{port}/", "interval=200", "deadline=20000", "timeout=1000")
    first = p.stderr.readline()
    names.answer = {"db": [(A, "127.0.0.1")]}
    second = p.stderr.readline()
    with listener(answer_ok, port=port):
        rest = lines_of(p)
    problem = ""
    if p.returncode != 0 or ": connection" in first or "connection refused" not in second:
        problem = f"{p.returncode} {first!r} {second!r} {rest!r}"
    elif len(rest) != 1 or "is up after" not in rest[0]:
        problem = f"{rest!r}"
    verdict("waiting: each reason once, then up", problem)
    p = wait_process(f"tcp://127.0.0.1:{port}", "interval=100", "deadline=6500")
    began = time.monotonic()
    said = lines_of(p)
    took = time.monotonic() - began
    fits = (p.returncode == 124 and len(said) == 3 and said[0].endswith(f"waiting for tcp://127.0.0.1:{port}: "
            "connection refused") and "connection refused, 5s" in said[1] and "waited 6.5s" in said[2])
    verdict("waiting: every five seconds, then given up", "" if fits and took < 12 else f"{p.returncode} {said} {took}")
    p = wait_process("tcp://db:1", "deadline=60000")
    p.stderr.readline()
    p.terminate()
    lines_of(p)
    verdict("waiting: TERM ends it", "" if p.returncode == -15 else f"{p.returncode}")


def test_back_off():
    """100 ms at first, not oftener; the interval in the end."""
    times = []

    def refuse(c):
        times.append(time.monotonic())
        c.recv(4096)
        c.sendall(b"HTTP/1.1 503 No\r\n\r\n")

    with listener(refuse) as port:
        lines_of(wait_process(f"http://127.0.0.1:{port}/", "interval=400", "deadline=2500"))
    gaps = [b - a for a, b in zip(times, times[1:])]
    fits = 5 <= len(times) <= 9 and gaps[0] >= 0.09 and all(g >= 0.38 for g in gaps[3:-1])
    verdict("backing off", "" if fits else f"{gaps}")


def test_texts():
    for text, words in (("db:80", "expected tcp://HOST:PORT"), ("tcp://db", "expected a port from 1 to 65535"),
                        ("http://a@b/", "expected no user name"), ("unix:", "expected a path")):
        expect(f"text {text}", 125, f"--check: '{text}': {words}", "check", text)


def main():
    global COPY
    enter_namespace()
    with tempfile.TemporaryDirectory(prefix="test_targets.") as directory:
        os.chmod(directory, 0o755)
        COPY = os.path.join(directory, "tool")
        with open(TOOL, "rb") as f, open(COPY, "wb") as g:
            g.write(f.read())
        os.chmod(COPY, 0o755)
        set_up(directory)
        names = NameServer()
        names.start()
        test_texts()
        test_names(names)
        test_hostile_names(names)
        test_resolv_conf(names, directory)
        test_addresses(names)
        test_self_connection()
        test_process_limit(names)
        test_waiting(names)
        test_back_off()
        for name in ("resolv.conf", "hosts"):
            subprocess.run(["umount", f"/etc/{name}"], check=True)
    finish()


main()
