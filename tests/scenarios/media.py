"""Where shim writes: its log, the termination file, the ready file. Whatever becomes of these, the app's
status and the time are as they would be without."""

import fcntl
import itertools
import os
import re
import socket
import stat

from harness import NAMED, check, equal, eventually, fill, proc_children, read, regular, scenario
from network import becomes, network

TERM, USR1 = 15, 10
PORT = 9090
APP = ["signals", "15", "6"]


def everything_but_hooks(case):
    return [
        *("-vvv", "--health", f"127.0.0.1:{PORT}", "--ready-file", case.path("ready")),
        *("--termination-log", case.path("message"), "--wait-for", "file:/"),
        *("--grace", "20s", "--drain", "100ms:1s", "--pre-stop", "false"),
    ]


def everything(case):
    return [
        *everything_but_hooks(case),
        *("--pre-start", "echo pre-start", "--post-start", "sh -c 'echo post-start >&2'"),
        *("--pre-stop", "echo pre-stop", "--post-stop", "sh -c 'echo end >&2'"),
    ]


def live(case, closed, **how):
    """A whole life with all that writes. The app's status, a message of one line, nothing else in it."""
    what = f"closed: {closed}"
    init = case.start(APP, opts=everything(case), **how)
    becomes(PORT, "/readyz", 200)
    check(regular(case.path("ready")), f"{what}: not ready")
    if "1" in closed:
        init.quiet(0.5)  # it cannot say that it is ready
    else:
        init.line("^ready")
    init.signal(USR1)
    eventually(lambda: len(proc_children(init.pid)) == 2, f"{what}: the app and the health server")
    init.signal(TERM)
    equal(init.wait(8), 6, what)
    got = read(case.path("message"))
    check(re.fullmatch(r"payload exited 6 after [^\n]*\n", got), f"{what}: {got!r}")
    check(not os.path.exists(case.path("ready")), f"{what}: still ready")
    os.unlink(case.path("message"))
    case.close()
    return init


@scenario(limit=60)
def every_combination_of_closed_descriptors(case):
    """What shim opens then would get the number of one of them, and the log would land in it."""
    network()
    for count in range(4):
        for closed in itertools.combinations("012", count):
            prefix = [word for fd in closed for word in ("-c", fd)]
            live(case, closed, prefix=prefix)
            if "1" in closed:
                continue
            init = case.start(["report"], opts=everything(case), prefix=prefix, find=False)
            facts = init.report()
            init.wait()
            want = [fd for fd in "012" if fd not in closed]
            equal(facts["fds"].split(), want, f"the app's, closed {closed}")
            case.close()
            for name in ("message", "ready"):
                if os.path.exists(case.path(name)):
                    os.unlink(case.path(name))


def full_pipe():
    r, w = os.pipe()
    fcntl.fcntl(w, fcntl.F_SETPIPE_SZ, 4096)
    fill(w)
    return r, w


def full_socket():
    a, b = socket.socketpair()
    fill(b.fileno())
    return os.dup(a.fileno()), os.dup(b.fileno())


def full_terminal():
    """Its reader has gone to lunch."""
    master, slave = os.openpty()
    fill(slave)
    return master, slave


def broken_pipe():
    r, w = os.pipe()
    os.close(r)
    return None, w


def device(path, flags=os.O_WRONLY):
    return lambda: (None, os.open(path, flags))


@scenario(limit=60)
def a_log_that_takes_nothing(case):
    """Full, broken, or not for writing at all: shim never waits for it."""
    network()
    for make in (
        full_pipe,
        full_socket,
        full_terminal,
        broken_pipe,
        device("/dev/full"),
        device("/dev/null", os.O_RDONLY),
        device("/", os.O_RDONLY),
    ):
        other, fd = make()
        init = case.start(APP, opts=everything_but_hooks(case), stderr=fd)
        os.close(fd)
        init.line("^ready")
        for n in range(20):
            init.signal(USR1)
            init.line("^got 10$", count=n + 1, timeout=5)
        init.signal(TERM)
        equal(init.wait(8), 6, make)
        check("exited 6" in read(case.path("message")), make)
        os.unlink(case.path("message"))
        case.close()
        if other is not None:
            os.close(other)


@scenario(limit=40)
def a_disk_that_is_full(case):
    """64 KiB: for the log, the termination message and the ready file."""
    network()
    disk = case.path("disk")
    os.mkdir(disk)
    script = (
        f"trap 'exit 6' TERM; trap 'rm -f {disk}/fill; echo room' USR1; echo ready;"
        "while :; do sleep 0.05; done"
    )
    for form in ("text", "json"):
        init = case.start(
            ["/bin/sh", "-c", f"{script}"],
            opts=[
                *("-vvv", "--termination-log", f"{disk}/message", "--ready-file", f"{disk}/ready"),
                *("--termination-format", form, "--health", f"127.0.0.1:{PORT}"),
            ],
            shell=f"mount -t tmpfs -o size=64k t {disk}; : >{disk}/message;"
            f"head -c 90000 /dev/zero >{disk}/fill 2>/dev/null || :; exec 2>>{disk}/log",
        )
        init.line("^ready")
        becomes(PORT, "/readyz", 200)
        init.signal(TERM)
        equal(init.wait(8), 6, form)
        case.close()


# -- the termination file, while the app runs

UNTOUCHED = "untouched"


def changes(case):
    """What happens to it, as a command of the app's; who it is for; what is left must be so."""
    log, other = case.path("message"), case.path("other")

    def is_gone():
        check(not os.path.exists(log), "it was made again")

    def is_other_untouched():
        equal(read(other), UNTOUCHED)

    def is_written():
        check("exited 6" in read(log), repr(read(log)))

    def is_kind(test):
        return lambda: check(test(os.lstat(log).st_mode), "it is something else now")

    return {
        "unlinked": (f"rm {log}", is_gone),
        "truncated": (f": >{log}", is_written),
        "grown": (f"truncate -s 1T {log}", None),
        "read-only": (f"chmod 0444 {log}", is_written),
        "for nobody": (f"chmod 0 {log}", is_written),
        "a directory": (f"rm {log}; mkdir {log}", is_kind(stat.S_ISDIR)),
        "a FIFO": (f"rm {log}; mkfifo {log}", is_kind(stat.S_ISFIFO)),
        "a symlink": (f"rm {log}; ln -s {other} {log}", is_other_untouched),
        "another file": (f"printf {UNTOUCHED} >{log}.new; mv {log}.new {log}", None),
        "a device": (f"rm {log}; mknod {log} c 1 7", is_kind(stat.S_ISCHR)),
        "another mount": (f"mount --bind {other} {log}", is_other_untouched),
        "under another file system": (f"mount -t tmpfs t {case.dir}", is_written),
        "unmounted": (f"umount -l {case.path('m')}", None),
        "on a read-only mount": (f"mount -o bind,remount,ro {case.path('m')}", None),
        "immutable": (f"chattr +i {log} 2>/dev/null || :", None),
        "a hole with the app's words at its end": (
            f"truncate -s 100000 {log}; echo bye >>{log}",
            lambda: check(read(log).count("bye\n") == 1 and "exited 6" in read(log)[-300:], "lost"),
        ),
    }


def change(case, name, prefix=()):
    command, is_right = changes(case)[name]
    log, other, mount = case.path("message"), case.path("other"), case.path("m")
    case.path("other", UNTOUCHED)
    os.makedirs(mount, exist_ok=True)
    on_mount = "mount" in name
    place = f"{mount}/message" if on_mount and mount in command else log
    case.path("message", "", 0o666)
    shell = f"mount -t tmpfs t {mount}; : >{mount}/message" if place != log else None
    script = (
        f"trap '{command}; echo done' USR1; trap 'exit 6' TERM; echo ready;"
        "while :; do sleep 0.05; done"
    )
    init = case.start(
        ["/bin/sh", "-c", script],
        opts=["--termination-log", place, "--pre-stop", "sleep:200ms", "--grace", "20s"],
        shell=shell,
        prefix=prefix,
    )
    try:
        init.line("^ready")
        init.signal(USR1)
        init.line("^done$")
        init.signal(TERM)
        equal(init.wait(8), 6, name)
        check(init.err.count("shim:") <= 1, f"{name}: {init.err}")
        if is_right:
            is_right()
    finally:
        case.close()
        os.system(f"chattr -i {log} 2>/dev/null")
        os.system(f"rm -rf {log} {other}")


@scenario(modes=NAMED, limit=60)
def the_termination_file_changes_while_the_app_runs(case):
    for name in changes(case):
        change(case, name)


@scenario(modes=NAMED, limit=40)
def the_termination_file_changes_for_a_user(case):
    """Without root's rights the descriptor that was opened at the start is all there is."""
    os.chmod(case.dir, 0o777)
    for name in ("unlinked", "truncated", "grown", "read-only", "for nobody", "a directory", "a FIFO"):
        change(case, name, prefix=["-u", "1000"])


@scenario(modes=NAMED, limit=40)
def termination_files_of_every_kind(case):
    """Before the start: what is no regular file is left alone."""
    os.symlink(case.path("nowhere"), case.path("dangling"))
    os.symlink(case.path("loop"), case.path("loop"))
    os.mknod(case.path("device"), 0o666 | stat.S_IFCHR, os.makedev(1, 7))  # as /dev/full
    os.mknod(case.path("block"), 0o600 | stat.S_IFBLK, os.makedev(7, 255))
    server = socket.socket(socket.AF_UNIX)
    server.bind(case.path("socket"))
    case.path("immutable", UNTOUCHED)
    os.system(f"chattr +i {case.path('immutable')} 2>/dev/null")
    case.path("file", "x")
    for log in (
        *("dangling", "loop", "device", "block", "socket", "immutable", "file/below"),
        *("n" * 256, "/".join(["n" * 200] * 30), "", ".", "/", "/proc/self", "/dev/tty"),
    ):
        path = log if log in ("", ".", "/") or log.startswith("/") else case.path(log)
        init = case.run(["exit", "7"], opts=["--termination-log", path], timeout=5)
        equal((init.status, init.out), (7 if path else init.status, ""), path[:100])
        check(len(init.err.splitlines()) <= 1, f"{path[:100]}: {init.err}")
        case.close()
    os.system(f"chattr -i {case.path('immutable')} 2>/dev/null")
    server.close()
    check(not os.path.exists(case.path("nowhere")), "made through a symlink")
