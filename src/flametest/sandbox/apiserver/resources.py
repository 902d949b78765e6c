"""The catalogue: every resource that the API serves, with all that is said about it. The one place that names kinds.

Discovery, routing, defaults, validation, tables, the OpenAPI documents and the schema slice are derived from it. To
serve another kind, add an entry here, its behaviour in ``defaults`` and ``validation``, its columns in ``columns``,
and generate the slice again (``scripts/generate_schemas.py``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import orjson

from flametest.sandbox.apiserver.behaviour import Behaviour
from flametest.sandbox.apiserver.columns import apps as apps_columns
from flametest.sandbox.apiserver.columns import core as core_columns
from flametest.sandbox.apiserver.columns import others as other_columns
from flametest.sandbox.apiserver.columns import rbac as rbac_columns
from flametest.sandbox.apiserver.columns.basic import Column
from flametest.sandbox.apiserver.columns.pods import POD
from flametest.sandbox.apiserver.defaults import (
    apps,
    batch,
    core,
    extensions,
    networking,
    pods,
    policy,
    rbac,
    services,
    storage,
)
from flametest.sandbox.apiserver.schema import CUSTOM_TYPE, ObjectType, type_of_kind
from flametest.sandbox.apiserver.validation import apps as apps_rules
from flametest.sandbox.apiserver.validation import batch as batch_rules
from flametest.sandbox.apiserver.validation import core as core_rules
from flametest.sandbox.apiserver.validation import extensions as extension_rules
from flametest.sandbox.apiserver.validation import networking as networking_rules
from flametest.sandbox.apiserver.validation import pods as pod_rules
from flametest.sandbox.apiserver.validation import policy as policy_rules
from flametest.sandbox.apiserver.validation import rbac as rbac_rules
from flametest.sandbox.apiserver.validation import services as service_rules
from flametest.sandbox.apiserver.validation import storage as storage_rules
from flametest.sandbox.apiserver.validation.names import dns_1035_label, dns_label, dns_subdomain
from flametest.sandbox.objects import Object

__all__ = ["BY_NAME", "CATALOGUE", "Custom", "Resource"]

PLAIN = Behaviour()
_METADATA_FIELDS = ("metadata.name", "metadata.namespace")


@dataclass(frozen=True, slots=True)
class Custom:
    """What the definition of a custom resource says beyond what every resource has.

    Attributes:
        singular: its singular name.
        list_kind: of its lists.
        schema: the OpenAPI schema of its objects.
        revision: changes with the definition.
    """

    singular: str
    list_kind: str
    schema: Object
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource.

    Attributes:
        plural: as in paths.
        kind: of its objects.
        columns: of its table.
        group: of the API; empty for the core group.
        version: of the group.
        namespaced: whether its objects live in namespaces.
        short_names: that kubectl takes for it.
        categories: such as ``all``, for ``kubectl get all``.
        subresources: served beside it.
        has_generation: whether metadata.generation counts the changes of what is desired.
        fields: what field selectors may select by.
        name_rule: what its names look like.
        behaviour: its defaults and checks.
        returns_deleted: a deletion answers with the object, not with a Status.
        orphans: a deletion that names no policy leaves the dependents alone, as jobs do for compatibility.
        stored_as: the name of the resource whose objects it shows; empty for one with objects of its own.
        show: makes what is shown of what is stored, where that differs.
        store: makes what is stored of what is written, for one that shows another's objects; without it that one can
            only be read.
        field_aliases: further names of fields that field selectors take, and what they stand for.
        custom: what its definition says, for a resource that is not of the catalogue.
    """

    plural: str
    kind: str
    columns: tuple[Column, ...]
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    has_generation: bool = False
    fields: tuple[str, ...] = _METADATA_FIELDS
    name_rule: Callable[[str], list[str]] = dns_subdomain
    behaviour: Behaviour = PLAIN
    returns_deleted: bool = False
    orphans: bool = False
    stored_as: str = ""
    show: Callable[[Object], Object] | None = None
    store: Callable[[Object], Object] | None = None
    field_aliases: Mapping[str, str] = field(default_factory=dict)
    custom: Custom | None = None

    @property
    def name(self) -> str:
        """The plural and the group, as in ``deployments.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def stored_name(self) -> str:
        """The name under which its objects are stored."""
        return self.stored_as or self.name

    @property
    def is_read_only(self) -> bool:
        """Whether it shows objects of another resource and takes none."""
        return bool(self.stored_as) and self.store is None

    @property
    def type(self) -> ObjectType:
        """The type of its objects."""
        return type_of_kind(self.group, self.version, self.kind) if self.custom is None else CUSTOM_TYPE

    def shown(self, data: bytes) -> bytes:
        """Return the JSON of a stored object as this resource shows it."""
        return data if self.show is None else orjson.dumps(self.show(orjson.loads(data)))

    @property
    def api_version(self) -> str:
        """The group and version, as objects name them."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """The singular name."""
        return self.kind.lower() if self.custom is None else self.custom.singular

    @property
    def list_kind(self) -> str:
        """The kind of its lists."""
        return f"{self.kind}List" if self.custom is None else self.custom.list_kind


CATALOGUE: tuple[Resource, ...] = (
    Resource(
        plural="configmaps",
        kind="ConfigMap",
        columns=core_columns.CONFIG_MAP,
        short_names=("cm",),
        behaviour=Behaviour(validate=core_rules.check_config_map, validate_update=core_rules.check_data_update),
    ),
    Resource(
        plural="endpoints",
        kind="Endpoints",
        columns=core_columns.ENDPOINTS,
        short_names=("ep",),
        behaviour=Behaviour(default=core.default_endpoints, validate=core_rules.check_endpoints),
    ),
    Resource(
        plural="events",
        kind="Event",
        columns=core_columns.EVENT,
        short_names=("ev",),
        fields=(
            *_METADATA_FIELDS,
            "involvedObject.apiVersion",
            "involvedObject.fieldPath",
            "involvedObject.kind",
            "involvedObject.name",
            "involvedObject.namespace",
            "involvedObject.resourceVersion",
            "involvedObject.uid",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ),
        behaviour=Behaviour(default=core.default_event, validate=core_rules.check_event),
    ),
    Resource(
        plural="limitranges",
        kind="LimitRange",
        columns=other_columns.LIMIT_RANGE,
        short_names=("limits",),
        behaviour=Behaviour(default=policy.default_limit_range, validate=policy_rules.check_limit_range),
    ),
    Resource(
        plural="namespaces",
        kind="Namespace",
        columns=core_columns.NAMESPACE,
        namespaced=False,
        short_names=("ns",),
        subresources=("status",),
        fields=(*_METADATA_FIELDS, "status.phase"),
        name_rule=dns_label,
        behaviour=Behaviour(prepare=core.prepare_namespace, default=core.default_namespace, carry=core.carry_namespace),
    ),
    Resource(
        plural="nodes",
        kind="Node",
        columns=core_columns.NODE,
        namespaced=False,
        short_names=("no",),
        subresources=("status",),
        fields=(*_METADATA_FIELDS, "spec.unschedulable"),
    ),
    Resource(
        plural="persistentvolumeclaims",
        kind="PersistentVolumeClaim",
        columns=other_columns.PERSISTENT_VOLUME_CLAIM,
        short_names=("pvc",),
        subresources=("status",),
        behaviour=Behaviour(
            prepare=storage.prepare_claim,
            default=storage.default_claim,
            validate=storage_rules.check_claim,
            validate_update=storage_rules.check_claim_update,
        ),
        returns_deleted=True,
    ),
    Resource(
        plural="persistentvolumes",
        kind="PersistentVolume",
        columns=other_columns.PERSISTENT_VOLUME,
        namespaced=False,
        short_names=("pv",),
        subresources=("status",),
        behaviour=Behaviour(
            prepare=storage.prepare_volume, default=storage.default_volume, validate=storage_rules.check_volume
        ),
        returns_deleted=True,
    ),
    Resource(
        plural="pods",
        kind="Pod",
        columns=POD,
        short_names=("po",),
        categories=("all",),
        subresources=("binding", "eviction", "exec", "log", "portforward", "proxy", "status"),
        has_generation=True,
        fields=(
            *_METADATA_FIELDS,
            "spec.hostNetwork",
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.nominatedNodeName",
            "status.phase",
            "status.podIP",
        ),
        behaviour=Behaviour(
            prepare=pods.prepare_pod,
            default=pods.default_pod,
            validate=pod_rules.check_pod,
            validate_update=pod_rules.check_pod_update,
        ),
        returns_deleted=True,
    ),
    Resource(
        plural="replicationcontrollers",
        kind="ReplicationController",
        columns=apps_columns.REPLICATION_CONTROLLER,
        short_names=("rc",),
        categories=("all",),
        subresources=("scale", "status"),
        has_generation=True,
        fields=(*_METADATA_FIELDS, "status.replicas"),
        behaviour=Behaviour(
            prepare=apps.prepare_replica_set,
            default=apps.default_replication_controller,
            validate=apps_rules.check_replication_controller,
        ),
        orphans=True,
    ),
    Resource(
        plural="resourcequotas",
        kind="ResourceQuota",
        columns=other_columns.RESOURCE_QUOTA,
        short_names=("quota",),
        subresources=("status",),
        behaviour=Behaviour(prepare=policy.prepare_resource_quota, validate=policy_rules.check_resource_quota),
        returns_deleted=True,
    ),
    Resource(
        plural="secrets",
        kind="Secret",
        columns=core_columns.SECRET,
        fields=(*_METADATA_FIELDS, "type"),
        behaviour=Behaviour(
            default=core.default_secret,
            validate=core_rules.check_secret,
            validate_update=core_rules.check_secret_update,
        ),
    ),
    Resource(
        plural="serviceaccounts",
        kind="ServiceAccount",
        columns=core_columns.SERVICE_ACCOUNT,
        short_names=("sa",),
        subresources=("token",),
        returns_deleted=True,
    ),
    Resource(
        plural="services",
        kind="Service",
        columns=core_columns.SERVICE,
        short_names=("svc",),
        categories=("all",),
        subresources=("proxy", "status"),
        fields=(*_METADATA_FIELDS, "spec.clusterIP", "spec.type"),
        name_rule=dns_1035_label,
        behaviour=Behaviour(
            prepare=services.prepare_service,
            default=services.default_service,
            carry=services.carry_service,
            validate=service_rules.check_service,
            validate_update=service_rules.check_service_update,
        ),
        returns_deleted=True,
    ),
    Resource(
        plural="customresourcedefinitions",
        kind="CustomResourceDefinition",
        group="apiextensions.k8s.io",
        columns=other_columns.DEFINITION,
        namespaced=False,
        short_names=("crd", "crds"),
        categories=("api-extensions",),
        subresources=("status",),
        has_generation=True,
        behaviour=Behaviour(
            prepare=extensions.prepare_definition,
            default=extensions.default_definition,
            carry=extensions.carry_definition,
            validate=extension_rules.check_definition,
            validate_update=extension_rules.check_definition_update,
        ),
    ),
    Resource(
        plural="controllerrevisions", kind="ControllerRevision", group="apps", columns=apps_columns.CONTROLLER_REVISION
    ),
    Resource(
        plural="daemonsets",
        kind="DaemonSet",
        group="apps",
        columns=apps_columns.DAEMON_SET,
        short_names=("ds",),
        categories=("all",),
        subresources=("status",),
        has_generation=True,
        behaviour=Behaviour(
            prepare=apps.prepare_daemon_set,
            default=apps.default_daemon_set,
            carry=apps.carry_daemon_set,
            validate=apps_rules.check_daemon_set,
            validate_update=apps_rules.check_selector_update,
        ),
    ),
    Resource(
        plural="deployments",
        kind="Deployment",
        group="apps",
        columns=apps_columns.DEPLOYMENT,
        short_names=("deploy",),
        categories=("all",),
        subresources=("scale", "status"),
        has_generation=True,
        behaviour=Behaviour(
            prepare=apps.prepare_deployment,
            default=apps.default_deployment,
            validate=apps_rules.check_deployment,
            validate_update=apps_rules.check_selector_update,
        ),
    ),
    Resource(
        plural="replicasets",
        kind="ReplicaSet",
        group="apps",
        columns=apps_columns.REPLICA_SET,
        short_names=("rs",),
        categories=("all",),
        subresources=("scale", "status"),
        has_generation=True,
        fields=(*_METADATA_FIELDS, "status.replicas"),
        behaviour=Behaviour(
            prepare=apps.prepare_replica_set,
            default=apps.default_replica_set,
            validate=apps_rules.check_replica_set,
            validate_update=apps_rules.check_selector_update,
        ),
    ),
    Resource(
        plural="statefulsets",
        kind="StatefulSet",
        group="apps",
        columns=apps_columns.STATEFUL_SET,
        short_names=("sts",),
        categories=("all",),
        subresources=("scale", "status"),
        has_generation=True,
        behaviour=Behaviour(
            prepare=apps.prepare_stateful_set,
            default=apps.default_stateful_set,
            validate=apps_rules.check_stateful_set,
            validate_update=apps_rules.check_stateful_set_update,
        ),
    ),
    Resource(
        plural="horizontalpodautoscalers",
        kind="HorizontalPodAutoscaler",
        group="autoscaling",
        version="v2",
        columns=other_columns.AUTOSCALER,
        short_names=("hpa",),
        categories=("all",),
        subresources=("status",),
        behaviour=Behaviour(
            prepare=networking.prepare_autoscaler,
            default=networking.default_autoscaler,
            validate=networking_rules.check_autoscaler,
        ),
    ),
    Resource(
        plural="cronjobs",
        kind="CronJob",
        group="batch",
        columns=apps_columns.CRON_JOB,
        short_names=("cj",),
        categories=("all",),
        subresources=("status",),
        has_generation=True,
        behaviour=Behaviour(
            prepare=batch.prepare_cron_job, default=batch.default_cron_job, validate=batch_rules.check_cron_job
        ),
    ),
    Resource(
        plural="jobs",
        kind="Job",
        group="batch",
        columns=apps_columns.JOB,
        categories=("all",),
        subresources=("status",),
        has_generation=True,
        fields=(*_METADATA_FIELDS, "status.successful"),
        behaviour=Behaviour(
            prepare=batch.prepare_job,
            default=batch.default_job,
            validate=batch_rules.check_job,
            validate_update=batch_rules.check_job_update,
        ),
        orphans=True,
    ),
    Resource(plural="leases", kind="Lease", group="coordination.k8s.io", columns=core_columns.LEASE),
    Resource(
        plural="endpointslices",
        kind="EndpointSlice",
        group="discovery.k8s.io",
        columns=core_columns.ENDPOINT_SLICE,
        has_generation=True,
        behaviour=Behaviour(default=core.default_endpoint_slice, validate=core_rules.check_endpoint_slice),
    ),
    Resource(
        plural="ingressclasses",
        kind="IngressClass",
        group="networking.k8s.io",
        columns=other_columns.INGRESS_CLASS,
        namespaced=False,
        has_generation=True,
        behaviour=Behaviour(
            default=networking.default_ingress_class,
            validate=networking_rules.check_ingress_class,
            validate_update=networking_rules.check_ingress_class_update,
        ),
    ),
    Resource(
        plural="ingresses",
        kind="Ingress",
        group="networking.k8s.io",
        columns=other_columns.INGRESS,
        short_names=("ing",),
        subresources=("status",),
        has_generation=True,
        behaviour=Behaviour(prepare=networking.prepare_ingress, validate=networking_rules.check_ingress),
    ),
    Resource(
        plural="networkpolicies",
        kind="NetworkPolicy",
        group="networking.k8s.io",
        columns=other_columns.NETWORK_POLICY,
        short_names=("netpol",),
        has_generation=True,
        behaviour=Behaviour(default=networking.default_network_policy, validate=networking_rules.check_network_policy),
    ),
    Resource(
        plural="poddisruptionbudgets",
        kind="PodDisruptionBudget",
        group="policy",
        columns=other_columns.DISRUPTION_BUDGET,
        short_names=("pdb",),
        subresources=("status",),
        has_generation=True,
        behaviour=Behaviour(
            prepare=networking.prepare_disruption_budget, validate=networking_rules.check_disruption_budget
        ),
    ),
    Resource(
        plural="clusterrolebindings",
        kind="ClusterRoleBinding",
        group="rbac.authorization.k8s.io",
        columns=rbac_columns.BINDING,
        namespaced=False,
        name_rule=rbac_rules.path_segment,
        behaviour=Behaviour(
            default=rbac.default_binding,
            validate=rbac_rules.check_binding,
            validate_update=rbac_rules.check_binding_update,
        ),
    ),
    Resource(
        plural="clusterroles",
        kind="ClusterRole",
        group="rbac.authorization.k8s.io",
        columns=rbac_columns.ROLE,
        namespaced=False,
        name_rule=rbac_rules.path_segment,
        behaviour=Behaviour(validate=rbac_rules.check_cluster_role),
    ),
    Resource(
        plural="rolebindings",
        kind="RoleBinding",
        group="rbac.authorization.k8s.io",
        columns=rbac_columns.BINDING,
        name_rule=rbac_rules.path_segment,
        behaviour=Behaviour(
            default=rbac.default_binding,
            validate=rbac_rules.check_binding,
            validate_update=rbac_rules.check_binding_update,
        ),
    ),
    Resource(
        plural="roles",
        kind="Role",
        group="rbac.authorization.k8s.io",
        columns=rbac_columns.ROLE,
        name_rule=rbac_rules.path_segment,
        behaviour=Behaviour(validate=rbac_rules.check_role),
    ),
    Resource(
        plural="priorityclasses",
        kind="PriorityClass",
        group="scheduling.k8s.io",
        columns=other_columns.PRIORITY_CLASS,
        namespaced=False,
        short_names=("pc",),
        behaviour=Behaviour(
            default=policy.default_priority_class,
            validate=policy_rules.check_priority_class,
            validate_update=policy_rules.check_priority_class_update,
        ),
    ),
    Resource(
        plural="storageclasses",
        kind="StorageClass",
        group="storage.k8s.io",
        columns=other_columns.STORAGE_CLASS,
        namespaced=False,
        short_names=("sc",),
        behaviour=Behaviour(default=storage.default_storage_class, validate=storage_rules.check_storage_class),
        returns_deleted=True,
    ),
)
"""In the order in which discovery lists them: by group, then by name."""

BY_NAME: dict[str, Resource] = {resource.name: resource for resource in CATALOGUE}
"""The catalogue by plural and group, such as ``deployments.apps``."""
