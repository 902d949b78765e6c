"""Files and folders become objects as kubectl would apply them; what is none of these is left out and named."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.manifests import ManifestError, Reading, parse_manifests, placed, read_manifests

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n"
WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: "web:1"}]}
"""


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def names(reading: Reading) -> list[str]:
    return [one.name for one in reading.manifests]


def reason(reading: Reading, name: str) -> str:
    return next(one.reason for one in reading.left_out if one.name == name)


def test_objects_come_in_the_order_of_files_and_documents(tmp_path: Path) -> None:
    two = CONFIG_MAP.format(name="a") + "---\n" + CONFIG_MAP.format(name="b")
    write(tmp_path, {"20.yaml": CONFIG_MAP.format(name="c"), "10.yaml": two, "images.toml": "no = 'manifest'"})

    found = read_manifests(tmp_path)

    assert names(found) == ["a", "b", "c"]
    places = [(one.source, one.line) for one in found.manifests]
    assert places == [("10.yaml, document 1", 1), ("10.yaml, document 2", 6), ("20.yaml, document 1", 1)]
    assert not found.left_out


def test_subfolders_are_read_where_kubectl_walks_into_them(tmp_path: Path) -> None:
    write(tmp_path, {"k8s/web.yaml": WEB, "k8s/db/db.yml": CONFIG_MAP.format(name="db")})
    found = read_manifests(tmp_path / "k8s")
    assert [one.source for one in found.manifests] == ["db/db.yml, document 1", "web.yaml, document 1"]


def test_files_named_one_by_one_are_read_whatever_their_ending_and_each_once(tmp_path: Path) -> None:
    write(tmp_path, {"web": WEB, "a/map.yaml": CONFIG_MAP.format(name="a")})
    found = read_manifests(tmp_path / "web", tmp_path / "a", tmp_path / "a" / "map.yaml")
    assert sorted(names(found)) == ["a", "web"]


def test_what_others_need_to_be_admitted_comes_first(tmp_path: Path) -> None:
    account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: robot}\n"
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
    write(tmp_path, {"a.yaml": WEB, "y.yaml": account, "z.yaml": namespace})
    assert [one.kind for one in read_manifests(tmp_path).manifests] == ["Namespace", "ServiceAccount", "Deployment"]


def test_empty_documents_are_skipped_and_lists_are_taken_apart() -> None:
    items = [json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}) for name in "xy"]
    text = f"---\n---\nkind: List\napiVersion: v1\nitems:\n- {items[0]}\n- {items[1]}\n---\n"
    assert [(one.name, one.line) for one in parse_manifests(text, "a.yaml")] == [("x", 6), ("y", 7)]


@pytest.mark.parametrize(
    "content",
    [
        WEB.encode("utf-8-sig"),
        WEB.encode("utf-16"),
        b"\xfe\xff" + WEB.encode("utf-16-be"),
        WEB.replace("\n", "\r\n").encode(),
        ("--- # first\n" + WEB + "...\n").encode(),
        (WEB + "---\n# nothing but a comment\n---").encode(),
        b'\n{"apiVersion": "apps/v1",\t"kind": "Deployment", "metadata": {"name": "web"}, "spec": {}}',
        b"{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}",
        b'{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "apps/v1", "kind": "Deployment", '
        b'"metadata": {"name": "web"}}]}',
    ],
    ids=["BOM", "UTF-16", "UTF-16 BE", "CRLF", "comments", "empty end", "JSON with a tab", "flow", "JSON list"],
)
def test_files_are_read_in_every_form_that_kubectl_takes(content: bytes, tmp_path: Path) -> None:
    found = read_manifests(write(tmp_path, {"web.json": content}))
    assert [(one.kind, one.name) for one in found.manifests] == [("Deployment", "web")]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("kustomization.yaml", "resources: [web.yaml]", "kustomization"),
        ("kustomization.yml", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n", "kustomization"),
        ("other.yaml", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n", "kustomization"),
        ("values.yaml", "replicaCount: 2\nimage: {tag: '1'}\n", "no object"),
        ("patch.yaml", "- {op: add, path: /spec/replicas, value: 2}", "a JSON patch"),
        ("list.yaml", "- a\n- b\n", "a list"),
        ("text.yaml", "just a text", "no object"),
        ("empty.yaml", "# nothing\n", "empty"),
        (".web.yaml.swp", b"b0VIM\x00\xff", "swap file"),
        ("web.yaml~", WEB, "backup"),
        ("web.yaml.bak", WEB, "backup"),
        ("#web.yaml#", WEB, "an editor's file"),
        ("._web.yaml", b"\x00\x05\x16\x07\xff", "macOS"),
        ("docker-compose.yml", "services: {web: {image: web}}", "Compose"),
        (".gitlab-ci.yml", "stages: [test]\n", "CI"),
        ("template.yaml", "metadata:\n  name: {{ .Release.Name }}\n", "a template"),
        ("quoted.yaml", WEB.replace("name: web}", 'name: "{{ name }}"}', 1), "a template"),
        ("kind.yaml", "apiVersion: kind.x-k8s.io/v1alpha4\nkind: Cluster\nnodes: []\n", "without a name"),
        ("config", "", ""),
        ("tsconfig.json", '{ // comments\n "strict": true}', "neither readable nor like a manifest"),
        ("package.json", '{"name": "x"}', "no object"),
        ("playbook.yml", "- hosts: all\n", "a list"),
        ("kubeconfig.yaml", "apiVersion: v1\nkind: Config\nclusters: []\n", "a kubeconfig"),
        ("Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n", "a Helm chart"),
        ("chart/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n", "a Helm chart"),
        (".hidden/web.yaml", WEB, "hidden"),
    ],
)
def test_what_is_no_manifest_is_left_out_and_named(name: str, content: str | bytes, says: str, tmp_path: Path) -> None:
    found = read_manifests(write(tmp_path, {"web.yaml": WEB, name: content}))
    assert names(found) == ["web"]
    if says:
        assert says in reason(found, name.partition("/")[0])
    else:
        assert not found.left_out


def test_hooks_of_helm_that_are_not_for_installing_are_left_out_and_named(tmp_path: Path) -> None:
    hooks = {
        "migrate": "post-install,pre-upgrade",
        "try": "test",
        "drop": "pre-delete, post-delete",
        "old": "test-success",
    }
    rendered = "---\n".join(
        CONFIG_MAP.format(name=name) + f'  annotations: {{"helm.sh/hook": "{times}"}}\n'
        for name, times in hooks.items()
    )
    write(tmp_path, {"rendered.yaml": rendered + "---\n" + CONFIG_MAP.format(name="web")})

    found = read_manifests(tmp_path)

    assert names(found) == ["migrate", "web"]
    assert [one.name for one in found.left_out] == [
        f"ConfigMap {name} of rendered.yaml" for name in ("try", "drop", "old")
    ]
    assert reason(found, "ConfigMap drop of rendered.yaml") == (
        "a hook of Helm for pre-delete, post-delete and not for installing"
    )


def test_a_chart_is_left_out_with_its_templates(tmp_path: Path) -> None:
    chart = {"c/Chart.yaml": "apiVersion: v1\nname: c\n", "c/templates/web.yaml": WEB, "c/values.yaml": "a: 1\n"}
    found = read_manifests(write(tmp_path, {"web.yaml": WEB, **chart}))
    assert (names(found), [one.name for one in found.left_out]) == (["web"], ["c"])


def test_the_patches_of_a_kustomization_do_not_replace_the_objects_they_patch(tmp_path: Path) -> None:
    patch = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 5}\n"
    kustomization = "resources: [../base]\npatches: [{path: replicas.yaml}]\npatchesStrategicMerge: [more.yaml]\n"
    files: dict[str, str | bytes] = {"base/web.yaml": WEB, "base/kustomization.yaml": "resources: [web.yaml]"}
    files |= {"over/kustomization.yaml": kustomization, "over/replicas.yaml": patch, "over/more.yaml": patch}

    found = read_manifests(write(tmp_path, files))

    assert [one.source for one in found.manifests] == ["base/web.yaml, document 1"]
    assert "over/kustomization.yaml" in reason(found, "over/replicas.yaml")
    assert "over/kustomization.yaml" in reason(found, "over/more.yaml")


def test_lists_without_items_and_objects_whose_name_is_made_up_are_fine(tmp_path: Path) -> None:
    job = "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: seed-}\nspec: {}\n"
    empty = "apiVersion: v1\nkind: List\nitems: null\n"
    found = read_manifests(write(tmp_path, {"a.yaml": job + "---\n" + job, "b.yaml": empty, "web.yaml": WEB}))
    assert [(one.name, one.is_generated) for one in found.manifests] == [
        ("seed-", True),
        ("seed-", True),
        ("web", False),
    ]
    assert not found.notes
    assert [str(one) for one in found.left_out] == ["b.yaml (a list without items)"]


def test_of_an_object_that_stands_twice_the_last_one_counts_and_it_is_said(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": WEB, "b.yaml": WEB.replace("web:1", "web:2")})
    found = read_manifests(tmp_path)
    assert [one.source for one in found.manifests] == ["b.yaml, document 1"]
    assert found.notes == (
        "Deployment web stands in a.yaml, document 1 and in b.yaml, document 1: the last one counts",
    )


def test_of_a_key_that_stands_twice_the_last_one_counts_and_it_is_said(tmp_path: Path) -> None:
    twice = "data:\n  a: '1'\n  b: '2'\n  a: '3'\n"
    merged = "data:\n  <<: {a: '1'}\n  a: '3'\n"
    write(tmp_path, {"a.yaml": CONFIG_MAP.format(name="a") + merged + "---\n" + CONFIG_MAP.format(name="b") + twice})

    found = read_manifests(tmp_path)

    assert [one.object["data"]["a"] for one in found.manifests] == ["3", "3"]
    assert found.notes == ("key 'a' is defined twice in one mapping of a.yaml, again in line 16: the last one counts",)


def test_objects_without_a_namespace_go_to_the_one_asked_for_and_others_keep_theirs(tmp_path: Path) -> None:
    role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r, namespace: odd}\n"
    other = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: monitoring}\n"
    again = WEB.replace("{name: web}", "{name: web, namespace: shop}", 1)
    write(tmp_path, {"a.yaml": WEB, "b.yaml": role, "c.yaml": other, "d.yaml": again})

    found = placed(read_manifests(tmp_path), "shop")

    assert {(one.kind, one.namespace) for one in found.manifests} == {
        ("Deployment", "shop"),
        ("ClusterRole", ""),
        ("Secret", "monitoring"),
    }
    assert any("the last one counts" in one for one in found.notes)
    assert "1 object names namespace monitoring and goes there" in found.notes


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("a: [1, 2", "no valid YAML in line 7"),
        ("a: 1\nb: {c: d", "no valid YAML"),
        ("a:\n\tb: 1", "no valid YAML in line 8: found character that cannot start any token: a tab indents it"),
        ("a: .nan", "nan is no value in JSON"),
        ("? [a]\n: b", "what is no text cannot be a key"),
        ("a: &a [*a]", "contains itself"),
        ("just a text", "expected an object, found a str"),
        ("replicas: 2", "expected an object, found no object of Kubernetes"),
        ("kind: Service\nmetadata: {name: a}", "no apiVersion"),
        ("apiVersion: v1\nmetadata: {name: a}", "no kind"),
        ("apiVersion: v1\nkind: Service\nmetadata: {}", "the Service has no metadata.name"),
        ("apiVersion: v1\nkind: Service", "the Service has no metadata.name"),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: 12}", "the name of the Service is 12, no text"),
        ("apiVersion: v1\nkind: List\nitems: [{kind: Service, metadata: {name: a}}]", "no apiVersion"),
    ],
)
def test_a_broken_manifest_names_file_and_document(document: str, says: str, tmp_path: Path) -> None:
    write(tmp_path, {"30-api.yaml": CONFIG_MAP.format(name="fine") + "\n---\n" + document})
    with pytest.raises(ManifestError, match=rf"^30-api.yaml, document 2: .*{says}"):
        read_manifests(tmp_path)


def test_every_broken_file_is_named_at_once(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": "kind: [", "b.yaml": WEB, "c.yaml": "kind: Pod\nmetadata: {}", "d.json": '{"kind": ]'})
    with pytest.raises(ManifestError) as raised:
        read_manifests(tmp_path)
    assert "3 files" in raised.value.message
    told = zip(raised.value.details, ("a.yaml", "c.yaml", "d.json"), strict=True)
    assert all(line.startswith(f"{name}, document 1") for line, name in told)


def test_something_after_a_separator_is_refused_as_kubectl_refuses_it(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="nothing may follow the separator --- in its line"):
        read_manifests(write(tmp_path, {"a.yaml": WEB + "--- kind: Pod\n"}))


def test_a_folder_without_manifests_says_so_and_what_it_holds_instead(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"holds no manifest$"):
        read_manifests(tmp_path)
    write(tmp_path, {"values.yaml": "a: 1"})
    with pytest.raises(ManifestError, match=r"holds no manifest; left out: values\.yaml \(no object"):
        read_manifests(tmp_path)
    with pytest.raises(ManifestError, match="does not exist"):
        read_manifests(tmp_path / "absent")


def test_bytes_that_are_no_utf8_are_taken_as_kubectl_takes_them_and_it_is_said(tmp_path: Path) -> None:
    found = read_manifests(write(tmp_path, {"web.yaml": WEB.encode() + b"# gr\xfcn\n"}))
    assert names(found) == ["web"]
    assert found.notes[0].startswith("web.yaml is not all UTF-8")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match=r"a\.yaml cannot be read"):
        read_manifests(tmp_path)


def test_a_document_that_was_written_to_exhaust_memory_is_refused() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    with pytest.raises(ManifestError, match="excessive aliasing"):
        parse_manifests(bomb, "bomb.yaml")
    with pytest.raises(ManifestError, match=r"deep|nest"):
        parse_manifests("a: " + "[" * 5000, "deep.yaml")


@pytest.mark.measured
def test_many_workloads_and_a_large_map_are_read_quickly(tmp_path: Path) -> None:
    # PyYAML's own loader takes a minute for what `init` once did with the like.
    lines = "\n".join(f"    {number:06d} some text of a line, with: colons and # signs" for number in range(9_000))
    write(tmp_path, {"map.yaml": CONFIG_MAP.format(name="big") + "data:\n  text: |\n" + lines + "\n"})
    write(tmp_path, {f"{n}.yaml": WEB.replace("name: web", f"name: web-{n}", 1) for n in range(64)})
    begun = time.process_time()
    assert len(read_manifests(tmp_path).manifests) == 65
    assert time.process_time() - begun < 2


@given(st.text(alphabet="ab:-[]{}#'\"&*!|>%@`,?\n \t=~.0x1_e", max_size=60))
def test_any_text_is_read_or_refused_with_its_place(text: str) -> None:
    refusal = None
    try:
        parse_manifests(text, "any.yaml")
    except ManifestError as error:
        refusal = error
    assert refusal is None or (refusal.message.startswith("any.yaml") and refusal.remedy)


LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text()
VALUES = st.recursive(
    LEAVES | st.floats(-(2**53), 2**53),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(VALUES)
def test_an_object_in_json_comes_back_as_it_was(value: object) -> None:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "any": value}
    assert parse_manifests(json.dumps(obj), "a.json")[0].object == obj
