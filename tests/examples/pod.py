"""Runs a container of a manifest as the kubelet would: its command and args, its user, a read-only root,
its volumes, a termination file; in namespaces of its own, with stand-ins for the images.
"""

import http.client
import os
import signal
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
SHIM = os.path.abspath(os.environ.get("SHIM", os.path.join(TOP, "shim")))
UNSHARE = ["unshare", "--pid", "--fork", "--mount", "--kill-child"]

sys.path.insert(0, os.path.dirname(HERE))
from harness import die_with_parent, eventually  # noqa: E402

HOSTS = "127.0.0.1 localhost orders-db\n"
# Stands for the work of job.yaml: ends with the status that it reads, or a second after SIGTERM.
REPORT = """
import signal, sys, time
def stop(*_):
    print("report: stopping", flush=True)
    time.sleep(1)
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
print("report: working", flush=True)
sys.exit(int(sys.stdin.readline()))
"""


def write(path, text, mode=0o644):
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)
    return path


class Container:
    """One run. said() is all output so far; signal(), wait(), message()."""

    def __init__(self, work, spec, container, volumes):
        self.log = os.path.join(work, container["name"] + ".log")
        self.termination = write(os.path.join(work, container["name"] + ".message"), "", 0o666)
        root = os.path.join(work, container["name"])
        os.mkdir(root)
        security = {**spec.get("securityContext", {}), **container.get("securityContext", {})}
        mounts = [
            f"{SHIM}:/shim:ro",
            f"{TOP}/examples/app.py:/srv/app.py:ro",
            f"{write(os.path.join(work, 'report.py'), REPORT)}:/srv/report.py:ro",
            f"{write(os.path.join(work, 'hosts'), HOSTS)}:/etc/hosts:ro",
            f"{self.termination}:/dev/termination-log:rw",
        ]
        if container["command"][0] != "/shim":
            del mounts[0]  # an image without it
        for mount in container.get("volumeMounts", []):
            mode = "ro" if mount.get("readOnly") else "rw"
            mounts.append(f"{volumes[mount['name']]}:{mount['mountPath']}:{mode}")
        who = [str(security["runAsUser"]), str(security["runAsGroup"])]
        command = container["command"] + container.get("args", [])
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*UNSHARE, os.path.join(HERE, "container"), root, *who, *mounts, "--", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                preexec_fn=die_with_parent,
            )

    def said(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def expect(self, text):
        eventually(lambda: text in self.said(), f"{text!r} in {self.said()!r}")

    def signal(self, number=signal.SIGTERM):
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            (child,) = f.read().split()
        os.kill(int(child), number)

    def tell(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def wait(self, timeout):
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there after {timeout:g} s: {self.said()!r}") from None

    def message(self):
        with open(self.termination) as f:
            return f.read()

    def kill(self):
        self.process.kill()  # and by --kill-child its PID 1, and so the namespace
        self.process.wait()


def get(port, path):
    """The status and the body, or (0, why) when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError as error:
        return 0, str(error)
    finally:
        connection.close()


class Sidecar(threading.Thread):
    """The proxy of job.yaml: /ready when told so, ends by POST /quitquitquit, refuses the rest."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.is_ready, self.requests = server, False, []

    def run(self):
        while True:
            connection, _ = self.server.accept()
            with connection:
                connection.settimeout(3)
                words = connection.recv(4096).decode().split()[:2]
                self.requests.append(" ".join(words))
                good = words == ["POST", "/quitquitquit"] or (words == ["GET", "/ready"] and self.is_ready)
                status = "200 OK" if good else "405 No" if words[1] == "/quitquitquit" else "503 No"
                connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
