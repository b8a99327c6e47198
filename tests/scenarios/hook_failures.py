"""Every way in which a hook can fail, and what follows (P62, P64, P67, P70 to P73)."""

import os
import re
import time

from harness import NAMED, check, equal, read, scenario
from network import (
    Server,
    answer,
    certificate,
    dripping,
    needs_ipv6,
    network,
    no_names,
    post_only,
    silent,
)

TERM = 15
KINDS = ("pre-start", "post-start", "pre-stop", "post-stop")
APP = ["signals", "15", "6"]


def failing(case, kind, hook, outcome, status, opts=(), **how):
    """One hook that fails: it is said on stderr and in the message, and what follows is right.
    Returns how long the container took from the start or the stop on."""
    log = case.path("message")
    if os.path.exists(log):
        os.unlink(log)
    begun = time.monotonic()  # before it: a busy machine may let shim begin long before we go on
    init = case.start(APP, opts=[f"--{kind}", hook, "--termination-log", log, *opts], **how)
    if kind in ("pre-stop", "post-stop"):
        init.line("^ready")
        begun = time.monotonic()
        init.signal(TERM)
    equal(init.wait(), status if "start" in kind else 6, f"{kind} {hook}")
    if kind == "pre-start":
        check("ready" not in init.out, f"{kind} {hook}: the app was started")
    elif kind != "post-start" or "ready" in init.out:  # else TERM may come before it is there
        check("got 15" in init.lines(), f"{kind} {hook}: the app was not told to end")
    line = rf"^.*{kind} hook {re.escape(hook)} failed after \d.*: .*{outcome}"
    check(re.search(line, init.err, re.M), f"{kind}: {outcome!r} not in {init.err!r}")
    check(re.search(rf"{kind} .* failed: .*{outcome}", read(log)), f"{kind}: {read(log)!r}")
    case.close()
    return init.ended - begun


def failing_each(case, hook, outcome, status, opts=(), **how):
    for kind in KINDS:
        failing(case, kind, hook, outcome, status, opts, **how)


@scenario()
def fails_with_a_code(case):
    failing_each(case, "sh -c 'exit 3'", "exit 3", 3)


@scenario()
def fails_by_a_signal(case):
    failing_each(case, "sh -c 'kill -SEGV $$'", "killed by SIGSEGV", 139)


@scenario(modes=NAMED)
def fails_as_it_is_not_there(case):
    failing_each(case, "/nope/hook --now", "No such file", 127)
    failing_each(case, "no-such-hook", "(not found|No such file)", 127)


@scenario(modes=NAMED)
def fails_as_it_cannot_be_run(case):
    path = case.path("hook", "#!/bin/sh\n", 0o644)
    failing_each(case, path, "(denied|not executable)", 126)
    path = case.path("hook", "#!/no/sh\n", 0o755)
    init = case.run(APP, opts=["--pre-start", path])
    equal(init.status, 127)
    check("interpreter /no/sh: No such file" in init.err, init.err)


@scenario(modes=("pid1", "plain", "kernel", "sub"), limit=40)
def fails_by_the_time_limit(case):
    """TERM is ignored: KILL comes a second later."""
    for kind in KINDS:
        hook = f"{case.payload} ignore"
        took = failing(case, kind, hook, "timed out", 137, ["--hook-timeout", "300ms"])
        check(1.2 < took < 5, f"{kind}: took {took:.2f} s")


@scenario(modes=NAMED)
def time_limit_is_a_term_first(case):
    """What it says in its handler is still in the log, and its children end with it."""
    script = "trap 'echo tidied up; exit 0' TERM; sleep 30 & echo child $!; wait"
    init = case.start(APP, opts=["--pre-stop", f'sh -c "{script}"', "--hook-timeout", "300ms"])
    init.line("^ready")
    begun = time.monotonic()
    init.signal(TERM)
    equal(init.wait(), 6)
    check(init.ended - begun < 3)
    check("tidied up" in init.err and "timed out" in init.err, init.err)


@scenario(limit=30)
def a_hook_that_forks_a_daemon(case):
    """The hook is over when its process is; who it leaves behind holds nothing up."""
    for kind in KINDS:
        hook = f"sh -c 'setsid {case.payload} hold daemon </dev/null >/dev/null 2>&1 & exit 0'"
        init = case.start(APP, opts=[f"--{kind}", hook, "-v"])
        init.line("^ready")
        init.line("-> running", where="err")
        begun = time.monotonic()
        init.signal(TERM)
        equal(init.wait(), 6, kind)
        check(init.ended - begun < 4, f"{kind}: {init.ended - begun:.1f} s")
        check("failed" not in init.err, init.err)
        case.close()


@scenario(modes=NAMED)
def a_daemon_lives_beside_the_app(case):
    """What a pre-start hook has started goes on, and is told to end when the app has."""
    hook = f"sh -c '{case.payload} slow 15 100 0 >&2 &'"
    init = case.start(APP, opts=["--pre-start", hook])
    init.line("^ready")
    init.line("^ready", where="err")
    init.quiet(0.3)
    init.signal(TERM)
    equal(init.wait(), 6)
    check("flushed" in init.err, init.err)


@scenario(modes=NAMED)
def fails_as_the_port_is_closed(case):
    network()
    failing_each(case, "http://127.0.0.1:81/x", "connection refused", 1)
    failing_each(case, "https://127.0.0.1:81/x", "connection refused", 1)
    failing_each(case, "POST http://:81/x", "connection refused", 1)


@scenario(modes=NAMED)
def fails_with_a_status(case):
    network()
    Server(answer(500), 8080)
    failing_each(case, "http://127.0.0.1:8080/x", "status 500", 1)
    failing_each(case, "PUT http://127.0.0.1:8080/x", "status 500", 1)


@scenario(modes=NAMED)
def p67_get_405_post_200(case):
    network()
    server = Server(post_only, 8080)
    failing_each(case, "http://127.0.0.1:8080/quit", "status 405", 1)
    for kind in KINDS:
        server.requests.clear()
        hook = "POST http://127.0.0.1:8080/quitquitquit"
        init = case.start(APP, opts=[f"--{kind}", hook, "-v"])
        init.line("^ready")
        init.line("-> running", where="err")
        init.signal(TERM)
        equal(init.wait(), 6)
        check("failed" not in init.err, init.err)
        equal(len(server.requests), 1, kind)
        head = server.requests[0]
        check(head.startswith(b"POST /quitquitquit HTTP/1.1\r\n"), head)
        check(b"\r\ncontent-length: 0\r\n" in head.lower(), head)
        case.close()


@scenario(modes=NAMED, limit=40)
def p62_fails_as_nothing_comes(case):
    """A server that takes the request and is silent, one that drips: one limit for all of it."""
    network()
    Server(silent, 8080)
    Server(dripping, 8081)
    for port in (8080, 8081):
        for kind in KINDS:
            took = failing(
                case,
                kind,
                f"http://127.0.0.1:{port}/x",
                "timed out",
                1,
                ["--hook-timeout", "400ms"],
            )
            check(0.35 < took < 2, f"{kind}, {port}: took {took:.2f} s")


@scenario(modes=NAMED)
def says_what_it_was_busy_with(case):
    network()
    Server(silent, 8080)
    for kind in ("pre-start", "pre-stop"):
        failing(
            case,
            kind,
            "http://127.0.0.1:8080/x",
            r"timed out after [\d.a-z]+ \(waiting for the answer\)",
            1,
            ["--hook-timeout", "400ms"],
        )


@scenario(modes=NAMED)
def fails_as_the_name_is_unknown(case):
    network()
    failing_each(case, "http://nobody.test:80/", "name not found", 1, shell=no_names(case))


@scenario(modes=NAMED)
def https(case):
    """As the kubelet does it: any certificate, unless a CA is given."""
    network()
    context, ca = certificate(case)
    _, stranger = certificate(case, "stranger")
    server = Server(answer(200), 8443, tls=context)
    url = "https://127.0.0.1:8443/x"
    for kind in KINDS:
        for opts in ([], ["--hook-ca", ca]):
            init = case.start(APP, opts=[f"--{kind}", url, "-v", *opts])
            init.line("^ready")
            init.line("-> running", where="err")
            init.signal(TERM)
            equal(init.wait(), 6)
            equal(("failed" in init.err, len(server.requests)), (False, 1), f"{kind} {opts}")
            server.requests.clear()
            case.close()
    failing_each(case, url, "certificate", 1, ["--hook-ca", stranger])
    check(not any(server.requests), "it was asked in spite of its certificate")
    failing(case, "pre-stop", "http://127.0.0.1:8443/x", "speaks TLS", 1)
    Server(answer(500), 8444, tls=context)
    failing_each(case, "https://127.0.0.1:8444/x", "status 500", 1)
    Server(answer(200), 8080)
    failing(case, "pre-stop", "https://127.0.0.1:8080/x", "", 1, ["--hook-timeout", "300ms"])


@scenario(modes=("pid1",))
def hook_ca_must_be_there(case):
    """That certificates cannot be checked is known before anything starts."""
    network()
    context, _ = certificate(case)
    Server(answer(200), 8443, tls=context)
    init = case.run(
        ["report"], opts=["--pre-start", "https://127.0.0.1:8443/x", "--hook-ca", "/nope/ca"]
    )
    equal(init.status, 125)
    check(not init.out and "/nope/ca" in init.err, init.err)


@scenario(modes=NAMED)
def p73_redirects_are_success(case):
    """They are not followed; 399 is the last good one."""
    network()
    elsewhere = Server(answer(200), 8081)
    for status in (200, 204, 301, 399):
        server = Server(answer(status, "Location: http://127.0.0.1:8081/\r\n"))
        init = case.run(["exit", "0"], opts=["--pre-start", f"http://127.0.0.1:{server.port}/"])
        equal((init.status, init.err), (0, ""))
        equal(len(server.requests), 1)
    equal(elsewhere.requests, [])
    for status in (400, 599):
        server = Server(answer(status))
        failing(case, "pre-start", f"http://127.0.0.1:{server.port}/", f"status {status}", 1)


@scenario(modes=NAMED)
def p70_no_host(case):
    """127.0.0.1, then ::1: from inside, so servers on loopback are found."""
    network()
    needs_ipv6()
    for host in ("127.0.0.1", "::1"):
        server = Server(answer(200), host=host)
        init = case.run(["exit", "0"], opts=["--pre-start", f"http://:{server.port}/x"])
        equal((init.status, init.err, len(server.requests)), (0, "", 1), host)
    server = Server(answer(200), host="::1")
    init = case.run(["exit", "0"], opts=["--pre-start", f"http://[::1]:{server.port}/x"])
    equal((init.status, len(server.requests)), (0, 1))
    check(b"\r\nHost: [::1]:%d\r\n" % server.port in server.requests[0], server.requests)


@scenario(modes=NAMED)
def headers(case):
    network()
    server = Server(answer(200), 8080)
    opts = ["--pre-start", "http://127.0.0.1:8080/a?b=c"]
    case.run(["exit", "0"], opts=opts)
    check(b"\r\nHost: 127.0.0.1:8080\r\n" in server.requests[0], server.requests)
    equal(server.requests[0].split(b"\r\n")[0], b"GET /a?b=c HTTP/1.1")
    opts += ["--hook-header", "Host: app.example", "--hook-header", "X-Token: a b"]
    case.run(["exit", "0"], opts=opts)
    head = server.requests[1]
    equal(head.lower().count(b"\r\nhost:"), 1)
    check(b"\r\nHost: app.example\r\n" in head and b"\r\nX-Token: a b\r\n" in head, head)


@scenario(modes=("pid1",))
def bad_texts_are_refused_at_start(case):
    """Line breaks could smuggle a second request in; what is no hook is said before anything."""
    for opts in (
        ["--pre-start", "http://127.0.0.1/a\r\nb"],
        ["--pre-start", "http://127.0.0.1/a\nb"],
        ["--pre-start", "http://exa mple/"],
        ["--pre-stop", "http://127.0.0.1:99999/"],
        ["--pre-stop", "http://u:p@127.0.0.1/"],
        ["--pre-stop", "sleep:soon"],
        ["--pre-stop", ""],
        ["--pre-stop", "sh 'open"],
        ["--hook-header", "X: a\r\nY: b", "--pre-start", "http://127.0.0.1/"],
        ["--hook-header", "no colon", "--pre-start", "http://127.0.0.1/"],
        ["--hook-timeout", "soon", "--pre-start", "true"],
    ):
        init = case.run(["exit", "0"], opts=opts)
        equal(init.status, 125, f"{opts}: {init.err}")
        equal(len(init.err.splitlines()), 1, init.err)
        check(next(o for o in opts if o.startswith("--")) in init.err, opts, init.err)
