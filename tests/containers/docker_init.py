"""`dockerd --init-path=shim`, `docker run --init`: shim where Docker puts tini, as /sbin/docker-init."""

import re

from engines import BASE, wait_until

NEEDS = ["docker"]


def test_info_names_the_init(env):
    """`docker info` and `docker version` understand what the init says of itself."""
    info = env.docker("info").must().out
    version = re.search(r"init version: *(\S*)", info)
    assert version and version[1] not in ("", "N/A"), info
    with open(env.docker.log) as log:
        assert "failed to parse" not in log.read()
    assert re.search(r"shim:\s+Version:.*\s+GitCommit: +\S", env.docker("version").must().out), env.docker("version")


def test_is_pid_1(env):
    """PID 1 is docker-init, the app its child; --init with no options of its own."""
    done = env.docker.run("--rm", "--init", BASE, "ps", "-o", "pid,args").must()
    assert re.search(r"^ +1 /sbin/docker-init -- ps", done.out, re.M), done
    assert done.err == "", done


def test_exit_codes(env):
    """The app's code is the container's, a signal's too."""
    for script, code in (("exit 0", 0), ("exit 1", 1), ("exit 255", 255), ("kill -9 $$", 137), ("kill -11 $$", 139)):
        done = env.docker.run("--rm", "--init", BASE, "sh", "-c", script)
        assert done.code == code, (script, done)


def test_exec_errors(env):
    """127 for what is not there and 126 for what cannot be run, with tini's words."""
    done = env.docker.run("--rm", "--init", BASE, "nowhere")
    assert done.code == 127 and "exec nowhere failed: No such file or directory" in done.err, done
    done = env.docker.run("--rm", "--init", BASE, "/tmp")
    assert done.code == 126 and "exec /tmp failed: Permission denied" in done.err, done


def test_stop(env):
    """docker stop: the handler runs, the container ends at once and with the app's code."""
    container = env.docker.start("--init", BASE, "/app").wait_for("app: ready")
    took = container.stop("-t", "20").took
    assert took < 10, took
    assert container.ended() == 7
    assert "handler done" in container.logs(), container.logs()


def test_stop_at_the_end_of_the_timeout(env):
    """An app that ignores TERM is killed by Docker after its timeout, not before."""
    container = env.docker.start("--init", BASE, "/app", "stubborn").wait_for("app: ready")
    took = container.stop("-t", "2").took
    assert 1.9 < took < 15, took
    assert container.ended() == 137
    assert "ignored TERM" in container.logs(), container.logs()


def test_stop_signal(env):
    """--stop-signal, and docker kill with a signal that does not end the app."""
    container = env.docker.start("--init", "--stop-signal", "SIGQUIT", BASE, "/app").wait_for("app: ready")
    container.kill("USR1")
    container.wait_for("got USR1")
    container.stop("-t", "20")
    assert container.ended() == 9
    assert "handler done" in container.logs(), container.logs()


def test_real_time_signal(env):
    """A real-time signal arrives under the number that it was sent with."""
    script = "trap 'echo got 37; exit 3' 37; echo ready; while :; do sleep 0.1 & wait $!; done"
    container = env.docker.start("--init", "--stop-signal", "37", BASE, "sh", "-c", script).wait_for("ready")
    container.stop("-t", "20")
    assert container.ended() == 3
    assert "got 37" in container.logs()


def test_restart(env):
    """docker restart: a second life, the same behaviour."""
    container = env.docker.start("--init", BASE, "/app").wait_for("app: ready")
    env.docker("restart", "-t", "20", container.name).must()
    wait_until(lambda: container.logs().count("app: ready") == 2, "the second start")
    container.stop("-t", "20")
    assert container.ended() == 7
    assert container.logs().count("handler done") == 2


def test_orphans_are_reaped(env):
    """What `docker exec` leaves behind, and the app's own orphans, do not stay as zombies."""
    script = "i=0; while [ $i -lt 20 ]; do (sleep 0.1 &); i=$((i+1)); done; echo made; exec sleep 60"
    container = env.docker.start("--init", BASE, "sh", "-c", script).wait_for("made")
    container.exec("sh", "-c", "(sleep 0.1 &) ; (sleep 0.1 &)").must()
    wait_until(lambda: container.exec("sh", "-c", "ls -d /proc/[0-9]*").out.count("\n") == 3, "only init, app and ls")
    container.stop("-t", "20")


def test_hardened(env):
    """docker run --init with an arbitrary user, no capability, read-only root, no new privileges."""
    container = env.docker.start("--init", "--read-only", "--user", "12345:0", "--cap-drop", "ALL", "--security-opt",
                                 "no-new-privileges", BASE, "/app").wait_for("app: ready as 12345:0")
    took = container.stop("-t", "20").took
    assert took < 10 and container.ended() == 7, took
    assert "handler done" in container.logs()


def test_writes_no_termination_message(env):
    """Under tini's name nothing is written, even if the file is there."""
    path = f"{env.folder}/message"
    open(path, "w").close()
    env.docker.run("--rm", "--init", "-v", f"{path}:/dev/termination-log", BASE, "true").must()
    with open(path) as file:
        assert file.read() == ""
