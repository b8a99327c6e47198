"""The health server under test: tests/servers/health_driver.c built and run, and a plain HTTP client.

For test_health.py.
"""
import contextlib
import os
import socket
import struct
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SOURCES = ("health health_client health_answer health_metrics health_prober status http http_server out "
           "log util format parse names").split()
GET = b"GET %s HTTP/1.1\r\nHost: h\r\n\r\n"
RESET = struct.pack("ii", 1, 0)


def build(folder):
    driver = os.path.join(folder, "health_driver")
    subprocess.run(
        ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-g", "-fsanitize=address,undefined",
         "-fno-sanitize-recover=undefined", "-o", driver,
         os.path.join(HERE, "health_driver.c")] + [os.path.join(ROOT, s + ".c") for s in SOURCES],
        check=True)
    return driver


class Server:
    """One driver with its health server; set(...) changes the status page."""

    driver = None

    def __init__(self, *args, address="0"):
        self.process = subprocess.Popen(
            [self.driver, *args, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        words = self.process.stdout.readline().split()
        if not words:
            raise OSError(self.process.stderr.read())
        self.port, self.pid = int(words[1]), int(words[2])

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        alive = os.path.exists("/proc/%d/stat" % self.pid) and self.state() != "Z"
        self.process.stdin.close()
        self.process.wait(10)
        said = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        if exc[0] is None and not getattr(self, "may_die", False):
            assert alive, "the server died: " + said
            assert not said, "the server said: " + said

    def set(self, *lines):
        for line in lines:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            assert self.process.stdout.readline() == "done\n"

    def state(self):
        with open("/proc/%d/stat" % self.pid) as f:
            return f.read().rpartition(")")[2].split()[0]

    def switches(self):
        with open("/proc/%d/status" % self.pid) as f:
            return sum(int(line.split()[1]) for line in f if "ctxt_switches" in line)

    def cpu_ticks(self):
        with open("/proc/%d/stat" % self.pid) as f:
            fields = f.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))

    def memory_kib(self, what="Rss"):
        with open("/proc/%d/smaps_rollup" % self.pid) as f:
            return next(int(line.split()[1]) for line in f if line.startswith(what + ":"))

    def connect(self, family=socket.AF_INET, timeout=10):
        s = socket.socket(family)
        s.settimeout(timeout)
        s.connect(("::1" if family == socket.AF_INET6 else "127.0.0.1", self.port))
        return s

    def ask(self, path, head=b"", **kw):
        """(status, body) of one request on a connection of its own."""
        with self.connect(**kw) as s:
            s.sendall(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: h\r\n" + head +
                      b"Connection: close\r\n\r\n")
            return parse(read_all(s))

    def is_served(self):
        assert self.ask("/livez") == (200, "ok\n")


def read_all(s):
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while True:
            piece = s.recv(65536)
            if not piece:
                break
            data += piece
    return data


def parse(data):
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 "), data[:200]
    return int(head.split()[1]), body.decode()


def read_reply(s):
    """One reply with a Content-Length, for kept connections."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = s.recv(1)
        assert piece, "closed after " + repr(data)
        data += piece
    length = int(data.lower().split(b"content-length:")[1].split()[0])
    body = b""
    while len(body) < length:
        piece = s.recv(length - len(body))
        assert piece
        body += piece
    return int(data.split()[1]), body.decode()


def eventually(what, tries=50):
    for _ in range(tries):
        if what():
            return
        time.sleep(0.1)
    raise AssertionError("did not come true in time")


def is_closed(s, timeout):
    """Does the server close the connection (or reset it) within timeout?"""
    s.settimeout(timeout)
    try:
        while s.recv(4096):
            pass
        return True
    except ConnectionResetError:
        return True
    except socket.timeout:
        return False
