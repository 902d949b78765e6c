"""Flametest as a Job inside the cluster, with the rights that its experiments need and no others.

rules      rights as rules of Roles; pure
planning   the Job of a project: its experiments, their rights, its entry
manifest   what the Job consists of, as objects to print or to apply; pure
runner     what the Job's pod runs: ``flametest run``, and then the report for whoever fetches it
starting   wait, fetch, and remove, from outside

It stands above `flametest.run`, which it runs inside and whose experiments it reads outside.
"""
