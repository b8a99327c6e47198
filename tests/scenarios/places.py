"""shim goes to / once the app runs; what was meant relative to where it was started stays right."""

import os

from harness import check, equal, scenario

TERM = 15


@scenario()
def a_relative_hook_is_found_after_the_start(case):
    place = os.path.dirname(case.path("hook.sh", "#!/bin/sh\necho at $(pwd)\n", 0o755))
    init = case.start(
        ["signals", "15", "6"],
        opts=["--post-start", "./hook.sh", "--pre-stop", "./hook.sh"],
        cwd=place,
    )
    init.line("^ready")
    init.line("^at " + place, "err")
    init.signal(TERM)
    equal(init.wait(), 6)
    equal(init.err.count("at " + place), 2)


@scenario()
def a_hook_outlives_its_directory(case):
    place = case.path("gone")
    os.mkdir(place)
    init = case.start(
        ["signals", "15", "6"],
        opts=["--pre-stop", "sh -c 'echo still here'"],
        cwd=place,
    )
    init.line("^ready")
    os.rmdir(place)
    init.signal(TERM)
    equal(init.wait(), 6)
    check("still here" in init.err, "the hook ran")


@scenario(modes=("pid1",))
def a_wrong_hook_ca_is_found_at_once(case):
    for content, words in ((None, "No such file"), ("no certificate\n", "no certificate")):
        path = case.path("ca.pem", content) if content else case.path("missing.pem")
        init = case.run(["exit", "0"], opts=["--hook-ca", path])
        equal(init.wait(), 125)
        check(init.err.startswith("shim: --hook-ca: ") and words in init.err, init.err)
        case.close()
