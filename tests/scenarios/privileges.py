"""--user, --caps, --no-new-privs: what the app really has, as /proc/self/status tells it, and what is
left to PID 1."""

import os
import subprocess

from harness import check, equal, eventually, proc_status, scenario, tool

TERM = 15
CHOWN, KILL, SETPCAP, BIND, RAW = 0, 5, 8, 10, 13
SHOW = ["grep", "-E", "^(Uid|Gid|Groups|Cap...|NoNewPrivs):", "/proc/self/status"]
PASSWD = "root:x:0:0::/root:/bin/sh\napp:x:4711:4712::/srv/app:/bin/sh\n"
GROUP = "root:x:0:\napp:x:4712:\nwww:x:33:app\nvideo:x:44:nobody,app\n"


def bits(*numbers):
    return sum(1 << n for n in numbers)


def sets(status):
    return {
        name: int(status["Cap" + name], 16) for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")
    }


def status_of(text):
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def ids(status, name):
    return set(status[name].split())


def files(case):
    """Our own /etc/passwd and /etc/group, in the mount namespace of the case."""
    passwd, group = case.path("passwd", PASSWD), case.path("group", GROUP)
    return f"mount --bind {passwd} /etc/passwd; mount --bind {group} /etc/group"


def app(case, *opts, shell=None, wrap=(), code=0, **more):
    """The status that an app under these options has."""
    init = case.run(SHOW, opts=list(opts), shell=shell, wrap=wrap, **more)
    equal(init.wait(), code, init.err)
    return status_of(init.out)


def everything():
    return sets(proc_status("self"))["Bnd"]


@scenario()
def without_options_nothing_changes(case):
    status = app(case)
    for name, value in sets(proc_status("self")).items():
        equal(sets(status)[name], value, name)
    equal(status["NoNewPrivs"], "0")


@scenario()
def a_user_by_name(case):
    status = app(case, "--user", "app", shell=files(case))
    equal(ids(status, "Uid"), {"4711"})
    equal(ids(status, "Gid"), {"4712"})
    equal(ids(status, "Groups"), {"33", "44"})
    equal(sets(status), {"Inh": 0, "Prm": 0, "Eff": 0, "Amb": 0, "Bnd": everything()})


@scenario()
def a_user_and_a_group(case):
    for spec, uid, gid in (
        ("app:video", "4711", "44"),
        ("4711:www", "4711", "33"),
        ("12:34", "12", "34"),
        ("12", "12", "0"),
    ):
        status = app(case, "--user", spec, shell=files(case))
        equal(ids(status, "Uid"), {uid}, spec)
        equal(ids(status, "Gid"), {gid}, spec)
        equal(ids(status, "Groups"), set(), spec)


@scenario(modes=("pid1",))
def a_user_without_any_file(case):
    nothing = "mount -t tmpfs none /etc"
    equal(ids(app(case, "--user", "77:88", shell=nothing), "Gid"), {"88"})
    init = case.run(["exit", "0"], opts=["--user", "app"], shell=nothing)
    equal(init.wait(), 125)
    equal(init.err, "shim: --user: user 'app' is not in /etc/passwd\n")


@scenario()
def a_list_of_capabilities(case):
    """For root and for a user: exactly these, in every set."""
    for user, ambient in (((), 0), (("--user", "12:34"), bits(BIND, CHOWN))):
        status = app(case, *user, "--caps", "net_bind_service,CAP_CHOWN")
        want = bits(BIND, CHOWN)
        equal(sets(status), {**dict.fromkeys(("Inh", "Prm", "Eff", "Bnd"), want), "Amb": ambient})


@scenario()
def no_capabilities(case):
    for user in ((), ("--user", "12:34")):
        status = app(case, *user, "--caps", "none")
        equal(set(sets(status).values()), {0}, user)


@scenario()
def more_and_less_than_there_would_be(case):
    less = everything() & ~bits(CHOWN, RAW)
    for words in ("-chown,-net_raw", "-0,-13"):
        equal(sets(app(case, "--caps", words))["Prm"], less, words)
        equal(sets(app(case, "--caps", words))["Bnd"], less, words)
    status = app(case, "--user", "12", "--caps", "+kill")
    equal(sets(status), {**dict.fromkeys(("Inh", "Prm", "Eff", "Amb"), bits(KILL)), "Bnd": everything()})
    status = app(case, "--user", "12", "--caps", "-kill")
    equal(sets(status), {**dict.fromkeys(("Inh", "Prm", "Eff", "Amb"), 0), "Bnd": everything() & ~bits(KILL)})


@scenario()
def no_new_privileges(case):
    equal(app(case, "--no-new-privs")["NoNewPrivs"], "1")
    equal(app(case, "--no-new-privs", "--user", "12")["NoNewPrivs"], "1")


@scenario()
def a_setuid_program_brings_nothing_back(case):
    """grep with the setuid bit, owned by root, started by the app."""
    suid = case.path("suid-grep")
    copy = f"cp {tool('grep')} {suid}; chmod 4755 {suid}; chmod 755 {os.path.dirname(suid)}"
    show = ["sh", "-c", f"{suid} -E '^(Uid|Cap...):' /proc/self/status"]

    def look(*opts):
        init = case.run(show, opts=["--user", "12:34", *opts], shell=copy)
        equal(init.wait(), 0, init.err)
        return status_of(init.out)

    equal(look()["Uid"].split()[1], "0", "it works at all")
    equal(set(sets(look("--caps", "none")).values()), {0})
    equal(look("--no-new-privs")["Uid"].split()[1], "12")


@scenario()
def errors_come_before_anything_starts(case):
    for opts, words in (
        (["--user", "nosuchuser"], "--user: user 'nosuchuser' is not in /etc/passwd"),
        (["--user", "root:nosuchgroup"], "--user: group 'nosuchgroup' is not in /etc/group"),
        (["--user", ":0"], "--user: expected USER or USER:GROUP, names or numbers"),
        (["--caps", "net_bind"], "--caps: 'net_bind' is not a capability"),
        (["--caps", "none,"], "--caps: '' is not a capability"),
        (["--caps", "63"], "--caps: shim itself does not have one that has no name yet"),
    ):
        init = case.run(["exit", "0"], opts=["--pre-start", "echo started", *opts])
        equal(init.wait(), 125, opts)
        check(words in init.err, init.err)
        check("started" not in init.err, init.err)


def as_user(uid, *more):
    return [tool("setpriv"), "--reuid", str(uid), "--regid", "0", "--clear-groups", *more]


@scenario()
def an_arbitrary_user_without_capabilities(case):
    """OpenShift: a number that no file knows, group 0, and all capabilities dropped."""
    dropped = as_user(1000680000, "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs")
    for opts in ([], ["--caps", "none"], ["--no-new-privs"], ["--user", "1000680000"],
                 ["--user", "1000680000:0", "--caps", "-all", "--no-new-privs"]):
        status = app(case, *opts, wrap=dropped)
        equal(ids(status, "Uid"), {"1000680000"}, opts)
        equal(set(sets(status).values()), {0}, opts)
    for opts, words in (
        (["--user", "0"], "shim runs as user 1000680000 without the capabilities setuid and setgid"),
        (["--user", "1000680000:5"], "without the capabilities setuid and setgid"),
        (["--caps", "kill"], "--caps: shim itself does not have kill"),
    ):
        init = case.run(["exit", "0"], opts=opts, wrap=dropped)
        equal(init.wait(), 125, opts)
        check(words in init.err, init.err)


@scenario()
def without_setpcap_no_new_privs_stands_in(case):
    """The bounding set stays, so what could be had from it by a setuid program is barred."""
    status = app(case, "--caps", "none", wrap=as_user(12))
    equal(sets(status)["Prm"], 0)
    equal(status["NoNewPrivs"], "1")
    init = case.run(["exit", "0"], opts=["-v", "--caps", "none"], wrap=as_user(12))
    init.wait()
    check("bounding set cannot be changed without setpcap" in init.err, init.err)


@scenario()
def a_refused_change_is_told_before_the_start(case):
    """In a user namespace with one number only, others cannot be had."""
    init = case.run(
        ["exit", "0"],
        opts=["--pre-start", "echo started", "--user", "12:34"],
        wrap=[tool("unshare"), "--user", "--map-root-user"],
    )
    equal(init.wait(), 125)
    check("shim: --user: set" in init.err and "started" not in init.err, init.err)


@scenario()
def pid_1_keeps_only_kill(case):
    init = case.start(["signals", "15", "6"], opts=["--user", "12:34", "--grace", "9s"])
    init.line("^ready")
    own = eventually(
        lambda: (lambda s: s["Prm"] == bits(KILL) and s)(sets(proc_status(init.pid))), "it is dropped"
    )
    equal(own["Eff"], bits(KILL))
    equal(own["Inh"], 0)
    init.signal(TERM)
    equal(init.wait(), 6)
    equal(init.err.replace("shim: warning: neither", ""), init.err)


@scenario()
def another_user_s_app_is_stopped_and_killed(case):
    init = case.start(["ignore", "15"], opts=["--user", "12:34", "--caps", "none", "--grace", "1s"])
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 137)


@scenario()
def hooks_have_what_shim_was_given(case):
    """So that a volume can be handed to the app; and PID 1 keeps what commands to come need."""
    show = "sh -c 'echo hook $(id -u) $(grep CapEff /proc/self/status)'"
    init = case.start(
        ["signals", "15", "6"],
        opts=["--user", "12:34", "--caps", "none", "--pre-start", show, "--post-stop", show],
    )
    init.line("^ready")
    init.signal(TERM)
    equal(init.wait(), 6)
    full = f"hook 0 CapEff: {everything():016x}"
    equal(init.err.count(full), 2, init.err)


@scenario()
def home_follows_the_user(case):
    for env, want in (
        ({}, "/srv/app"),
        ({"HOME": "/root"}, "/srv/app"),
        ({"HOME": "/"}, "/srv/app"),
        ({"HOME": "/data"}, "/data"),
    ):
        path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PENV": "1"}
        init = case.run(
            ["report"], opts=["--user", "app", "--pre-start", "sh -c 'echo hook $HOME.'"],
            shell=files(case), env={**path, **env},
        )
        equal(init.wait(), 0, init.err)
        facts = init.report()
        equal([e for e in facts["env"] if e.startswith("HOME=")], ["HOME=" + want], env)
        check("PENV=1" in facts["env"], facts["env"])
        check(f"hook {env.get('HOME', '')}." in init.err, "hooks keep shim's")


@scenario()
def output_can_be_opened_again(case):
    """/dev/stdout is a link to the pipe that root made: nginx as another user logs through it."""
    say = "echo out >/proc/self/fd/1; echo err >/proc/self/fd/2"
    init = case.run(["sh", "-c", say], opts=["--user", "12:34"])
    equal(init.wait(), 0, init.err)
    equal(init.out, "out\n")
    check("err\n" in init.err, init.err)


@scenario(modes=("pid1",))
def pid_1_stays_dumpable(case):
    """Whoever is root can still look at /proc/1/fd, which needs no ptrace capability then."""
    init = case.start(["signals", "15", "6"], opts=["--user", "12:34"])
    init.line("^ready")
    look = [tool("nsenter"), "-t", str(init.pid), "-p", "-m", tool("setpriv"),
            "--inh-caps=-all", "--bounding-set=-all,+kill", "readlink", "/proc/1/exe"]
    eventually(lambda: sets(proc_status(init.pid))["Prm"] == bits(KILL), "it has less than we")
    said = subprocess.run(look, capture_output=True, text=True)
    check(said.stdout.strip().endswith("shim"), said.stderr or said.stdout)
    init.signal(TERM)
    equal(init.wait(), 6)


@scenario(modes=("pid1",))
def passed_sockets_are_still_named(case):
    """LISTEN_PID is made to name the app in the environment that it really gets."""
    init = case.run(
        ["sh", "-c", "echo $LISTEN_PID $$ $HOME"],
        opts=["--user", "app"],
        shell=files(case) + "; export LISTEN_PID=$$ LISTEN_FDS=0",
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    equal(init.wait(), 0, init.err)
    named, own, home = init.out.split()
    equal(named, own)
    equal(home, "/srv/app")
