"""The API server of the embedded Kubernetes: what kubectl, client libraries and controllers talk to.

`Registry` is the state with all its rules and no transport; `ApiServer` serves it over HTTP. See docs/architecture.md.
"""

from flametest.sandbox.apiserver.bootstrap import bootstrap
from flametest.sandbox.apiserver.registry import Registry
from flametest.sandbox.apiserver.server import ApiServer

__all__ = ["ApiServer", "Registry", "bootstrap"]
