#!/usr/bin/python3
"""Starts an init in a PID namespace of its own and looks at it from outside.

A scenario is a function with @scenario that takes a Case:

    @scenario()
    def p24_codes(case):
        init = case.start(["exit", "7"])
        check(init.wait() == 7)

A list that begins with the name of a payload command is run by payload.c, any other as it is. Every
namespace dies with the case (and with the test process: PDEATHSIG), whatever happens.

What `unshare -pf` of util-linux 2.38 does to signals (looked up once with strace): it sets SIGCHLD
to its default, blocks INT and TERM in itself around fork, and gives its child the old mask back. So
masks pass through, but an ignored SIGCHLD does not: `payload with -i 17` sets that inside.
"""

import ctypes
import errno
import fcntl
import os
import platform
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
import termios
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MODES = ("pid1", "plain", "kernel", "sub")  # see run
NAMED = ("pid1", "plain", "sub")  # where it matters how the app is called
INIT = ("pid1", "plain", "kernel")
COMMANDS = (
    "report",
    "exit",
    "kill",
    "signals",
    "ignore",
    "hold",
    "slow",
    "orphans",
    "crowd",
    "stopself",
    "stuck",
    "headless",
    "send",
    "with",
    "init",
    "novdso",
)
DEADLINE = 10.0  # for one line or one end, where a scenario names no other
LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1
SCENARIOS = []


class Skip(Exception):
    """The machine has not got what the scenario needs."""


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def reset_libc_signals():
    """A shell starts what is in its background with INT and QUIT ignored. glibc's posix_spawn, which
    make uses, leaves its own two signals ignored, and libc's own calls cannot change them back."""
    number = {"x86_64": 13, "aarch64": 134}.get(platform.machine())
    default = ctypes.create_string_buffer(64)  # all zeroes: SIG_DFL in any layout
    for signo in (signal.SIGINT, signal.SIGQUIT, 32, 33) if number else ():
        LIBC.syscall(number, signo, default, None, 8)


def scenario(modes=MODES, limit=20):
    def register(function):
        SCENARIOS.append((function, tuple(modes), limit))
        return function

    return register


def check(truth, *what):
    if not truth:
        raise AssertionError(" ".join(str(w) for w in what) or "not so")


def equal(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}{': ' if what else ''}got {got!r}, want {want!r}")


def eventually(question, what, timeout=DEADLINE):
    """Asks every 20 ms until the answer is true, and returns it."""
    end = time.monotonic() + timeout
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(0.02)


def build_payload(path):
    """The namespace this runs in is compiled in, so that payload refuses to run in it."""
    outer = os.stat("/proc/self/ns/pid").st_ino
    headers = ["-idirafter", "/usr/include"]
    machine = subprocess.run(["gcc", "-print-multiarch"], capture_output=True, text=True).stdout
    if machine.strip():
        headers += ["-idirafter", "/usr/include/" + machine.strip()]
    subprocess.run(
        [
            "musl-gcc",
            "-static",
            "-O2",
            "-std=c11",
            "-D_GNU_SOURCE",
            "-Wall",
            "-Wextra",
            *headers,
            f"-DOUTER_PIDNS={outer}",
            "-o",
            path,
            os.path.join(HERE, "payload.c"),
        ],
        check=True,
    )


def tool(name):
    path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if not path:
        raise Skip(f"needs {name}")
    return path


def proc_status(pid):
    """/proc/PID/status as a dict; empty when there is no such process."""
    try:
        with open(f"/proc/{pid}/status") as f:
            return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    except (FileNotFoundError, ProcessLookupError):
        return {}


def proc_children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(word) for word in f.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


class Init:
    """One init under test and the namespace around it."""

    def __init__(self, case, process, master=None):
        self.case = case
        self.process = process  # unshare
        self.master = master  # our end of the terminal
        self.buffers = {}
        self.name = {}
        self.pid = None
        self.ended = None
        for name, fd in (
            ("out", process.stdout and process.stdout.fileno()),
            ("err", process.stderr and process.stderr.fileno()),
            ("tty", master),
        ):
            if fd is not None:
                os.set_blocking(fd, False)
                self.buffers[name] = b""
                self.name[fd] = name

    # -- who is who

    def find(self, is_init):
        """Waits until the init itself runs, after the programs that prepare its place."""
        mine = os.stat(self.case.shim)

        def search():
            if self.process.poll() is not None:
                return -1
            front = proc_children(self.process.pid)
            while front:
                pid = front.pop()
                try:
                    st = os.stat(f"/proc/{pid}/exe")
                except OSError:
                    st = None
                if st and (st.st_dev, st.st_ino) == (mine.st_dev, mine.st_ino):
                    return pid
                front += proc_children(pid)
            return None

        if is_init:
            first = eventually(search, "the init is running")
            # It may have become the init after it was looked at, and before its children were: the
            # first of them still is what the init is, between fork and exec.
            self.pid = search() or first
        return self

    def app(self):
        """The outer pid of the app, the first child of the init."""
        return eventually(lambda: proc_children(self.pid), "the init has a child")[0]

    def processes(self):
        """Every process of the namespace: {outer pid: state}, the dead ones too."""
        inode = os.stat(f"/proc/{self.pid}/ns/pid").st_ino
        found = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    if os.stat(f"/proc/{name}/ns/pid").st_ino == inode:
                        found[int(name)] = proc_status(name).get("State", "?")[0]
                except OSError:
                    pass
        return found

    def zombies(self):
        return [pid for pid, state in self.processes().items() if state == "Z"]

    # -- what goes in

    def signal(self, signo, pid=None):
        if self.process.poll() is None:
            os.kill(pid or self.pid, signo)

    def type(self, keys):
        os.write(self.master, keys.encode())

    def close_input(self):
        self.process.stdin.close()

    # -- what comes out

    def read(self, timeout):
        """Takes what there is; False when everything has been closed."""
        if not self.name:
            time.sleep(min(timeout, 0.02))
            return False
        ready, _, _ = select.select(list(self.name), [], [], max(timeout, 0))
        for fd in ready:
            try:
                data = os.read(fd, 65536)
            except OSError as e:
                if e.errno not in (errno.EIO, errno.EAGAIN):
                    raise
                if e.errno == errno.EAGAIN:
                    continue
                data = b""
            if data:
                self.buffers[self.name[fd]] += data
            else:
                del self.name[fd]
        return True

    def text(self, name):
        """Without the hook's kind before each line of its output: it is in buffers[name], for those who ask."""
        text = self.buffers.get(name, b"").decode(errors="replace").replace("\r", "")
        return re.sub("^(pre|post)-(start|stop): ", "", text, flags=re.M)

    @property
    def out(self):
        return self.text("out")

    @property
    def err(self):
        return self.text("err")

    def lines(self):
        return self.out.splitlines()

    def line(self, pattern, where="out", timeout=DEADLINE, count=1):
        """Waits for the count-th line that matches; returns the match."""
        end = time.monotonic() + timeout
        while True:
            found = list(re.finditer(pattern, self.text(where), re.M))
            if len(found) >= count:
                return found[count - 1]
            left = end - time.monotonic()
            if left <= 0 or not self.read(min(left, 0.1)) and self.process.poll() is not None:
                raise AssertionError(f"{where} never said {pattern!r}")

    def quiet(self, seconds):
        """Lets that much time go by, and takes what is said."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(end - time.monotonic())

    def wait(self, timeout=DEADLINE):
        """The exit status of the init (as a shell would say it), when all output has been read."""
        end = time.monotonic() + timeout
        while self.process.poll() is None:
            if time.monotonic() > end:
                raise AssertionError(f"still running after {timeout:g} s")
            self.read(0.02)
        self.ended = time.monotonic()
        while self.name and time.monotonic() < end + 1:
            self.read(0.1)
        code = self.process.returncode
        return code if code >= 0 else 128 - code

    def report(self):
        """What `payload report` said, as a dict; arg and env are lists."""
        self.line(
            r"^end$", "tty" if self.master is not None and "out" not in self.buffers else "out"
        )
        facts = {"arg": [], "env": []}
        for line in (self.out or self.text("tty")).splitlines():
            key, _, value = line.partition(" ")
            if key in ("arg", "env"):
                facts[key].append(value)
            else:
                facts[key] = value
        return facts

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()  # its child has PDEATHSIG, and that is the PID 1
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                try:
                    stream.close()
                except OSError:
                    pass
        if self.master is not None:
            os.close(self.master)
            self.master = None


class Case:
    """One run of one scenario."""

    def __init__(self, mode, directory):
        self.mode = mode
        self.dir = directory  # for this case alone
        self.shim = os.environ["SHIM_TEST_BINARY"]
        self.payload = os.environ["SHIM_TEST_PAYLOAD"]
        self.inits = []
        self.notes = []

    def words(self, command):
        return [self.payload, *command] if command and command[0] in COMMANDS else list(command)

    def path(self, name, content=None, mode=None):
        """A name in the directory of this case, and a file if there is content."""
        path = os.path.join(self.dir, name)
        if content is not None:
            with open(path, "wb") as f:
                f.write(content.encode() if isinstance(content, str) else content)
        if mode is not None:
            os.chmod(path, mode)
        return path

    def command(self, app, opts=(), prefix=(), binary=None, dashes=True, subreaper=True):
        """The command line of the init: prefix (payload `with` options), binary, options, app."""
        words = [binary or self.shim, *opts]
        if self.mode == "sub" and subreaper:
            words.insert(1, "-s")
        words += ["--"] * dashes
        if self.mode == "kernel":
            words += [self.payload, "with", "-O", "--"]
        words += self.words(app)
        prefix = [*prefix, *os.environ.get("SHIM_TEST_DENIED", "").split()]  # faults/run's
        return [self.payload, "with", *prefix, "--", *words] if prefix else words

    def start(
        self,
        app,
        opts=(),
        prefix=(),
        env=None,
        tty=None,
        wrap=(),
        after=None,
        find=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        binary=None,
        dashes=True,
        subreaper=True,
        shell=None,
    ):
        """Starts app under the init. tty: None, or the shape of the terminal:
        leader: the init leads the session (docker run -t); unshared: PID 1, but a session outside;
        front, behind: not PID 1, as a shell starts a job. wrap: a command line to put before the
        init's. shell: commands a shell does first, inside. after: ms that the PID 1 of mode sub
        waits to see who is left. find=False: do not wait until it runs."""
        words = self.command(app, opts, prefix, binary, dashes, subreaper)
        if shell:
            words = ["/bin/sh", "-ec", shell + '\nexec "$@"', "sh", *words]
        words = [*wrap, *words]
        inner = []
        if tty == "leader":
            inner = [self.payload, "with", "-t", "--"]
        if self.mode == "sub" or tty in ("front", "behind"):
            inner = [self.payload, "init"]
            inner += ["-t"] * (tty is not None)
            inner += [{"front": "-f", "behind": "-b"}[tty]] if tty in ("front", "behind") else []
            inner += ["-m", str(after)] if after is not None else []
            inner += ["--"]
        full = [tool("unshare"), "-pf", "--mount-proc", "--kill-child", *inner, *words]
        return self.launch(full, env, tty, stdin, stdout, stderr, cwd).find(find)

    def launch(self, words, env, tty, stdin, stdout, stderr, cwd):
        master = slave = None
        if tty:
            master, slave = os.openpty()
            stdin = stdout = stderr = slave
            settings = termios.tcgetattr(slave)
            settings[3] &= ~termios.ECHO
            termios.tcsetattr(slave, termios.TCSANOW, settings)
        if env is None:
            env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
        env = dict(env)
        if self.mode == "plain":
            env["SHIM_TEST_REAPING"] = "plain"

        def child():
            die_with_parent()
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            reset_libc_signals()
            if tty == "unshared":
                os.setsid()
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        process = subprocess.Popen(
            words, env=env, stdin=stdin, stdout=stdout, stderr=stderr, cwd=cwd, preexec_fn=child
        )
        if slave is not None:
            os.close(slave)
        init = Init(self, process, master)
        self.inits.append(init)
        return init

    def run(self, app, timeout=DEADLINE, **how):
        """Starts app and waits for the end; returns the Init, its status in .status."""
        init = self.start(app, find=False, **how)
        init.status = init.wait(timeout)
        return init

    def works(self, what, **how):
        """It starts, forwards, reaps, stops and gives the status back. Returns the Init."""
        script = f"({self.payload} exit 1 &); exec {self.payload} signals 15 6"
        init = self.start(["/bin/sh", "-c", script], **how)
        init.line("^ready")
        for signo in (10, 1, 40):
            init.signal(signo)
            init.line(f"^got {signo}$")
        init.signal(15)
        equal(init.wait(), 6, what)
        return init

    def close(self):
        """Ends all it has started."""
        for init in self.inits:
            init.kill()
        self.inits.clear()


def strip_mode(environment):
    """Without what the harness itself puts into the environment."""
    return sorted(e for e in environment if not e.startswith("SHIM_TEST_REAPING="))


def fill(fd):
    """A pipe, socket or terminal that takes no byte more: who writes to it waits."""
    os.set_blocking(fd, False)
    try:
        while True:
            os.write(fd, b"x" * 256)
    except BlockingIOError:
        os.set_blocking(fd, True)


def regular(path):
    return os.path.exists(path) and stat.S_ISREG(os.lstat(path).st_mode)


def read(path):
    with open(path, errors="replace") as f:
        return f.read()


def main():
    """harness.py FILE FUNCTION MODE DIRECTORY: runs one scenario; 0, 1, or 77 when skipped."""
    import importlib.util

    file, function, mode, directory = sys.argv[1:]
    sys.modules["harness"] = sys.modules["__main__"]
    spec = importlib.util.spec_from_file_location("story", file)
    story = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(story)
    case = Case(mode, directory)
    try:
        getattr(story, function)(case)
        return 0
    except Skip as e:
        print(e)
        return 77
    except Exception as e:
        print(f"{type(e).__name__}: {e}" if not isinstance(e, AssertionError) else e)
        trace = e.__traceback__
        while trace:
            if trace.tb_frame.f_code.co_filename == file:
                print(f"    {os.path.basename(file)}:{trace.tb_lineno}")
            trace = trace.tb_next
        for init in case.inits[-2:]:
            try:
                init.read(0)
            except (OSError, ValueError):
                pass
            print("    $", " ".join(init.process.args))
            for name, data in init.buffers.items():
                for line in data.decode(errors="replace").splitlines()[-12:]:
                    print(f"    {name}| {line}")
        return 1
    finally:
        case.close()


if __name__ == "__main__":
    sys.exit(main())
