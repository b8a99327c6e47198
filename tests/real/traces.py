"""Stack traces of real runtimes, folded by --json-logs: the stories of tests/scenarios/traces.py, which skip what a machine
has not got, here where a JDK and Node are installed."""

import importlib.util
import os

import harness

PATH = os.path.join(os.path.dirname(os.path.abspath(harness.__file__)), "scenarios", "traces.py")
spec = importlib.util.spec_from_file_location("traces", PATH)
traces = importlib.util.module_from_spec(spec)
spec.loader.exec_module(traces)
java, node, python = traces.java, traces.node, traces.python
harness.SCENARIOS[:] = [s for s in harness.SCENARIOS if s[0] in (java, node, python)]
