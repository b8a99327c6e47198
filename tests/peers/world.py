"""The world of one case: a PID namespace of its own, inits started in it, and what can be seen of them.

Everything here runs inside the namespace that harness.py has made; `Init` refuses to work elsewhere.
"""
import ctypes
import fcntl
import os
import re
import select
import signal
import struct
import sys
import termios
import time

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWPID = 0x20000, 0x20000000
MS_REC_PRIVATE = 0x44000
SYS_CLONE = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
PYTHON = ["/usr/bin/python3", "-I", "-S"]
PAYLOAD = PYTHON + [os.path.join(os.path.dirname(os.path.abspath(__file__)), "payload.py")]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PATIENCE = 8.0  # seconds until a case says that nothing came
INSIDE = []     # not empty in a namespace of our own


def namespace_fork():
    """fork() into a PID and mount namespace of its own, where the child is PID 1. 0 in the child."""
    pid = LIBC.syscall(SYS_CLONE, CLONE_NEWPID | CLONE_NEWNS | signal.SIGCHLD, 0, 0, 0, 0)
    if pid < 0:
        raise OSError(ctypes.get_errno(), "clone")
    if pid == 0:
        INSIDE.append(os.getpid() == 1)
        LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        LIBC.mount(None, b"/", None, MS_REC_PRIVATE, None)
        LIBC.mount(b"proc", b"/proc", b"proc", 0, None)
    return pid


def send(pid, signo):
    """kill(2) for every number; Python's own refuses none, but 32 and 33 are not in signal.Signals."""
    if pid <= 1:
        raise SystemExit("send: refused")
    LIBC.kill(pid, signo)


def reset_signals(ignore=(), block=()):
    for signo in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(signo, signal.SIG_IGN if signo in ignore else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, block)


class Init:
    """An init that was started. pid is its number here; own is the one it sees itself."""

    def __init__(self, world, *args, env=None, pid1=False, ignore=(), block=(), closed=(), keep=(), tty=None,
                 cwd=None, argv0=None, stdin=None):
        if not any(INSIDE):
            raise SystemExit("not in a PID namespace of its own")
        self.argv = [argv0 or world.name, *args]
        self.tty = tty
        self.text = {1: b"", 2: b""}
        self.status = None
        ends = {1: os.pipe(), 2: os.pipe()}
        self.pid = self.waited = namespace_fork() if pid1 else os.fork()
        if self.pid == 0:
            try:
                self._child(world, ends, env, ignore, block, closed, keep, cwd, stdin)
            finally:
                os._exit(99)
        for fd in ends:
            os.close(ends[fd][1])
            os.set_blocking(ends[fd][0], False)
        self.pipes = {fd: ends[fd][0] for fd in ends}
        self.pidfd = os.pidfd_open(self.waited)
        if tty and not tty.leader:
            self.pid = int(os.read(tty.report[0], 20))
        self.own = 1 if pid1 else self.pid

    def _child(self, world, ends, env, ignore, block, closed, keep, cwd, stdin):
        if self.tty:
            self.tty.take()
        null = os.open("/dev/null", os.O_RDWR)
        if self.tty:
            os.dup2(self.tty.slave, 0)
        else:
            os.dup2(null if stdin is None else stdin, 0)
        out = {fd: self.tty.slave if self.tty and fd in self.tty.stdio else ends[fd][1] for fd in ends}
        for fd in out:
            os.dup2(out[fd], fd)
        for fd in keep:
            os.set_inheritable(fd, True)
        for fd in closed:
            os.close(fd)
        if cwd:
            os.chdir(cwd)
        reset_signals(ignore, block)
        os.execve(world.binary, self.argv, {"PATH": PATH, "HOME": "/root", "LC_ALL": "C", **(env or {})})

    def pump(self, seconds):
        """Takes in what has been written, for so long or until the init has ended. True when it has."""
        fds = [fd for fd in self.pipes.values()] + [self.pidfd]
        if self.tty and self.tty.master >= 0:
            fds.append(self.tty.master)
        ready = select.select(fds, [], [], max(0, seconds))[0]
        for fd, pipe in list(self.pipes.items()):
            if pipe in ready:
                data = os.read(pipe, 65536)
                self.text[fd] += data
                if not data:
                    del self.pipes[fd]
        if self.tty and self.tty.master in ready:
            self.tty.read()
        return self.pidfd in ready

    def expect(self, pattern, seconds=PATIENCE, where=1):
        """Waits for a line of output that matches; the match, or None when it did not come."""
        end = time.monotonic() + seconds
        while True:
            text = self.tty.text if where == "tty" else self.text[where]
            found = re.search(pattern, text.decode(errors="replace"), re.M)
            if found or time.monotonic() > end:
                return found
            if self.pump(0.05) and not self.pipes:
                time.sleep(0.01)

    def wait(self, seconds=PATIENCE):
        """How it ended: the exit code, "signal N", or "still there" after so long."""
        end = time.monotonic() + seconds
        while not self.pump(end - time.monotonic()):
            if time.monotonic() > end:
                return "still there"
        status = os.waitpid(self.waited, 0)[1]
        while self.pipes and select.select(list(self.pipes.values()), [], [], 0)[0]:
            self.pump(0)
        if self.tty and self.tty.master >= 0:
            self.tty.read()
        self.status = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return self.status

    def kill(self, signo):
        send(self.pid, signo)

    def child(self, seconds=PATIENCE):
        """The number of its first child, as seen here."""
        return retry(lambda: next(iter(children(self.pid)), None), seconds)

    def out(self):
        return words(self.text[1].decode(errors="replace"), self.own)

    def err(self):
        return words(self.text[2].decode(errors="replace"), self.own)


class Terminal:
    """A pseudo-terminal. leader: the init leads its session; else a shell of the session started it, in front or not."""

    def __init__(self, leader=True, front=True, stdio=(1, 2)):
        self.leader, self.front, self.stdio = leader, front, stdio
        self.master, self.slave = os.openpty()
        mode = termios.tcgetattr(self.slave)
        mode[1] &= ~termios.OPOST
        mode[3] &= ~termios.ECHO
        termios.tcsetattr(self.slave, termios.TCSANOW, mode)
        os.set_blocking(self.master, False)
        self.text = b""
        self.report = os.pipe()

    def take(self):
        """In the process that becomes the init."""
        os.setsid()
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
        os.close(self.master)
        if self.leader:
            return
        # The "shell": hands the terminal to the init, waits for it and ends with its status.
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
            if self.front:
                os.tcsetpgrp(self.slave, os.getpid())
            os.write(self.report[1], str(os.getpid()).encode())
            return
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        status = os.waitpid(pid, 0)[1]
        os._exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))

    def type(self, data):
        os.write(self.master, data)

    def hang_up(self):
        os.close(self.master)
        os.close(self.slave)
        self.master = -1

    def read(self):
        try:
            self.text += os.read(self.master, 65536)
        except (BlockingIOError, OSError):
            pass

    def foreground(self):
        return struct.unpack("i", fcntl.ioctl(self.master, termios.TIOCGPGRP, b"\0" * 4))[0]


class World:
    """What a case is given: the binary to look at and the name to call it by."""

    def __init__(self, binary, name):
        self.binary, self.name = binary, name

    def start(self, *args, **more):
        return Init(self, *args, **more)

    def run(self, *args, seconds=PATIENCE, **more):
        """Runs to the end: {status, out, err}."""
        init = Init(self, *args, **more)
        status = init.wait(seconds)
        return {"status": status, "out": init.out(), "err": init.err()}


def retry(what, seconds=PATIENCE):
    """what() until it gives something true, every 20 ms; its last answer."""
    end = time.monotonic() + seconds
    while True:
        answer = what()
        if answer or time.monotonic() > end:
            return answer
        time.sleep(0.02)


def stat(pid):
    """(state, parent, group, session, terminal, its foreground) or None."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            rest = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return (rest[0], *map(int, rest[1:6]))


def state(pid):
    """T stopped, Z zombie, S alive (asleep or not), or gone."""
    facts = stat(pid)
    return {"R": "S", "D": "S"}.get(facts[0], facts[0]) if facts else "gone"


def children(pid):
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return sorted(p for p in pids if (stat(p) or (0, 0))[1] == pid)


def words(text, own):
    """Output with process numbers taken out, and help texts cut behind the usage line: those are not to be alike."""
    lines = []
    for line in text.splitlines():
        line = re.sub(r"^(\[\w+ +tini \()(\d+)", lambda m: m[1] + ("init" if int(m[2]) == own else "child"), line)
        line = re.sub(r"^(\w+ \(catatonit:)(\d+)", lambda m: m[1] + ("init" if int(m[2]) == own else "child"), line)
        line = re.sub(r"(pid: '|pid '|pid=|PID |pid1 \(|child process )\d+", r"\1N", line)
        line = re.sub(r"version [\d.]+_catatonit", "version V_catatonit", line)
        lines.append(line)
    for index, line in enumerate(lines[:-1]):
        if re.match(r"Usage: .*(\[OPTIONS\] PROGRAM|\[option\] command)|usage: catatonit", line):
            lines[index + 1:] = ["<help>"]
            break
    return lines


def told(init, status):
    """The init's own lines in their order, and the child's apart: which of the two comes first is chance with the peers. Lines on the
    handing over of the terminal are left out: what is done there is compared, and is not always the same."""
    seen = {"status": status, "out": init.out(), "err": init.err()}
    for key in ("out", "err"):
        child = [line for line in seen[key] if re.search(r"[ :]\(?child\)|setsid complete|Unable to attach|^\[dumb-init\] /nope: ", line)]
        seen[f"{key} of the child"] = [line for line in child if not re.search("tcsetpgrp|foreground|/dev/tty", line)]
        seen[key] = [line for line in seen[key] if line not in child]
    return seen


if __name__ == "__main__":
    sys.exit("world.py is not run by itself: see run")
