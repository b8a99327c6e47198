"""A network of a scenario's own, and the servers and clients in it.

network() leaves the machine's network for one that has nothing but lo, so ports never clash and
nothing leaves. Servers are threads of the scenario and die with it.
"""

import fcntl
import http.client
import os
import socket
import ssl
import struct
import subprocess
import threading
import time

from harness import LIBC, Skip, eventually, tool

CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def network():
    """Before the first thread: all that starts after it is in there."""
    if LIBC.unshare(CLONE_NEWNET) < 0:
        raise Skip("needs a network namespace")
    with socket.socket() as s:
        request = struct.pack("16sh22x", b"lo", 0)
        (flags,) = struct.unpack("16xh22x", fcntl.ioctl(s, SIOCGIFFLAGS, request))
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))


def needs_ipv6():
    def has():
        with socket.socket(socket.AF_INET6) as s:
            try:
                s.bind(("::1", 0))
                return True
            except OSError:
                return False

    try:
        eventually(has, "::1 is there", timeout=2)
    except AssertionError:
        raise Skip("needs IPv6") from None


# -- what a server does with one connection; each is given the server, the connection, the request


def answer(status, headers=""):
    def act(server, conn, request):
        conn.sendall(f"HTTP/1.1 {status} X\r\n{headers}Content-Length: 0\r\n\r\n".encode())

    return act


def post_only(server, conn, request):
    answer(200 if request.startswith(b"POST ") else 405)(server, conn, request)


def silent(server, conn, request):
    server.over.wait()


def dripping(server, conn, request):
    for byte in b"HTTP/1.1 200 OK\r\n":
        conn.sendall(bytes([byte]))
        if server.over.wait(0.2):
            return


def slow(seconds):
    def act(server, conn, request):
        server.over.wait(seconds)
        answer(200)(server, conn, request)

    return act


class Server:
    """Takes connections until it is closed. .requests: what came, whole headers."""

    def __init__(self, act, port=0, host="127.0.0.1", tls=None):
        self.act = act
        self.tls = tls
        self.over = threading.Event()
        self.requests = []
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in host:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.socket.bind((host, port))
        self.socket.listen(64)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while not self.over.is_set():
            try:
                conn, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(conn,), daemon=True).start()

    def talk(self, conn):
        try:
            if self.tls:
                conn = self.tls.wrap_socket(conn, server_side=True)
            request = b""
            while b"\r\n\r\n" not in request:
                data = conn.recv(4096)
                if not data:
                    break
                request += data
            self.requests.append(request)
            if request:
                self.act(self, conn, request)
        except OSError:
            pass
        finally:
            conn.close()

    def close(self):
        self.over.set()
        self.socket.close()


def certificate(case, name="server"):
    """A context for servers on 127.0.0.1, and the PEM file of the one who signed."""
    key, pem = case.path(f"{name}.key"), case.path(f"{name}.pem")
    command = [tool("openssl"), "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]
    command += ["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", f"/CN={name}"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    subprocess.run([*command, "-keyout", key, "-out", pem], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return context, pem


def no_names(case):
    """A name server that knows no name; the words for `shell` that make the container ask it."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 53))

    def serve():
        while True:
            query, peer = s.recvfrom(2048)
            s.sendto(query[:2] + b"\x81\x83" + query[4:6] + bytes(6) + query[12:], peer)

    threading.Thread(target=serve, daemon=True).start()
    conf = case.path("resolv.conf", "nameserver 127.0.0.1\n")
    return f"mount --bind {conf} /etc/resolv.conf"


# -- clients


def get(port, path, host="127.0.0.1", timeout=3):
    """(status, body) of a GET; (0, "") when nobody answers."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def becomes(port, path, status, timeout=10, **how):
    """Waits until the answer has that status; returns its body."""
    found = eventually(
        lambda: (lambda got: got if got[0] == status else None)(get(port, path, **how)),
        f"{path} says {status}",
        timeout,
    )
    return found[1]


# -- the app of a container that has connections

APP = r"""
import os, select, signal, socket, sys, time
port, delay = int(sys.argv[1]), float(sys.argv[2])
family = socket.AF_INET6 if len(sys.argv) > 3 else socket.AF_INET
listener = socket.socket(family)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("::" if len(sys.argv) > 3 else "127.0.0.1", port))
listener.listen(64)
def say(text):
    os.write(1, (text + "\n").encode())
def stop(*_):
    say("got 15")
    os._exit(6)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGUSR1, lambda *_: os._exit(4))
say("ready")
connections, due = {}, {}
while True:
    wait = max(0, min(due.values()) - time.monotonic()) if due else None
    for s in select.select([listener, *connections], [], [], wait)[0]:
        if s is listener:
            c = s.accept()[0]
            connections[c] = b""
            continue
        try:
            data = s.recv(4096)
        except OSError:
            data = b""
        if not data:
            due.pop(s, None); connections.pop(s); s.close()
            continue
        connections[s] += data
        if b"\r\n\r\n" in connections[s]:
            connections[s] = b""
            due[s] = time.monotonic() + delay
    for s in [s for s in due if due[s] <= time.monotonic()]:
        del due[s]
        try:
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except OSError:
            pass
"""


def serving_app(case, port, delay=0, ipv6=False):
    """A command: answers each request after delay, keeps connections alive, ends with 6 at TERM
    and with 4 at USR1."""
    program = case.path("server.py", APP)
    return ["/usr/bin/python3", program, str(port), str(delay), *["6"] * ipv6]


class Client:
    """One connection that is kept."""

    def __init__(self, port, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout=5)

    def ask(self):
        self.socket.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    def answer(self):
        return self.socket.recv(4096)

    def close(self):
        self.socket.close()


class Talk:
    """A client that sends one request after the other until it is closed, or refused."""

    def __init__(self, port, pause=0.05):
        self.client = Client(port)
        self.count = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.talk, args=(pause,), daemon=True)
        self.thread.start()

    def talk(self, pause):
        try:
            while not self.over.is_set():
                self.client.ask()
                if not self.client.answer():
                    return
                self.count += 1
                time.sleep(pause)
        except OSError:
            pass

    def close(self):
        self.over.set()
        self.thread.join(5)
        self.client.close()


# -- what a process costs


def switches(pid):
    """How often it has been scheduled away: it has done nothing while this stays the same."""
    with open(f"/proc/{pid}/status") as f:
        return sum(int(line.split()[1]) for line in f if "ctxt_switches" in line)


def descriptors(pid):
    return sorted(os.listdir(f"/proc/{pid}/fd"), key=int)


def memory_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Rss:"))
