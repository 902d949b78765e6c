"""Flametest: resilience tests for services on Kubernetes, measured and reported."""

__all__ = ["__version__"]
__version__ = "0.1.0"
