"""/metrics: every number against what really happened, the text against a strict parser and promtool."""

import os
import re
import subprocess

from harness import check, equal, eventually, proc_children, scenario, tool
from network import Client, becomes, get, network, serving_app, switches

TERM, USR1 = 15, 10
PORT = 9090
HEALTH = ["--health", f"127.0.0.1:{PORT}"]
PHASES = {"waiting", "preparing", "starting", "running", "draining", "drained", "stopping", "finishing"}
SAMPLE = re.compile(r'(shim_[a-z_]+)(\{[a-z]+="[^"\\]*"(?:,[a-z]+="[^"\\]*")*\})? ([0-9]+(?:\.[0-9]+)?)')


def parse(text):
    """{name with labels: value}. Strict: HELP, TYPE, then the family's samples, nothing twice."""
    check(text.endswith("\n") and "\n\n" not in text and "\r" not in text, repr(text))
    samples, families, family, kind = {}, set(), None, None
    lines = text.split("\n")[:-1]
    for i, line in enumerate(lines):
        if line.startswith("# HELP "):
            _, _, family, words = line.split(" ", 3)
            check(family not in families and words, line)
            families.add(family)
            check(lines[i + 1].startswith(f"# TYPE {family} "), lines[i + 1])
        elif line.startswith("# TYPE "):
            kind = line.split(" ")[3]
            check(lines[i - 1].startswith(f"# HELP {family} ") and kind in ("gauge", "counter"), line)
            check(family.endswith("_total") == (kind == "counter"), line)
            check(lines[i + 1].startswith(family), "no sample")
        else:
            found = SAMPLE.fullmatch(line)
            check(found and found.group(1) == family, line)
            name = found.group(1) + (found.group(2) or "")
            check(name not in samples, line)
            samples[name] = float(found.group(3))
    phase = {n: v for n, v in samples.items() if n.startswith("shim_phase{")}
    equal({n[18:-2] for n in phase}, PHASES)
    equal(sorted(phase.values()), [0] * (len(PHASES) - 1) + [1])
    return samples


def metrics():
    status, text = get(PORT, "/metrics")
    equal(status, 200)
    return parse(text)


def metric(name, value):
    """Waits until it has that value."""
    eventually(lambda: metrics().get(name) == value, f"{name} is {value}: {metrics()}")


def promtool(text):
    said = subprocess.run(
        [tool("promtool"), "check", "metrics"],
        input=text, capture_output=True, text=True, timeout=30, check=False,
    )
    equal((said.returncode, said.stdout + said.stderr), (0, ""), text)


def app_of(init):
    """The child that is not shim itself."""
    mine = os.stat(f"/proc/{init.pid}/exe")
    children = proc_children(init.pid)
    return next(p for p in children if not os.path.samestat(os.stat(f"/proc/{p}/exe"), mine))


@scenario()
def what_is_counted(case):
    network()
    opts = [*HEALTH, "--pre-start", "true", "--post-start", "sleep:0"]
    init = case.start(["signals", "15", "6"], opts=opts)
    init.line("^ready")
    metric('shim_phase{phase="running"}', 1)
    before = metrics()
    for n in range(1, 4):
        init.signal(USR1)
        init.line("^got 10$", count=n)
    equal(metrics()["shim_signals_forwarded_total"], before["shim_signals_forwarded_total"] + 3)
    equal(before["shim_ready"], 1)
    equal(before['shim_hooks_total{kind="pre-start",result="ok"}'], 1)
    equal(before['shim_hooks_total{kind="post-start",result="ok"}'], 1)
    equal(before['shim_hooks_total{kind="post-start",result="failed"}'], 0)
    check(0 <= before["shim_app_uptime_seconds"] < 60, before)
    check("shim_active_connections" not in before, before)
    version = subprocess.run([case.shim, "--version"], capture_output=True, text=True, check=True).stdout
    equal(before[f'shim_build_info{{version="{version.split()[1]}"}}'], 1)
    init.signal(TERM)
    equal(init.wait(), 6)


@scenario(modes=("pid1",))
def types_and_methods(case):
    network()
    init = case.start(["signals", "15", "6"], opts=HEALTH)
    init.line("^ready")
    becomes(PORT, "/metrics", 200)
    said = subprocess.run(
        ["/usr/bin/python3", "-c", "import sys,http.client as h\n"
         f"c = h.HTTPConnection('127.0.0.1', {PORT})\n"
         "for m in 'HEAD', 'GET', 'POST':\n"
         " c.request(m, '/metrics'); r = c.getresponse(); b = r.read()\n"
         " print(r.status, r.getheader('Content-Type'), len(b), int(r.getheader('Content-Length')) > 1000)"],
        capture_output=True, text=True, timeout=20, check=False,
    ).stdout.splitlines()
    form = "text/plain; version=0.0.4; charset=utf-8"
    equal(said[0], f"200 {form} 0 True")
    check(re.fullmatch(f"200 {form} [0-9]{{4}} True", said[1]), said)
    check(said[2].startswith("405 "), said)
    check("/metrics" in get(PORT, "/")[1])
    init.signal(TERM)
    equal(init.wait(), 6)


@scenario(limit=30)
def while_draining(case):
    network()
    port = 8080
    opts = [*HEALTH, "--drain", "0:20s", "--pre-stop", "false"]
    init = case.start(serving_app(case, port, delay=3), opts=opts)
    init.line("^ready")
    clients = [Client(port) for _ in range(2)]
    for client in clients:
        client.ask()
    init.signal(TERM)
    metric("shim_active_connections", 2)
    now = metrics()
    equal((now["shim_ready"], now['shim_phase{phase="draining"}']), (0, 1))
    metric('shim_hooks_total{kind="pre-stop",result="failed"}', 1)
    for client in clients:
        client.close()
    equal(init.wait(20), 6)


@scenario(modes=("pid1", "plain", "kernel"))
def orphans(case):
    """A number where shim reaps them, none where the kernel does."""
    network()
    count = 20
    # Warnings of each keep the kernel from reaping.
    init = case.start(["orphans", str(count)], opts=[*HEALTH, *["-w"] * (case.mode == "plain")])
    init.line("^ready")
    name = "shim_orphans_reaped_total"
    if case.mode == "plain":
        metric(name, count)
    elif case.mode == "kernel":
        check(name not in metrics(), metrics())
    equal(len(re.findall("health server ended", init.err)), 0)
    init.signal(9, app_of(init))
    equal(init.wait(), 137)


@scenario(modes=("pid1", "sub"))
def oom_kills(case):
    """The cgroup's counter as it was at the start does not count. The file is a make-believe one."""
    network()
    place = "mount -t tmpfs none /sys/fs/cgroup; echo 'oom_kill 3' >/sys/fs/cgroup/memory.events"
    init = case.start(["signals", "15", "6"], opts=HEALTH, shell=place)
    init.line("^ready")
    becomes(PORT, "/readyz", 200)
    equal(metrics()["shim_oom_kills_total"], 0)
    with open(f"/proc/{init.pid}/root/sys/fs/cgroup/memory.events", "r+", encoding="ascii") as file:
        file.write("oom_kill 5")
    equal(metrics()["shim_oom_kills_total"], 2)
    init.signal(TERM)
    equal(init.wait(), 6)


@scenario(modes=("pid1",))
def no_counter_no_number(case):
    network()
    place = "mount -t tmpfs none /sys/fs/cgroup"
    init = case.start(["signals", "15", "6"], opts=HEALTH, shell=place)
    init.line("^ready")
    becomes(PORT, "/readyz", 200)
    check("shim_oom_kills_total" not in metrics(), metrics())
    init.signal(TERM)
    equal(init.wait(), 6)


@scenario(modes=("pid1", "plain"))
def scraping_wakes_nobody(case):
    network()
    init = case.start(["signals", "15", "6"], opts=HEALTH)
    init.line("^ready")
    becomes(PORT, "/readyz", 200)

    def sleeps_through(scrapes):
        before = switches(init.pid)
        for _ in range(scrapes):
            metrics()
        return switches(init.pid) == before

    eventually(lambda: sleeps_through(5), "the start is over")
    check(sleeps_through(50), "it is not woken")
    init.signal(TERM)
    equal(init.wait(), 6)


@scenario(modes=("pid1",), limit=30)
def promtool_has_no_objection(case):
    """Every family there is, among them those that are there at times only."""
    network()
    port = 8080
    place = "mount -t tmpfs none /sys/fs/cgroup; echo 'oom_kill 3' >/sys/fs/cgroup/memory.events"
    init = case.start(serving_app(case, port, delay=5), opts=[*HEALTH, "--drain", "0"], shell=place)
    init.line("^ready")
    client = Client(port)
    client.ask()
    promtool(get(PORT, "/metrics")[1])
    init.signal(TERM)
    metric("shim_active_connections", 1)
    text = get(PORT, "/metrics")[1]
    equal(len(re.findall("^# TYPE", text, re.M)), 9)
    promtool(text)
    client.close()
    equal(init.wait(20), 6)


@scenario(modes=("pid1",))
def before_there_is_an_app(case):
    network()
    target = case.path("target")
    init = case.start(["signals", "15", "6"], opts=[*HEALTH, "--wait-for", f"file:{target}"])
    metric_waiting = eventually(
        lambda: get(PORT, "/metrics")[0] == 200 and metrics(), "it serves"
    )
    equal(metric_waiting['shim_phase{phase="waiting"}'], 1)
    check("shim_app_uptime_seconds" not in metric_waiting, metric_waiting)
    with open(target, "w", encoding="ascii"):
        pass
    init.line("^ready")
    metric('shim_phase{phase="running"}', 1)
    os.unlink(target)
    init.signal(TERM)
    equal(init.wait(), 6)
