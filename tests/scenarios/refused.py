"""P44. seccomp says EPERM; an old kernel or gVisor says ENOSYS."""

import os
import platform

from harness import Skip, check, equal, eventually, proc_status, scenario

TERM = 15
EPERM, ENOSYS = "1", "38"
NO_PROC = "mount -t tmpfs t /proc"
# x86-64 numbers. Required, so not here: fork, execve, wait4, kill, rt_sig*.
CALLS = {
    "signalfd4": 289,
    "pidfd_open": 434,
    "pidfd_send_signal": 424,
    "close_range": 436,
    "clone3": 435,
    "timerfd_create": 283,
    "epoll_create1": 291,
    "prctl": 157,
    "setpgid": 109,
    "ioctl": 16,
    "setsid": 112,
    "waitid": 247,
    "socket": 41,
    "pipe2": 293,
    "eventfd2": 290,
    "openat2": 437,
    "statx": 332,
    "chdir": 80,
    "getrandom": 318,
    "dup3": 292,
    "memfd_create": 319,
    "fstat": 5,
    "getdents64": 217,
    "fcntl": 72,
    "sigaltstack": 131,
    "set_tid_address": 218,
    "ppoll": 271,
}


def need_x86():
    if platform.machine() != "x86_64":
        raise Skip("the numbers are those of x86-64")


@scenario(limit=90)
def p44_calls_that_are_refused(case):
    need_x86()
    for name, nr in CALLS.items():
        for error in (EPERM, ENOSYS):
            case.works(f"{name} answers {error}", prefix=["-e", error, str(nr)])
            case.close()


@scenario(limit=60)
def p44_calls_that_are_refused_on_a_terminal(case):
    need_x86()
    shape = "front" if case.mode == "sub" else "leader"
    for name in (
        "ioctl",
        "setpgid",
        "pidfd_open",
        "clone3",
        "waitid",
        "prctl",
        "pidfd_send_signal",
    ):
        for error in (EPERM, ENOSYS):
            init = case.start(
                ["signals", "15", "6"], prefix=["-e", error, str(CALLS[name])], tty=shape
            )
            init.line("ready", "tty")
            init.signal(TERM)
            equal(init.wait(), 6, f"{name} answers {error}")
            case.close()


@scenario(limit=60)
def p44_session_refused(case):
    need_x86()
    for name in ("setsid", "ioctl", "clone3", "pidfd_open"):
        for error in (EPERM, ENOSYS):
            case.works(
                f"{name} answers {error}",
                opts=["--scope", "session"],
                prefix=["-e", error, str(CALLS[name])],
            )


@scenario(limit=60)
def p44_all_at_once(case):
    """gVisor or a very old kernel, and an old Docker profile."""
    need_x86()
    for error in (EPERM, ENOSYS):
        prefix = [word for nr in CALLS.values() for word in ("-e", error, str(nr))]
        init = case.works(f"all answer {error}", prefix=prefix)
        check(len(init.err.splitlines()) <= 4, init.err)
        equal(case.run(["kill", "11"], prefix=prefix).status, 139)


@scenario()
def p44_clone_flag_refused(case):
    """A sandbox that does not know CLONE_PIDFD (Linux 5.2)."""
    need_x86()
    for error in (EPERM, ENOSYS, "22"):
        case.works(f"clone answers {error}", prefix=["-E", error, "56", "0x1000"])


@scenario(limit=60)
def p44_grace_and_lingering_when_refused(case):
    need_x86()
    for error in (EPERM, ENOSYS):
        for name in ("pidfd_open", "pidfd_send_signal", "setpgid", "waitid", "timerfd_create"):
            init = case.start(
                ["ignore"], opts=["--grace", "800ms"], prefix=["-e", error, str(CALLS[name])]
            )
            init.line("^ready")
            init.signal(TERM)
            equal(init.wait(), 137, f"{name} {error}")


@scenario()
def p44_no_group_scope_falls_back_to_the_child(case):
    """setpgid refused: there is no group of the app's own, and shim's own is not signalled."""
    need_x86()
    init = case.start(["hold"], prefix=["-e", EPERM, str(CALLS["setpgid"])])
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 143)


@scenario()
def p49_many_descriptors_without_close_range(case):
    need_x86()
    prefix = [
        "-f",
        "900",
        "/etc/hosts",
        "-f",
        "5",
        "/etc/hosts",
        "-e",
        ENOSYS,
        str(CALLS["close_range"]),
    ]
    for shell in (None, NO_PROC):
        init = case.start(["signals"], prefix=prefix, shell=shell)
        init.line("^ready")
        folder = f"/proc/{init.pid}/fd"
        eventually(lambda: not {"5", "900"} & set(os.listdir(folder)), f"closed ({shell})")


@scenario(modes=("pid1", "plain", "sub"))
def a_hook_without_a_group_ends_in_time(case):
    """setpgid refused: the time limit is for the hook alone."""
    need_x86()
    for error in (EPERM, ENOSYS):
        init = case.start(
            ["signals", "15", "6"],
            opts=["--pre-stop", f"{case.payload} ignore", "--hook-timeout", "200ms"],
            prefix=["-e", error, str(CALLS["setpgid"])],
        )
        init.line("^ready")
        init.signal(TERM)
        equal(init.wait(), 6)
        check("timed out" in init.err, init.err)


@scenario()
def a_stopped_app_is_woken_without_the_calls_for_it(case):
    """waitid tells of the app, /proc of its group. Without either a CONT too many is better than an
    app that cannot act."""
    need_x86()
    for call, scope in (("waitid", "child"), ("waitid", "group"), ("getdents64", "group")):
        for error in (EPERM, ENOSYS):
            init = case.start(
                ["stopself"],
                opts=["--scope", scope],
                prefix=["-e", error, str(CALLS[call])],
            )
            init.line("^stopping")
            app = init.app()
            eventually(lambda: proc_status(app)["State"][0] == "T", "the app is stopped")
            init.signal(TERM)
            equal(init.wait(), 0, f"{call} {scope}")


@scenario()
def a_stopped_member_is_woken_without_proc(case):
    script = f"{case.payload} stopself & W=$!; trap 'wait $W; exit 5' TERM; wait; wait"
    init = case.start(["/bin/sh", "-c", script], shell=NO_PROC)
    init.line("^stopping")
    init.quiet(0.2)
    init.signal(TERM)
    equal(init.wait(), 5)


@scenario()
def what_shim_cannot_do_without(case):
    """With its signals unblocked the app's end would go unnoticed: nothing is started."""
    need_x86()
    rt_sigprocmask = "14"
    for error in (EPERM, ENOSYS):
        init = case.run(["/bin/echo", "started"], prefix=["-e", error, rt_sigprocmask])
        equal((init.status, init.out), (125, ""))
        check("cannot block signals" in init.err, init.err)
