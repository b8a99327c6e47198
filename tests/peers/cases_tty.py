"""A terminal: its keys, its hang-up, who has it; as its session's leader (docker run -t) and as a job of a shell."""
import os
import time

import world as w
from cases_process import QUIET, SCOPES, THREE, facts, sh
from cases_signals import VERBOSE
from harness import case

SHAPES = [{"shape": "PID 1 and leader"}, {"shape": "leader"}, {"shape": "a job in front"}]


def on_terminal(world, shape, *args, stdio=(1, 2), quiet=True, **more):
    tty = w.Terminal(leader="leader" in shape, front="behind" not in shape, stdio=stdio)
    return world.start(*(QUIET[world.name] if quiet else []), *args, tty=tty, pid1="PID 1" in shape, **more)


def once(flags, init):
    """What the child got. With -c it shares dumb-init's group: the key reaches both, and comes again unless it is still pending."""
    got = init.text[1].decode().split()[2:]
    return sorted(set(got)) if flags == ["-c"] else got


def running(init, name="sleep"):
    """Waits until the child is the program itself."""
    w.retry(lambda: init.child() and name in open(f"/proc/{init.child()}/comm", encoding="ascii").read())


@case(*THREE, each=SHAPES + [{"shape": "a job behind"}])
def child_on_terminal(world, shape):
    """on a terminal, what the child finds,"""
    seen = {}
    for flags in SCOPES[world.name]:
        init = on_terminal(world, shape, *flags, "cat", "/proc/self/status", "/proc/self/stat", stdio=())
        status = init.wait(4)
        seen[str(flags)] = {"status": status}
        if init.text[1]:
            numbers = init.text[1].decode().strip().splitlines()[-1].rpartition(")")[2].split()
            seen[str(flags)] |= facts(init.text[1].decode()) | {"in front": numbers[2] == numbers[5]}
    return seen


@case(*THREE, each=SHAPES)
def interrupt(world, shape):
    """Ctrl-C,"""
    seen = {}
    for flags in SCOPES[world.name]:
        init = on_terminal(world, shape, *flags, *sh("echo up; sleep 30; echo after"))
        init.expect("up", where="tty")
        time.sleep(0.2)
        init.tty.type(b"\x03")
        seen[str(flags)] = {"status": init.wait(4), "text": init.tty.text.decode()}
    return seen


@case(*THREE, each=SHAPES)
def keys(world, shape):
    """Ctrl-C and Ctrl-\\ come once to a child that handles them,"""
    seen = {}
    for flags in SCOPES[world.name]:
        init = on_terminal(world, shape, *flags, "--", *w.PAYLOAD, "", "15", stdio=(2,))
        init.expect("ready")
        for key, signo in ((b"\x03", 2), (b"\x1c", 3)):
            init.tty.type(key)
            init.expect(rf"^{signo}$")
        time.sleep(0.2)
        init.kill(15)
        seen[str(flags)] = {"status": init.wait(4), "got": once(flags, init)}
    return seen


@case(*THREE, each=SHAPES)
def suspend(world, shape):
    """Ctrl-Z and on again,"""
    seen = {}
    for flags in SCOPES[world.name]:
        init = on_terminal(world, shape, *flags, "sleep", "30", stdio=())
        running(init)
        child = init.child()
        time.sleep(0.1)
        init.tty.type(b"\x1a")
        w.retry(lambda: w.state(child) == "T", 0.7)
        w.retry(lambda: w.state(init.pid) == "T", 0.4 if world.name == "dumb-init" else 0)
        here = {"child": w.state(child), "init": w.state(init.pid)}
        init.kill(18)
        here["on again"] = [w.retry(lambda: w.state(pid) == "S", 2) for pid in (child, init.pid)]
        init.kill(15)
        here["status"] = init.wait(4)
        seen[str(flags)] = here
    return seen


@case(*THREE, each=SHAPES)
def hang_up(world, shape):
    """the terminal hangs up,"""
    seen = {}
    for flags in SCOPES[world.name]:
        init = on_terminal(world, shape, *flags, "sleep", "30", stdio=())
        running(init)
        time.sleep(0.1)
        init.tty.hang_up()
        seen[str(flags)] = {"status": init.wait(3)}
        if seen[str(flags)]["status"] == "still there":
            init.kill(9)
    return seen


@case(*THREE, each=SHAPES)
def resize(world, shape):
    """a new window size,"""
    import fcntl
    import struct
    import termios
    seen = {}
    for flags in SCOPES[world.name]:
        init = on_terminal(world, shape, *flags, "--", *w.PAYLOAD, "", "15", stdio=(2,))
        init.expect("ready")
        fcntl.ioctl(init.tty.master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 44, 0, 0))
        init.expect("^28$", 2)
        init.kill(15)
        seen[str(flags)] = {"status": init.wait(4), "got": once(flags, init)}
    return seen


@case(*THREE, each=SHAPES)
def signals_on_terminal(world, shape):
    """on a terminal, HUP, CONT and TERM come,"""
    seen = {}
    for flags in SCOPES[world.name]:
        init = on_terminal(world, shape, *flags, "--", *w.PAYLOAD, "", "15", stdio=(2,))
        init.expect("ready")
        time.sleep(0.2)
        for signo in (1, 18, 1, 18, 15):
            init.kill(signo)
            time.sleep(0.1)
        seen[str(flags)] = {"status": init.wait(4), "got": init.text[1].decode().split()[2:]}
    return seen


@case(*THREE, each=SHAPES)
def job_control(world, shape):
    """an interactive shell has job control,"""
    seen = {}
    for flags in SCOPES[world.name]:
        init = on_terminal(world, shape, *flags, "--", "bash", "--norc", "--noprofile", "-i",
                           env={"PS1": "", "TERM": "dumb", "HISTFILE": "", "BASH_SILENCE_DEPRECATION_WARNING": "1"})
        init.tty.type(b'echo "flags [[$-]]"\nsleep 0.2 &\nfg\necho "then $?"\nexit 5\n')
        status = init.wait()
        text = init.tty.text.decode(errors="replace")
        seen[str(flags)] = {"status": status, "job control": "m" in text.partition("[[")[2].partition("]]")[0] and "no job" not in text,
                            "fg": "then 0" in text, "warning": "cannot set" in text}
    return seen


@case(*THREE, each=SHAPES)
def through(world, shape):
    """input and end of file through the terminal,"""
    seen = {}
    for flags in SCOPES[world.name]:
        init = on_terminal(world, shape, *flags, "tac")
        init.tty.type(b"1\n2\n3\n\x04\x04")
        seen[str(flags)] = {"status": init.wait(), "text": init.tty.text.decode()}
    return seen


@case(*THREE, each=[{"shape": "leader"}, {"shape": "a job in front"}])
def debug_lines_on_terminal(world, shape):
    """debug lines on a terminal,"""
    seen = {}
    for flags in SCOPES[world.name]:
        init = on_terminal(world, shape, *VERBOSE[world.name], *flags, "sleep", "0.4", stdio=(), quiet=False, env={"CATATONIT_DEBUG": ""})
        seen[str(flags)] = w.told(init, init.wait())
    return seen


@case("tini", "catatonit", each=[{"shape": "leader"}, {"shape": "a job in front"}])
def tostop(world, shape):
    """it writes to a terminal that stops writers behind,"""
    import termios
    init = None
    tty = w.Terminal(leader=shape == "leader", stdio=(1, 2))
    mode = termios.tcgetattr(tty.slave)
    mode[3] |= termios.TOSTOP
    termios.tcsetattr(tty.slave, termios.TCSANOW, mode)
    init = world.start(*VERBOSE[world.name], "sleep", "0.3", tty=tty, env={"CATATONIT_DEBUG": ""})
    status = init.wait(3)
    return {"status": status, "says something": b"tini" in tty.text or b"catatonit" in tty.text}


@case(*THREE)
def foreground_stays(world):
    """a job behind does not take the terminal"""
    tty = w.Terminal(leader=False, front=False, stdio=())
    init = world.start(*QUIET[world.name], "sleep", "0.5", tty=tty)
    time.sleep(0.3)
    return {"status": init.wait(3), "the shell has it": tty.foreground() == init.waited}


assert os.path.exists("/usr/bin/bash"), "bash is needed for job control"
