"""A double of ``minikube`` that tests put on the PATH: it checks every call, notes it, and answers as the tool does.

It refuses options and values that the tool's documentation does not name (minikube_flags.toml), and keeps the profiles
in a folder, so that what one call starts the next one sees. What it says, and with which exit code, is how 1.37 to 1.39
say it (cmd/minikube/cmd and pkg/minikube/reason of its source). Environment variable MINIKUBE_DOUBLE names the folder:

* ``settings.json``: how it shall behave, see `Settings`; written by the test;
* ``calls.jsonl``: each call with its arguments and the environment that matters; read by the test;
* ``profiles.json``: the profiles.
"""

import json
import os
import sys
import time
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

FOLDER = Path(os.environ["MINIKUBE_DOUBLE"])
TABLE = tomllib.loads(Path(__file__).with_name("minikube_flags.toml").read_text())
KEPT_VARIABLES = (
    *("KUBECONFIG", "LANGUAGE", "LC_ALL"),
    *("MINIKUBE_IN_STYLE", "MINIKUBE_HOME", "MINIKUBE_CNI", "MINIKUBE_KUBERNETES_VERSION"),
)
NO_SUCH_PROFILE = 85


@dataclass
class Settings:
    """How the double behaves.

    Attributes:
        version: which minikube it is.
        failures: command to its exit code and last line.
        hangs: the command that never ends.
        is_forwarded: whether the driver reaches nodes by forwarded ports only.
        broken_builds: images whose build fails, which the tool does not show by its exit code.
        failing_nodes: nodes on which every build fails.
        docker_images: images that the local Docker has.
        address: of the node.
        cluster: file with the entries "cluster" and "user" of a kubeconfig, whose cluster a profile leads to.
    """

    version: str = "1.38"
    failures: dict[str, tuple[int, str]] = field(default_factory=dict)
    hangs: str = ""
    is_forwarded: bool = False
    broken_builds: list[str] = field(default_factory=list)
    failing_nodes: list[str] = field(default_factory=list)
    docker_images: list[str] = field(default_factory=list)
    address: str = "192.168.49.2"
    cluster: str = ""


@dataclass
class Call:
    """One call: the command, its options by name, and what else it was given."""

    command: str
    options: dict[str, str]
    operands: list[str]

    @property
    def profile(self) -> str:
        """Return the profile that the call is for."""
        return self.options.get("profile", "minikube")


def main() -> None:
    """Check, note and answer one call."""
    settings = Settings(**json.loads((FOLDER / "settings.json").read_text()))
    call = parse(sys.argv[1:], settings.version)
    kept = {name: os.environ.get(name) for name in KEPT_VARIABLES}
    with (FOLDER / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps({**asdict(call), "arguments": sys.argv[1:], "environment": kept}) + "\n")
    if settings.hangs == call.command:
        print("* Pulling base image ...", flush=True)
        (FOLDER / "hangs").touch()
        time.sleep(600)
    if call.command in settings.failures:
        code, line = settings.failures[call.command]
        fail(code, line)
    profiles = read_profiles()
    ANSWERS[call.command](call, settings, profiles)
    (FOLDER / "profiles.json").write_text(json.dumps(profiles))


def parse(arguments: list[str], version: str) -> Call:
    """Return the call that the arguments make; end as the tool does when it does not know one of them."""
    words = [word for word in arguments if not word.startswith("-")]
    command = " ".join(words[: 2 if words[:1] in (["addons"], ["image"]) else 1])
    if command not in ANSWERS:
        fail(14, f'Error: unknown command "{command}" for "minikube"')
    options = {}
    for argument in (word for word in arguments if word.startswith("-")):
        name, separator, value = argument.removeprefix("--").partition("=")
        check_option(command, name, value if separator else None, version)
        options[name] = value if separator else "true"
    return Call(command, options, words[len(command.split()) :])


def check_option(command: str, name: str, value: str | None, version: str) -> None:
    """End as the tool does when ``command`` has no such option, or the option no such value."""
    for table in (TABLE["commands"][command], TABLE["commands"]["*"]):
        takes_value = name in table["values"]
        known = takes_value or name in table["switches"]
        if not known or table.get("since", {}).get(name, "") > version:
            continue
        if takes_value and value is None:
            fail(14, f"Error: flag needs an argument: --{name}")
        choices = TABLE["choices"].get(f"{command} --{name}")
        unknown = [one for one in (value or "").split(",") if choices and one not in choices]
        if unknown or (not takes_value and value not in {None, "true", "false"}):
            fail(14, f'Error: invalid argument "{value}" for "--{name}" flag')
        return
    fail(14, f"Error: unknown flag: --{name}")


def fail(code: int, line: str) -> NoReturn:
    """Say why, and end."""
    print(line, file=sys.stderr)
    sys.exit(code)


def read_profiles() -> dict[str, Any]:
    """Return the profiles by name."""
    try:
        content: dict[str, Any] = json.loads((FOLDER / "profiles.json").read_text())
    except FileNotFoundError:
        return {}
    return content


def existing(call: Call, profiles: dict[str, Any], *, running: bool = False) -> dict[str, Any]:
    """Return the profile of the call; end as the tool does when there is none, or it has to run and does not."""
    if call.profile not in profiles:
        fail(
            NO_SUCH_PROFILE, f'* Profile "{call.profile}" not found. Run "minikube profile list" to view all profiles.'
        )
    profile: dict[str, Any] = profiles[call.profile]
    if running and profile["host"] != "Running":
        fail(83, f"* The control-plane node {call.profile} host is not running: state={profile['host']}")
    return profile


def start(call: Call, settings: Settings, profiles: dict[str, Any]) -> None:
    """Make or start a profile, and write its context into the kubeconfig."""
    if wanted := call.options.get("kubernetes-version"):
        newest = TABLE["newest_kubernetes"][settings.version]
        if release(wanted) > release(newest):
            fail(106, f"X Exiting due to K8S_NEW_UNSUPPORTED: Kubernetes {wanted} is not supported by this release")
    for port in call.options.get("ports", "").split(",") if "ports" in call.options else ():
        if not all(part.isdigit() and 0 < int(part) < 65536 for part in port.split(":")[-2:]):
            fail(
                14,
                f"X Exiting due to MK_USAGE: Sorry, one of the ports provided with --ports flag is not valid: {port}",
            )
    fresh: dict[str, Any] = {"nodes": int(call.options.get("nodes", "1")), "images": []}
    profile = profiles.setdefault(call.profile, fresh)
    profile["host"] = "Running"
    server = "https://127.0.0.1:32771" if settings.is_forwarded else f"https://{settings.address}:8443"
    leads = {"cluster": {"server": server}, "user": {"client-certificate-data": "AAAA"}}
    leads = json.loads(Path(settings.cluster).read_text()) if settings.cluster else leads
    path = Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    path.parent.mkdir(parents=True, exist_ok=True)
    content = read_kubeconfig(path)
    add(content, "clusters", {"name": call.profile, "cluster": leads["cluster"]})
    add(content, "users", {"name": call.profile, "user": leads["user"]})
    namespace = call.options.get("namespace", "default")
    context = {"cluster": call.profile, "user": call.profile, "namespace": namespace}
    add(content, "contexts", {"name": call.profile, "context": context})
    if "keep-context" not in call.options:
        content["current-context"] = call.profile
    path.write_text(json.dumps(content))
    print(f'* Done! kubectl is now configured to use "{call.profile}" cluster and "{namespace}" namespace by default')


def release(version: str) -> tuple[int, ...]:
    """Return a version as numbers."""
    return tuple(int(part) for part in version.removeprefix("v").split("."))


def read_kubeconfig(path: Path) -> dict[str, Any]:
    """Return a kubeconfig, which is JSON here; an empty one when there is none."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": []}
    return content


def add(content: dict[str, Any], kind: str, entry: dict[str, Any]) -> None:
    """Put an entry into a kubeconfig in place of an earlier one of its name."""
    content[kind] = [one for one in content[kind] if one["name"] != entry["name"]] + [entry]


def forget_context(call: Call) -> None:
    """Take the profile out of the kubeconfig."""
    path = Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    content = read_kubeconfig(path)
    for kind in ("clusters", "users", "contexts"):
        content[kind] = [one for one in content[kind] if one["name"] != call.profile]
    if content.get("current-context") == call.profile:
        content["current-context"] = ""
    path.write_text(json.dumps(content))


def status(call: Call, _settings: Settings, profiles: dict[str, Any]) -> None:
    """Tell how a profile is, by text and by exit code."""
    profile = existing(call, profiles)
    if profile["host"] == "Nonexistent":
        print("null", end="")
        sys.exit(7)
    path = Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    configured = any(one["name"] == call.profile for one in read_kubeconfig(path)["contexts"])
    part = profile["host"]
    nodes = [
        {
            "Name": call.profile if number == 1 else f"{call.profile}-m{number:02}",
            "Host": part,
            "Kubelet": part,
            "APIServer": part if number == 1 else "Irrelevant",
            "Kubeconfig": ("Configured" if configured else "Misconfigured") if number == 1 else "Irrelevant",
            "Worker": number > 1,
        }
        for number in range(1, profile["nodes"] + 1)
    ]
    print(json.dumps(nodes if len(nodes) > 1 else nodes[0]), end="")
    code = 0 if part == "Running" else 3
    sys.exit(code if configured else code | 4)


def stop(call: Call, _settings: Settings, profiles: dict[str, Any]) -> None:
    """Stop the nodes of a profile."""
    existing(call, profiles)["host"] = "Stopped"
    forget_context(call)
    print("* 1 node stopped.")


def delete(call: Call, _settings: Settings, profiles: dict[str, Any]) -> None:
    """Remove a profile; that there is none is no error."""
    if profiles.pop(call.profile, None) is None:
        print(f'* "{call.profile}" profile does not exist, trying anyways.', file=sys.stderr)
    forget_context(call)
    print(f'* Removed all traces of the "{call.profile}" cluster.')


def address(call: Call, settings: Settings, profiles: dict[str, Any]) -> None:
    """Tell the address of the first node."""
    existing(call, profiles, running=True)
    print(settings.address)


def version(_call: Call, settings: Settings, _profiles: dict[str, Any]) -> None:
    """Tell the version."""
    print(json.dumps({"commit": "0" * 40, "minikubeVersion": f"v{settings.version}.0"}))


def enable(call: Call, _settings: Settings, profiles: dict[str, Any]) -> None:
    """Enable an addon."""
    profile = existing(call, profiles, running=True)
    if call.operands[0] not in TABLE["addons"]:
        fail(10, f"X Exiting due to MK_ADDON_ENABLE: {call.operands[0]} is not a valid addon")
    profile["addons"] = [*profile.get("addons", []), *call.operands]


def build(call: Call, settings: Settings, profiles: dict[str, Any]) -> None:
    """Build an image; a failure shows in the log and in the image's absence, not in the exit code."""
    profile = existing(call, profiles, running=True)
    (context,) = call.operands
    if not (Path(context) / call.options.get("file", "Dockerfile")).is_file():
        fail(80, "X Exiting due to GUEST_IMAGE_BUILD: Failed to build image: no Dockerfile")
    tag = call.options["tag"]
    nodes = [call.profile, *(f"{call.profile}-m{number:02}" for number in range(2, profile["nodes"] + 1))]
    nodes = nodes if call.options.get("all") == "true" else nodes[:1]
    failed = nodes if tag in settings.broken_builds else [node for node in nodes if node in settings.failing_nodes]
    if len(failed) < len(nodes):
        profile["images"] = [*{*profile["images"], f"docker.io/{tag}"}]
    if "alsologtostderr" in call.options:
        succeeded = " ".join(node for node in nodes if node not in failed)
        print(f"I1121 20:00:00.0 1 build_images.go:129] succeeded building to: {succeeded}", file=sys.stderr)
        print(f"I1121 20:00:00.0 1 build_images.go:130] failed building to: {' '.join(failed)}", file=sys.stderr)


def load(call: Call, settings: Settings, profiles: dict[str, Any]) -> None:
    """Load an image that Docker has, or an archive: a file of image names here."""
    profile = existing(call, profiles, running=True)
    (given,) = call.operands
    if Path(given).is_file():
        names = Path(given).read_text().split()
    elif given in settings.docker_images:
        names = [given]
    else:
        fail(80, f"X Exiting due to GUEST_IMAGE_LOAD: Failed to load image: unable to find image {given}")
    profile["images"] = [*{*profile["images"], *(f"docker.io/{name}" for name in names)}]


def images(call: Call, _settings: Settings, profiles: dict[str, Any]) -> None:
    """List the images of all nodes together."""
    listed = existing(call, profiles, running=True)["images"]
    print(json.dumps([{"id": str(n), "repoDigests": [], "repoTags": [name]} for n, name in enumerate(listed)]))


ANSWERS = {
    "start": start,
    "status": status,
    "stop": stop,
    "delete": delete,
    "ip": address,
    "version": version,
    "addons enable": enable,
    "image build": build,
    "image load": load,
    "image ls": images,
}

if __name__ == "__main__":
    main()
