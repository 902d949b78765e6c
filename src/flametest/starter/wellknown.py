"""Programs that many systems are made of, told by the names of their images and by their ports. Pure.

An image is told by the last part of its name without the tag, as a whole: ``postgres-exporter`` is no ``postgres``.
Ports: https://www.iana.org/assignments/service-names-port-numbers and the programs' own documentation.
"""

from enum import StrEnum

__all__ = ["Purpose", "is_console_image", "purpose_of_image", "purpose_of_name", "purpose_of_port"]


class Purpose(StrEnum):
    """What a well-known program is for."""

    STORE = "store"
    CACHE = "cache"
    BROKER = "broker"
    GENERATOR = "generator"
    OBSERVER = "observer"


_IMAGES = {
    Purpose.STORE: "postgres postgresql postgis timescaledb timescaledb-ha pgvector mysql mysql-server mariadb "
    "mariadb-galera percona percona-server mongo mongodb mongodb-community-server cassandra scylla elasticsearch "
    "opensearch couchdb couchbase influxdb cockroach etcd zookeeper cp-zookeeper neo4j minio clickhouse "
    "clickhouse-server arangodb rethinkdb dgraph yugabyte tidb mssql-server server-mssql azure-sql-edge db2 "
    "oracle-xe oracle-free solr vault consul dynamodb-local firebird questdb weaviate qdrant milvus meilisearch "
    "typesense redis-cluster spilo citus immudb foundationdb",
    Purpose.CACHE: "redis redis-stack redis-stack-server redis-server valkey keydb memcached dragonfly hazelcast "
    "ignite redis-sentinel",
    Purpose.BROKER: "rabbitmq rabbitmq-server kafka cp-kafka cp-server redpanda nats nats-streaming activemq "
    "activemq-classic activemq-artemis artemis pulsar mosquitto eclipse-mosquitto emqx vernemq hivemq4 nsqd "
    "rocketmq beanstalkd elasticmq",
    Purpose.GENERATOR: "locust k6 loadgenerator loadgen load-generator load-gen load-test loadtest jmeter gatling "
    "vegeta hey wrk wrk2 siege ab bombardier fortio artillery load-generator-service traffic-generator trafficgen",
    Purpose.OBSERVER: "prometheus alertmanager grafana jaeger all-in-one jaeger-all-in-one jaeger-agent "
    "jaeger-collector jaeger-query zipkin zipkin-slim opentelemetry-collector opentelemetry-collector-contrib "
    "opentelemetry-collector-k8s otelcol otel-collector fluentd fluent-bit fluentd-kubernetes-daemonset logstash "
    "filebeat metricbeat heartbeat apm-server kibana loki promtail tempo mimir node-exporter kube-state-metrics "
    "cadvisor pushgateway blackbox-exporter statsd-exporter postgres-exporter postgres_exporter mysqld-exporter "
    "redis_exporter redis-exporter mongodb-exporter mongodb_exporter kafka-exporter nginx-prometheus-exporter "
    "thanos victoria-metrics vmagent telegraf datadog-agent agent-datadog newrelic-infrastructure vector "
    "skywalking-oap-server skywalking-ui metrics-server kiali pixie collector opensearch-dashboards chronograf",
}
_BY_IMAGE = {name: purpose for purpose, names in _IMAGES.items() for name in names.split()}

# Consoles of stores and brokers, for those who run a system: they are asked by people, and are not what it is for.
_CONSOLES = (
    "adminer phpmyadmin pgadmin4 mongo-express redis-commander redisinsight kafka-ui kafdrop akhq cloudbeaver dbgate "
    "mailhog mailpit maildev portainer portainer-ce kubernetes-dashboard sqlpad flower rabbitmq-exporter"
)

_PORTS = {
    Purpose.STORE: (5432, 3306, 33060, 27017, 27018, 9042, 5984, 2379, 2181, 7687, 1433, 1521, 26257, 28015, 8529),
    Purpose.CACHE: (6379, 11211),
    Purpose.BROKER: (5672, 5671, 9092, 4222, 1883, 8883, 61616, 6650, 4150),
}
_BY_PORT = {port: purpose for purpose, ports in _PORTS.items() for port in ports}

# What the last word of a workload's name means: `redis-exporter` is an exporter, `db-migrate` neither.
_WORDS = {
    Purpose.STORE: "db database postgres postgresql pg mysql mariadb mongo mongodb cassandra elasticsearch etcd "
    "zookeeper minio datastore couchdb influxdb neo4j cockroachdb sqlserver mssql",
    Purpose.CACHE: "redis valkey memcached memcache cache",
    Purpose.BROKER: "rabbitmq kafka nats activemq mosquitto mqtt broker queue mq",
    Purpose.GENERATOR: "load loadgen loadgenerator loadtest locust k6 trafficgen",
    Purpose.OBSERVER: "prometheus grafana jaeger zipkin otel otelcol exporter fluentd fluentbit promtail loki kibana "
    "alertmanager",
}
_BY_WORD = {word: purpose for purpose, words in _WORDS.items() for word in words.split()}
_PAIRS = {("load", "generator"), ("load", "gen"), ("load", "test"), ("traffic", "generator"), ("load", "tester")}
# What stands behind the word and leaves the meaning as it is.
_SUFFIXES = (
    "primary master leader replica slave server service svc deployment deploy statefulset set node main standalone "
    "single cluster headless ss sts pod"
)


def purpose_of_image(image: str) -> Purpose | None:
    """Return what the program of an image is for; None of one that is not known."""
    name = _program(image)
    if name == "server" and "mssql" in image:  # mcr.microsoft.com/mssql/server
        return Purpose.STORE
    return _BY_IMAGE.get(name)


def is_console_image(image: str) -> bool:
    """Return whether an image is a console of a store or a broker."""
    return _program(image) in _CONSOLES.split()


def _program(image: str) -> str:
    return image.partition("@")[0].rsplit("/", maxsplit=1)[-1].partition(":")[0].lower()


def purpose_of_port(port: int) -> Purpose | None:
    """Return what programs are for that listen on a port by convention; None where there is no such convention."""
    return _BY_PORT.get(port)


def purpose_of_name(name: str) -> Purpose | None:
    """Return what a workload is for by its name, such as ``orders-db``; None where that does not tell."""
    words = [word for word in name.lower().replace("_", "-").replace(".", "-").split("-") if word]
    while len(words) > 1 and (words[-1] in _SUFFIXES.split() or words[-1].isdigit()):
        words.pop()
        if words[-1] == "queue":  # a queue's master may be its reader
            return None
    if tuple(words[-2:]) in _PAIRS:
        return Purpose.GENERATOR
    return _BY_WORD.get(words[-1]) if words else None
