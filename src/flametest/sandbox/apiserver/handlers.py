"""The verbs over HTTP: each reads its request, calls the registry and shapes the answer.

One `Handlers` belongs to one `ApiServer`. Long answers (watches, logs, exec) are made by modules of their own.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import web

from flametest.sandbox.apiserver import answers, patching, subresources
from flametest.sandbox.apiserver.failures import bad_request, invalid, method_not_allowed, required, unsupported_media
from flametest.sandbox.apiserver.outcomes import Written
from flametest.sandbox.apiserver.podproxy import PodProxy, pod_place, service_place
from flametest.sandbox.apiserver.podstreams import stream_exec, stream_log
from flametest.sandbox.apiserver.portforward import stream_ports
from flametest.sandbox.apiserver.registry import Registry
from flametest.sandbox.apiserver.requests import (
    Form,
    Target,
    accepted_form,
    delete_options,
    is_true,
    parse_json,
    parse_object,
    parse_yaml,
    selection,
    write_options,
)
from flametest.sandbox.apiserver.tables import IncludeObject, partial_metadata, table
from flametest.sandbox.apiserver.warnings import LIMITS, warnings_for
from flametest.sandbox.apiserver.watching import stream_watch
from flametest.sandbox.objects import Object
from flametest.sandbox.podaccess import PodAccess
from flametest.sandbox.store import Record
from flametest.sandbox.tokens import ServiceAccountTokens

__all__ = ["Call", "Handlers"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request and what its path names."""

    request: web.BaseRequest
    target: Target

    @property
    def namespace(self) -> str:
        """The namespace of the path; empty for none."""
        return self.target.namespace or ""

    async def object_body(self) -> Object:
        """Return the object that the body holds."""
        return parse_object(await self.request.read(), self.request.headers.get("Content-Type", ""))

    async def optional_body(self) -> Object:
        """Return the object that the body holds, an empty one where there is no body."""
        body = await self.request.read()
        return parse_object(body, "application/json") if body.strip() else {}

    def form(self) -> Form:
        """Return the form in which the client wants objects."""
        return accepted_form(self.request.headers.get("Accept", ""))

    def include(self) -> IncludeObject:
        """Return what rows of a table carry of their objects."""
        wanted = self.request.query.get("includeObject") or "Metadata"
        if wanted not in ("None", "Metadata", "Object"):
            raise bad_request(f"unrecognized includeObject value: {wanted!r}")
        return cast("IncludeObject", wanted)


class Handlers:
    """Answers requests for resources."""

    def __init__(
        self,
        registry: Registry,
        pod_access: PodAccess | None,
        tokens: ServiceAccountTokens,
        *,
        limits_enforced: bool,
    ) -> None:
        self._registry = registry
        self._unenforced = {} if limits_enforced else LIMITS
        self._tokens = tokens
        self._pod_access = pod_access
        self._proxy = PodProxy()
        self._rng = random.Random()  # noqa: S311 - a choice of endpoints, not a secret

    async def close(self) -> None:
        """End the connections to pods."""
        await self._proxy.close()

    async def handle(self, call: Call) -> web.StreamResponse:
        """Answer a request.

        Raises:
            StatusError: whatever is wrong with it.
        """
        target, method = call.target, call.request.method
        if target.subresource:
            return await self._subresource(call)
        if target.name:
            verbs = {"GET": self._get, "PUT": self._replace, "PATCH": self._patch, "DELETE": self._delete}
        else:
            verbs = {"GET": self._list, "POST": self._create, "DELETE": self._delete_collection}
            if target.resource.namespaced and target.namespace is None:
                verbs = {"GET": self._list}
            elif target.resource.kind == "Namespace":
                del verbs["DELETE"]
        if target.resource.is_read_only:
            verbs = {"GET": verbs["GET"]}
        verb = verbs.get("GET" if method == "HEAD" else method)
        if verb is None:
            raise method_not_allowed()
        return await verb(call)

    def _shaped(self, call: Call, record: Record, status: int = 200, warnings: list[str] | None = None) -> web.Response:
        form = call.form()
        if form == "object":
            return answers.answer_bytes(call.target.resource.shown(record.data), status, warnings or ())
        obj = record.load()
        if form == "metadata":
            return answers.answer(partial_metadata(obj), status, warnings or ())
        metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        shown = table(call.target.resource, [obj], metadata, call.include(), self._registry.clock())
        return answers.answer(shown, status, warnings or ())

    async def _get(self, call: Call) -> web.StreamResponse:
        target = call.target
        if is_true(call.request.query, "watch"):
            return await stream_watch(self._registry, call.request, target, call.form(), call.include())
        return self._shaped(call, self._registry.record(target.resource, call.namespace, target.name))

    async def _list(self, call: Call) -> web.StreamResponse:
        target, query = call.target, call.request.query
        form = call.form()
        if is_true(query, "watch"):
            return await stream_watch(self._registry, call.request, target, form, call.include())
        listing = self._registry.select(target.resource, target.namespace, selection(query, target.resource))
        if form == "object":
            return answers.answer_bytes(answers.list_bytes(target.resource, listing))
        metadata = answers.list_metadata(listing)
        objects = (record.load() for record in listing.records)
        if form == "table":
            return answers.answer(table(target.resource, objects, metadata, call.include(), self._registry.clock()))
        shown = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
        return answers.answer({**shown, "items": [partial_metadata(obj) for obj in objects]})

    def _written(self, call: Call, written: Written) -> web.Response:
        warnings = written.warnings
        if not call.target.subresource:
            warnings = warnings + warnings_for(call.target.resource, written.record.load(), self._unenforced)
        return self._shaped(call, written.record, 201 if written.created else 200, warnings)

    async def _create(self, call: Call) -> web.StreamResponse:
        obj = await call.object_body()
        options = write_options(call.request.query, call.request.headers.get("User-Agent", ""))
        return self._written(call, self._registry.add(call.target.resource, call.namespace, obj, options))

    async def _replace(self, call: Call) -> web.StreamResponse:
        obj = await call.object_body()
        options = write_options(call.request.query, call.request.headers.get("User-Agent", ""))
        status = call.target.subresource == "status"
        name = call.target.name
        written = self._registry.replace(call.target.resource, call.namespace, name, obj, options, status=status)
        return self._written(call, written)

    async def _patch(self, call: Call) -> web.StreamResponse:
        target = call.target
        status = target.subresource == "status"
        options = write_options(call.request.query, call.request.headers.get("User-Agent", ""))
        body = await call.request.read()
        if _media_type(call.request) != "application/apply-patch+yaml":
            edit = self._editor(call, body)
            change = self._registry.change
            return self._written(
                call, change(target.resource, call.namespace, target.name, edit, options, status=status)
            )
        if not call.request.query.get("fieldManager"):
            raise invalid("PatchOptions", "meta.k8s.io", "", [required("fieldManager", "is required for apply patch")])
        config = parse_yaml(body)
        if not isinstance(config, dict):
            raise bad_request("an applied configuration has to be an object")
        if status:
            # Nobody shares a status here, so applying one is merging it.
            edit = _merging(config)
            return self._written(
                call, self._registry.change(target.resource, call.namespace, target.name, edit, options, status=True)
            )
        force = is_true(call.request.query, "force")
        apply = self._registry.apply
        return self._written(call, apply(target.resource, call.namespace, target.name, config, options, force=force))

    @staticmethod
    def _editor(call: Call, body: bytes) -> Callable[[Object], Object]:
        """Return what applies the patch of a request to an object."""
        media_type = _media_type(call.request)
        resource = call.target.resource
        if media_type not in (taken := patching.patch_types(resource)):
            raise unsupported_media(taken)
        patch = parse_json(body)
        if media_type == "application/json-patch+json":
            return lambda obj: patching.json_patch(obj, patch)
        if not isinstance(patch, dict):
            raise bad_request("error decoding patch: it has to be an object")
        if media_type == "application/merge-patch+json" or call.target.subresource == "scale":
            return _merging(patch)
        return lambda obj: patching.strategic_merge_patch(obj, patch, resource.type)

    async def _delete(self, call: Call) -> web.StreamResponse:
        target = call.target
        options = delete_options(call.request.query, await call.optional_body())
        deleted = self._registry.erase(target.resource, call.namespace, target.name, options)
        if target.resource.returns_deleted or not deleted.gone:
            return self._shaped(call, deleted.record)
        uid = deleted.record.load()["metadata"]["uid"]
        details = {"name": target.name, "kind": target.resource.plural, "uid": uid}
        if target.resource.group:
            details["group"] = target.resource.group
        return answers.success(details)

    async def _delete_collection(self, call: Call) -> web.StreamResponse:
        target, query = call.target, call.request.query
        options = delete_options(query, await call.optional_body())
        listing = self._registry.select(target.resource, target.namespace, selection(query, target.resource))
        for record in listing.records:
            metadata = record.load()["metadata"]
            # Deleting one object may have taken another along.
            if self._registry.store.get(target.resource.stored_name, (call.namespace, metadata["name"])) is not None:
                self._registry.erase(target.resource, call.namespace, metadata["name"], options)
        return answers.answer_bytes(answers.list_bytes(target.resource, listing))

    async def _subresource(self, call: Call) -> web.StreamResponse:
        name, method = call.target.subresource, call.request.method
        if name == "proxy":
            return await self._forward(call)
        known: dict[tuple[str, str], Callable[[Call], Any]] = {
            ("status", "GET"): self._get,
            ("status", "PUT"): self._replace,
            ("status", "PATCH"): self._patch,
            ("scale", "GET"): self._get_scale,
            ("scale", "PUT"): self._put_scale,
            ("scale", "PATCH"): self._patch_scale,
            ("binding", "POST"): self._bind,
            ("eviction", "POST"): self._evict,
            ("token", "POST"): self._issue_token,
            ("log", "GET"): self._log,
            ("exec", "GET"): self._exec,
            ("exec", "POST"): self._exec,
            ("portforward", "GET"): self._forward_ports,
            ("portforward", "POST"): self._forward_ports,
        }
        handler = known.get((name, method))
        if handler is None:
            raise method_not_allowed()
        response: web.StreamResponse = await handler(call)
        return response

    async def _get_scale(self, call: Call) -> web.StreamResponse:
        record = self._registry.record(call.target.resource, call.namespace, call.target.name)
        return answers.answer(subresources.scale_of(record.load()))

    async def _put_scale(self, call: Call) -> web.StreamResponse:
        body = await call.object_body()
        return self._scaled(call, lambda _: body)

    async def _patch_scale(self, call: Call) -> web.StreamResponse:
        return self._scaled(call, self._editor(call, await call.request.read()))

    def _scaled(self, call: Call, edit: Callable[[Object], Object]) -> web.Response:
        options = write_options(call.request.query, call.request.headers.get("User-Agent", ""))
        target = call.target
        change = subresources.change_scale
        return answers.answer(
            change(self._registry, target.resource, call.namespace, target.name, edit, options=options)
        )

    async def _bind(self, call: Call) -> web.StreamResponse:
        subresources.bind(self._registry, call.namespace, call.target.name, await call.object_body())
        return answers.success(status=201)

    async def _evict(self, call: Call) -> web.StreamResponse:
        body = await call.object_body()
        asked = body.get("deleteOptions")
        options = delete_options(call.request.query, asked if isinstance(asked, dict) else {})
        subresources.evict(self._registry, call.namespace, call.target.name, options)
        return answers.success(status=201)

    async def _issue_token(self, call: Call) -> web.StreamResponse:
        issued = subresources.issue_token(
            self._registry, call.namespace, call.target.name, await call.object_body(), self._tokens
        )
        return answers.answer(issued, 201)

    async def _forward(self, call: Call) -> web.StreamResponse:
        namespace, name = call.namespace, call.target.name
        if call.target.resource.kind == "Pod":
            place = pod_place(self._registry, namespace, name)
        else:
            place = service_place(self._registry, namespace, name, self._rng)
        return await self._proxy.forward(call.request, place)

    async def _forward_ports(self, call: Call) -> web.StreamResponse:
        return await stream_ports(self._registry, call.request, call.namespace, call.target.name)

    async def _log(self, call: Call) -> web.StreamResponse:
        return await stream_log(self._registry, self._pod_access, call.request, call.namespace, call.target.name)

    async def _exec(self, call: Call) -> web.StreamResponse:
        return await stream_exec(self._registry, self._pod_access, call.request, call.namespace, call.target.name)


def _media_type(request: web.BaseRequest) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip()


def _merging(patch: Object) -> Callable[[Object], Object]:
    return lambda obj: cast("Object", patching.merge_patch(obj, patch))
