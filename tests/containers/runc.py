"""Bundles for runc, as a Kubernetes node makes them: the termination file is a bind mount over /dev/termination-log."""

import os
import subprocess

from docker_entrypoint import message_file, read
from docker_limits import EAT
from engines import wait_until
from terminal import Terminal

NEEDS = ["runc"]


def with_message(path, options=("rw", "rprivate")):
    mount = {"destination": "/dev/termination-log", "type": "bind", "source": path, "options": ["bind", *options]}
    return lambda config: config["mounts"].append(mount)


def as_user(config):
    """What a restricted pod is: an arbitrary uid, no capability, no new privileges; the root is read-only anyway."""
    config["process"]["user"] = {"uid": 1000660000 % 65536, "gid": 0}
    config["process"]["capabilities"] = {kind: [] for kind in config["process"]["capabilities"]}
    config["process"]["noNewPrivileges"] = True


def may_unmount(config):
    """runc itself needs /proc to start anything: the first program in the container takes it away."""
    for kind in ("bounding", "effective", "permitted"):
        config["process"]["capabilities"][kind].append("CAP_SYS_ADMIN")
    config["linux"]["maskedPaths"] = config["linux"]["readonlyPaths"] = []


def cgroups_seen(config):
    config["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                             "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]})


def memory_limit(config):
    config["linux"].setdefault("resources", {})["memory"] = {"limit": 64 << 20, "swap": 64 << 20}


def several(*changes):
    def change(config):
        for one in changes:
            one(config)
    return change


class Running:
    """A container of runc's, in the background; its output goes to a file."""

    def __init__(self, env, name, args, change):
        self.runc = env.runc
        self.name = f"{name}-{os.getpid()}"
        bundle = env.runc.bundle(env.folder, self.name, args, change)
        self.output = f"{bundle}/output"
        with open(self.output, "w") as file:
            self.process = subprocess.Popen(env.runc.argv + ["run", "--bundle", bundle, self.name],
                                            stdin=subprocess.DEVNULL, stdout=file, stderr=file)

    def wait_for(self, text):
        wait_until(lambda: text in read(self.output) or self.process.poll() is not None, text)
        assert text in read(self.output), read(self.output)
        return self

    def kill(self, signal):
        self.runc("kill", self.name, signal).must()

    def ended(self, seconds=15):
        return self.process.wait(seconds)


def test_termination_message(env):
    """The file that Kubernetes mounts: written by root, and by an arbitrary user with no capability."""
    for name, extra in (("root", several()), ("user", as_user)):
        path = message_file(env)
        container = Running(env, name, ["/shim", "--", "/app"], several(with_message(path), extra))
        container.wait_for("app: ready")
        container.kill("TERM")
        assert container.ended() == 7, read(container.output)
        assert read(container.output).endswith("app: handler done\n"), read(container.output)
        assert "app exited 7" in read(path) and "stop requested" in read(path), (name, read(path))


def test_shell_wrapper(env):
    """A pod's `command: [sh, -c, …]` behind shim: the app has its time."""
    container = Running(env, "wrapper", ["/shim", "--", "sh", "-c", "/app; true"], as_user)
    container.wait_for("app: ready")
    container.kill("TERM")
    container.ended()
    assert "handler done" in read(container.output), read(container.output)


def test_read_only_message_file(env):
    """A message file that is mounted read-only changes nothing but the message."""
    path = message_file(env)
    container = Running(env, "ro", ["/shim", "--", "sh", "-c", "exit 9"], with_message(path, ("ro",)))
    assert container.ended() == 9, read(container.output)
    assert read(path) == ""


def test_symbolic_link_as_message_file(env):
    """An image that puts a symbolic link at --termination-log does not make shim write elsewhere."""
    script = ("ln -s /tmp/victim /tmp/link; echo keep >/tmp/victim;"
              " exec /shim -s --termination-log /tmp/link -- cat /tmp/victim")

    def tmpfs(config):
        config["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"})

    container = Running(env, "link", ["sh", "-c", f"({script}); code=$?; cat /tmp/victim; exit $code"], tmpfs)
    assert container.ended() == 0, read(container.output)
    assert read(container.output).endswith("keep\nkeep\n"), read(container.output)


def test_out_of_memory(env):
    """A real OOM kill: named with the limit when the cgroup can be seen, never a failure when it cannot."""
    for name, extra in (("seen", cgroups_seen), ("unseen", several())):
        path = message_file(env)
        container = Running(env, name, ["/shim", "--", *EAT.split()], several(with_message(path), memory_limit, extra))
        assert container.ended() == 137, read(container.output)
        assert "SIGKILL" in read(path), (name, read(path))
        if name == "seen":
            assert "out of memory" in read(path) and "64 MiB" in read(path), read(path)


def test_no_proc(env):
    """Without /proc and /sys: start, stop, exit code and message."""
    path = message_file(env)
    args = ["sh", "-c", "umount -l /proc && umount -l /sys && exec /shim -- /app"]
    container = Running(env, "noproc", args, several(may_unmount, with_message(path)))
    container.wait_for("app: ready")
    container.kill("TERM")
    assert container.ended() == 7, read(container.output)
    assert "app exited 7" in read(path), read(path)


def test_sigkill_while_stopping(env):
    """The platform's SIGKILL of PID 1: the last state is in the file."""
    path = message_file(env)
    container = Running(env, "kill", ["/shim", "--", "/app", "stubborn"], with_message(path))
    container.wait_for("app: ready")
    container.kill("TERM")
    container.wait_for("ignored TERM")
    container.kill("KILL")
    assert container.ended() == 137
    assert "stopping" in read(path), read(path)


def test_terminal(env):
    """terminal: true: the app owns the foreground, Ctrl-C and Ctrl-Z reach it."""
    def terminal_on(config):
        config["process"]["terminal"] = True

    name = f"tty-{os.getpid()}"
    bundle = env.runc.bundle(env.folder, name, ["/shim", "--", "/app"], several(as_user, terminal_on))
    terminal = Terminal(env.runc.argv + ["run", "--bundle", bundle, name])
    terminal.expect("app: ready")
    terminal.type("\x1a")
    terminal.expect("got TSTP")
    terminal.type("\x03")
    terminal.expect("handler done")
    assert terminal.wait() == 8, terminal.seen


def test_exec_beside(env):
    """runc exec: another process in the container, its orphan reaped by shim, the app untouched."""
    container = Running(env, "exec", ["/shim", "--", "/app"], several())
    container.wait_for("app: ready")
    env.runc("exec", container.name, "sh", "-c", "(sleep 0.1 &); exit 0").must()
    stats = ["exec", container.name, "sh", "-c", "cat /proc/[0-9]*/stat"]
    wait_until(lambda: ") Z " not in env.runc(*stats).out, "no zombie")
    container.kill("TERM")
    assert container.ended() == 7


def test_stopped_container(env):
    """runc pause and resume: a stop signal that comes meanwhile is not lost."""
    container = Running(env, "pause", ["/shim", "--", "/app"], several())
    container.wait_for("app: ready")
    env.runc("pause", container.name).must()
    container.kill("TERM")
    env.runc("resume", container.name).must()
    assert container.ended() == 7, read(container.output)
