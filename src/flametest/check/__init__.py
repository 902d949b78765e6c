"""``flametest check``: this tree against another one, at the same time, under the same fault and load."""
