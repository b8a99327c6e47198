#!/usr/bin/python3
"""Reads back with Python's own parser every JSON message that a run of test_termlog (the argument) makes."""

import json
import os
import subprocess
import sys
import tempfile
from datetime import datetime

with tempfile.TemporaryDirectory() as d:
    path = os.path.join(d, "lines")
    env = dict(os.environ, TERMLOG_JSON_OUT=path)
    subprocess.run([sys.argv[1]], env=env, check=True, stdout=subprocess.DEVNULL, timeout=120)
    with open(path, "rb") as f:
        lines = f.read().decode("utf-8").split("\n")[:-1]

assert len(lines) >= 15, lines
for line in lines:
    assert len(line.encode()) < 4096
    facts = json.loads(line, object_pairs_hook=lambda pairs: (list(pairs), dict(pairs)))
    pairs, fields = facts
    assert len(pairs) == len(fields), f"a key twice: {line}"
    fields = json.loads(line)
    for key, kind in (("reason", str), ("coreDumped", bool), ("oomKilled", bool), ("app", str), ("message", str),
                      ("phases", dict), ("hooks", list)):
        assert isinstance(fields[key], kind), (key, line)
    for key in ("startedAt", "finishedAt"):
        if fields[key] is not None:
            datetime.strptime(fields[key], "%Y-%m-%dT%H:%M:%S.%fZ")
    for hook in fields["hooks"]:
        assert sorted(hook) == ["hook", "kind", "ok", "outcome", "seconds"], hook
print(f"ok: {len(lines)} JSON messages read back")
