"""Signals: which, to whom, rewritten how; job control without a terminal; what is said of them."""
import os
import time

import world as w
from cases_process import QUIET, SCOPES, THREE, sh
from harness import case

FAULTS = (4, 5, 6, 7, 8, 11, 31)
STOPS = (20, 21, 22)
PID1 = [{"as_pid": "as PID 1"}, {"as_pid": "not PID 1"}]


def listen(world, *flags, last=(), env=None, pid1=False, **more):
    init = world.start(*QUIET[world.name], *flags, "--", *w.PAYLOAD, "", *map(str, last), env=env, pid1=pid1, **more)
    init.expect("ready")
    return init


@case(*THREE, "tini-static", each=PID1)
def forwarded(world, as_pid):
    """every signal that is passed on,"""
    seen = {}
    for flags in SCOPES[world.name]:
        pid1 = as_pid == "as PID 1"
        init = listen(world, *flags, pid1=pid1)
        for signo in range(1, 65):
            if signo in (9, 17, 19, 32, 33) or (world.name == "dumb-init" and signo in STOPS) or (
                    not pid1 and signo in FAULTS and world.name != "dumb-init"):
                continue
            start = len(init.text[1])
            init.kill(signo)
            came = init.expect(rf"(?s)\A.{{{start}}}{signo}\n", 0.15 if signo in FAULTS + STOPS else w.PATIENCE)
            if not came:
                init.kill(10)
                init.expect(rf"(?s)\A.{{{start}}}.*^10\n")
            seen[f"{flags} {signo}"] = init.text[1][start:].decode().split()
        init.kill(9)
        init.wait()
    return seen


@case(*THREE, each=PID1)
def forwarded_32_and_33(world, as_pid):
    """the two that libcs keep for themselves kill the child,"""
    seen = {}
    for signo in (32, 33):
        init = world.start(*QUIET[world.name], *sh("echo up; exec sleep 30"), pid1=as_pid == "as PID 1")
        init.expect("up")
        w.retry(lambda: w.state(init.child()) == "S" and "sleep" in open(f"/proc/{init.child()}/comm", encoding="ascii").read())
        init.kill(signo)
        seen[signo] = init.wait(1.5)
    return seen


@case(*THREE, each=PID1)
def chld_is_not_forwarded(world, as_pid):
    """SIGCHLD from outside goes nowhere,"""
    init = listen(world, last=(10,), pid1=as_pid == "as PID 1")
    init.kill(17)
    time.sleep(0.1)
    init.kill(10)
    return {"status": init.wait(), "out": init.text[1].decode().split()[2:]}


@case("tini", "catatonit")
def faults_kill_it(world):
    """faults sent to it kill it"""
    seen = {}
    for signo in FAULTS:
        init = listen(world)
        init.kill(signo)
        seen[signo] = init.wait(3)
    return seen


@case(*THREE, each=PID1)
def queued(world, as_pid):
    """real-time signals, queued ones too,"""
    init = listen(world, last=(15,), pid1=as_pid == "as PID 1")
    for signo in (40, 34, 40, 64, 40, 34, 40):
        init.kill(signo)
    w.retry(lambda: init.pump(0) or init.text[1].count(b"40\n") == 4, 3)
    init.kill(15)
    return {"status": init.wait(), "out": sorted(init.text[1].decode().split()[2:])}


@case(*THREE, each=PID1)
def who_hears(world, as_pid):
    """the child, its group, others,"""
    payload = " ".join(w.PAYLOAD)
    seen = {}
    for flags in SCOPES[world.name]:
        script = f"{payload} grandchild & setsid {payload} elsewhere & exec {payload} child"
        init = world.start(*QUIET[world.name], *flags, *sh(script), pid1=as_pid == "as PID 1")
        for who in ("grandchild", "elsewhere", "child"):
            init.expect(f"^{who}ready")
        start = len(init.text[1])
        for signo in (10, 34, 15):
            init.kill(signo)
            init.expect(rf"(?s)\A.{{{start}}}.*^child{signo}\n")
        time.sleep(0.2)
        init.pump(0)
        seen[str(flags)] = sorted(init.text[1][start:].decode().split())
        init.kill(9)
        init.wait()
    return seen


@case("tini", each=[{"how": "-g"}, {"how": "TINI_KILL_PROCESS_GROUP"}])
def group_by(world, how):
    """a group that ends by a signal its leader ignores,"""
    script = "trap '' USR1; python3 -c \"import signal, time; signal.signal(10, signal.SIG_DFL); print('up', flush=True); time.sleep(30)\""
    init = world.start("-s", *(["-g"] if how == "-g" else []), *sh(script + "; exit 6"),
                       env={} if how == "-g" else {"TINI_KILL_PROCESS_GROUP": ""})
    init.expect("up")
    init.kill(10)
    return {"status": init.wait()}


REWRITES = [
    {"flags": "", "signals": [15, 3, 18, 2]},
    {"flags": "-r 15:2", "signals": [15, 3, 18, 2]},
    {"flags": "-r 15:2 -r 2:15 -r 3:3", "signals": [15, 3, 18, 2]},
    {"flags": "-r 1:31 -r 31:1", "signals": [1, 31]},
    {"flags": "-r 15:3 -r 2:0 -r 28:0", "signals": [15, 2, 28, 1]},
    {"flags": "-r 15:1 -r 15:12 --rewrite=1:10", "signals": [15, 1]},
    {"flags": "-r 11:10", "signals": [11, 34, 64]},
    {"flags": "-r 17:10", "signals": [17, 12]},
]


@case("dumb-init", each=REWRITES)
def rewritten(world, flags, signals):
    """rewriting"""
    seen = {}
    for more in ([], ["-c"]):
        init = listen(world, *more, *flags.split())
        for signo in signals:
            init.kill(signo)
            time.sleep(0.05)
        init.kill(14)
        init.expect("^14$")
        seen[str(more)] = init.text[1].decode().split()[2:]
        init.kill(9)
    return seen


@case("dumb-init", each=[{"flags": ""}, {"flags": "-c"}, {"flags": "-r 20:15 -r 21:12 -r 22:1"}, {"flags": "-c -r 20:0"}])
def stops(world, flags):
    """TSTP, TTIN and TTOU stop it and go on as they should,"""
    seen = {}
    for pid1 in (False, True):
        for signo in STOPS:
            init = listen(world, *flags.split(), pid1=pid1)
            child = init.child()
            start = len(init.text[1])
            init.kill(signo)
            if not pid1:
                w.retry(lambda: w.state(init.pid) == "T", 3)
            w.retry(lambda: w.state(child) == "T", 0.3)
            here = {"init": w.state(init.pid), "child": w.state(child)}
            init.kill(18)
            init.expect("^18$", 3)
            init.kill(14)
            init.expect("^14$", 3)
            here["got"] = init.text[1][start:].decode().split()
            here["then"] = [w.retry(lambda: w.state(pid) == "S", 1) for pid in (init.pid, child)]
            seen[f"{'PID 1 ' if pid1 else ''}{signo}"] = here
            init.kill(9)
    return seen


@case("tini", "catatonit", each=PID1)
def stops_elsewhere(world, as_pid):
    """TSTP, TTIN and TTOU,"""
    seen = {}
    for signo in STOPS:
        init = world.start(*QUIET[world.name], *sh("echo up; exec sleep 30"), pid1=as_pid == "as PID 1")
        init.expect("up")
        child = init.child()
        init.kill(signo)
        w.retry(lambda: w.state(child) == "T", 1.3 if signo == 20 else 0.3)
        seen[signo] = {"init": w.state(init.pid), "child": w.state(child)}
        init.kill(18)
        seen[signo]["after CONT"] = w.retry(lambda: w.state(child) == "S", 2)
        init.kill(9)
    return seen


@case(*THREE)
def stopped_child(world):
    """a child that is stopped and continued has not ended"""
    init = world.start(*QUIET[world.name], *sh("echo up; kill -STOP $$; exit 9"))
    init.expect("up")
    child = init.child()
    w.retry(lambda: w.state(child) == "T")
    time.sleep(0.2)
    seen = {"init": w.state(init.pid)}
    w.send(child, 18)
    seen["status"] = init.wait()
    return seen


@case(*THREE, each=PID1)
def term_for_a_stopped_child(world, as_pid):
    """a child that is stopped hears of SIGTERM when it goes on, and not before,"""
    init = world.start(*QUIET[world.name], *sh("echo up; exec sleep 30"), pid1=as_pid == "as PID 1")
    init.expect("up")
    child = init.child()
    w.send(child, 19)
    w.retry(lambda: w.state(child) == "T")
    init.kill(15)
    time.sleep(0.3)
    seen = {"child": w.state(child)}
    init.kill(18)
    seen["status"] = init.wait(3)
    return seen


@case(*THREE)
def chld_ignored(world):
    """SIGCHLD ignored by who started it"""
    return {"status": world.run(*QUIET[world.name], *sh("exit 7"), ignore=[17], seconds=2.5)["status"]}


@case(*THREE)
def term_blocked(world):
    """signals blocked by who started it are passed on all the same"""
    init = world.start(*QUIET[world.name], *sh("trap 'echo got; exit 3' USR1; echo up; while :; do sleep 0.05; done"), block=[15, 10, 2])
    init.expect("up")
    init.kill(10)
    return {"status": init.wait(1.5), "out": init.out()}


VERBOSE = {"tini": ["-s", "-vvv"], "dumb-init": ["-v"], "catatonit": []}
SCRIPTS = {
    "exits": "exit 0", "exits 3": "exit 3", "is killed": "kill -KILL $$", "ends by SIGSEGV": "kill -SEGV $$",
    "has orphans": "(sleep 0.05 &); (sh -c 'sleep 0.15; exit 3' &); (sh -c 'sleep 0.25; kill -9 $$' &); sleep 0.5; exit 4",
}


def start_verbose(world, *args, **more):
    """With all it says. catatonit's child complains of a missing terminal, in pieces that its parent's lines fall between: it gets one."""
    tty = w.Terminal(stdio=()) if world.name == "catatonit" else None
    return world.start(*VERBOSE[world.name], *args, tty=tty, env={"CATATONIT_DEBUG": ""}, **more)


@case(*THREE, each=[{"script": key} for key in SCRIPTS])
def debug_lines(world, script):
    """debug lines when the child"""
    seen = {}
    for flags in SCOPES[world.name]:
        init = start_verbose(world, *flags, *sh(SCRIPTS[script]))
        seen[str(flags)] = w.told(init, init.wait())
        if script == "has orphans":  # how many sweeps there are in between is chance
            lines = seen[str(flags)]["out"] + seen[str(flags)]["err"]
            seen[str(flags)] = {line: lines.count(line) for line in set(lines) if "No child to reap" not in line and "eceived" not in line}
    return seen


@case(*THREE)
def debug_lines_no_program(world):
    """debug lines when the program is not there"""
    if world.name == "catatonit":  # its two processes write over each other, in pieces
        init = start_verbose(world, "/nope")
        status, text = init.wait(), init.text[2].decode()
        return {"status": status, **{part: text.count(part) for part in (
            "ERROR (catatonit:", "failed to exec pid1: No such file or directory", "pid1 (", "spawned: /nope", "got ECHILD", "\n")}}
    return {str(flags): w.told(init, init.wait()) for flags in SCOPES[world.name]
            for init in [start_verbose(world, *flags, "/nope")]}


@case(*THREE, each=[{"flags": ""}, {"flags": "-r 10:12 -r 1:0"}])
def debug_lines_signals(world, flags):
    """debug lines when signals come"""
    if world.name != "dumb-init" and flags:
        return {}
    init = start_verbose(world, *flags.split(), "--", *w.PAYLOAD, "", "15")
    init.expect("ready")
    for signo in (10, 1, 40, 15):
        init.kill(signo)
        if signo != 15:
            init.expect(rf"^{signo}$", 0.3)
    seen = w.told(init, init.wait())
    # tini sweeps for zombies after each signal, and once a second: it may find the child before it hears of SIGCHLD.
    seen["out"] = [line for line in seen["out"] if line.startswith("[") and "No child to reap" not in line and "Received SIGCHLD" not in line]
    return seen


@case("dumb-init")
def debug_lines_stop(world):
    """debug lines when it is stopped"""
    init = listen(world, "-v", last=(15,))
    init.kill(20)
    w.retry(lambda: w.state(init.pid) == "T")
    init.kill(18)
    init.expect("^18$")
    init.kill(15)
    seen = w.told(init, init.wait())
    # Whether it hears of its child's stop and going on before its own is chance.
    seen["err"] = [line for line in seen["err"] if "Received signal 17" not in line]
    return seen


@case("tini", "catatonit")
def debug_lines_swallowed(world):
    """debug lines of TTIN and TTOU, which stop nobody"""
    init = start_verbose(world, "--", *w.PAYLOAD, "", "15")
    init.expect("ready")
    for signo in (21, 22):
        init.kill(signo)
        init.expect(r"ignoring kernel", 0.3, where=2)
    init.kill(15)
    return {"status": init.wait(), "err": [line for line in init.err() if "spawned" not in line and "tty fd" not in line]}


@case("tini")
def child_is_gone(world):
    """verbosity, level by level"""
    return {level: w.told(init, init.wait()) for level in ("", "-v", "-vv", "-vvv", "-vvvv")
            for init in [world.start("-s", *level.split(), *sh("exit 1"))]}
