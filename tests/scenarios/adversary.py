"""What an app, or whoever may send PID 1 a signal, can do to make it fail."""

import signal
import subprocess

from harness import INIT, check, equal, proc_children, scenario, tool
from network import network
from network import network


@scenario()
def the_app_moved_to_another_group(case):
    """It left the group that shim made and nobody is in there: it is to be told all the same."""
    script = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [15])  # a handler could come between a look and pause()
end, held = os.pipe()
child = os.fork()
if child == 0:
    os.close(held)
    os.setpgid(0, 0)
    os.read(end, 1)
    os._exit(0)
while os.getpgid(child) != child:
    pass
os.setpgid(0, child)
print("ready", flush=True)
signal.sigwait([15])
os._exit(7)
"""
    init = case.start(["/usr/bin/python3", "-c", script], opts=["--grace", "5s"])
    init.line("^ready")
    init.signal(signal.SIGTERM)
    equal(init.wait(), 7)


@scenario(modes=INIT)
def a_limit_of_file_size_is_shims_own(case):
    """What SIGXFSZ says of shim's termination message is nothing to the app."""
    init = case.start(
        ["signals", "15", "6"],
        opts=["--termination-log", case.path("message"), "--pre-stop", "sleep:300ms"],
        shell="ulimit -f 0",
    )
    init.line("^ready")
    init.signal(signal.SIGTERM)
    equal(init.wait(), 6)
    check(f"got {int(signal.SIGXFSZ)}" not in init.out, init.out)


@scenario(modes=INIT)
def a_sent_xfsz_is_passed_on(case):
    """The same signals from somebody else are the app's."""
    init = case.start(["signals", "15", "6"])
    init.line("^ready")
    for signo in (signal.SIGXFSZ, signal.SIGPIPE):
        init.signal(signo)
        init.line(f"^got {int(signo)}$")
    init.signal(signal.SIGTERM)
    equal(init.wait(), 6)


@scenario(modes=("pid1", "sub"))
def a_script_without_a_first_line_keeps_its_name(case):
    """The shell gets the path; what shim calls the app stays as it was asked for."""
    case.path("plainscript", "exit 3\n", 0o755)
    init = case.run(
        ["plainscript"], opts=["-v"], env={"PATH": case.dir + ":/usr/bin:/bin", "LC_ALL": "C"}
    )
    equal(init.status, 3)
    check("app started: plainscript, pid" in init.err, init.err)


@scenario(modes=INIT)
def the_last_one_came_from_outside(case):
    """kubectl exec: no child of PID 1, so nobody tells of its end. It holds nothing up, whether or not a
    helper lives on meanwhile, as it never did without one."""
    network()
    for opts in ([], ["--health", "127.0.0.1:18271"]):
        init = case.start(["signals", "15", "6"], opts=["--until-empty", *opts])
        init.line("^ready")
        enter = [tool("nsenter"), "-t", str(init.pid), "-p", "-m", case.payload, "hold"]
        visitor = subprocess.Popen(enter, stdout=subprocess.PIPE)
        check(visitor.stdout.readline().startswith(b"ready"), "the visitor is in")
        init.signal(signal.SIGKILL, proc_children(init.pid)[-1])
        equal(init.wait(), 137)
        visitor.wait(5)  # the kernel ends it with the namespace
        visitor.stdout.close()
        case.close()
