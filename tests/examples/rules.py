"""The house rules for the manifests in examples/: what people copy has to be right.

breaches(documents) is a list of (rule, words), empty for good ones. No cluster, no schema: only what
is easily forgotten, and what has to agree with shim's options.
"""

import re

VERSIONED = re.compile(r"^[a-z0-9.-]+/[a-z0-9/-]+:\d+\.\d+\.\d+$")
LABELS = ("app", "tier", "version")
ANNOTATIONS = ("description", "contact")
PROBES = {"startupProbe": "/startupz", "readinessProbe": "/readyz", "livenessProbe": "/livez"}
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h)?", text).groups()
    return int(number) * UNITS[unit or "s"]


def is_shim(container):
    command = container.get("command") or [""]
    return command[0].rsplit("/", 1)[-1] == "shim"


def options(args):
    """shim's options of an argument list, --name=value or --name value, as a dict."""
    found, rest = {}, list(args)
    while rest and rest[0] != "--":
        name, equals, value = rest.pop(0).partition("=")
        found[name] = value if equals else rest.pop(0)
    return found


def pod_of(document):
    """The pod's metadata and spec, or None for what makes no pods."""
    if document["kind"] == "Pod":
        return document["metadata"], document["spec"]
    template = document["spec"].get("template")
    return (template["metadata"], template["spec"]) if template else None


def check_metadata(metadata, where):
    for name in LABELS:
        if not metadata.get("labels", {}).get(name):
            yield "labels", f"{where} has no label {name}"
    for name in ANNOTATIONS:
        if not metadata.get("annotations", {}).get(name):
            yield "annotations", f"{where} has no annotation {name}"


def check_container(container, pod):
    name = container["name"]
    security = {**pod.get("securityContext", {}), **container.get("securityContext", {})}
    resources = container.get("resources", {})
    if not VERSIONED.match(container["image"]):
        yield "image", f"{name}: {container['image']} is not a versioned tag"
    if not {"cpu", "memory"} <= set(resources.get("requests", {})):
        yield "resources", f"{name} requests no cpu or no memory"
    if "memory" not in resources.get("limits", {}):
        yield "resources", f"{name} has no memory limit"
    if security.get("readOnlyRootFilesystem") is not True:
        yield "read-only", f"{name} may write to its root"
    if security.get("allowPrivilegeEscalation") is not False:
        yield "privileges", f"{name} may gain privileges"
    if security.get("capabilities") != {"drop": ["ALL"]}:
        yield "capabilities", f"{name} keeps capabilities"
    if security.get("runAsNonRoot") is not True or not security.get("runAsUser"):
        yield "non-root", f"{name} may run as root"
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "seccomp", f"{name} has no seccomp profile"
    policy = "File" if is_shim(container) and "--install" not in container["args"] else None
    if container.get("terminationMessagePolicy") not in ([policy] if policy else ["FallbackToLogsOnError"]):
        yield "message", f"{name}: not the termination message policy that fits"


def check_probes(container):
    ports = {p["name"]: p["containerPort"] for p in container.get("ports", [])}
    ours = options(container["args"]) if is_shim(container) else {}
    for kind, path in PROBES.items():
        get = container.get(kind, {}).get("httpGet")
        if not get or get["port"] not in ports:
            yield "probes", f"{container['name']} has no {kind} on a port of its own"
        elif ours and (get["path"] != path or str(ports[get["port"]]) != ours.get("--health")):
            yield "health", f"{container['name']}: {kind} does not ask {path} of --health"


def longest(probe):
    """How long a probe may take to see that something is wrong."""
    return probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3)


def check_times(container, pod):
    ours, name = options(container["args"]), container["name"]
    readiness, startup = container.get("readinessProbe", {}), container.get("startupProbe", {})
    if seconds(ours.get("--grace", "0")) != pod.get("terminationGracePeriodSeconds", 30):
        yield "grace", f"{name}: --grace is not terminationGracePeriodSeconds"
    if "--ready-probe" in ours and readiness.get("timeoutSeconds", 1) < 2:
        yield "timeout", f"{name}: the readiness probe is cut off before --ready-probe is"
    if "--wait-for" in ours and longest(startup) <= seconds(ours.get("--wait-timeout", "60s")):
        yield "startup", f"{name}: the startup probe gives up before --wait-timeout"
    if "--drain" in ours:
        least = seconds(ours["--drain"].split(":")[0])
        if longest(readiness) + readiness.get("timeoutSeconds", 1) > least:
            yield "drain", f"{name}: --drain may be over before the readiness probe has failed"


def check_controller(document, metadata, pod):
    spec = document["spec"]
    if document["kind"] == "Deployment":
        update = spec.get("strategy", {}).get("rollingUpdate", {})
        if spec.get("replicas", 1) < 2 or update.get("maxUnavailable") != 0:
            yield "rolling", "an update leaves fewer pods than replicas"
        if not spec["selector"]["matchLabels"].items() <= metadata["labels"].items():
            yield "selector", "the selector does not match the pods"
        if "version" in spec["selector"]["matchLabels"]:
            yield "selector", "a selector with the version cannot be updated"
    if document["kind"] == "Job" and pod.get("restartPolicy") != "Never":
        yield "job", "a Job's pod restarts its containers"


def breaches(documents):
    found = []
    for document in documents:
        found += check_metadata(document["metadata"], document["kind"])
        if not pod_of(document):
            continue
        metadata, pod = pod_of(document)
        found += check_metadata(metadata, "the pod")
        found += check_controller(document, metadata, pod)
        for container in pod.get("initContainers", []) + pod["containers"]:
            found += check_container(container, pod)
        for container in pod["containers"]:
            found += check_probes(container)
            found += check_times(container, pod) if is_shim(container) else []
    return found
