"""Deploying the system under test: start the cluster, apply the manifests, wait until every pod is Ready and stays so.

On a cluster that is not Flametest's own a preflight comes before anything is applied, and what is applied goes into one
namespace, which Flametest makes and marks. With ``deploying`` False nothing is applied and nothing is ended: the system
is there already.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from flametest.clusters import DEFAULT_NAMESPACE as NAMESPACE
from flametest.clusters import Access, Cluster, ClusterError
from flametest.clusters.ownership import add_labels, claim, make_namespace
from flametest.kube import KubeClient, connect
from flametest.kube.apply import ApplyOptions, Changes
from flametest.kube.errors import NotReadyError
from flametest.kube.namespaces import await_namespace, namespace_phase
from flametest.kube.resources import Discovery
from flametest.kube.served import unserved
from flametest.manifests import WORKLOADS, Manifest, Reading, placed
from flametest.model.consent import CONSENT_LABEL, CONSENT_VALUE
from flametest.run.awaiting import Deployed, await_ready
from flametest.run.entering import await_entry, located, own_entry
from flametest.run.needs import Plan
from flametest.run.preflight import check_consent, preflight
from flametest.run.progress import Progress
from flametest.run.project import ProjectError

__all__ = ["NAMESPACE", "DeployOptions", "deploy", "deployed", "located", "start_bare"]

NOTHING_MORE = Plan()
DELETION_SECONDS = 120.0  # volumes and pods with a long grace take their time on other people's clusters
ENDING_SECONDS = 60.0  # a namespace of an earlier run may still be going away
FILES_SHOWN_MAX = 12


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """How a system is deployed.

    Attributes:
        plan: what is to be done then, for whose rights a preflight asks.
        strict: refuse manifests with kinds that the cluster does not serve, rather than leave these objects out.
        entry_needed: whether a system without an entry that answers HTTP is an error.
        url: the entry as the user has named it; empty to have it found.
        stays: leave a cluster running whose pods do not get ready, so that their logs can be read.
    """

    plan: Plan = NOTHING_MORE
    strict: bool = False
    entry_needed: bool = True
    url: str = ""
    stays: bool = False


PLAIN = DeployOptions()


def deploy(cluster: Cluster, reading: Reading, progress: Progress, options: DeployOptions = PLAIN) -> Access:
    """Bring the system up on ``cluster`` and return how it is reached; what runs already is brought up to date.

    Raises:
        FlametestError: the cluster or a manifest is at fault, or the system does not get Ready. A cluster, or
            namespace, that this call has made is ended again, unless only pods are at fault and ``stays`` is set.
    """
    _check(cluster, reading, progress, options)
    return _deploy(cluster, reading, progress, options, fresh=cluster.find() is None)


def start_bare(cluster: Cluster, progress: Progress) -> Access:
    """Start a cluster with nothing in it but the system's namespace, which consents to faults."""
    access = _started(cluster, progress, fresh=cluster.find() is None)
    with connect(access.kubeconfig, access.context) as client:
        _make_namespaces(client, cluster, (), access.namespace)
    return access


@contextmanager
def deployed(
    cluster: Cluster,
    reading: Reading | None,
    progress: Progress,
    *,
    keep: bool,
    options: DeployOptions = PLAIN,
) -> Iterator[Access]:
    """Deploy for the time of a run: what was not running before is ended afterwards, unless ``keep``.

    A system that was running before is brought up to date, but need not be healthy: that is the experiments' to judge.
    Without manifests it is taken as it is.
    """
    if reading is None:
        yield _found(cluster, progress, options.plan)
        return
    _check(cluster, reading, progress, options)
    if cluster.find() is not None:
        access, _ = _apply(cluster, reading, progress, options, fresh=False)
        with connect(access.kubeconfig, access.context) as client:
            access = _entered(client, cluster, access, options)
        yield access
        return
    access = _deploy(cluster, reading, progress, options, fresh=True)
    try:
        yield access
    finally:
        if not keep:
            with progress.step(f"end the {cluster.name if cluster.is_own else f'system on {cluster.name}'}"):
                cluster.down()


def _tell_reading(reading: Reading, progress: Progress) -> None:
    """Tell which files are taken, what is left out of them and why, and what else a user should know."""
    shown = ", ".join(reading.files[:FILES_SHOWN_MAX])
    if len(reading.files) > FILES_SHOWN_MAX:
        shown += f" and {len(reading.files) - FILES_SHOWN_MAX} more"
    count = len(reading.manifests)
    progress.say(f"takes {count} object{'' if count == 1 else 's'} of {reading.origin}: {shown}")
    for one in reading.left_out:
        progress.say(f"leaves out {one.name}: {one.reason}")
    for note in reading.notes:
        progress.say(f"note: {note}")


def _check(cluster: Cluster, reading: Reading, progress: Progress, options: DeployOptions) -> None:
    """Tell what is taken; where others use the cluster too, ask for all that is needed before anything is changed."""
    _tell_reading(reading, progress)
    if not cluster.is_own:
        _preflight(cluster, reading, progress, options)


def _preflight(cluster: Cluster, reading: Reading | None, progress: Progress, options: DeployOptions) -> None:
    with progress.step(f"reach {cluster.name}") as step:
        access = cluster.up()
        step.saw(f"namespace {access.namespace}")
    with connect(access.kubeconfig, access.context) as client:
        manifests: Sequence[Manifest] = ()
        if reading is not None:
            manifests = _served(client, placed(reading, access.namespace).manifests, options)
            _check_namespaces(client, manifests, access.namespace)
        preflight(client, access, manifests, options.plan, progress)
        if reading is not None:
            _await_deletion(client, access.namespace, progress)


def _await_deletion(client: KubeClient, namespace: str, progress: Progress) -> None:
    """Wait until a namespace that an earlier run has deleted is gone, and say so first, since it may take long."""
    if namespace_phase(client.api, namespace) != "Terminating":
        return
    progress.say(f"namespace {namespace} is being deleted: waits up to {DELETION_SECONDS:g} s until it is gone")
    with progress.step(f"wait for the deletion of namespace {namespace}"):
        await_namespace(client.api, namespace, ("", "Active"), DELETION_SECONDS)


def _served(client: KubeClient, manifests: Sequence[Manifest], options: DeployOptions) -> list[Manifest]:
    left_out = {id(one.manifest) for one in unserved(Discovery(client.api), manifests, strict=options.strict)}
    return [one for one in manifests if id(one) not in left_out]


def _found(cluster: Cluster, progress: Progress, plan: Plan) -> Access:
    """Return how a system that is there already is reached, once it answers."""
    if not cluster.is_own:
        _preflight(cluster, None, progress, DeployOptions(plan))
    with progress.step(f"find the system on {cluster.name}") as step:
        access = located(cluster)
        with connect(access.kubeconfig, access.context) as client:
            if cluster.is_own:
                check_consent(client, access, (), plan)
            note = await_entry(client, cluster, access)
        step.saw(f"namespace {access.namespace}, entry {access.url}{f' ({note})' if note else ''}")
    return access


def _deploy(cluster: Cluster, reading: Reading, progress: Progress, options: DeployOptions, *, fresh: bool) -> Access:
    since = datetime.now(UTC)
    with _ended_on_failure(cluster, fresh, options):
        access, changes = _apply(cluster, reading, progress, options, fresh=fresh)
        namespaces = _namespaces(placed(reading, access.namespace).manifests, access.namespace)
        with connect(access.kubeconfig, access.context) as client:
            await_ready(client, cluster, Deployed(namespaces, changes.objects, since), progress)
            with progress.step("reach the entry") as step:
                access = _entered(client, cluster, access, options)
                note = await_entry(client, cluster, access, needed=options.entry_needed) if access.url else ""
                step.saw(f"{access.url or 'there is none'}{f' ({note})' if note else ''}")
    return access


def _entered(client: KubeClient, cluster: Cluster, access: Access, options: DeployOptions) -> Access:
    """Return the access with the system's entry; without one where there is none and none is needed.

    Raises:
        ClusterError: there is none, and it is needed.
    """
    if options.url or not cluster.is_own:
        return located(cluster) if options.entry_needed else cluster.find() or access
    entry = own_entry(client, access)
    if not entry.url and options.entry_needed:
        raise ClusterError(f"namespace {access.namespace!r} has no entry: {entry.note}", "name it with --url")
    return replace(access, url=entry.url)


def _apply(
    cluster: Cluster, reading: Reading, progress: Progress, options: DeployOptions, *, fresh: bool
) -> tuple[Access, Changes]:
    if cluster.is_own:
        _make_images(cluster, reading, progress)
    access = _started(cluster, progress, fresh=fresh) if cluster.is_own else cluster.up()
    system = placed(reading, access.namespace)
    for note in system.notes[len(reading.notes) :]:
        progress.say(f"note: {note}")
    if cluster.is_own:
        _check_named(system.manifests, access.namespace)
    with connect(access.kubeconfig, access.context) as client, progress.step("apply the manifests") as step:
        _make_namespaces(client, cluster, system.manifests, access.namespace)
        if cluster.is_own:
            check_consent(client, access, system.manifests, options.plan)
        changes = client.apply(system.manifests, None, ApplyOptions(access.namespace, options.strict))
        step.saw(changes.summary())
    _tell_changes(changes, progress)
    return access, changes


def _tell_changes(changes: Changes, progress: Progress) -> None:
    for one in changes.left_out:
        progress.say(f"warning: left out: {one}")
    for text in changes.warnings:
        progress.say(f"warning: {text}")


def _make_namespaces(client: KubeClient, cluster: Cluster, manifests: Sequence[Manifest], namespace: str) -> None:
    """Make the namespaces that the objects go to and no manifest describes; the asked one consents to faults."""
    described = {one.name for one in manifests if one.kind == "Namespace"}
    labels: Mapping[str, str] = {} if namespace in described else {CONSENT_LABEL: CONSENT_VALUE}
    if not cluster.is_own:
        claim(client, namespace, labels)
        return
    for name in ({namespace} | {one.namespace for one in manifests if one.namespace}) - described:
        wished = labels if name == namespace else {}
        if await_namespace(client.api, name, ("", "Active"), ENDING_SECONDS):  # as `default` is from the start
            add_labels(client, name, wished)
        else:
            make_namespace(client, name, wished)


def _namespaces(manifests: Sequence[Manifest], namespace: str) -> list[str]:
    """Return the namespaces in which something runs, the asked one first."""
    others = {one.namespace for one in manifests if one.kind in WORKLOADS} - {namespace, ""}
    return [namespace, *sorted(others)]


def _make_images(cluster: Cluster, reading: Reading, progress: Progress) -> None:
    names = cluster.own_images(reading.images)
    if names:
        with progress.step("make the project's images") as step:
            step.saw(cluster.make_images(names, step.saw))


def _started(cluster: Cluster, progress: Progress, *, fresh: bool) -> Access:
    with progress.step(f"start the {cluster.name}") as step:
        access = cluster.up()
        step.saw(f"context {access.context}" if fresh else "it runs already")
    return access


def _check_named(manifests: Sequence[Manifest], namespace: str) -> None:
    """Make sure that something is deployed to the namespace that is waited for.

    Raises:
        ProjectError: all of it goes elsewhere.
    """
    found = {manifest.namespace for manifest in manifests if manifest.kind in WORKLOADS}
    if found and namespace not in found:
        raise ProjectError(
            f"no workload is in namespace {namespace!r}, but all are in {', '.join(sorted(found))}",
            "name the namespace of the manifests with --namespace",
        )


def _check_namespaces(client: KubeClient, manifests: Sequence[Manifest], namespace: str) -> None:
    """Make sure that everything that is applied goes into the one namespace.

    Raises:
        ProjectError: a manifest names another one, or changes what all share.
    """
    discovery = Discovery(client.api)
    for manifest in manifests:
        resource = discovery.resource(manifest.api_version, manifest.kind)
        found = (manifest.namespace or namespace) if resource is None or resource.namespaced else ""
        if manifest.kind == "Namespace":
            found = manifest.name
        if found != namespace:
            raise ProjectError(
                f"{manifest.source}: {manifest.kind} {manifest.name!r} is "
                f"{f'in namespace {found!r}' if found else 'in no namespace'}, and only {namespace!r} may be changed "
                "on a cluster that others use as well",
                "fix the manifest; or apply it yourself, and test what is there with --no-deploy",
            )


@contextmanager
def _ended_on_failure(cluster: Cluster, fresh: bool, options: DeployOptions) -> Iterator[None]:
    try:
        yield
    except NotReadyError as error:
        if options.stays and cluster.is_own:
            error.remedy += (
                f"; the {cluster.name} is left running for you to inspect: `flametest env` points kubectl at it, "
                "`flametest down` ends it"
            )
        elif fresh:
            cluster.down()
        raise
    except BaseException:
        if fresh:
            cluster.down()
        raise
