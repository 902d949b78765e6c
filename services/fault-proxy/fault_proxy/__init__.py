"""The fault proxy: stands between a Service and its pods, passes HTTP on, and injects what it is told to.

Flametest deploys it beside a Service, re-points the Service to it, and takes both back; see
``flametest.faults.fault_proxy``. It serves any HTTP/1.1 service and knows nothing of it.

faults     what happens to a request, decided by the switch; no I/O
proxy      passes a request on, as it is
admin      the switch's own port
settings   what the environment says
"""
