"""ControllerRevisions: the templates that a StatefulSet or DaemonSet has had, so that a rollout knows old from new.

Pure functions, by the rules of the real controllers (k8s.io/kubernetes, pkg/controller/history). `kubectl rollout
history` and `kubectl rollout undo` read what is written here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flametest.sandbox.controllers.changes import Change, Create, Delete, Update
from flametest.sandbox.controllers.hashing import same_template, template_hash
from flametest.sandbox.controllers.metadata import controller_reference, reference_of
from flametest.sandbox.labels import labels_of
from flametest.sandbox.objects import Object

__all__ = ["History", "history_of"]

_HASH_LABEL = "controller.kubernetes.io/hash"


@dataclass(frozen=True, slots=True)
class History:
    """The revisions of an object.

    Attributes:
        current: the name of the revision that was last rolled out in full.
        update: the name of the revision of the present template.
        templates: pod templates by the name of their revision.
        changes: what makes, renumbers and forgets ControllerRevisions.
        is_first: whether there was none before.
    """

    current: str
    update: str
    templates: Mapping[str, Mapping[str, Any]]
    changes: tuple[Change, ...]
    is_first: bool

    def template(self, revision: str) -> Mapping[str, Any]:
        """Return the pod template of a revision; that of the present one where the revision is lost."""
        return self.templates.get(revision) or self.templates[self.update]


def history_of(owner: Object, revisions: Sequence[Object], resource: str) -> History:
    """Return the revisions of ``owner``, whose present template may be a new one, an old one again, or the newest."""
    ordered = sorted(revisions, key=lambda each: (each["revision"], each["metadata"]["name"]))
    template = owner["spec"]["template"]
    following = ordered[-1]["revision"] + 1 if ordered else 1
    same = [each for each in ordered if same_template(_template_of(each), template)]
    changes: list[Change] = []
    if not same:
        update = _revision(owner, following)
        changes.append(Create(resource, update))
    else:
        update = same[-1]
        if update is not ordered[-1]:
            changes.append(Update(resource, {**update, "revision": following}))
    name = update["metadata"]["name"]
    current = (owner.get("status") or {}).get("currentRevision") or name
    changes += _forgotten(owner, ordered, {name, current}, resource)
    templates = {each["metadata"]["name"]: _template_of(each) for each in ordered}
    return History(current, name, {**templates, name: template}, tuple(changes), not ordered)


def _template_of(revision: Object) -> Mapping[str, Any]:
    found = revision["data"]["spec"]["template"]
    return {key: value for key, value in found.items() if key != "$patch"}


def _revision(owner: Object, number: int) -> Object:
    metadata, template = owner["metadata"], owner["spec"]["template"]
    digest = template_hash(template)
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{metadata['name']}-{digest}",
            "namespace": metadata["namespace"],
            "labels": {**labels_of(template), _HASH_LABEL: digest},
            "ownerReferences": [controller_reference(owner)],
        },
        "data": {"spec": {"template": {**template, "$patch": "replace"}}},
        "revision": number,
    }


def _forgotten(owner: Object, ordered: Sequence[Object], live: set[str], resource: str) -> list[Change]:
    limit = owner["spec"].get("revisionHistoryLimit")
    dead = [each for each in ordered if each["metadata"]["name"] not in live]
    surplus = max(len(dead) - (10 if limit is None else int(limit)), 0)
    return [Delete(reference_of(resource, each), each["metadata"]["uid"]) for each in dead[:surplus]]
