"""What Docker decides by what shim does: restarts, health, the log, the stop signal of an image, a second init."""

import os
import re
import signal
import subprocess

from docker_entrypoint import SHIM, message_file, mounted, read
from docker_limits import EAT, MEMORY
from engines import BASE, Done, wait_until
from harness import limit

NEEDS = ["docker"]
INIT = ["--init", BASE]


def image(env, tag, *lines):
    """Built on the base image by these lines of a Dockerfile."""
    text = "\n".join((f"FROM {BASE}", *lines)) + "\n"
    Done(["env", "DOCKER_BUILDKIT=0"] + env.docker.argv + ["build", "--network", "none", "--tag", tag, "-"], 25,
         text).must()
    return tag


def restarts(container):
    return container.inspect()["RestartCount"]


def test_restart_on_failure(env):
    """--restart on-failure:2: a code that is not 0 is tried twice more, 0 and an expected code never."""
    for way in (INIT, [*SHIM, "--"]):
        container = env.docker.start("--restart", "on-failure:2", *way, "sh", "-c", "echo life; exit 3")
        wait_until(lambda: restarts(container) == 2 and not container.is_running(), lambda: container.inspect(), 25)
        assert container.logs().count("life") == 3 and container.ended() == 3, container.logs()
        container = env.docker.start("--restart", "on-failure:2", *way, "sh", "-c", "echo life")
        assert container.ended() == 0 and restarts(container) == 0, container.logs()
    container = env.docker.start("--restart", "on-failure:2", *SHIM, "-e", "3", "--", "sh", "-c", "exit 3")
    assert container.ended() == 0 and restarts(container) == 0, container.logs()


def test_restart_after_a_stop_from_inside(env):
    """on-failure and a stop that somebody else than Docker asked for: 143 is a failure, with --clean-stop it is none."""
    for options, count in (([], 1), (["--clean-stop"], 0)):
        container = env.docker.start("--restart", "on-failure:1", *SHIM, *options, "--", "sh", "-c",
                                     "echo life; kill -TERM 1; exec sleep 60")
        wait_until(lambda: restarts(container) == count and not container.is_running(), container.logs)
        assert container.logs().count("life") == count + 1, (options, container.logs())


def test_restart_always(env):
    """--restart always: a success starts again, every life writes its message, docker stop ends it."""
    path = message_file(env)
    container = env.docker.start("--restart", "always", *mounted(path), *SHIM, "--", "sh", "-c",
                                 "echo life; sleep 0.3; exit 0")
    wait_until(lambda: container.logs().count("life") >= 3, container.logs, 25)
    container.stop("-t", "20")
    count = container.logs().count("life")
    assert not container.is_running() and container.logs().count("life") == count
    assert read(path).count("exited 0") == count - 1 or read(path).count("exited 0") == count, read(path)


def test_unless_stopped_and_out_of_memory(env):
    """--restart on-failure after a real OOM kill: 137 counts as a failure, and each life's message names it."""
    path = message_file(env)
    container = env.docker.start("--restart", "on-failure:1", *MEMORY, *mounted(path), *SHIM, "--", *EAT.split())
    wait_until(lambda: restarts(container) == 1 and not container.is_running(), container.inspect, 25)
    assert container.ended() == 137 and read(path).count("out of memory") >= 1, read(path)


def test_hooks_are_in_the_log(env):
    """docker logs has what every hook said, on stdout or stderr, in the order of life, whose it is, and all on stderr."""
    hooks = []
    for kind in ("pre-start", "post-start", "pre-stop", "post-stop"):
        hooks += [f"--{kind}", f"sh -c 'echo {kind} says; echo {kind} moans >&2'"]
    container = env.docker.start(*SHIM, *hooks, "--", "/app").wait_for("post-start moans").wait_for("app: ready")
    container.stop("-t", "25")
    assert container.ended() == 7
    done = env.docker("logs", container.name)
    words = [line for line in done.err.splitlines() if " says" in line or " moans" in line]
    kinds = [line.split(": ")[0] for line in words if line.split(": ")[1].startswith(line.split(": ")[0])]
    assert kinds == [kind for kind in ("pre-start", "post-start", "pre-stop", "post-stop") for _ in (1, 2)], done
    assert "says" not in done.out and "handler done" in done.out, done


def test_hook_that_fails_is_in_the_log(env):
    """A hook that fails: what it said, and one line of shim's that says so."""
    container = env.docker.start(*SHIM, "--pre-start", "sh -c 'echo no database; exit 5'", "--", "/app")
    assert container.ended() == 5
    logs = container.logs()
    assert "no database\n" in logs and "pre-start" in logs.replace("no database", "") and "ready" not in logs, logs


def test_unhealthy_while_draining(env):
    """HEALTHCHECK asks /readyz with shim --check: healthy, unhealthy in the drain, the app untouched until its end."""
    health = ["--health-interval", "300ms", "--health-timeout", "5s", "--health-retries", "1", "--health-cmd",
              "/shim --check http://127.0.0.1:8086/readyz"]
    container = env.docker.start(*health, *SHIM, "--health", "127.0.0.1:8086", "--drain", "4s:6s", "--", "/app")

    def is_now(state):
        wait_until(lambda: container.inspect()["State"]["Health"]["Status"] == state,
                   lambda: container.inspect()["State"]["Health"])

    is_now("healthy")
    container.kill("TERM")
    is_now("unhealthy")
    output = container.inspect()["State"]["Health"]["Log"][-1]["Output"]
    assert "503" in output and output.count("\n") == 1, output
    assert "handler begins" not in container.logs(), container.logs()
    assert container.ended() == 7 and "handler done" in container.logs(), container.logs()


def test_stop_signal_of_the_image(env):
    """STOPSIGNAL SIGQUIT in the image: passed on as it is; with --stop-on it begins a stop, hooks and all."""
    tag = image(env, "shim-quit:1", 'ENTRYPOINT ["/shim","--stop-on","TERM,QUIT","--pre-stop","echo draining","--"]',
                'CMD ["/app"]', "STOPSIGNAL SIGQUIT")
    container = env.docker.start(tag).wait_for("app: ready")
    assert container.stop("-t", "25").took < 10
    logs = container.logs()
    assert container.ended() == 9 and "draining" in logs and "handler done" in logs, logs
    container = env.docker.start("--entrypoint", "/shim", tag, "--", "/app").wait_for("app: ready")
    assert container.stop("-t", "25").took < 10
    assert container.ended() == 9 and "handler begins (QUIT)" in container.logs(), container.logs()


def test_two_inits(env):
    """--init and an ENTRYPOINT of shim: docker-init is PID 1, shim its app; stop, code and hooks as ever."""
    container = env.docker.start("--init", *SHIM, "--post-stop", "echo all over", "--", "sh", "-c", "/app; exit $?")
    container.wait_for("app: ready")
    pids = container.exec("ps", "-o", "pid,args").must().out
    assert re.search(r"^ +1 /sbin/docker-init -- /shim ", pids, re.M) and re.search(r"^ +[2-9] /shim ", pids, re.M), pids
    assert container.stop("-t", "25").took < 10
    logs = container.logs()
    assert "handler done" in logs and "all over" in logs, logs
    done = env.docker.run("--rm", "--init", *SHIM, "--", "sh", "-c", "exit 42")
    assert done.code == 42, done


def test_client_passes_signals_on(env):
    """docker run in the foreground: what its client is sent reaches the app, whose code the client exits with."""
    for way in (INIT, [*SHIM, "--"]):
        for signo, code in ((signal.SIGINT, 8), (signal.SIGTERM, 7)):
            client = subprocess.Popen(env.docker.argv + ["run", "--rm", *env.docker.run_flags, *way, "/app"],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
            try:
                assert client.stdout.readline().startswith("app: ready")
                client.send_signal(signo)
                out = client.communicate(timeout=15)[0]
                assert client.returncode == code and "handler done" in out, (way, signo, client.returncode, out)
            finally:
                client.kill()


def test_paused(env):
    """docker pause, then docker kill -s TERM: the stop signal is acted upon as soon as it goes on."""
    container = env.docker.start(*SHIM, "--", "/app").wait_for("app: ready")
    env.docker("pause", container.name).must()
    container.kill("TERM")  # which continues it
    assert container.ended() == 7 and "handler done" in container.logs(), container.logs()


def test_pid_namespace_of_the_host(env):
    """--pid host: shim is not PID 1, and its end touches nobody but what it started."""
    bystander = subprocess.Popen(["sleep", "100"])
    try:
        other = env.docker.start(*SHIM, "--", "/app").wait_for("app: ready")
        container = env.docker.start("--pid", "host", *SHIM, "--", "sh", "-c", "/app; true").wait_for("app: ready")
        assert container.stop("-t", "25").took < 10
        assert "handler done" in container.logs(), container.logs()
        assert bystander.poll() is None and other.is_running()
        other.stop("-t", "25")
        assert other.ended() == 7
    finally:
        bystander.kill()


def test_out_of_memory_in_both_cgroup_namespaces(env):
    """--cgroupns host and private: the counters are found, or nothing is claimed; the code is 137 in both."""
    for where in ("host", "private"):
        path = message_file(env)
        container = env.docker.start("--cgroupns", where, *MEMORY, *mounted(path), *SHIM, "--", *EAT.split())
        assert container.ended() == 137, container.logs()
        assert "out of memory" in read(path) and "64 MiB" in read(path), (where, read(path))
        os.unlink(path)


@limit(60)
def test_fork_bomb(env):
    """A fork bomb under --pids-limit 100: docker stop still ends the container in its time."""
    bomb = "echo ready; bomb() { bomb | bomb & }; bomb; while :; do sleep 1; done"
    path = message_file(env)
    for way in (["--init", BASE], [*SHIM, "--grace", "5s", "--"]):
        container = env.docker.start("--pids-limit", "100", "--memory", "256m", "--cpus", "0.5", *mounted(path), *way,
                                     "sh", "-c", bomb).wait_for("can't fork")
        took = container.stop("-t", "15").took
        assert took < 25 and not container.is_running(), (way, took)
