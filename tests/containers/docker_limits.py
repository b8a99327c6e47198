"""What ends a container against its will: memory, processes, SIGKILL; and what shim says about it."""

import json

from docker_entrypoint import SHIM, message_file, mounted, read
from harness import limit

NEEDS = ["docker"]
MEMORY = ["-m", "64m", "--memory-swap", "64m"]
EAT = "dd if=/dev/zero of=/dev/null bs=200M"


def test_out_of_memory(env):
    """A real OOM kill of the app: 137, and the message names it with the limit."""
    path = message_file(env)
    container = env.docker.start(*MEMORY, *mounted(path), *SHIM, "--", *EAT.split())
    assert container.ended() == 137, container.logs()
    assert container.inspect()["State"]["OOMKilled"]
    text = read(path)
    assert "out of memory" in text and "64 MiB" in text and "dd" in text and "SIGKILL" in text, text
    assert text.count("\n") == 1, text


def test_out_of_memory_of_a_child(env):
    """The app survives the OOM kill of its child, and the message still says so."""
    path = message_file(env)
    container = env.docker.start(*MEMORY, *mounted(path), *SHIM, "--", "sh", "-c", f"{EAT}; exit 4")
    assert container.ended() == 4, container.logs()
    assert "out of memory" in read(path) and "exited 4" in read(path), read(path)


def test_out_of_memory_as_json(env):
    """oomKilled, exitCode and signal are fields."""
    path = message_file(env)
    container = env.docker.start(*MEMORY, *mounted(path), "--user", "12345:0", *SHIM, "--termination-format", "json",
                                 "--", *EAT.split())
    assert container.ended() == 137, container.logs()
    facts = json.loads(read(path))
    assert facts["oomKilled"] is True and facts["exitCode"] == 137, facts
    assert "KILL" in str(facts["signal"]) or facts["signal"] == 9, facts


def test_killed_without_being_out_of_memory(env):
    """A plain SIGKILL under a memory limit is not blamed on memory, nor is an earlier life's OOM kill."""
    path = message_file(env)
    container = env.docker.start(*MEMORY, *mounted(path), *SHIM, "--", "sh", "-c", "kill -9 $$")
    assert container.ended() == 137
    assert "SIGKILL" in read(path) and "out of memory" not in read(path), read(path)


@limit(40)
def test_process_limit(env):
    """The pids limit is reached when shim starts the app: it says so, and does not hang."""
    path = message_file(env)
    # The inner shell dies of the first fork that fails, which leaves room for one more.
    fill = "sh -c 'while :; do sleep 50 & done' 2>/dev/null; sleep 50 &"
    container = env.docker.start("--pids-limit", "24", *mounted(path), "--entrypoint", "/bin/sh", SHIM[-1], "-c",
                                 f"{fill} exec /shim -- /app")
    code = container.ended(25)
    logs = container.logs()
    assert code in (125, 126), (code, logs)
    assert "pids" in logs or "process" in logs, logs
    assert "cannot" in read(path) or "limit" in read(path), read(path)
