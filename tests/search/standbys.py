"""Systems of web servers whose smallest breaking sets are known: a front that asks a primary, then its standbys."""

from pathlib import Path

__all__ = ["write_project"]

FRONT = """\
apiVersion: v1
kind: ConfigMap
metadata: {{name: front, labels: {{app: front}}}}
data:
  nginx.conf: |
    daemon off;
    worker_processes 1;
    pid /tmp/nginx.pid;
    error_log stderr warn;
    events {{ worker_connections 512; }}
    http {{
      client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
      uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
      access_log off;
      upstream backends {{
{servers}
      }}
      server {{
        listen 8080;
        # A connection for each request: one that is kept outlives the Service that it was made by.
        proxy_http_version 1.1;
        proxy_set_header Connection close;
        proxy_connect_timeout 200ms;
        proxy_read_timeout {read_timeout_ms}ms;
        proxy_next_upstream error timeout;
        location / {{ proxy_pass http://backends; }}
      }}
      server {{ listen 8081; location / {{ return 200 ok; }} }}
    }}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: front, labels: {{app: front}}}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: front}}}}
  template:
    metadata: {{labels: {{app: front}}}}
    spec:
      terminationGracePeriodSeconds: 10
      containers:
      - name: nginx
        image: nginx:1.29
        command: [nginx, -c, /etc/front/nginx.conf]
        ports: [{{name: http, containerPort: 8080}}, {{name: health, containerPort: 8081}}]
        readinessProbe: {{httpGet: {{path: /, port: 8081}}, periodSeconds: 1}}
        lifecycle: {{preStop: {{sleep: {{seconds: 2}}}}}}
        volumeMounts: [{{name: config, mountPath: /etc/front}}]
      volumes: [{{name: config, configMap: {{name: front}}}}]
---
apiVersion: v1
kind: Service
metadata: {{name: front, labels: {{app: front}}}}
spec: {{type: NodePort, selector: {{app: front}}, ports: [{{port: 80, targetPort: http, nodePort: 30080}}]}}
"""
BACKEND = """\
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers:
      - name: nginx
        image: nginx:1.29
        ports: [{{containerPort: 80}}]
        readinessProbe: {{httpGet: {{path: /, port: 80}}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec: {{selector: {{app: {name}}}, ports: [{{port: 80}}]}}
"""
NAMES = ("primary", "standby", "reserve")


def write_project(root: Path, backends: int, read_timeout_ms: int = 500) -> None:
    """Write the manifests of a system in which each backend stands in for those before it."""
    names = NAMES[:backends]
    places = ["", *(" backup" for _ in names[1:])]
    lines = [
        f"        server {name}.standbys.svc.cluster.local:80 max_fails=0{place};"
        for name, place in zip(names, places, strict=True)
    ]
    namespace = (
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: standbys, labels: {flametest.dev/faults: allowed}}\n---\n"
    )
    text = FRONT.format(servers="\n".join(lines), read_timeout_ms=read_timeout_ms)
    text += "".join(BACKEND.format(name=name) for name in names)
    folder = root / "manifests"
    folder.mkdir(parents=True)
    (folder / "system.yaml").write_text(
        namespace + text.replace("metadata: {name:", "metadata: {namespace: standbys, name:")
    )
