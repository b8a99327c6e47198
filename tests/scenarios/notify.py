"""--notify and --watchdog: what the app says of itself, with raw datagrams, libsystemd and systemd-notify."""

import json
import os
import re
import signal
import socket
import subprocess
import time

from harness import Skip, check, equal, eventually, proc_children, read, scenario, tool
from network import becomes, descriptors, get, network, switches

TERM = 15
PORT = 9090
HEALTH = ["--health", f"127.0.0.1:{PORT}"]

# Does one step after the other: a datagram, a pause, a line; then waits for signals.
APP = r"""
import os, signal, socket, sys, time
name = os.environ["NOTIFY_SOCKET"]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
def say(text):
    os.write(1, (text + "\n").encode())
def stop(*_):
    say("got 15")
    os._exit(6)
signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[1] == "deaf" else stop)
for step in sys.argv[2:]:
    if step.startswith("."):
        time.sleep(float(step[1:]))
    elif step.startswith("say "):
        say(step[4:])
    else:
        s.sendto(step.encode(), "\0" + name[1:])
say("ready")
while True:
    signal.pause()
"""


def app(case, *steps, deaf=False):
    return ["/usr/bin/python3", case.path("app.py", APP), "deaf" if deaf else "", *steps]


def tell(init, words, fds=(), user=None):
    """A datagram from another process of the container."""
    environment = app_environment(init)
    program = (
        "import os,socket,sys\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "s.connect('\\0' + sys.argv[1][1:])\n"
        "socket.send_fds(s, [os.fsencode(sys.argv[2])], [int(n) for n in sys.argv[3:]])\n"
    )
    command = [tool("nsenter"), "-t", str(init.pid), "-p", "-m"]
    if user:
        command += [tool("setpriv"), "--reuid", str(user), "--clear-groups"]
    command += ["/usr/bin/python3", "-c", program, environment["NOTIFY_SOCKET"], words]
    subprocess.run([*command, *(str(fd) for fd in fds)], check=True, timeout=20, pass_fds=fds)


def app_environment(init):
    mine = os.stat(f"/proc/{init.pid}/exe")
    for pid in proc_children(init.pid):
        if not os.path.samestat(os.stat(f"/proc/{pid}/exe"), mine):
            with open(f"/proc/{pid}/environ", "rb") as file:
                return dict(e.split("=", 1) for e in file.read().decode().split("\0") if e)
    return {}


def status():
    return json.loads(get(PORT, "/status")[1])


@scenario()
def ready_when_it_says_so(case):
    network()
    init = case.start(app(case), opts=["--notify", *HEALTH])
    init.line("^ready")
    equal(becomes(PORT, "/readyz", 503), "waiting for READY=1\n")
    equal(get(PORT, "/startupz")[0], 503)
    tell(init, "STATUS=loading 30 %")
    eventually(lambda: status().get("appStatus") == "loading 30 %", "it is shown")
    equal(get(PORT, "/readyz"), (503, "waiting for READY=1\nloading 30 %\n"))
    tell(init, "READY=1\nSTATUS=serving\nMAINPID=1\n")
    equal(becomes(PORT, "/readyz", 200), "ok\nserving\n")
    equal((get(PORT, "/startupz")[0], status()["phase"]), (200, "running"))
    tell(init, "STOPPING=1")
    equal(becomes(PORT, "/readyz", 503), "the app is stopping\nserving\n")
    tell(init, "READY=1\nSTATUS=")
    equal(becomes(PORT, "/readyz", 200), "ok\n")
    init.signal(TERM)
    equal((init.wait(), init.err), (6, ""))


@scenario(modes=("pid1", "kernel"))
def hooks_and_the_word(case):
    """It takes both: the post-start hooks and READY=1, in any order."""
    network()
    flag = case.path("flag")
    hook = f"sh -c 'until [ -e {flag} ]; do sleep 0.05; done'"
    for first, reason in (("word", "post-start running\n"), ("hook", "waiting for READY=1\n")):
        init = case.start(app(case), opts=["--notify", *HEALTH, "--post-start", hook])
        init.line("^ready")
        steps = [lambda: tell(init, "READY=1"), lambda: case.path("flag", "")]
        if first == "hook":
            steps.reverse()
        steps[0]()
        eventually(lambda: get(PORT, "/readyz") == (503, reason), f"{reason}: {get(PORT, '/readyz')}")
        steps[1]()
        becomes(PORT, "/readyz", 200)
        init.signal(TERM)
        equal(init.wait(), 6)
        os.unlink(flag)
        case.close()


@scenario(modes=("pid1", "sub"))
def as_any_user_on_a_read_only_root(case):
    network()
    os.chmod(case.dir, 0o755)
    as_user = [tool("setpriv"), "--reuid", "1234", "--regid", "1234", "--clear-groups"]
    init = case.start(
        app(case, "READY=1"), opts=["--notify", *HEALTH], wrap=as_user if case.mode == "pid1" else [],
        shell="mount -o remount,ro,bind / 2>/dev/null || true" if case.mode == "sub" else None,
    )
    init.line("^ready")
    becomes(PORT, "/readyz", 200)
    tell(init, "STOPPING=1", user=4321)
    becomes(PORT, "/readyz", 503)
    init.signal(TERM)
    equal(init.wait(), 6)


@scenario(modes=("pid1",))
def a_stranger_is_not_heard(case):
    """The same network namespace and the right name, but not of this container."""
    network()
    init = case.start(app(case), opts=["--notify", *HEALTH])
    init.line("^ready")
    becomes(PORT, "/readyz", 503)
    name = app_environment(init)["NOTIFY_SOCKET"]
    check(re.fullmatch("@shim/[0-9a-f]{32}", name), name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        for _ in range(5):
            stranger.sendto(b"READY=1\nSTATUS=intruder", "\0" + name[1:])
    tell(init, "STATUS=heard")
    eventually(lambda: status().get("appStatus") == "heard", "what came later is read")
    equal(get(PORT, "/readyz")[0], 503)
    init.signal(TERM)
    equal(init.wait(), 6)


@scenario(modes=("pid1",))
def the_environment(case):
    """Another one's socket (podman --sdnotify) stays without --notify, and is replaced with it."""
    env = {"PATH": "/usr/bin:/bin", "NOTIFY_SOCKET": "/run/other", "WATCHDOG_USEC": "7"}
    show = ["/bin/sh", "-c", "echo $NOTIFY_SOCKET $WATCHDOG_USEC"]
    equal(case.run(show, env=env).out, "/run/other 7\n")
    check(re.fullmatch("@shim/[0-9a-f]{32} 7\n", case.run(show, env=env, opts=["--notify"]).out))
    out = case.run(show, env=env, opts=["--notify", "--watchdog", "1500ms"]).out
    check(re.fullmatch("@shim/[0-9a-f]{32} 1500000\n", out), out)
    other = case.run(show, env=env, opts=["--notify"]).out
    check(other != case.run(show, env=env, opts=["--notify"]).out, "the name is another each time")


@scenario(modes=("pid1", "kernel"), limit=30)
def the_reader_is_killed(case):
    """It is said, there is another one, and what was said in between is not lost."""
    network()
    init = case.start(app(case), opts=["--notify", *HEALTH])
    init.line("^ready")
    becomes(PORT, "/readyz", 503)
    for pid in list(readers(init)):
        os.kill(pid, signal.SIGKILL)
    init.line("reader ended .killed by SIGKILL", where="err")
    tell(init, "READY=1")
    becomes(PORT, "/readyz", 200)
    init.signal(TERM)
    equal(init.wait(), 6)


def readers(init):
    """Those of shim's children that do not listen to TCP."""
    mine = os.stat(f"/proc/{init.pid}/exe")
    for pid in proc_children(init.pid):
        held = [os.readlink(f"/proc/{pid}/fd/{n}") for n in descriptors(pid)]
        is_shim = os.path.samestat(os.stat(f"/proc/{pid}/exe"), mine)
        if is_shim and not any(is_listening(link) for link in held):
            yield pid


def reader_descriptors(init):
    return {pid: descriptors(pid) for pid in readers(init)}


def is_listening(link):
    inode = re.fullmatch(r"socket:\[(\d+)\]", link)
    return bool(inode) and inode.group(1) in read("/proc/self/net/tcp") + read("/proc/self/net/tcp6")


@scenario(modes=("pid1",), limit=30)
def garbage(case):
    """Nothing of it stops the reader, keeps a descriptor or wakes PID 1."""
    network()
    init = case.start(app(case), opts=["--notify", *HEALTH])
    init.line("^ready")
    becomes(PORT, "/readyz", 503)
    helpers = reader_descriptors(init)
    equal([len(fds) for fds in helpers.values()], [2], "stderr and the socket")
    before = switches(init.pid)
    with open("/dev/null", "rb") as null:
        for words in ("", "\n\n", "READY", "READY=2", "XREADY=1", "READY=1 ", "=", "STATUS", "x" * 4000,
                      "READY=1\n" + "x" * 5000, "FDSTORE=1", "WATCHDOG=trigger", "STOPPING=1"):
            tell(init, words, fds=[null.fileno()] * 3)
    tell(init, "STATUS=\x01\x1b[31m\udcff" + "é" * 300)
    said = eventually(lambda: status().get("appStatus"), "the reader lives")
    check(len(said.encode()) <= 200 and "é" in said, said)
    equal(get(PORT, "/readyz")[1].count("\n"), 2)
    equal(reader_descriptors(init), helpers)
    check(switches(init.pid) - before < 20, "PID 1 has slept")
    init.signal(TERM)
    equal((init.wait(), init.err), (6, ""))


# -- the watchdog


@scenario(modes=("pid1", "kernel", "sub"), limit=40)
def silence_is_the_end(case):
    log = case.path("message")
    signs = ["WATCHDOG=1", ".0.3"] * 8
    opts = ["--notify", "--watchdog", "1s", "--termination-log", log]
    init = case.start(app(case, ".1.5", "READY=1", *signs, "say fell silent"), opts=opts)
    init.line("^fell silent")
    equal(init.wait(15), 124)
    check("got 15" in init.lines(), init.out)
    equal(init.err, "shim: warning: watchdog: no sign of life for 1.0s\n")
    check(re.match(r"watchdog: no sign of life for 1\.0s; (python3|payload) exited 6 after ", read(log)), read(log))


@scenario(modes=("pid1", "kernel"), limit=40)
def deaf_to_the_stop_signal(case):
    """KILL when --reserve is over, with a budget or without one."""
    log = case.path("message")
    opts = ["--notify", "--watchdog", "500ms", "--grace", "60s", "--reserve", "1s"]
    opts += ["--termination-log", log, "--termination-format", "json"]
    init = case.start(app(case, "READY=1", deaf=True), opts=opts)
    equal(init.wait(15), 124)
    got = json.loads(read(log))
    equal((got["reason"], got["exitCode"]), ("Watchdog", 124))


@scenario(modes=("pid1",), limit=30)
def a_word_is_enough(case):
    opts = ["--notify", "--watchdog", "60s"]
    init = case.start(app(case, "READY=1", ".0.2", "WATCHDOG=trigger"), opts=opts)
    equal(init.wait(), 124)


@scenario(modes=("pid1",), limit=40)
def an_extension(case):
    """EXTEND_TIMEOUT_USEC is a sign of life for that long, and no more."""
    opts = ["--notify", "--watchdog", "500ms"]
    steps = ["READY=1", "EXTEND_TIMEOUT_USEC=3000000", ".2.2", "say alive"]
    init = case.start(app(case, *steps), opts=opts)
    init.line("^alive")
    equal(init.wait(15), 124)


@scenario(modes=("pid1",), limit=30)
def no_watchdog_before_it_is_ready_nor_when_it_stops(case):
    opts = ["--notify", "--watchdog", "300ms"]
    steps = [".1", "READY=1", "STOPPING=1", ".1", "say alive"]
    init = case.start(app(case, *steps), opts=opts)
    init.line("^alive")
    init.signal(TERM)
    equal((init.wait(), init.err), (6, ""))


@scenario(modes=("pid1",), limit=40)
def a_frozen_container_is_not_silent(case):
    """App and reader stand still together: nobody is to blame. A stopped ppoll(2) goes on with what it had left:
    the app comes back only after that, within the time that is forgiven."""
    opts = ["--notify", "--watchdog", "3s"]
    init = case.start(app(case, "READY=1", *["WATCHDOG=1", ".0.2"] * 20, "say through"), opts=opts)
    eventually(lambda: len(proc_children(init.pid)) == 2, "both run")
    time.sleep(0.5)
    children = proc_children(init.pid)
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(4)
    waking = list(readers(init))  # first, so that it finds nothing that the app has sent since
    for pid in waking + [pid for pid in children if pid not in waking]:
        os.kill(pid, signal.SIGCONT)
        time.sleep(4.5)
    init.line("^through", timeout=20)
    init.signal(TERM)
    equal(init.wait(), 6)


@scenario(modes=("pid1",))
def idle(case):
    network()
    init = case.start(app(case, "READY=1"), opts=["--notify", *HEALTH])
    init.line("^ready")
    becomes(PORT, "/readyz", 200)

    def stay_asleep(seconds):
        pids = [init.pid, *proc_children(init.pid)]
        before = [switches(pid) for pid in pids]
        time.sleep(seconds)
        return [switches(pid) for pid in pids] == before

    eventually(lambda: stay_asleep(0.5), "the start is over")
    check(stay_asleep(2), "nobody wakes up")
    init.signal(TERM)
    equal(init.wait(), 6)


@scenario(modes=("pid1",))
def a_watchdog_needs_notify(case):
    init = case.run(["true"], opts=["--watchdog", "5s"])
    equal((init.status, init.err), (125, "shim: --watchdog: is a part of --notify, which is not given\n"))


# -- the real ones


@scenario(modes=("pid1",), limit=40)
def libsystemd(case):
    """A C program with sd_notify(3) and sd_watchdog_enabled(3)."""
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libsystemd"], capture_output=True, text=True, check=False
    )
    if flags.returncode:
        raise Skip("needs libsystemd-dev")
    network()
    source = case.path("app.c", r"""
#include <systemd/sd-daemon.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
int main(void)
{
	uint64_t usec = 0;
	int enabled = sd_watchdog_enabled(0, &usec);
	int sent = sd_notifyf(0, "READY=1\nSTATUS=serving %d", 42);
	int barrier = sd_notify_barrier(0, 5000000);
	printf("%d %llu %d %d\n", enabled, (unsigned long long)usec, sent, barrier);
	fflush(stdout);
	for (int i = 0; i < 12; i++) {
		sd_notify(0, "WATCHDOG=1");
		usleep(200000);
	}
	puts("silent");
	fflush(stdout);
	pause();
	return 0;
}
""")
    binary = case.path("app")
    subprocess.run(["gcc", "-o", binary, source, *flags.stdout.split()], check=True)
    init = case.start([binary], opts=["--notify", "--watchdog", "1s", *HEALTH])
    init.line(r"^1 1000000 1 [1-9]\d*$|^1 1000000 1 0$")
    equal(becomes(PORT, "/readyz", 200), "ok\nserving 42\n")
    init.line("^silent")
    equal(init.wait(15), 124)


@scenario(modes=("pid1",), limit=30)
def systemd_notify(case):
    """The program, as a shell script uses it; it waits for a barrier."""
    program = tool("systemd-notify")
    network()
    script = f"{program} --status='half way'; {program} --ready; echo told $?; exec {case.payload} signals 15 6"
    init = case.start(["/bin/sh", "-c", script], opts=["--notify", *HEALTH])
    init.line("^told 0")
    equal(becomes(PORT, "/readyz", 200), "ok\nhalf way\n")
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 6)
