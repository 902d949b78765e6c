"""How long a test waits for what is sure to come: a bound for what hangs, also on a machine that is busy otherwise."""

PATIENCE_SECONDS = 600.0
OUTLASTING_SECONDS = 6 * PATIENCE_SECONDS
"""How long something lasts by itself that a test expects to be ended: longer than the test would wait for its end."""
