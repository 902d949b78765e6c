"""The command line: parses and delegates. Heavy imports happen inside the commands, so that ``--help`` is quick."""
