"""Redis: what was written since the last save is on disk only if it gets a stop signal and the time."""

import os
import socket
import subprocess
import threading
import time

from containers import SHORT, Container, stage, was_killed
from harness import check, equal, scenario, tool


class Client:
    """One connection; a reply is one line."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.file = self.socket.makefile("rb")

    def ask(self, *words):
        self.socket.sendall((" ".join(words) + "\r\n").encode())
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("no answer")
        return line.decode().strip()


def answers(port):
    try:
        return Client(port).ask("PING") == "+PONG"
    except OSError:
        return False


class Writer(threading.Thread):
    """Sets one key after the other, and counts those that were acknowledged."""

    def __init__(self, port, name):
        super().__init__(daemon=True)
        self.client, self.name_, self.count = Client(port), name, 0
        self.start()

    def run(self):
        try:
            while self.client.ask("SET", f"{self.name_}:{self.count}", "x" * 100) == "+OK":
                self.count += 1
        except OSError:
            pass


class Redis:
    def __init__(self, case):
        self.folder = stage(case, tool("redis-server"), "--version")
        self.case = case
        self.port = 20000

    def start(self, setup, data, options=(), user="redis"):
        self.port += 1
        os.makedirs(f"{self.folder}/{data}", exist_ok=True)
        os.chmod(f"{self.folder}/{data}", 0o777)
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", f"{self.folder}/{data}"]
        words = [tool("redis-server"), *where, "--save", "3600", "1", "--appendonly", "no"]
        box = Container(self.case, setup, words, options, user, grace=SHORT, name=f"{data}{self.port}")
        box.wait_ready(lambda: answers(self.port), "redis answers")
        return box

    def write_and_stop(self, setup, options=(), user="redis"):
        """(Container, keys that were acknowledged, keys that are there when it is started again)."""
        data = setup.replace("+", "-")
        box = self.start(setup, data, options, user)
        writers = [Writer(self.port, f"w{i}") for i in range(4)]
        time.sleep(1)
        box.stop()
        for writer in writers:
            writer.join(10)
        acknowledged = sum(w.count for w in writers)
        again = self.start("bare", data)
        found = int(Client(self.port).ask("DBSIZE")[1:])
        again.stop()
        print(f"{' '.join(options)} {box.report()}; {acknowledged} keys acknowledged, {found} there after a restart")
        subprocess.run(["rm", "-rf", f"{self.folder}/{data}"], check=True)
        return box, acknowledged, found


@scenario(limit=60)
def redis_data(case):
    redis = Redis(case)
    box, acknowledged, found = redis.write_and_stop("bare")
    check(found >= acknowledged, "the server itself as PID 1 lost keys")
    box, acknowledged, found = redis.write_and_stop("shell")
    was_killed(box)
    check(acknowledged > 0 and found == 0, f"{acknowledged} acknowledged, {found} found")
    for setup in ("shim", "shim+shell", "shim as root"):
        user, options = ("redis", []) if "root" not in setup else (None, ["--user", "redis"])
        options = [*options, "--clean-stop"]
        box, acknowledged, found = redis.write_and_stop(setup.split()[0], options, user)
        equal(box.status, 0, box.tail())
        check(found >= acknowledged > 0, f"{setup}: {acknowledged} acknowledged, {found} found")
        check("DB saved on disk" in box.text(), box.tail())
