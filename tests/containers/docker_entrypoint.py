"""ENTRYPOINT ["/shim", "--", …] under a real Docker engine: what the README promises."""

import json
import os
import stat
import subprocess

from engines import BASE, wait_until
from harness import limit

NEEDS = ["docker"]
SHIM = ["--entrypoint", "/shim", BASE]


def message_file(env, text="", mode=0o666):
    path = f"{env.folder}/message"
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def read(path):
    with open(path) as file:
        return file.read()


def mounted(path, how="rw"):
    return ["-v", f"{path}:/dev/termination-log:{how}"]


def test_shell_wrapper_stop(env):
    """`sh -c 'app; true'`: the app behind the shell gets TERM and has its time, though the shell dies at once."""
    for _ in range(3):
        container = env.docker.start(*SHIM, "--", "sh", "-c", "/app; true").wait_for("app: ready")
        took = container.stop("-t", "25").took
        assert took < 10, took
        assert "handler done" in container.logs(), container.logs()


def test_image_entrypoint(env):
    """An image whose ENTRYPOINT is shim: docker stop without a timeout ends in time, with the app's code."""
    env.docker("import", "--change", 'ENTRYPOINT ["/shim","--"]', "--change", 'CMD ["/app"]',
               "--change", "ENV PATH=/bin", f"{env.work}/root.tar", "shim-entry:1").must()
    container = env.docker.start("shim-entry:1").wait_for("app: ready")
    took = container.stop().took
    assert took < 8, took
    assert container.ended() == 7
    done = env.docker.run("--rm", "shim-entry:1", "sh", "-c", "exit 42")
    assert done.code == 42, done


def test_exit_codes(env):
    """docker inspect shows the app's code."""
    for script, code in (("exit 0", 0), ("exit 1", 1), ("exit 255", 255), ("kill -9 $$", 137), ("kill -6 $$", 134)):
        container = env.docker.start(*SHIM, "--", "sh", "-c", script)
        assert container.ended() == code, (script, container.logs())


def test_exec_errors(env):
    """127 and 126, each with one line that says why."""
    done = env.docker.run("--rm", *SHIM, "--", "nowhere")
    assert done.code == 127 and "nowhere" in done.err and done.err.count("\n") == 1, done
    root = f"{env.folder}/bin"
    os.mkdir(root)
    for name, text in (("crlf", "#!/bin/sh\r\nexit 0\n"), ("noint", "#!/usr/bin/gone\n"), ("arch", None)):
        with open(f"{root}/{name}", "wb") as file:
            file.write(text.encode() if text else foreign_program())
        os.chmod(f"{root}/{name}", 0o755)
    for name, code, words in (("crlf", 127, "CR"), ("noint", 127, "/usr/bin/gone"), ("arch", 126, "arch")):
        done = env.docker.run("--rm", "-v", f"{root}:/t:ro", *SHIM, "--", f"/t/{name}")
        assert done.code == code and words in done.err, (name, done)


def foreign_program():
    """The head of an ELF file for s390x."""
    head = bytearray(b"\x7fELF\x02\x02\x01" + bytes(57))
    head[16:20] = b"\x00\x02\x00\x16"
    return bytes(head)


def test_hardened(env):
    """Read-only root, arbitrary user, no capability, no new privileges, and a termination message all the same."""
    path = message_file(env)
    container = env.docker.start("--read-only", "--user", "12345:0", "--cap-drop", "ALL", "--security-opt",
                                 "no-new-privileges", *mounted(path), *SHIM, "--", "sh", "-c", "/app; true")
    container.wait_for("app: ready as 12345:0")
    took = container.stop("-t", "25").took
    assert took < 10, took
    logs = container.logs()
    assert "handler done" in logs and "shim:" not in logs, logs
    assert "stop requested" in read(path), read(path)


def test_message_of_a_success(env):
    """The message of a normal end follows what the app wrote, which stays."""
    path = message_file(env)
    container = env.docker.start(*mounted(path), *SHIM, "--", "/app", "message").wait_for("app: ready")
    wait_until(lambda: read(path), "the app's own message")
    container.stop("-t", "25")
    container.ended()
    text = read(path)
    assert text.startswith("the app's own words\n") and "app exited 7" in text, text


def test_message_as_json(env):
    """--termination-format json, one object."""
    path = message_file(env)
    done = env.docker.run(*mounted(path), *SHIM, "--termination-format", "json", "--", "sh", "-c", "exit 3")
    assert done.code == 3, done
    facts = json.loads(read(path))
    assert facts["exitCode"] == 3 and facts["oomKilled"] is False, facts


def test_message_file_that_cannot_be_written(env):
    """A read-only mount, a file of somebody else's, a folder: the container works as if it were not there."""
    folder = f"{env.folder}/folder"
    os.mkdir(folder)
    path = message_file(env, mode=0o644)
    for flags in ([*mounted(path, "ro")], [*mounted(path), "--user", "12345:0"], [*mounted(folder)]):
        done = env.docker.run("--rm", *flags, *SHIM, "--", "sh", "-c", "echo out; exit 5")
        assert done.code == 5 and done.out == "out\n", (flags, done)
    assert read(path) == ""


def test_message_outlives_sigkill_of_pid_1(env):
    """docker stop whose timeout ends: Docker kills PID 1, and the last known state is in the file."""
    path = message_file(env)
    container = env.docker.start(*mounted(path), *SHIM, "--", "/app", "stubborn").wait_for("app: ready")
    container.stop("-t", "2")
    assert container.ended() == 137
    assert "stopping" in read(path) and "SIGTERM" in read(path), read(path)


def test_grace_ends_before_docker_does(env):
    """--grace 4s with an app that ignores TERM: 137 and the reason, before Docker's own timeout."""
    path = message_file(env)
    container = env.docker.start(*mounted(path), *SHIM, "--grace", "4s", "--", "/app", "stubborn")
    container.wait_for("app: ready")
    took = container.stop("-t", "25").took
    assert 3 < took < 15, took
    assert container.ended() == 137
    assert "grace period spent" in read(path) and "still alive: app (" in read(path), read(path)


def test_stop_signal_is_rewritten(env):
    """Docker sends TERM, the app wants QUIT: --stop-signal, and -r."""
    for option in (["--stop-signal", "QUIT"], ["-r", "TERM:QUIT"]):
        container = env.docker.start(*SHIM, *option, "--", "/app").wait_for("app: ready")
        container.stop("-t", "25")
        assert container.ended() == 9, (option, container.logs())


def test_options_from_the_environment(env):
    """SHIM_OPTS tunes a fixed image and does not reach the app."""
    done = env.docker.run("--rm", "-e", "SHIM_OPTS=-e 4:0", *SHIM, "--", "sh", "-c", "env; exit 4")
    assert done.code == 0 and "SHIM_OPTS" not in done.out, done


def test_names_of_the_peers(env):
    """The same binary under a peer's name in an unchanged image."""
    for name, flags in (("tini", ["-g", "-v", "--"]), ("dumb-init", ["-v", "--"]), ("catatonit", ["--"])):
        container = env.docker.start("--entrypoint", f"/{name}", BASE, *flags, "/app").wait_for("app: ready")
        container.stop("-t", "25")
        assert container.ended() == 7, (name, container.logs())
        assert "handler done" in container.logs(), (name, container.logs())


def test_install(env):
    """--install from one container into a volume, used by another whose image has no init."""
    volume = f"{env.folder}/volume"
    os.mkdir(volume)
    env.docker.run("--rm", "-v", f"{volume}:/out", *SHIM, "--install", "/out").must()
    assert stat.S_IMODE(os.stat(f"{volume}/shim").st_mode) == 0o755
    use = ["-v", f"{volume}:/in:ro", "--entrypoint", "/in/shim", BASE]
    done = env.docker.run("--rm", *use, "--", "sh", "-c", "exit 6")
    assert done.code == 6, done


def test_from_scratch(env):
    """An image with two files: no /tmp, no /etc, no shell, no PATH, nothing but shim and the app."""
    root = f"{env.folder}/scratch"
    os.mkdir(root)
    for source, name in (("shim", "shim"), ("bin/busybox", "sleep")):
        os.link(f"{env.work}/root/{source}", f"{root}/{name}")
    subprocess.run(["tar", "-C", root, "-cf", f"{env.folder}/s.tar", "."], check=True)
    env.docker("import", "--change", 'ENTRYPOINT ["/shim","--"]', f"{env.folder}/s.tar", "shim-scratch:1").must()
    container = env.docker.start("--read-only", "--user", "12345", "shim-scratch:1", "/sleep", "60")
    wait_until(container.is_running, "the start")
    took = container.stop("-t", "25").took
    assert took < 10, took
    assert container.ended() == 143, container.logs()
    assert container.logs() == "", container.logs()


def test_not_pid_1(env):
    """In another container's PID namespace: one warning, and signals and codes all the same."""
    first = env.docker.start(*SHIM, "--", "sleep", "60")
    second = env.docker.start("--pid", f"container:{first.name}", *SHIM, "--", "/app").wait_for("app: ready")
    second.stop("-t", "25")
    assert second.ended() == 7, second.logs()
    assert first.is_running()
    first.stop("-t", "25")


@limit(60)
def test_system_calls_denied(env):
    """Old profiles and sandboxes: the newer calls answer EPERM or ENOSYS, everything goes on."""
    names = ["pidfd_open", "pidfd_send_signal", "pidfd_getfd", "clone3", "close_range", "signalfd4", "prctl", "socket",
             "openat2", "faccessat2", "memfd_create", "process_mrelease"]
    for errno_number in (1, 38):
        profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": errno_number}]}
        path = f"{env.folder}/{errno_number}.json"
        with open(path, "w") as file:
            json.dump(profile, file)
        # With no-new-privileges the runtime puts the filter on last, when it needs none of these itself.
        flags = ["--security-opt", f"seccomp={path}", "--security-opt", "no-new-privileges"]
        container = env.docker.start(*flags, *SHIM, "--", "sh", "-c", "/app; true")
        container.wait_for("app: ready")
        took = container.stop("-t", "25").took
        assert took < 10, took
        assert "handler done" in container.logs(), (errno_number, container.logs())
        done = env.docker.run("--rm", *flags, *SHIM, "--", "sh", "-c", "exit 3")
        assert done.code == 3, (errno_number, done)


def test_healthcheck(env):
    """HEALTHCHECK CMD ["/shim","--check",…] in an image without a client: healthy while it is served, then not."""
    serve = ("httpd -f -p 127.0.0.1:8080 -h /tmp & server=$!; trap 'kill $server; echo gone' USR1;"
             " while :; do sleep 0.1 & wait $!; done")
    health = ["--health-interval", "300ms", "--health-timeout", "5s", "--health-retries", "1", "--health-cmd"]
    container = env.docker.start(*health, "/shim --check tcp://127.0.0.1:8080", *SHIM, "--", "sh", "-c", serve)

    def is_now(state):
        wait_until(lambda: container.inspect()["State"]["Health"]["Status"] == state,
                   lambda: container.inspect()["State"]["Health"])

    is_now("healthy")
    container.kill("USR1")
    container.wait_for("gone")
    is_now("unhealthy")
    output = container.inspect()["State"]["Health"]["Log"][-1]["Output"]
    assert "refused" in output and output.count("\n") == 1, output
    container.stop("-t", "20")
