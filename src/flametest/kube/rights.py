"""Rights: what one may do to which kind of object, and whether the context's user may.

A `Right` is what a rule of a Role grants. `lacking` asks for each one by a SelfSubjectAccessReview, which every user
may send: https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from flametest.kube.api import Api
from flametest.kube.resources import Resource

__all__ = ["Right", "lacking", "rights"]

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one kind of object.

    Attributes:
        plural: the kind, such as ``pods``.
        subresource: such as ``exec``; empty for the objects themselves.
        verb: such as ``get``, ``list``, ``create``.
        group: the API group; empty for the core one.
        everywhere: in all namespaces, or of a kind that is in none.
        namespace: where, if not everywhere; empty for the namespace of the system.
        name: of the one object that it is for; empty for all of the kind.
    """

    plural: str
    subresource: str
    verb: str
    group: str = ""
    everywhere: bool = False
    namespace: str = ""
    name: str = ""

    @property
    def resource(self) -> str:
        """Return the resource as a rule of a Role names it, such as ``pods/exec``."""
        return f"{self.plural}/{self.subresource}" if self.subresource else self.plural

    @property
    def objects(self) -> str:
        """Return what it is a right to, for people, such as ``deployments.apps`` or ``nodes in the whole cluster``."""
        kind = f"{self.resource}.{self.group}" if self.group else self.resource
        kind += f" {self.name!r}" if self.name else ""
        if self.everywhere:
            return f"{kind} in the whole cluster"
        return f"{kind} in namespace {self.namespace!r}" if self.namespace else kind

    def __str__(self) -> str:
        return f"{self.verb} {self.objects}"


def rights(
    resource: Resource, *verbs: str, subresource: str = "", everywhere: bool = False, name: str = ""
) -> tuple[Right, ...]:
    """Return the right to do each of ``verbs`` to a kind of object or a subresource of it, or to the one of a name."""
    group = resource.api_version.rpartition("/")[0]
    everywhere = everywhere or not resource.namespaced
    return tuple(Right(resource.plural, subresource, verb, group, everywhere, name=name) for verb in verbs)


def lacking(api: Api, wanted: Iterable[Right], namespace: str) -> list[Right]:
    """Return those rights that the context's user does not have, in their order; ``namespace`` is the system's.

    Raises:
        KubeError: the API is unreachable or refused the question.
    """
    return [right for right in wanted if not _may(api, right, namespace)]


def _may(api: Api, right: Right, namespace: str) -> bool:
    attributes = {
        "namespace": "" if right.everywhere else right.namespace or namespace,
        "verb": right.verb,
        "group": right.group,
        "resource": right.plural,
        "subresource": right.subresource,
        "name": right.name,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
    }
    return bool(api.send("POST", _REVIEWS, body).get("status", {}).get("allowed"))
