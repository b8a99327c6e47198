"""Differences that are meant, each with its reason; docs/compatibility.md tells them to users."""
from harness import Permitted

JOB_SIGNALS = 0x380000  # TSTP, TTIN and TTOU in a signal mask


def mask_without_job_signals(value):
    return int(value, 16) & JOB_SIGNALS in (0, 0x80000, 0x100000)


PERMITTED = [
    Permitted("^(tini|catatonit): SIGCHLD ignored by", "/status", "with SIGCHLD ignored by the parent tini and catatonit never end and lose "
              "the status; ours puts it right", ours=7, theirs="still there"),
    Permitted("^tini: closed at the start", "/status", "tini does not start the program when stdin is closed; ours does", ours=5, theirs=1),
    Permitted("kill the child", "/3[23]", "glibc keeps signals 32 and 33 from the peers, so they die of them, or as PID 1 never hear of "
              "them; ours passes them on", ours=lambda status: status in (160, 161)),
    Permitted("^catatonit: (what|on a terminal)", ".*/SigBlk", "catatonit leaves TSTP, TTIN and TTOU blocked in the program, which then "
              "cannot be stopped; ours gives the mask back as it was", ours=mask_without_job_signals),
    Permitted("^catatonit: Ctrl-Z", ".*/child", "the same: with ours Ctrl-Z stops the program", ours="T", theirs="S"),
    Permitted("^dumb-init: what the child finds, inherited: ignore 34", ".*/SigIgn", "dumb-init resets ignored signals 1 to 31 only; ours "
              "all 64", ours="0000000000000000"),
    Permitted("^catatonit: working directories", "/own (kept|is /)", "Debian's catatonit is older than 0.2.1, which goes to / as ours does",
              both=lambda theirs, ours: theirs != ours),
    Permitted("^(tini|catatonit): (a job behind|on a terminal, what the child finds, a job behind)", ".*/(in front|the shell has it)",
              "tini and catatonit take the terminal even when they do not have it; ours leaves a job behind where it is"),
    Permitted("programs that cannot be executed$", "/./elf/.*", "the peers hand a binary of another machine to the shell, which makes nonsense of "
              "it; ours says what it is", ours=lambda value: value in (1, 2) or "Exec format error" in str(value)),
    Permitted("^tini: debug lines when the program is not there", ".*/out", "tini's buffered output is doubled by its fork: one line twice",
              both=lambda theirs, ours: theirs[0] == theirs[1] and ours == theirs[1:]),
]
