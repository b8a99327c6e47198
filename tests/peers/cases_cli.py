"""Command lines: every option, good, bad and missing; the variables; what is said and where."""
import os

import world as w
from harness import case

TINI = [
    "--version", "--version x", "-h", "-l", "-vh", "-hz", "-zh", "-z", "-zq true", "-V", "--help", "--yolo", "--ver", "--=3",
    "---", "", "--", "-w", "-g", "-s -g", "-e", "-p", "-r", "-s -", "-s=3", "-s -e 300 true", "-s -e x true", "-s -e 1x true",
    "-s -e 0x1 true", "-s -e -1 true", "-s -e +1 false", "-s -e 1 false", "-s -e1 false", "-s -e 01 false", "-s -e 256 true",
    "-s -e 255 true", "-s -e 4294967297 false", "-s -e 99999999999999999999 false", "-s -e 1 -e 2 false", "-s -e -- false",
    "-s -p TERM true", "-s -p 15 true", "-s -p sigterm true", "-s -p SIGRTMIN true", "-s -p SIGIOT true", "-s -p SIGPOLL true",
    "-s -p SIGIO true", "-s -p SIGPWR true", "-s -p SIGSTKFLT true", "-s -p SIGKILL true", "-s -p SIGSYS true", "-s -pSIGHUP true",
    "-s -g -w -v true", "-sgwv true", "-sgwve1 false", "-sz true", "-s -- true", "-s -- -x", "true", "-v true", "-w true",
    "-e 999 -p TERM -z", "-p TERM -h", "-v -z", "-s echo a b", "-s -- echo -- b", "-s echo -- b", "-s echo - b", "-s -é",
]
DUMB_INIT = [
    "-h", "--help", "-V", "--version", "--version x", "-vh", "-hz", "-zh", "-z", "-é", "--yolo", "--yolo=3", "--ver", "--v=3",
    "--vers=3", "--vers", "--verb true", "--verb", "--h", "--s", "--si=1", "--single-child true", "--s true", "--=3", "---", "",
    "--", "-c", "-v", "-- -c", "-", "-r", "--rewrite", "--rew", "-r -c true", "-r 15:3 true", "-r15:3 true", "--rewrite=15:3 true",
    "--rew 15:3 true", "--rewrite= true", "-r 15 true", "-r 15:", "-r :3 true", "-r 0:1 true", "-r 32:1 true", "-r 31:31 true",
    "-r 1:0 true", "-r 15:32 true", "-r 15:-1 true", "-r -1:3 true", "-r TERM:INT true", "-r 15:3x true", "-r 15:3:4 true",
    "-r +15:+3 true", "-r 15:99999999999999999999 true", "-r 99999999999999999999:3 true",
    "-r 4294967311:4294967296 true", "-r 15:-4294967293 true", "-r 15:9223372036854775807 true", "-r 15:-99999999999999999999 true",
    "-r 2147483648:1 true", "-r x -h", "-h -r x", "-cr 15:3 true",
    "-cr15:3 true", "-vc true", "-cz true", "true -z", "-- true", "echo -- b", "echo -c b", "-c echo -h", "-r 15: 3",
]
CATATONIT = [
    "-h", "-V", "-L", "--version", "--version x", "--ver", "--v", "--vers=3", "--=3", "--help", "--yolo", "---", "-z", "-zh", "-hz",
    "-é", "-s", "-v", "-e 1 true", "-s true", "", "--", "-g", "-g --", "-", "-g true", "-- true", "-g -- true", "-gz true", "-gV",
    "-P -h", "-P -z", "-V -h", "true", "echo a b", "echo -- b", "-- echo -- b", "echo - b", "-g -- -x",
]


def split(line):
    return [{"line": line} for line in line]


def tell(world, line):
    init = world.start(*line.split(" ") if line else [])
    return w.told(init, init.wait())


@case("tini", "tini-static", each=split(TINI))
def tini_line(world, line):
    """command line"""
    seen = tell(world, line)
    if line == "-l":
        seen["out"] = bool(seen["out"])
    return seen


@case("dumb-init", each=split(DUMB_INIT))
def dumb_init_line(world, line):
    """command line"""
    return tell(world, line)


@case("catatonit", each=split(CATATONIT))
def catatonit_line(world, line):
    """command line"""
    seen = tell(world, line)
    if line == "-L":
        seen["out"] = bool(seen["out"])
    return seen


@case("tini", "dumb-init", "catatonit")
def empty_arguments(world):
    """arguments that are empty"""
    return {" ".join(map(repr, args)): world.run(*args) for args in (
        ("",), ("--", ""), ("-e", "", "true"), ("-e", " 1", "false"), ("-p", "", "true"), ("-r", "", "true"),
        ("-r", " 15: 3", "true"), ("-r", "15 :3", "true"), ("-r", "15: 3", "true"), ("-r", "15:\t3 ", "true"), ("echo", "", "a"))}


@case("tini", "dumb-init", "catatonit")
def own_name(world):
    """the name it was called by"""
    return {name: world.run(*args, argv0=name) for name, args in (
        (f"/some/where/{world.name}", ["-z"]), (f"./{world.name}", []), (f"../x/{world.name}", ["-h"]),
        (f"a%sb/{world.name}", ["-z"]))}


NEEDLES = {
    "tini": ["Execute a program under the supervision of a valid init process", "more verbose", "--version", "-h", "-s", "-p SIGNAL",
             "-v", "-w", "-g", "-e ", "-l", "TINI_SUBREAPER", "TINI_VERBOSITY", "(default: 1)", "TINI_KILL_PROCESS_GROUP"],
    "dumb-init": ["dumb-init v1.2.5\nUsage: ", "-c, --single-child", "-r, --rewrite", "-v, --verbose", "-h, --help", "-V, --version"],
    "catatonit": ["usage: catatonit [-ghLPV] [--] <progname> [<arguments>...]\n", "  -g ", "  -h ", "  -L ", "  -P ",
                  "-V, --version"],
}


@case("tini", "dumb-init", "catatonit")
def help_text(world):
    """what the help has in it"""
    init = world.start("-h")
    status = init.wait()
    text = (init.text[1] + init.text[2]).decode()
    return {"status": status, "on stdout": bool(init.text[1]), "on stderr": bool(init.text[2]),
            "ends with a line break": text.endswith("\n"),
            "has": {needle: needle in text for needle in NEEDLES[world.name]}}


ENVIRONMENTS = {
    "tini": [
        ({"TINI_SUBREAPER": ""}, ["true"]), ({"TINI_SUBREAPER": "0"}, ["true"]), ({"TINI_VERBOSITY": "0"}, ["true"]),
        ({"TINI_VERBOSITY": "junk"}, ["true"]), ({"TINI_VERBOSITY": "0"}, ["/nope"]), ({"TINI_VERBOSITY": "1"}, ["true"]),
        ({"TINI_VERBOSITY": "2"}, ["-s", "true"]), ({"TINI_VERBOSITY": "3"}, ["-s", "true"]),
        ({"TINI_VERBOSITY": "4"}, ["-s", "true"]), ({"TINI_VERBOSITY": "99"}, ["-s", "true"]),
        ({"TINI_VERBOSITY": "-3"}, ["-s", "true"]), ({"TINI_VERBOSITY": " 2x"}, ["-s", "true"]),
        ({"TINI_VERBOSITY": ""}, ["true"]), ({"TINI_VERBOSITY": "1"}, ["-svvv", "true"]),
        ({"TINI_VERBOSITY": "0"}, ["-vvv", "-e", "300", "true"]), ({"TINI_KILL_PROCESS_GROUP": ""}, ["-s", "true"]),
        ({"POSIXLY_CORRECT": "1"}, ["-s", "echo", "-h", "--", "x"]), ({"SHIM_OPTS": "--nonsense"}, ["-s", "true"]),
    ],
    "dumb-init": [
        ({"DUMB_INIT_DEBUG": "0"}, ["true"]), ({"DUMB_INIT_DEBUG": ""}, ["true"]), ({"DUMB_INIT_DEBUG": "11"}, ["true"]),
        ({"DUMB_INIT_DEBUG": "1"}, ["-h"]), ({"DUMB_INIT_DEBUG": "1"}, ["-V"]), ({"DUMB_INIT_DEBUG": "1"}, ["-z"]),
        ({"DUMB_INIT_DEBUG": "1"}, []), ({"DUMB_INIT_SETSID": "1"}, ["-v", "-c", "true"]),
        ({"DUMB_INIT_SETSID": "0"}, ["-v", "true"]), ({"DUMB_INIT_SETSID": "0", "DUMB_INIT_DEBUG": "1"}, ["true"]),
        ({"DUMB_INIT_SETSID": "00"}, ["true"]), ({"SHIM_OPTS": "--nonsense"}, ["true"]),
    ],
    "catatonit": [
        ({"CATATONIT_LOG": ""}, ["true"]), ({"CATATONIT_LOG": "x"}, ["-h"]), ({"CATATONIT_LOG": "x"}, ["-z"]),
        ({"CATATONIT_LOG": "x", "CATATONIT_DEBUG": "1"}, []), ({"CATATONIT_DEBUG": ""}, ["-h"]), ({"CATATONIT_DEBUG": "0"}, ["-V"]),
        ({"CATATONIT_DEBUG": "0"}, []), ({"SHIM_OPTS": "--nonsense"}, ["true"]),
    ],
}


@case("tini", "dumb-init", "catatonit")
def variables(world):
    """variables"""
    return {f"{env} {args}": w.told(init, init.wait()) for env, args in ENVIRONMENTS[world.name]
            for init in [world.start(*args, env=env)]}


@case("tini", "dumb-init", "catatonit")
def environment_passed_on(world):
    """the child's environment"""
    env = {"TINI_SUBREAPER": "1", "TINI_VERBOSITY": "0", "DUMB_INIT_DEBUG": "0", "DUMB_INIT_SETSID": "1", "SHIM_OPTS": "--grace 5s",
           "LISTEN_FDS": "2", "EMPTY": "", "PATH": "/usr/bin:/bin"}
    if world.name == "catatonit":
        env["CATATONIT_DEBUG"] = ""
    return {"env": sorted(world.run("env", env=env)["out"])}


@case("tini", "dumb-init", "catatonit")
def listen_pid(world):
    """LISTEN_PID"""
    seen = {}
    for value in ("1", "0", "-1", "2", "junk", "", "999999"):
        with open("listen.sh", "w", encoding="ascii") as file:
            file.write("#!/bin/sh\n[ \"$LISTEN_PID\" = $$ ] && echo its own || echo \"$LISTEN_PID\"\necho \"$LISTEN_FDS\"\n")
        os.chmod("listen.sh", 0o755)
        init = world.start("./listen.sh", env={"LISTEN_PID": value, "LISTEN_FDS": "1"}, pid1=True)
        status = init.wait()
        seen[value] = {"status": status, "out": init.out()}
    return seen


@case("tini", "dumb-init", "catatonit")
def shebang(world):
    """as the interpreter of a script"""
    os.symlink(world.binary, world.name)
    for name, line in (("a", " /bin/sh"), ("b", "")):
        with open(name, "w", encoding="ascii") as file:
            file.write(f"#!{os.path.realpath('.')}/{world.name}{line}\necho hi $1\n")
        os.chmod(name, 0o755)
    return {name: world.run("-s" if world.name == "tini" else "--", f"./{name}", "x") for name in "a"}
