"""Pure functions of a `History` and of samples: what users felt, how the system recovered, and the judgement.

Nothing here opens a file, reads a clock, or knows a fault or a cluster: the same functions serve the live probes
of an experiment, the analysis at its end, and the analysis of an old record.
"""
