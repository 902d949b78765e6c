"""What the server fills in where a client left a field out: one module an API group, one function a kind."""

__all__: list[str] = []
