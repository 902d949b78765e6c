"""What the services of the system under test have in common: how one is run, watched, and broken on purpose.

Each service is a package and an image of its own; this package is copied into the image beside it. It imports nothing
of Flametest and nothing of the services, and knows no route that a user asks for.

server          runs an application until a signal comes; a service's ``__main__`` calls it
settings        what every service reads from its environment, and how a service reads the rest
middleware      around every request: its id, the fault switch, metrics, the access log
faults          the fault switch, on a port of its own
cluster_routes  what the cluster asks: /healthz, /readyz, /metrics
dependencies    time limits on what a service depends on, and the answer while it is away
connections     a pool of PostgreSQL connections; the only module that needs psycopg
logs            logs as JSON lines, with the id of the request
"""
