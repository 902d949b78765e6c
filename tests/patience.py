"""How long a test waits for what is sure to come: a bound for what hangs, also on a machine that is busy otherwise."""

PATIENCE_SECONDS = 600.0
