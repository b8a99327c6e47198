#!/usr/bin/python3
"""rolling.py [--rounds N]: rolling updates under load, with shim and without; 'N passed, N failed'.

Two replicas of a server, a load balancer that asks for readiness each second and needs up to three
seconds to stop sending, and 50 clients that never pause. In each round both replicas are replaced, one
after the other: a new one is started, and when it gets requests the old one gets SIGTERM. With shim's
drain no request may fail. Without it some must, or the test shows nothing.

Everything runs in a network namespace of its own, and each replica in a PID namespace of its own.
"""

import argparse
import asyncio
import concurrent.futures
import os
import random
import shutil
import signal
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SHIM = os.path.abspath(os.environ.get("SHIM", os.path.join(HERE, "..", "..", "shim")))
CLIENTS = 50
NOTICE = 2.9  # seconds at most from SIGTERM until the balancer sends nothing more to a replica
POLL = 1.0
DRAIN = "3s:20s"

NGINX = """daemon off; worker_processes 1; pid {dir}/pid; error_log stderr crit;
events {{ worker_connections 512; }}
http {{ access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p;
fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
server {{ listen 127.0.0.1:{port}; location / {{ return 200 "ok\\n"; }} }} }}
"""


class Nginx:
    name = "nginx"
    options = ["--stop-signal", "QUIT"]
    requests_a_connection = 20

    @staticmethod
    def command(port, folder):
        config = os.path.join(folder, "nginx.conf")
        with open(config, "w", encoding="ascii") as f:
            f.write(NGINX.format(dir=folder, port=port))
        return [shutil.which("nginx") or "/usr/sbin/nginx", "-e", "stderr", "-c", config]


class Slow:
    name = "python, 2 s a request"
    options = []
    requests_a_connection = 1

    @staticmethod
    def command(port, folder):
        del folder
        return ["/usr/bin/python3", os.path.join(HERE, "slow_app.py"), str(port)]


async def ask(port, path, timeout=1.0):
    """The status that one request is answered with, or 0."""

    async def talk():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".encode())
            line = await reader.readline()
            return int(line.split()[1])
        finally:
            writer.close()

    try:
        return await asyncio.wait_for(talk(), timeout)
    except (OSError, ValueError, IndexError, asyncio.TimeoutError):
        return 0


class Replica:
    """One container: an init of its own, or none, and the app."""

    def __init__(self, app, port, with_shim):
        self.app, self.port, self.with_shim = app, port, with_shim
        self.health = port + 1
        self.folder = tempfile.mkdtemp(prefix="shim-rolling-")
        self.in_rotation = False
        self.stopped_at = None
        self.process = None

    async def start(self):
        words = self.app.command(self.port, self.folder)
        if self.with_shim:
            options = ["--grace", "40s", "--drain", DRAIN, "--health", f"127.0.0.1:{self.health}"]
            options += ["--ready-probe", f"tcp://127.0.0.1:{self.port}"]
            words = [SHIM, *options, *self.app.options, "--", *words]
        self.process = await asyncio.create_subprocess_exec(
            "unshare", "-pf", "--mount-proc", "--kill-child", *words, stdin=asyncio.subprocess.DEVNULL
        )

    async def is_ready(self):
        """As the balancer sees it: shim's word, or merely an answer of the app's port."""
        if self.with_shim:
            return await ask(self.health, "/readyz") == 200
        try:
            _, writer = await asyncio.wait_for(
                asyncio.open_connection("127.0.0.1", self.port), POLL
            )
            writer.close()
            return True
        except (OSError, asyncio.TimeoutError):
            return False

    def init_pid(self):
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return int(f.read().split()[0])

    def describe(self):
        if self.stopped_at is None:
            return "while it runs"
        age = time.monotonic() - self.stopped_at
        return f"{age:.2f} s after SIGTERM, {'in' if self.in_rotation else 'out of'} rotation"

    def terminate(self):
        self.stopped_at = time.monotonic()
        os.kill(self.init_pid(), signal.SIGTERM)

    async def end(self, timeout=45):
        try:
            return await asyncio.wait_for(self.process.wait(), timeout)
        except asyncio.TimeoutError:
            return None
        finally:
            if self.process.returncode is None:
                self.process.kill()
                await self.process.wait()
            shutil.rmtree(self.folder, ignore_errors=True)


class Balancer:
    """Polls each replica once a second, and is slow to believe that one is not ready."""

    def __init__(self):
        self.replicas = []
        self.turn = 0

    def add(self, replica):
        self.replicas.append(replica)
        asyncio.get_running_loop().create_task(self.watch(replica))

    async def watch(self, replica):
        while not await replica.is_ready():
            await asyncio.sleep(0.1)
        replica.in_rotation = True
        while await replica.is_ready():
            await asyncio.sleep(POLL)
        await asyncio.sleep(random.uniform(0, NOTICE - POLL - 0.1))
        replica.in_rotation = False

    def pick(self):
        ready = [r for r in self.replicas if r.in_rotation]
        self.turn += 1
        return ready[self.turn % len(ready)] if ready else None


class Load:
    """The clients; each keeps a connection for some requests, and leaves a replica that is going."""

    def __init__(self, balancer):
        self.balancer = balancer
        self.is_over = False
        self.good = 0
        self.failures = []

    async def client(self):
        await asyncio.sleep(random.uniform(0, 2))  # or all of them would keep in step
        while not self.is_over:
            replica = self.balancer.pick()
            if replica is None:
                await asyncio.sleep(0.05)
                continue
            try:
                await asyncio.wait_for(self.converse(replica), 60)
            except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.TimeoutError) as e:
                self.failures.append(f"{type(e).__name__}: {e}, {replica.describe()}")
                await asyncio.sleep(0.05)

    async def converse(self, replica):
        reader, writer = await asyncio.open_connection("127.0.0.1", replica.port)
        try:
            for _ in range(replica.app.requests_a_connection):
                writer.write(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                if not head.startswith(b"HTTP/1.1 200 "):
                    raise ValueError(head.split(b"\r\n")[0].decode(errors="replace"))
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                self.good += 1
                if self.is_over or not replica.in_rotation:
                    return
                await asyncio.sleep(0.005)
        finally:
            writer.close()


async def in_rotation(replica):
    for _ in range(300):
        if replica.in_rotation:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{replica.app.name} on {replica.port} never became ready")


async def roll(app, first_port, rounds, with_shim):
    """Good requests, failures, and what the ended replicas exited with."""
    balancer = Balancer()
    load = Load(balancer)
    port = first_port
    statuses = []

    async def start():
        nonlocal port
        replica = Replica(app, port, with_shim)
        port += 2
        await replica.start()
        balancer.add(replica)
        await in_rotation(replica)
        return replica

    live = [await start(), await start()]
    clients = [asyncio.create_task(load.client()) for _ in range(CLIENTS)]
    try:
        for _ in range(rounds):
            for slot in range(2):
                old, live[slot] = live[slot], await start()
                old.terminate()
                statuses.append(await old.end())
                balancer.replicas.remove(old)
    finally:
        load.is_over = True
        await asyncio.gather(*clients)
        for replica in live:
            replica.process.kill()
            await replica.end()
    return load.good, load.failures, statuses


def roll_alone(*plan):
    """In a process of its own: a busy neighbour must not make this balancer slower than it says."""
    return asyncio.run(roll(*plan))


def run(rounds):
    passed = failed = 0

    def verdict(truth, text):
        nonlocal passed, failed
        print(f"{'ok  ' if truth else 'FAIL'} {text}", flush=True)
        passed, failed = passed + bool(truth), failed + (not truth)

    begun = time.monotonic()
    plans = [(app, n, shim) for app in (Nginx, Slow) for n, shim in ((rounds, True), (2, False))]
    with concurrent.futures.ProcessPoolExecutor(len(plans)) as pool:
        jobs = [
            pool.submit(roll_alone, app, 20000 + 1000 * i, n, shim)
            for i, (app, n, shim) in enumerate(plans)
        ]
        results = [job.result() for job in jobs]
    for (app, n, shim), (good, failures, statuses) in zip(plans, results):
        text = f"{app.name}, {'with shim' if shim else 'without'}: {2 * n} replicas replaced, "
        text += f"{good} requests answered, {len(failures)} failed"
        if failures:
            text += f" ({failures[0]})"
        verdict(good > 100 and (not failures if shim else failures), text)
        if shim:
            verdict(set(statuses) == {0}, f"{app.name}: exit statuses {sorted(set(statuses), key=str)}")
    print(f"{time.monotonic() - begun:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    if os.geteuid() != 0:
        print("0 passed, 0 failed, 1 skipped")
        return 0
    if not os.environ.get("SHIM_ROLLING_INSIDE"):
        os.environ["SHIM_ROLLING_INSIDE"] = "1"
        inside = 'ip link set lo up && exec "$@"'
        os.execvp("unshare", ["unshare", "-n", "sh", "-c", inside, "sh", sys.executable, *sys.argv])
    return run(args.rounds)


if __name__ == "__main__":
    sys.exit(main())
