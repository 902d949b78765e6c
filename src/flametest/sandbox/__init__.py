"""An embedded Kubernetes for one Linux machine: the API, the controllers, and pods that are real processes.

It imports nothing else of Flametest. `cluster.py` holds the wiring; see docs/sandbox.md.
"""
