"""``/metrics``: what the cluster process says of itself, to those who bring the token."""

import re

from tests.apiserver.objects import config_map
from tests.apiserver.serving import Client, ServerThread
from tests.apiserver.test_apiserver_http import MAPS, Watch


def sample(client: Client, name: str) -> float:
    text = client.get("/metrics").body["text"]
    (found,) = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found)


def test_stored_objects_and_open_watches_are_counted(client: Client, server: ServerThread) -> None:
    stored, watchers = 'apiserver_storage_objects{resource="configmaps"}', "flametest_sandbox_watchers"
    objects, open_before = sample(client, stored), sample(client, watchers)
    client.post(MAPS, config_map("one"))
    assert sample(client, stored) == objects + 1
    client.call("DELETE", f"{MAPS}/one")
    assert sample(client, stored) == objects
    with Watch(server, f"{MAPS}?watch=1"):
        assert sample(client, watchers) == open_before + 1


def test_every_line_is_a_comment_or_a_sample(client: Client) -> None:
    answer = client.get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    line = re.compile(r'# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]+"\})? [\d.]+(e[+-]\d+)?')
    assert all(line.fullmatch(one) for one in answer.body["text"].splitlines())
    assert sample(client, "process_resident_memory_bytes") > 1e6
    assert sample(client, "process_open_fds") > 2


def test_nobody_reads_them_without_the_token(client: Client) -> None:
    assert client.get("/metrics", Authorization="").status == 403
