"""Hosts are found where hosts stand in values, commands and files, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.starter.hostkeys import is_host_key, is_own_address
from flametest.starter.hosts import Place, hosts_in_command, hosts_in_file, hosts_in_value


def in_value(key: str, text: str) -> set[str]:
    return {one.host for one in hosts_in_value(key, text)}


def in_command(text: str, *places: Place) -> set[str]:
    return {one.host for one in hosts_in_command(text) if one.place in (places or tuple(Place))}


def in_file(text: str, name: str = "app.conf") -> set[str]:
    return {one.host for one in hosts_in_file(name, text)}


@pytest.mark.parametrize(
    ("key", "text", "hosts"),
    [
        ("A_URL", "http://db", {"db"}),
        ("ANY", "postgresql+asyncpg://user:p%40ss@db:5432/shop?sslmode=disable", {"db"}),
        ("ANY", "mongodb://user:pw@db-0.db:27017,db-1.db:27017/?replicaSet=rs", {"db-0.db", "db-1.db"}),
        ("ANY", "amqp://guest:p@ss@broker//", {"broker"}),
        ("ANY", "jdbc:sqlserver://db:1433;databaseName=shop", {"db"}),
        ("ANY", "jdbc:oracle:thin:@//db:1521/shop", {"db"}),
        ("ANY", "root:pw@tcp(db:3306)/shop", {"db"}),
        ("ANY", "user:pw@db/shop", {"db"}),
        ("ANY", "Server=db,1433;Database=shop;User Id=sa;", {"db"}),
        ("ANY", "cache:6379", {"cache"}),
        (
            "KAFKA_BROKERS",
            "PLAINTEXT://kafka-0.kafka:9092,PLAINTEXT://kafka-1.kafka:9092",
            {"kafka-0.kafka", "kafka-1.kafka"},
        ),
        ("MEMCACHED_SERVERS", "a:11211, b:11211", {"a", "b"}),
        ("NODES", '["a","b"]', {"a", "b"}),
        ("redisHost", "cache", {"cache"}),
        ("DB_HOST_1", "db", {"db"}),
        ("PGHOST", "db.shop.svc.cluster.local", {"db.shop.svc.cluster.local"}),
        ("DB_HOST", "db.", {"db"}),
        ("SETTINGS", '{"database": {"host": "db", "port": 5432}}', {"db"}),
    ],
)
def test_a_value_names_the_hosts_that_stand_as_such(key: str, text: str, hosts: set[str]) -> None:
    assert in_value(key, text) == hosts


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("DB_USER", "db"),
        ("DB_NAME", "db"),
        ("NAME", "db"),
        ("IMAGE", "registry/db:16"),
        ("VERSION", "db:1.16"),
        ("PATH_TO", "/var/lib/db:/etc/db"),
        ("FILE_URL", "file:///db"),
        ("BUCKET", "s3://db/backups"),
        ("GREETING", "we ask db for it"),
        ("ADMIN_EMAIL", "root@db"),
        ("CORS_ORIGIN", "http://db"),
        ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://db:9092"),
        ("CACHE_BACKEND", "redis"),
        ("TIME", "12:30:45"),
        ("SCOPE", "npm @scope/db"),
        ("DIGEST", "shop@sha256:00ff"),
    ],
)
def test_a_value_that_only_looks_like_a_host_names_none(key: str, text: str) -> None:
    assert in_value(key, text) == set()


@pytest.mark.parametrize(
    "command",
    [
        "until nc -z db 5432; do sleep 1; done",
        "while ! nc -w 2 -z db 5432; do sleep 1; done",
        "./wait-for-it.sh db:5432 -- python app.py",
        "/scripts/wait-for db:5432",
        "until nslookup db; do sleep 1; done",
        "until getent hosts db; do sleep 1; done",
        "until pg_isready -h db -p 5432; do sleep 1; done",
        "mysql -hdb -uroot",
        "redis-cli -h db ping",
        "curl -sf http://db/health",
        "curl -fsS --retry 5 db/health",
        "(echo > /dev/tcp/db/5432) 2>/dev/null",
        "dockerize -wait tcp://db:5432 -timeout 60s",
        "server --database-host db --log-level info",
        "server --database-host=db",
        "server --db-url postgres://db/shop",
        "python -c \"import socket; socket.create_connection(('db', 5432))\"",
    ],
)
def test_a_command_names_what_it_is_told_to_reach(command: str) -> None:
    assert "db" in in_command(command)


@pytest.mark.parametrize(
    "command",
    [
        "server --log-name db --user=db --file /etc/db/db.yaml",
        "echo waiting for db",
        "# nc -z db 5432\nexec server",
        "server --config=db",
        "pg_dump --dbname db",
        "rm -rf /var/db; mkdir db",
    ],
)
def test_a_command_that_only_names_something_like_it_names_no_host(command: str) -> None:
    assert "db" not in in_command(command)


def test_an_own_host_of_a_server_is_less_certain_than_that_of_another_part() -> None:
    assert in_command("server --host db", Place.SETTING) == set()
    assert in_command("server --store-host db", Place.SETTING) == {"db"}


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("upstream pool {\n  server db:80;\n  server other;\n}\nproxy_pass http://pool;", {"db", "other"}),
        ("location / { fastcgi_pass db:9000; }", {"db"}),
        ("spring.redis.host=db\n", {"db"}),
        ("redis:\n  host: db  # the cache\n", {"db"}),
        ("<host>db</host>", {"db"}),
        ('endpoint = "db:80"', {"db"}),
        ("replicaof db-0.db 6379", {"db-0.db"}),
        ("targets: ['db:80', 'other:81']", {"db", "other"}),
        ("# host: db\n// host: db\n; host = db\n/* host: db\n host: db */\nname: db", set()),
        ("<!-- http://db -->\nserver_name db;\naccess_log /var/log/db.log;", set()),
        ("database: db\nuser: db\nlocation /db/ { }", set()),
    ],
)
def test_a_file_names_the_hosts_of_its_settings_and_not_those_of_its_comments(text: str, hosts: set[str]) -> None:
    assert in_file(text) == hosts


@pytest.mark.parametrize("name", ["README.md", "index.html", "seed.sql"])
def test_a_text_for_people_or_browsers_names_none(name: str) -> None:
    assert in_file("It once asked http://db/.", name) == set()


@pytest.mark.parametrize("key", ["DB_HOST", "dbHost", "db-url", "SPRING_DATASOURCE_URL", "PGHOST", "REDIS_ADDR_2"])
def test_a_key_that_asks_for_a_host_is_told_by_its_last_word(key: str) -> None:
    assert is_host_key(key)
    assert not is_own_address(key)


@pytest.mark.parametrize("key", ["DB_HOST_PORT", "URL_PREFIX", "HOST_NAME_LENGTH", "NODE_ENV", "SERVER_PORT", ""])
def test_a_key_that_asks_for_something_of_a_host_asks_for_no_host(key: str) -> None:
    assert not is_host_key(key)


@given(text=st.text(st.sampled_from("ab./:@-=\"' \n(){};,#*01$_<>"), max_size=200), key=st.sampled_from(["A", "A_URL"]))
def test_whatever_a_text_is_hosts_are_names_and_ports_numbers(text: str, key: str) -> None:
    for one in (*hosts_in_value(key, text), *hosts_in_command(text), *hosts_in_file("a.conf", text)):
        assert one.host
        assert set(one.host) <= set("ab.-01")
        assert one.port >= 0
