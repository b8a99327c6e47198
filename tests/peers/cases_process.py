"""The life of the child: how it starts, what it finds, how it ends, and what else the init looks after."""
import os
import re
import time

import world as w
from harness import case

ALL = ("tini", "tini-static", "dumb-init", "catatonit")
THREE = ("tini", "dumb-init", "catatonit")
# Flags under which the peer is silent and needs nothing else, for inits that are not PID 1.
QUIET = {"tini": ["-s"], "tini-static": ["-s"], "dumb-init": [], "catatonit": []}
SCOPES = {"tini": [[], ["-g"]], "tini-static": [[], ["-g"]], "dumb-init": [[], ["-c"]], "catatonit": [[], ["-g"]]}


def sh(script):
    """A shell as the program; after "--", since the peers' getopt takes options of the program's too."""
    return ["--", "sh", "-c", script]


@case(*ALL)
def exit_codes(world):
    """every exit code"""
    return {"codes": [world.run(*QUIET[world.name], *sh(f"exit {code}"))["status"] for code in range(256)]}


@case("tini")
def expected_codes(world):
    """-e for every exit code"""
    others = [word for code in range(256) if code != 7 for word in ("-e", str(code))]
    return {"each": [world.run("-s", "-e", str(code), *sh(f"exit {code}"))["status"] for code in range(256)],
            "all but one": [world.run("-s", *others, *sh(f"exit {code}"))["status"] for code in (0, 7, 8, 143, 255)],
            "killed": world.run("-s", "-e", "143", *sh("kill -TERM $$"))["status"],
            "killed, another": world.run("-s", "-e", "137", *sh("kill -TERM $$"))["status"],
            "cannot execute": world.run("-s", "-e", "127", "/nope")}


@case(*THREE, each=[{"as_pid": "as PID 1"}, {"as_pid": "not PID 1"}])
def causes_of_death(world, as_pid):
    """every signal as the cause of death,"""
    seen = {}
    for signo in range(1, 65):
        init = world.start(*QUIET[world.name], "sleep", "30", pid1=as_pid == "as PID 1")
        # Wait for the program: before its exec the signals are blocked and the group is the init's.
        child = init.child()
        w.retry(lambda: "sleep" in open(f"/proc/{child}/comm", encoding="ascii").read())
        if signo in (17, 18, 20, 21, 22, 19, 23, 28):  # they stop it, or nothing
            init.kill(9)
            init.wait()
            continue
        w.send(child, signo)
        seen[signo] = init.wait()
    return seen


def write(name, content, mode=0o755):
    with open(name, "wb") as file:
        file.write(content)
    os.chmod(name, mode)


@case(*ALL)
def exec_failures(world):
    """programs that cannot be executed"""
    os.mkdir("directory")
    os.mkdir("first")
    os.mkdir("second")
    os.symlink("loop", "loop")
    write("nobits", b"#!/bin/sh\necho hi\n", 0o644)
    write("first/tool", b"#!/bin/sh\necho first\n", 0o644)
    write("second/tool", b"#!/bin/sh\necho second $1\n")
    write("nointerpreter", b"#!/no/such/interpreter\n")
    write("carriage", b"#!/bin/sh\r\necho hi\n")
    write("noshebang", b"echo hi $1\nexit 3\n")
    write("empty", b"")
    write("elf", b"\x7fELF\x02\x01\x01\x09" + bytes(100))
    flags = QUIET[world.name]
    here = os.getcwd()
    seen = {}
    for name in ("/nope", "nope", "", "/", "/etc", "./directory", "/etc/passwd", "/etc/passwd/x", "./loop", "./nobits", "./nointerpreter",
                 "./carriage", "./noshebang", "./empty", "./elf", "./nope/x", "x" * 300, "/" + "y/" * 3000, "directory"):
        short = name if len(name) < 40 else f"{name[:3]}… {len(name)}"
        seen[short] = world.run(*flags, "--", name, "one")
        # A line of ours is one write, so at most 4 KiB of it are said.
        seen[short]["err"] = [line.replace(name, short) if len(line) < 1000 else line[:40] for line in seen[short]["err"]]
    for path in ("first:second", f"{here}/first:{here}/second", f"{here}/first", ":second", "", "nowhere:/bin", "/etc/passwd:/bin"):
        for program in ("tool", "true"):
            seen[f"PATH={path.replace(here, '.')} {program}"] = world.run(*flags, program, "two", env={"PATH": path})
    return seen


@case(*ALL)
def exec_failures_as_pid_1(world):
    """a program that cannot be executed, as PID 1"""
    return {name: world.run("--", name, pid1=True) for name in ("/nope", "/etc", "/etc/passwd/x", "")}


def facts(text):
    """What /proc/self/status and stat tell of the child, in relation to the init."""
    status = dict(re.findall(r"^(\w+):\t(.*)$", text, re.M))
    numbers = text.strip().splitlines()[-1].rpartition(")")[2].split()
    pid, parent, group, session, terminal = int(status["Pid"]), *map(int, numbers[1:5])
    return {"leads its group": pid == group, "leads its session": pid == session, "has a terminal": terminal != 0,
            "in its parent's group": group == parent, "in its parent's session": session == parent,
            **{name: status[name] for name in ("SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd", "NoNewPrivs", "CapEff", "CapBnd", "CapAmb")}}


INHERITED = [
    {"inherits": "nothing"},
    {"inherits": "ignore 1 10 13", "ignore": [1, 10, 13]},
    {"inherits": "ignore 21 22 20", "ignore": [20, 21, 22]},
    {"inherits": "ignore 22 11 2, block 21 4 15", "ignore": [22, 11, 2], "block": [21, 4, 15]},  # tini's sigconf-test
    {"inherits": "ignore 34 50 64, block 36 64", "ignore": [34, 50, 64], "block": [36, 64]},
    {"inherits": "block 1 2 17 20", "block": [1, 2, 17, 20]},
]


@case(*THREE, each=INHERITED)
def child_facts(world, inherits, ignore=(), block=()):
    """what the child finds, inherited:"""
    seen = {}
    for flags in SCOPES[world.name]:
        for pid1 in (False, True):
            run = world.start(*QUIET[world.name], *flags, "cat", "/proc/self/status", "/proc/self/stat", ignore=ignore, block=block,
                              pid1=pid1)
            status = run.wait()
            seen[f"{flags} {'PID 1' if pid1 else ''}"] = {"status": status, **facts(run.text[1].decode())}
    return seen


@case(*THREE, each=[{"closed": "0"}, {"closed": "1"}, {"closed": "2"}, {"closed": "0 1 2"}])
def closed_stdio(world, closed):
    """closed at the start: descriptor"""
    numbers = [int(word) for word in closed.split()]
    seen = world.run(*QUIET[world.name], *sh("ls /proc/self/fd >list 2>/dev/null; exit 5"), closed=numbers, seconds=3)
    return {"status": seen["status"]}


def own_files(pid):
    files = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            files.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            pass  # closed meanwhile
    return files


@case(*THREE)
def descriptors(world):
    """descriptors, the child's and its own"""
    seen = {}
    for pid1 in (False, True):
        open("inherited", "w", encoding="ascii").close()
        fd = os.open("inherited", os.O_RDONLY)
        high = os.dup2(fd, 77, inheritable=True)
        init = world.start(*QUIET[world.name], *sh("readlink /proc/$$/fd/77; ls /proc/$$/fd; exec sleep 30"), keep=[fd, high], pid1=pid1)
        init.expect("^77$")
        path = os.path.realpath("inherited")
        w.retry(lambda: path not in own_files(init.pid), 0.5)
        seen[f"PID 1: {pid1}"] = {"child": [line.replace(os.getcwd(), "") for line in init.out()],
                                 "own, inherited": own_files(init.pid).count(path)}
        init.child() and w.send(init.child(), 9)
        init.wait()
        os.close(fd)
        os.close(high)
    return seen


@case(*THREE)
def directories(world):
    """working directories, the child's and its own"""
    os.mkdir("inside")
    init = world.start(*QUIET[world.name], *sh("pwd; exec sleep 30"), cwd="inside")
    init.expect("inside")
    own = os.path.realpath("inside")
    w.retry(lambda: os.readlink(f"/proc/{init.pid}/cwd") == "/", 0.5)
    seen = {"child": os.readlink(f"/proc/{init.child()}/cwd") == own, "own kept": os.readlink(f"/proc/{init.pid}/cwd") == own,
            "own is /": os.readlink(f"/proc/{init.pid}/cwd") == "/"}
    init.kill(9)
    return seen


@case(*THREE)
def relative_program(world):
    """a relative program and a relative PATH"""
    os.mkdir("bin")
    write("bin/tool", b"#!/bin/sh\npwd | sed 's/.*-peers-[^/]*//; s/[^/]*$//'\necho tool $*\n")
    flags = QUIET[world.name]
    return {"./": world.run(*flags, "./bin/tool", "a"), "PATH": world.run(*flags, "tool", "b", env={"PATH": "bin:/bin:/usr/bin"})}


@case(*ALL)
def leftovers(world):
    """it ends with the child, whatever is left"""
    begin = time.monotonic()
    seen = {str(pid1): world.run(*QUIET[world.name], *sh("trap '' TERM; sleep 30 & exit 4"), pid1=pid1)["status"] for pid1 in (False, True)}
    seen["at once"] = time.monotonic() - begin < 4
    return seen


@case(*THREE, each=[{"flags": ""}, {"flags": "-c"}, {"flags": "-r 15:10"}, {"flags": "-r 15:0"}])
def last_term(world, flags):
    """the last SIGTERM for the rest of the group, with"""
    if world.name != "dumb-init" and flags:
        return {}
    script = " ".join(w.PAYLOAD + ["r", "15", "10"]) + " >log & until grep -q ready log; do sleep 0.05; done"
    status = world.run(*flags.split(), *QUIET[world.name], *sh(script))["status"]
    time.sleep(0.3)
    with open("log", encoding="ascii") as file:
        return {"status": status, "got": file.read().splitlines()[1:]}


@case(*ALL)
def reaping(world):
    """orphans: whose they are, and that none stays a zombie"""
    script = "for i in 1 2 3 4 5 6 7 8 9 10; do (sleep 0.1 & ) ; done; (sleep 31 & ) ; echo up; sleep 30"
    seen = {}
    for flags in ([], ["-s"]) if world.name.startswith("tini") else ([],):
        for pid1 in (False, True):
            init = world.start(*flags, *sh(script), pid1=pid1)
            init.expect("up")
            named = lambda: [p for p in map(int, filter(str.isdigit, os.listdir("/proc")))
                             if b"sleep\x0031" in open(f"/proc/{p}/cmdline", "rb").read()]
            # One of the case's own orphans is its child, when the init is no reaper.
            orphan = w.retry(lambda: [p for p in named() if w.stat(p)[1] in (1, init.pid)])
            mine = w.stat(orphan[0])[1] == init.pid
            left = w.retry(lambda: [p for p in w.children(init.pid) if w.state(p) == "Z"] == [] and len(w.children(init.pid)) <= 2, 3)
            seen[f"{flags} {'PID 1' if pid1 else ''}"] = {"adopts": mine, "no zombie": bool(left), "err": init.err()}
            for p in orphan:
                w.send(p, 9)
            init.kill(9)
            init.wait()
    return seen


@case("tini", "tini-static")
def warn_of_orphans(world):
    """-w says so of each orphan, and only with it"""
    script = "for i in 1 2 3; do (sleep 0.1 & ) ; done; sleep 0.6; exit 3"
    return {str(flags): world.run(*flags, *sh(script), pid1=pid1) for flags, pid1 in
            ((["-s"], False), (["-s", "-w"], False), (["-w"], True), (["-sw", "-v"], False))}


@case("tini", each=[{"how": how} for how in ("plain", "-s", "TINI_SUBREAPER", "a reaper before")])
def warning(world, how):
    """the warning when not PID 1,"""
    if how == "a reaper before":
        # A subreaper that executes tini stays one (tini's subreaper-proxy.py).
        write("proxy", b"#!/usr/bin/python3 -IS\nimport ctypes, os, sys\nctypes.CDLL(None).prctl(36, 1)\nos.execv(sys.argv[1], "
                       b"['tini', 'true'])\n")
        direct = w.World(os.path.realpath("proxy"), "proxy")
        return direct.run(world.binary)
    return world.run(*(["-s"] if how == "-s" else []), "true", env={"TINI_SUBREAPER": ""} if how == "TINI_SUBREAPER" else {})


@case("tini", each=[{"signal": "SIGTERM"}, {"signal": "SIGUSR2"}, {"signal": "SIGKILL"}])
def parent_death(world, signal):
    """-p when the parent ends,"""
    go, ready = os.pipe(), os.pipe()
    middle = os.fork()
    if middle == 0:
        init = world.start("-s", "-p", signal, "--", *w.PAYLOAD, "", "15", "12", pid1=False)
        init.expect("ready")
        os.write(ready[1], str(init.pid).encode())
        os.read(go[0], 1)
        os._exit(0)
    pid = int(os.read(ready[0], 100))
    os.write(go[1], b"x")
    os.waitpid(middle, 0)
    ended = w.retry(lambda: w.state(pid) in ("Z", "gone"), 3)
    status = os.waitpid(pid, 0)[1] if ended else "still there"
    return {"status": status}


@case("catatonit", each=[{"flags": "-P"}, {"flags": "-P -g -- /nope"}, {"flags": "-g -P true"}])
def pause(world, flags):
    """pausing,"""
    seen = {}
    for signo in (15, 2):
        for pid1 in (False, True):
            fd = os.dup2(os.open("/etc/passwd", os.O_RDONLY), 78, inheritable=True)
            init = world.start(*flags.split(), keep=[fd], pid1=pid1, env={"CATATONIT_DEBUG": ""})
            w.retry(lambda: "/etc/passwd" not in own_files(init.pid))
            time.sleep(0.1)
            for other in (1, 3, 10, 12, 13, 14, 18, 20, 21, 22, 28, 34, 64):
                init.kill(other)
            time.sleep(0.1)
            here = {"alive": w.state(init.pid), "children": w.children(init.pid), "own /etc/passwd": "/etc/passwd" in own_files(init.pid)}
            init.kill(signo)
            here["status"] = init.wait(3)
            here["said"] = init.out() + init.err()
            seen[f"{signo} {pid1}"] = here
            os.close(fd)
    return seen


@case(*THREE)
def long_output(world):
    """much output and input pass untouched"""
    with open("data", "wb") as file:
        file.write(os.urandom(1 << 20))
    fd = os.open("data", os.O_RDONLY)
    init = world.start(*QUIET[world.name], "cat", stdin=fd)
    status = init.wait()
    with open("data", "rb") as file:
        return {"status": status, "same": init.text[1] == file.read(), "err": init.err()}
