"""One container with one server in it, as a platform starts and stops it.

The platform sends TERM to PID 1 and kills it when the grace period is over. PID 1 is the server itself
("bare"), a shell that has it as its child ("shell"), or shim before either of them ("shim", "shim+shell").
"""

import os
import shlex
import signal
import subprocess
import time

from harness import check, equal, eventually, proc_children, read, tool
from load import Load, is_serving, start_backend
from network import network

GRACE = 20  # seconds that the platform waits
SHORT = 6  # the same where it has to kill in the end
NOTICE = 1.0  # seconds after TERM until no client comes any more
DRAIN = ["--drain", "1500ms:4s", "--drain-idle", "500ms"]
NOBODY = 65534
QUIT = ["--stop-signal", "QUIT"]
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
BACKEND = 19000  # the port of the slow server that proxies have behind them


def stage(case, *program):
    """A network with nothing in it but a backend, and a folder that every user may write to."""
    network()
    start_backend(BACKEND)
    folder = case.path("data")
    os.mkdir(folder)
    os.chmod(folder, 0o777)
    if program:
        print(version(*program))
    return folder


def version(*words):
    """The first line that the program says about itself."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={"PATH": PATH})
    return (done.stdout + done.stderr).strip().splitlines()[0]


class Container:
    def __init__(self, case, setup, command, options=(), user=None, env=None, name="app", grace=GRACE):
        """options: shim's; they are left out where there is none. user: a number, or a name."""
        self.case, self.setup, self.user, self.grace = case, setup, user, grace
        self.log = case.path(f"{name}.log")
        self.message = case.path(f"{name}.message", "", 0o666)
        words = list(command)
        if "shell" in setup:
            words = ["/bin/sh", "-c", shlex.join(words) + "; true"]
        if "shim" in setup:
            options = ["--termination-log", self.message, "--grace", f"{grace}s", *options]
            words = [case.shim, *options, "--", *words]
        if user is not None:
            groups = ["--clear-groups"] if isinstance(user, int) else ["--init-groups"]
            who = [f"--reuid={user}", f"--regid={user}"]
            words = [tool("setpriv"), *who, *groups, *words]
        environment = {"PATH": PATH, "LC_ALL": "C.UTF-8"}
        environment.update(env or {})
        words = [tool("unshare"), "-pf", "--mount-proc", "--kill-child", *words]
        with open(self.log, "ab") as log:
            os.chmod(self.log, 0o666)  # some open /dev/stderr anew
            self.init = case.launch(words, environment, None, subprocess.DEVNULL, log, log, "/")
        first = eventually(lambda: proc_children(self.init.process.pid), "it runs")
        self.pid = self.init.pid = first[0]
        self.status = self.took = None
        self.was_killed = False

    def wait_ready(self, question, what="the server answers", timeout=30):
        def ask():
            check(self.init.process.poll() is None, f"it ended at once: {self.tail()}")
            return question()

        try:
            eventually(ask, what, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from None

    def signal(self, name):
        os.kill(self.pid, getattr(signal, f"SIG{name}"))

    def stop(self, name="TERM"):
        """name: STOPSIGNAL. What docker stop and the kubelet do. The status that they see."""
        begun = time.monotonic()
        self.signal(name)
        while self.init.process.poll() is None and time.monotonic() < begun + self.grace:
            time.sleep(0.005)
        self.was_killed = self.init.process.poll() is None
        if self.was_killed:
            self.signal("KILL")
        status = self.init.wait()
        self.status = 137 if self.was_killed else status  # unshare says 1 then
        self.took = time.monotonic() - begun
        return self.status

    def text(self):
        return read(self.log)

    def tail(self):
        return "\n".join(f"log| {line}" for line in self.text().splitlines()[-15:])

    def words(self):
        return read(self.message).strip()

    def report(self):
        who = "" if self.user is None else f" as {self.user}"
        end = f"{self.took:.1f} s, " + ("KILLED" if self.was_killed else f"exit {self.status}")
        said = f', "{self.words()}"' if self.words() else ""
        return f"{self.setup}{who}: {end}{said}"


class Server:
    """A kind of server, for under_load() and in_flight(). Its own story makes one of these."""

    def __init__(self, case, command, options=(), user=None, env=None, front=0):
        """command: a function of the port that gives the words. options: shim's, beside the drain.
        front: the clients talk to that port, so much above the server's own."""
        self.case, self.command, self.options, self.env = case, command, list(options), env
        self.user = user
        self.port = 20000
        self.front = front

    def start(self, setup, options=(), user=None, grace=GRACE):
        self.port += 10
        words = self.command(self.port)
        options = [*self.options, *options]
        user = user if user is not None else self.user
        box = Container(self.case, setup, words, options, user, self.env, f"app{self.port}", grace)
        box.port = self.port
        box.wait_ready(lambda: is_serving(box.port + self.front))
        return box

    def under_load(self, setup, options=(), user=None, stop_signal="TERM"):
        """Stopped while clients come and go, and still come for a while. (Container, Load)."""
        box = self.start(setup, [*DRAIN, *options], user, GRACE if "shim" in setup else SHORT)
        load = Load(box.port + self.front, 12, 6)
        eventually(lambda: load.slow_good >= 12, "the clients are served", 20)
        load.stop_is_told(NOTICE)
        box.stop(stop_signal)
        load.finish()
        print(f"under load, {' '.join(options)} {box.report()}; {load.report()}")
        return box, load

    def in_flight(self, setup, options=(), slow=12, grace=GRACE):
        """Stopped while slow answers are due and nobody new comes: no drain."""
        box = self.start(setup, options, grace=grace)
        load = Load(box.port + self.front, slow, 0)
        eventually(lambda: load.slow_good >= slow, "the clients are served", 20)
        load.stop_is_told(0)
        time.sleep(0.2)  # who has just come is accepted: a listener that is closed drops them
        box.stop()
        load.finish()
        print(f"in flight, {' '.join(options) or 'no options'}, {box.report()}; {load.report()}")
        return box, load


def is_clean(box, load, status=0):
    """No request failed, and the platform had nothing to kill."""
    equal(load.failures[:3], [], f"{box.setup}: requests failed")
    check(not box.was_killed, f"{box.setup}: killed\n{box.tail()}")
    equal(box.status, status, f"{box.setup}: {box.words()}\n{box.tail()}")
    check(load.good >= 16, f"{box.setup}: only {load.good} answers")


def lost_some(box, load):
    check(load.failures, f"{box.setup}: no request failed, so this shows nothing")


def was_killed(box):
    check(box.was_killed and box.status == 137, f"{box.setup}: not killed, {box.status}")


def is_gentle_under_load(server):
    """Only shim's stop signal for it (already among its options) loses nothing."""
    lost_some(*server.under_load("bare"))
    was_killed(server.under_load("shell")[0])
    is_clean(*server.under_load("shim"))
    is_clean(*server.under_load("shim+shell", ["--clean-stop"]))


def is_gentle_with_quit(server):
    """TERM loses requests; QUIT does not, whoever it goes to, and with a shell around or not."""
    lost_some(*server.in_flight("bare"))
    lost_some(*server.in_flight("shim"))
    is_clean(*server.in_flight("shim", QUIT))
    is_clean(*server.in_flight("shim", [*QUIT, "--scope", "child"]))
    is_clean(*server.in_flight("shim+shell", [*QUIT, "--clean-stop"]))
    is_clean(*server.in_flight("shim+shell", [*QUIT, "--clean-stop", "--scope", "child"]))
