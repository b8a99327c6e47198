"""PostgreSQL: TERM waits for every client to leave, INT is the fast stop, a kill means recovery."""

import glob
import os
import shutil
import subprocess
import threading
import time

from containers import SHORT, Container, stage, was_killed
from harness import check, equal, eventually, scenario, tool

RECOVERY = "was not properly shut down; automatic recovery in progress"
CLEAN = "database system was shut down at"
INT = ["--stop-signal", "INT"]


class Client(threading.Thread):
    """psql with a session that stays, inserting row after row; counts what was acknowledged."""

    def __init__(self, port, number):
        super().__init__(daemon=True)
        words = ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-X", "-f", "-"]
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": "/"},
        )
        self.number, self.count = number, 0
        self.start()

    def run(self):
        try:
            while True:
                self.process.stdin.write(f"INSERT INTO t VALUES ({self.number});\n".encode())
                self.process.stdin.flush()
                if self.process.stdout.readline() != b"INSERT 0 1\n":
                    return
                self.count += 1
        except OSError:
            pass


class Postgres:
    def __init__(self, case):
        self.bin = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        self.folder = stage(case, f"{self.bin}/postgres", "--version")
        self.case = case
        self.port = 20000
        self.master = f"{self.folder}/master"
        self.as_postgres(f"{self.bin}/initdb", "-D", self.master, "-A", "trust", "--no-sync")

    def as_postgres(self, *words):
        who = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        done = subprocess.run([*who, *words], capture_output=True, text=True, cwd="/", check=False)
        equal(done.returncode, 0, done.stderr)

    def start(self, setup, data, options=(), user="postgres"):
        self.port += 1
        words = [f"{self.bin}/postgres", "-D", data, "-p", str(self.port), "-k", self.folder]
        words += ["-c", "listen_addresses=127.0.0.1"]
        name = os.path.basename(data)
        box = Container(self.case, setup, words, options, user, grace=SHORT, name=f"{name}{self.port}")
        box.wait_ready(lambda: self.sql("SELECT 1") == "1", "it answers")
        return box

    def sql(self, command):
        words = ["psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-XAtc", command]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def write_and_stop(self, setup, options=(), user="postgres"):
        data = f"{self.folder}/{setup}"
        self.as_postgres("cp", "-a", self.master, data)
        box = self.start(setup, data, options, user)
        self.sql("CREATE TABLE t (n int)")
        clients = [Client(self.port, i) for i in range(4)]
        eventually(lambda: all(c.count > 50 for c in clients), "rows are written")
        box.stop()
        for client in clients:
            client.join(10)
        acknowledged = sum(c.count for c in clients)
        again = self.start("shim", data, INT)
        found = int(self.sql("SELECT count(*) FROM t"))
        again.stop()
        start = "recovery" if RECOVERY in again.text() else "clean" if CLEAN in again.text() else "?"
        print(f"{' '.join(options)} {box.report()}; {acknowledged} rows acknowledged, {found} found; "
              f"next start: {start}")
        shutil.rmtree(data)
        check(found >= acknowledged, f"{setup}: {acknowledged} acknowledged, {found} found")
        return box, start


@scenario(limit=90)
def postgres_stop(case):
    postgres = Postgres(case)
    for setup in ("bare", "shell"):
        box, start = postgres.write_and_stop(setup)
        was_killed(box)
        equal(start, "recovery", setup)
    for setup, options, user in (
        ("shim", INT, "postgres"),
        ("shim", [*INT, "--scope", "child"], "postgres"),
        ("shim", [*INT, "--user", "postgres"], None),
        ("shim+shell", [*INT, "--clean-stop"], "postgres"),
    ):
        box, start = postgres.write_and_stop(setup, options, user)
        equal((box.was_killed, box.status, start), (False, 0, "clean"), box.tail())
