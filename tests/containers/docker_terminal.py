"""`docker run -it`: a person at a pty, through Docker's own client."""

import engines
from engines import BASE
from terminal import Terminal

NEEDS = ["docker"]
WAYS = [["--init", BASE], ["--entrypoint", "/shim", BASE, "--"]]


def run(env, *args):
    return Terminal(env.docker.argv + ["run", "-it", "--rm", *env.docker.run_flags, *args])


def test_interrupt(env):
    """Ctrl-C reaches the app, whose handler runs and whose code docker run returns."""
    for way in WAYS:
        terminal = run(env, *way, "/app")
        terminal.expect("app: ready")
        terminal.type("\x03")
        terminal.expect("handler begins (INT)")
        terminal.expect("handler done")
        assert terminal.wait() == 8, (way, terminal.seen)


def test_interrupt_behind_a_shell(env):
    """Ctrl-C goes to the whole foreground group: the app behind sh -c hears it too."""
    terminal = run(env, "--entrypoint", "/shim", BASE, "--", "sh", "-c", "/app; true")
    terminal.expect("app: ready")
    terminal.type("\x03")
    terminal.expect("handler done")
    terminal.wait()


def test_quit(env):
    """Ctrl-backslash is QUIT."""
    for way in WAYS:
        terminal = run(env, *way, "/app")
        terminal.expect("app: ready")
        terminal.type("\x1c")
        terminal.expect("handler done")
        assert terminal.wait() == 9, (way, terminal.seen)


def test_suspend_key(env):
    """Ctrl-Z reaches the app (which has a handler for it) and stops nothing for good."""
    for way in WAYS:
        terminal = run(env, *way, "/app")
        terminal.expect("app: ready")
        terminal.type("\x1a")
        terminal.expect("got TSTP")
        terminal.type("\x03")
        terminal.expect("handler done")
        assert terminal.wait() == 8, (way, terminal.seen)


def test_job_control_of_a_shell(env):
    """A shell inside has job control: Ctrl-Z, fg, Ctrl-C, and its exit code."""
    for way in WAYS:
        terminal = run(env, *way, "sh", "-i")
        terminal.type("PS1='prompt> '; echo be''gin\r")
        terminal.expect("begin\r\n")
        terminal.expect("prompt> ")
        terminal.type("sh -c 'echo run''ning; exec cat'\r")
        terminal.expect("running\r\n")
        terminal.type("\x1a")
        terminal.expect("Stopped")
        terminal.expect("prompt> ")
        terminal.type("echo back; fg\r")
        terminal.expect("back\r\n")
        terminal.type("hey\r")  # the job's name is printed before it has the terminal; its answer is not
        terminal.expect("hey\r\n")
        terminal.expect("hey\r\n")
        terminal.type("\x03")
        terminal.expect("prompt> ")
        terminal.type("exit 23\r")
        assert terminal.wait() == 23, (way, terminal.seen)
        assert "job control" not in terminal.seen and "tty" not in terminal.seen, terminal.seen


def test_window_size(env):
    """A resized window: the app hears WINCH and sees the new size."""
    for way in WAYS:
        terminal = run(env, *way, "/app")
        terminal.expect("app: ready")
        for rows in range(30, 60):  # the client starts to listen for resizes some time after the start
            terminal.resize(rows, 99)
            terminal.read_some(0.5)
            if f"got WINCH {rows} 99" in terminal.seen:
                break
        terminal.expect(" 99")
        terminal.type("\x03")
        terminal.wait()


def test_terminal_without_a_person(env):
    """docker run -d -t: a terminal that nobody is attached to; docker stop works as ever."""
    for way in WAYS:
        container = env.docker.start("-t", *way, "/app").wait_for("app: ready")
        took = container.stop("-t", "25").took
        assert took < 10 and container.ended() == 7, (way, took, container.logs())


def test_input_is_passed_through(env):
    """Standard input of a pipe (docker run -i) reaches the app to its last byte, and its end ends cat."""
    for way in WAYS:
        done = engines.Done(env.docker.argv + ["run", "-i", "--rm", *env.docker.run_flags, *way, "cat"], 25, "a\nb")
        assert done.code == 0 and done.out == "a\nb", (way, done)


def test_suspend_key_without_a_handler(env):
    """Ctrl-Z in a container whose app does nothing about it: there is no shell to come back to, so Ctrl-C still works."""
    for script in ("echo rea''dy; exec cat", "echo rea''dy; cat; true"):
        terminal = run(env, "--entrypoint", "/shim", BASE, "--", "sh", "-c", script)
        terminal.expect("ready\r\n")
        for word in ("one", "two", "three"):
            terminal.type("\x1a")
            terminal.expect("^Z")
            terminal.type(f"{word}\r")
            terminal.expect(f"{word}\r\n{word}\r\n")
        terminal.type("\x03")
        assert terminal.wait() == 130, (script, terminal.seen)
