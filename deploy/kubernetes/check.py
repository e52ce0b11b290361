"""Checks the chart, and deploy/kubernetes/sidecar.yaml, which is made from it.

The chart is linted and rendered by Helm's own library, each object is validated against the schemas
of several Kubernetes versions, and the configurations in it are checked by the programs.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

import helm_python as helm
import kubernetes_validate
import yaml

HERE = pathlib.Path(__file__).resolve().parent
CHART = HERE.parent / "helm" / "dcp-proxy"
SIDECAR = HERE / "sidecar.yaml"
RULES = HERE.parent / "prometheus" / "dcp-proxy.rules.yml"
# Native sidecars are of 1.29.
VERSIONS = ["1.29", "1.31", "1.33"]
# Values that take every branch of the templates.
OTHER = {
    "image": {"tag": "1.2.3"},
    "imagePullSecrets": [{"name": "pull"}],
    "sidecar": {"readyWithReplication": False},
    "node": {
        "storageClass": "fast",
        "container": {
            "name": "node",
            "image": "other:1",
            "ports": [{"name": "kv", "containerPort": 11210}],
        },
    },
    "podMonitor": {"enabled": True},
    "podAnnotations": {"a": "b"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "k", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
}
HEAD = """\
# A data node (kvnode) with dcp-proxy as a native sidecar; Kubernetes 1.29 or newer. Made from the chart
# in deploy/helm by `cargo xtask package kubernetes`: change that, not this.
#
# It needs a Secret with the passwords and the token of the admin API:
#
#   kubectl create secret generic dcp-proxy --from-file=node --from-file=alpha --from-file=admin
"""


def render(values):
    with helm.Chart.load(str(CHART)) as chart:
        files = chart.render(values=values, name="dcp-proxy", namespace="default")
    return {
        name.split("/")[-1]: text.strip() + "\n"
        for name, text in sorted(files.items())
        if name.endswith(".yaml") and text.strip()
    }


def objects(files):
    return [item for text in files.values() for item in yaml.safe_load_all(text) if item]


def lint(values):
    result = helm.lint(str(CHART), values=values, strict=True)
    # 1 is information: the chart has no icon.
    return [f"lint: {it['path']}: {it['error']}" for it in result["messages"] if it["severity"] > 1]


def valid(items):
    for item in items:
        name = f"{item['kind']} {item['metadata']['name']}"
        if item["kind"] == "PodMonitor":
            continue  # Not of Kubernetes; the shape is that of its documentation.
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(item, version, strict=True)
            except Exception as error:  # Each kind of failure is one: nothing is valid by default.
                yield f"{name}, Kubernetes {version}: {type(error).__name__}: {error}"


def confined(items):
    """What every container of ours must have, and what makes the sidecar one."""
    for pod in (it["spec"]["template"]["spec"] for it in items if it["kind"] == "StatefulSet"):
        if not pod["securityContext"].get("runAsNonRoot"):
            yield "the pod may run as root"
        sidecar = pod["initContainers"][0]
        if sidecar.get("restartPolicy") != "Always":
            yield "dcp-proxy is no native sidecar: restartPolicy is not Always"
        ours = [sidecar] + [it for it in pod["containers"] if it["name"] == "kvnode"]
        for container in ours:
            context, name = container["securityContext"], container["name"]
            if not context.get("readOnlyRootFilesystem"):
                yield f"{name}: the root file system can be written"
            if context.get("allowPrivilegeEscalation") is not False:
                yield f"{name}: privileges can be gained"
            if context.get("capabilities", {}).get("drop") != ["ALL"]:
                yield f"{name}: capabilities are kept"
            if "memory" not in container["resources"]["limits"]:
                yield f"{name}: no memory limit"


def follows(items):
    """A file that is mounted with subPath never changes in a pod that runs."""
    for pod in (it["spec"]["template"]["spec"] for it in items if it["kind"] == "StatefulSet"):
        for container in pod["initContainers"] + pod["containers"]:
            for mount in container.get("volumeMounts", []):
                if mount["name"] == "config" and "subPath" in mount:
                    yield f"{container['name']}: {mount['mountPath']} is a subPath"


def monitored(items):
    """The job of each endpoint must be one that the alerts ask for, and each of theirs be there."""
    asked = set()
    for names in re.findall(r'job=~?"([^"]+)"', RULES.read_text()):
        asked.update(names.split("|"))
    given = set()
    for monitor in (it for it in items if it["kind"] == "PodMonitor"):
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            given.update(
                it["replacement"] for it in endpoint["relabelings"] if it["targetLabel"] == "job"
            )
    if given != asked:
        yield f"PodMonitor: jobs {sorted(given)}, and the rules ask for {sorted(asked)}"


def accepted(items, programs):
    """The configurations, by the programs that read them."""
    config = next(it for it in items if it["kind"] == "ConfigMap")["data"]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        secrets = folder / "secrets"
        secrets.mkdir()
        for name in ["node", "alpha", "admin"]:
            (secrets / name).write_text("0123456789abcdef0123456789abcdef\n")
        for name, check in [
            ("proxy.toml", ["dcp-proxy", "--config", "{}", "check"]),
            ("kvnode.toml", ["kvnode", "--config", "{}", "--print-config", "effective"]),
        ]:
            file = folder / name
            file.write_text(config[name].replace("/etc/dcp-proxy/secrets", str(secrets)))
            line = [str(programs / check[0])] + [str(file) if it == "{}" else it for it in check[1:]]
            done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
            if done.returncode:
                yield f"{name}: exit code {done.returncode}: {done.stderr.strip()}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", type=pathlib.Path, help="the folder of both programs")
    parser.add_argument("--update", action="store_true", help="write sidecar.yaml")
    args = parser.parse_args()
    plain, other = render({}), render(OTHER)
    monitor = objects(render({"podMonitor": {"enabled": True}}))
    text = HEAD + "".join("---\n" + part for part in plain.values())
    if args.update:
        SIDECAR.write_text(text)
    problems = lint({}) + lint(OTHER)
    for items in [objects(plain), objects(other)]:
        problems += [*valid(items), *confined(items), *follows(items)]
    problems += monitored(monitor)
    if SIDECAR.read_text() != text:
        problems.append(f"{SIDECAR.name} is not what the chart makes: run with --update")
    if args.programs:
        problems += accepted(objects(plain), args.programs)
    for problem in problems:
        print(problem, file=sys.stderr)
    count = len(objects(plain)) + len(objects(other))
    print(f"{count} objects checked against Kubernetes {', '.join(VERSIONS)}: {len(problems)} problems")
    return 1 if problems else 0


sys.exit(main())
