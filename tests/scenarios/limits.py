"""Limits that hit shim's own writes are not the app's business."""

import re

from harness import check, equal, scenario

TERM, USR1 = 15, 10


@scenario()
def a_file_size_limit_is_no_signal_for_the_app(case):
    """The kernel answers a write beyond RLIMIT_FSIZE with SIGXFSZ, to whoever wrote: shim."""
    with open(case.path("stderr", ""), "wb") as stderr:
        init = case.start(
            ["signals", "15", "6"],
            opts=["-v", "--termination-log", case.path("message", "")],
            shell="ulimit -c 0; ulimit -f 0",
            stderr=stderr,
        )
        init.line("^ready")
        init.signal(USR1)
        init.line("^got 10$")
        init.signal(TERM)
        equal(init.wait(), 6)
    equal(re.findall("^got ([0-9]+)$", init.out, re.M), ["10", "15"])
    check("got 25" not in init.out, init.out)
