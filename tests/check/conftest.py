"""Blocks run by stock Chaos Toolkit against the pretended cluster."""

from tests.chaos.conftest import chaos_run, cluster, pretended

__all__ = ["chaos_run", "cluster", "pretended"]
