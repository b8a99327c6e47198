"""A PID, mount and network namespace for the whole run.

The engines put files into /run and /dev/shm and leave daemons and mounts behind when they are killed: inside the
namespaces all of that is ours alone and ends with us. The network is a loopback and nothing else, so no test can
reach a registry.
"""

import ctypes
import fcntl
import glob
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

LIMIT_S = 480
UNSHARE = ["unshare", "--pid", "--mount", "--net", "--ipc", "--fork", "--mount-proc", "--kill-child"]


def missing():
    """What keeps the tests from running here at all, or None."""
    if os.geteuid() != 0:
        return "needs root"
    if not shutil.which("unshare"):
        return "needs unshare (util-linux)"
    probe = subprocess.run(UNSHARE + ["true"], capture_output=True, text=True)
    return None if probe.returncode == 0 else f"no namespaces here: {probe.stderr.strip()}"


def enter(program, args):
    """Runs program again inside, waits for it, and takes away what the kernel would leave: folders and cgroups."""
    work = tempfile.mkdtemp(prefix="shim-c.", dir=os.environ.get("TMPDIR", "/tmp"))
    inside = subprocess.Popen(UNSHARE + [program, "--inside", work] + args, stdin=subprocess.DEVNULL,
                              preexec_fn=die_with_parent)
    late = threading.Event()

    def give_up():
        late.set()
        inside.kill()

    timer = threading.Timer(LIMIT_S, give_up)
    timer.start()
    for signo in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signo, lambda *_: inside.kill())
    try:
        status = inside.wait()
    finally:
        timer.cancel()
        clean(work)
    if late.is_set():
        print(f"the whole run took more than {LIMIT_S} s")
        print("0 passed, 1 failed")
    return status if status >= 0 else 1


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG; unshare then takes the namespace down


def clean(work):
    """After a kill the last processes take a moment to be gone, and hold folders and cgroups until then."""
    name = os.path.basename(work)
    for _ in range(50):
        groups = glob.glob(f"/sys/fs/cgroup/{name}") + glob.glob(f"/sys/fs/cgroup/*/{name}")
        for folder in groups:
            for path, _, _ in os.walk(folder, topdown=False):
                try:
                    os.rmdir(path)
                except OSError:
                    pass
        shutil.rmtree(work, ignore_errors=True)
        if not groups and not os.path.exists(work):
            return
        time.sleep(0.1)


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh", b"lo", 0)
        flags = struct.unpack("16sh", fcntl.ioctl(control, 0x8913, request))[1]  # SIOCGIFFLAGS
        fcntl.ioctl(control, 0x8914, struct.pack("16sh", b"lo", flags | 1))  # SIOCSIFFLAGS, IFF_UP


def as_pid_1(work):
    """Runs work() in a child and reaps orphans beside it; returns its status."""
    if os.getpid() != 1:
        sys.exit("--inside is for the run itself")
    loopback_up()
    for folder in ("/run", "/dev/shm"):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    os.mkdir("/run/lock")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = work()
        finally:
            sys.stdout.flush()
            os._exit(status)
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status) & 255
