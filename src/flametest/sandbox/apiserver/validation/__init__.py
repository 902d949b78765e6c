"""What the server refuses, with its field and its reason: one module an API group, one function a kind."""

__all__: list[str] = []
