"""What Locust loads beside the load test so that its users reach an https entry, or one behind a proxy, as all do here.

Of any load test: users of FastHttpUser trust everybody by themselves and know no proxy, those of HttpUser trust the
authorities of a package. Here both trust what `flametest.model.routes` says. Lives in Locust's process.
"""

import os
from typing import Any

import gevent.ssl
from locust import FastHttpUser, HttpUser, events

from flametest.model.routes import Route, Trust

__all__ = ["reach"]


def reach(user: Any, route: Route) -> None:
    """Have the users of a class reach the entry by ``route``, unless the class says how by itself."""
    if issubclass(user, FastHttpUser):
        if user.ssl_context_factory is None:
            user.insecure = route.trust.insecure
            user.ssl_context_factory = staticmethod(lambda cafile=None: _tls_context(route.trust))
        if route.proxy_address is not None and user.proxy_host is None:
            user.proxy_host, user.proxy_port = route.proxy_address
    elif issubclass(user, HttpUser):
        _reach_by_requests(user, route)


def _tls_context(trust: Trust) -> Any:
    """Return TLS settings as `Trust.tls_context` does, whose sockets let other users go on meanwhile."""
    context = gevent.ssl.SSLContext(gevent.ssl.PROTOCOL_TLS_CLIENT)
    if trust.insecure:
        context.check_hostname = False
        context.verify_mode = gevent.ssl.CERT_NONE
    elif trust.ca_file:
        context.load_verify_locations(trust.ca_file)
    else:
        context.load_default_certs()
    return context


def _reach_by_requests(user: Any, route: Route) -> None:
    original = user.__init__

    def initialise(self: Any, environment: Any) -> None:
        original(self, environment)
        if route.trust.insecure:
            self.client.verify = False
        elif route.trust.ca_file:
            self.client.verify = route.trust.ca_file
        self.client.trust_env = False  # whose proxies were decided upon for all, and whose authorities are others
        if route.proxy:
            self.client.proxies = {"http": route.proxy, "https": route.proxy}

    user.__init__ = initialise


def _on_init(environment: Any, **_: Any) -> None:
    route = Route.of(os.environ, environment.host or "")
    if route.trust.insecure:
        import urllib3  # noqa: PLC0415 (only to say nothing for each request)

        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    for user in environment.user_classes:
        reach(user, route)


events.init.add_listener(_on_init)
