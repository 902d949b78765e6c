"""The API server of the embedded Kubernetes: what kubectl, client libraries and controllers talk to.

`Registry` is the state with all its rules and no transport; `ApiServer` serves it over HTTP. See docs/architecture.md.
"""

from flametest.sandbox.apiserver.registry import Registry

__all__ = ["Registry"]
