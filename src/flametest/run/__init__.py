"""The composition of a run: from options to a folder with a report. See `flametest.run.run` for the steps."""
