"""The columns by which ``kubectl get`` prints each kind: one module an API group, one tuple of columns a kind."""

__all__: list[str] = []
