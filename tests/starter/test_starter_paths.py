"""Which path needs which part: by Ingress rules, by what an nginx sends on, and by who needs whom."""

import pytest

from flametest.starter.paths import telling_paths, user_paths
from flametest.starter.topology import Topology
from tests.starter.systems import Object, container, service, topology_of, workload

NGINX = """
events {}
http {
    upstream orders { zone orders 64k; server orders.shop.svc.cluster.local:80 resolve; }
    server {
        listen 8080;
        # location /old { proxy_pass http://web; }
        location / { proxy_pass http://web; }
        location ^~ /orders/ {
            proxy_set_header Host $host;
            proxy_pass http://orders/v1/;
        }
        location ~ ^/pay(/|$) { proxy_pass http://pay.shop:8080; }
        location = /healthz { return 200; }
        location @away { proxy_pass http://elsewhere.example; }
        location /ads { proxy_pass $target; }
    }
}
"""


def proxied(text: str = NGINX) -> Topology:
    """Return nginx in front of three services, of which one needs another."""
    volumes = [{"name": "conf", "configMap": {"name": "conf"}}]
    mounts = [{"name": "conf", "mountPath": "/etc/nginx/conf.d"}]
    front = workload(
        "front", "Deployment", container("front", volumeMounts=mounts, readinessProbe=None), pod={"volumes": volumes}
    )
    config: Object = {"kind": "ConfigMap", "metadata": {"name": "conf"}, "data": {"default.conf": text}}
    orders = workload("orders", "Deployment", container("orders", env=[{"name": "PAY", "value": "http://pay:8080"}]))
    parts = [one for name in ("web", "pay") for one in (workload(name), service(name))]
    return topology_of(front, service("front", type="NodePort"), config, orders, service("orders"), *parts)


def path_of(topology: Topology, name: str, *paths: str) -> str:
    (found,) = [one for one in topology.system.workloads if one.name == name]
    return telling_paths(topology, paths or user_paths(topology)).get(str(found), "")


def test_what_an_nginx_sends_on_is_what_users_can_ask_for() -> None:
    assert user_paths(proxied()) == ("/", "/orders/", "/pay")


@pytest.mark.parametrize(("name", "path"), [("front", "/"), ("web", "/"), ("orders", "/orders/"), ("pay", "/pay")])
def test_the_path_is_the_one_that_leads_to_the_part(name: str, path: str) -> None:
    assert path_of(proxied(), name) == path


def test_a_path_below_another_one_goes_its_way_and_may_need_more_behind() -> None:
    topology = proxied()
    assert path_of(topology, "pay", "/", "/orders/7") == "/orders/7"
    assert path_of(topology, "orders", "/", "/ordersome") == ""
    assert path_of(topology, "pay", "/") == ""


def test_without_any_rule_the_entry_leads_to_all_that_it_needs() -> None:
    ports = [{"port": 8080, "targetPort": "http"}]
    front = workload("front", "Deployment", container("front", env=[{"name": "BACK", "value": "http://back:8080/x"}]))
    topology = topology_of(front, service("front", type="NodePort"), workload("back"), service("back", ports=ports))
    assert path_of(topology, "back", "/any") == "/any"
