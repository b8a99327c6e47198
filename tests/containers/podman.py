"""`podman run --init --init-path=shim` (as /run/podman-init), and shim as the entrypoint."""

import os
import re
import socket
import subprocess
import tempfile

from docker_entrypoint import SHIM, message_file, mounted, read
from docker_limits import EAT, MEMORY
from engines import BASE, Container, wait_until
from terminal import Terminal

NEEDS = ["podman"]


def init(env):
    return ["--init", "--init-path", env.podman.shim]


def test_is_pid_1(env):
    """PID 1 is podman's init, the app its child."""
    done = env.podman.run("--rm", *init(env), BASE, "ps", "-o", "pid,args").must()
    assert re.search(r"^ +1 /(run/podman-|dev/)init -- ps", done.out, re.M), done
    assert done.err == "", done


def test_exit_codes(env):
    """The app's code is the container's, a signal's too."""
    for script, code in (("exit 0", 0), ("exit 1", 1), ("exit 255", 255), ("kill -9 $$", 137)):
        done = env.podman.run("--rm", *init(env), BASE, "sh", "-c", script)
        assert done.code == code, (script, done)


def test_stop(env):
    """podman stop: the handler runs, the container ends at once."""
    container = env.podman.start(*init(env), BASE, "/app").wait_for("app: ready")
    took = container.stop("-t", "20").took
    assert took < 10 and container.ended() == 7, took
    assert "handler done" in container.logs(), container.logs()


def test_stop_at_the_end_of_the_timeout(env):
    """An app that ignores TERM is killed after podman's timeout."""
    container = env.podman.start(*init(env), BASE, "/app", "stubborn").wait_for("app: ready")
    took = container.stop("-t", "2").took
    assert 1.9 < took < 15 and container.ended() == 137, took


def test_shell_wrapper_stop(env):
    """ENTRYPOINT shim, hardened, `sh -c` around the app: the handler runs to its end."""
    path = message_file(env)
    container = env.podman.start("--read-only", "--user", "12345:0", "--cap-drop", "ALL", "--security-opt",
                                 "no-new-privileges", *mounted(path), *SHIM, "--", "sh", "-c", "/app; true")
    container.wait_for("app: ready as 12345:0")
    took = container.stop("-t", "25").took
    assert took < 10, took
    assert "handler done" in container.logs(), container.logs()
    assert "stop requested" in read(path), read(path)


def test_out_of_memory(env):
    """A real OOM kill under podman, named in the message."""
    path = message_file(env)
    done = env.podman.run(*MEMORY, *mounted(path), *SHIM, "--", *EAT.split())
    assert done.code == 137, done
    assert "out of memory" in read(path) and "64 MiB" in read(path), read(path)


def test_terminal(env):
    """podman run -it: Ctrl-Z and Ctrl-C reach the app."""
    for way in ([*init(env), BASE], [*SHIM, "--"]):
        terminal = Terminal(env.podman.argv + ["run", "-it", "--rm", *env.podman.run_flags, *way, "/app"])
        terminal.expect("app: ready")
        terminal.type("\x1a")
        terminal.expect("got TSTP")
        terminal.type("\x03")
        terminal.expect("handler done")
        assert terminal.wait() == 8, (way, terminal.seen)


def test_pause(env):
    """`catatonit -P`: it holds on without an app, and TERM ends it at once with 0."""
    container = env.podman.start("--entrypoint", "/catatonit", BASE, "-P")
    assert container.is_running()
    took = container.stop("-t", "10").took
    assert took < 8 and container.ended() == 0, (took, container.logs())


def test_pod(env):
    """podman's own infra container with shim as its catatonit: holds the pod, reaps in it, ends with it."""
    name = f"pod{os.getpid()}"
    create = ["--name", name, "--network", "none", "--share", "pid,ipc,uts", *env.podman.cgroup_flags]
    env.podman("pod", "create", *create).must()
    run = ["run", "-d", "--pod", name, "--pull", "never", *SHIM, "--", "/app"]
    app = Container(env.podman, env.podman(*run).must().out.strip())
    app.wait_for("app: ready")
    assert re.search(r"^ +1 /catatonit -P", app.exec("ps", "-o", "pid,args").must().out, re.M), app.exec("ps")
    app.exec("sh", "-c", "for i in 1 2 3 4 5; do (sleep 0.1 &); done").must()
    wait_until(lambda: ") Z " not in app.exec("sh", "-c", "sleep 0.3; cat /proc/[0-9]*/stat").out, "no zombie")
    app.stop("-t", "10")  # first: podman ends infra and the rest side by side, and takes the shared PID namespace away
    assert app.ended() == 7 and "handler done" in app.logs(), app.logs()
    assert env.podman("pod", "stop", "-t", "10", name).must().took < 8
    pod = env.podman("pod", "inspect", name, "--format", "{{.InfraContainerID}}").must()
    infra = Container(env.podman, pod.out.strip())
    assert infra.ended() == 0, infra.logs()


class Manager:
    """What systemd is to a unit with Type=notify: a socket, and what was said on it."""

    def __init__(self, folder):
        self.path = f"{folder}/notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o777)
        self.heard = []

    def listen(self, seconds=0.0):
        self.socket.settimeout(max(seconds, 0.001))
        try:
            while True:
                self.heard += self.socket.recv(4096).decode().splitlines()
        except OSError:
            return self.heard


NOTIFY = """
import os, signal, socket, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
where = os.environ.get("NOTIFY_SOCKET", "")
print("app: socket", where or "none", flush=True)
sys.stdin.readline()
if where:
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", where.replace("@", "\\0", 1))
print("app: sent", flush=True)
time.sleep(60)
"""


def run_notifying(env, name, how, way, manager):
    """The app says that it is ready when it reads a line."""
    argv = ["env", f"NOTIFY_SOCKET={manager.path}", *env.podman.argv, "run", "-i", "--name", name, f"--sdnotify={how}",
            *env.podman.run_flags, "-v", "/usr:/usr:ro", *way, "/usr/bin/python3", "-c", NOTIFY]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_notify_socket(env):
    """--sdnotify: container lets the app speak for itself, conmon and ignore leave it without a socket, as without us."""
    for way in ([*init(env), BASE], [*SHIM, "--"], ["--entrypoint", "/usr/bin/env", BASE]):
        for how in ("container", "conmon", "ignore"):
            folder = tempfile.mkdtemp(dir=env.folder)
            name = os.path.basename(folder)
            manager = Manager(folder)
            client = run_notifying(env, name, how, way, manager)
            try:
                said = client.stdout.readline()
                assert said.startswith("app: socket "), (said, client.communicate(timeout=10))
                assert ("none" in said) == (how != "container"), (how, way, said)
                ready = "READY=1" in manager.listen(0.3)
                assert ready == (how == "conmon"), (how, way, manager.heard)
                client.stdin.write("\n")
                client.stdin.flush()
                assert client.stdout.readline() == "app: sent\n"
                wait_until(lambda: how == "ignore" or "READY=1" in manager.listen(), lambda: manager.heard)
                assert any(line.startswith("MAINPID=") for line in manager.heard) == (how != "ignore"), manager.heard
            finally:
                env.podman("kill", name)
                client.wait(10)


def test_install(env):
    """--install into a volume."""
    volume = f"{env.folder}/volume"
    os.mkdir(volume)
    env.podman.run("--rm", "-v", f"{volume}:/out", *SHIM, "--install", "/out").must()
    use = ["-v", f"{volume}:/in:ro", "--entrypoint", "/in/shim", BASE]
    done = env.podman.run("--rm", *use, "--", "sh", "-c", "exit 6")
    assert done.code == 6, done
