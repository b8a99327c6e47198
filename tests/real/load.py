"""Clients of a server that is being stopped, and the slow server behind a proxy.

The clients are what a container has in front of it: some wait for slow answers, each on a connection of
its own, others keep theirs and never pause. They go on for a while after the container was told to stop,
as a load balancer does, and count what they got.
"""

import http.client
import http.server
import socketserver
import threading
import time

SLOW = 0.7  # seconds that an answer to /slow takes
BODY = {"/": b"ok\n", "/slow": b"slow ok\n"}


def ask(connection, path):
    """One answer, whole and right, or an exception. True: the connection can be kept."""
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise ValueError(f"status {answer.status}")
    if body != BODY[path]:
        raise ValueError(f"a body of {len(body)} bytes that is not right")
    return not answer.will_close


def is_serving(port, path="/"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        ask(connection, path)
        return True
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()


class Load:
    """Clients of one port, from now on."""

    def __init__(self, port, slow=12, quick=6):
        self.port = port
        self.told_at = None  # when the container was told to stop
        self.last_at = float("inf")  # no request begins after that
        self.good = self.slow_good = 0
        self.failures = []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.slow_client, args=(i,)) for i in range(slow)]
        self.threads += [threading.Thread(target=self.quick_client) for _ in range(quick)]
        self.slow = slow
        for thread in self.threads:
            thread.daemon = True
            thread.start()

    def stop_is_told(self, notice):
        """The container hears it now; the clients send for that many seconds more."""
        self.told_at = time.monotonic()
        self.last_at = self.told_at + notice

    def finish(self):
        for thread in self.threads:
            thread.join(15)
        return len(self.failures)

    def is_over(self):
        return time.monotonic() >= self.last_at

    def count(self, error=None, path="/"):
        with self.lock:
            if error is None:
                self.good += 1
                self.slow_good += path == "/slow"
                return
            after = time.monotonic() - self.told_at if self.told_at else -1
            self.failures.append(f"{path} {type(error).__name__}: {error}, {after:.2f} s after")

    def one(self, connection, path):
        try:
            keep = ask(connection, path)
            self.count(path=path)
            return keep
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.count(error, path)
            time.sleep(0.05)
            return False

    def slow_client(self, number):
        time.sleep(number * SLOW / max(self.slow, 1))  # or all of them would keep in step
        while not self.is_over():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=12)
            self.one(connection, "/slow")
            connection.close()

    def quick_client(self):
        while not self.is_over():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=12)
            while not self.is_over() and self.one(connection, "/"):
                time.sleep(0.005)
            connection.close()

    def report(self):
        text = f"{self.good} answered, {len(self.failures)} failed"
        return text + (f" (the first: {self.failures[0]})" if self.failures else "")


class Backend(http.server.BaseHTTPRequestHandler):
    """What a proxy has behind it. It is not stopped."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/slow":
            time.sleep(SLOW)
        body = BODY[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def start_backend(port):
    class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
        allow_reuse_address = daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_):
            pass

    server = Server(("127.0.0.1", port), Backend)
    threading.Thread(target=server.serve_forever, daemon=True).start()
