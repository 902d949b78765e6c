"""``flametest search``: the smallest set of faults that breaks a promise, as an experiment that can be run again.

It serves `flametest.cli`, and ends when every set up to a size is decided or a budget is spent. What is decided is pure
and knows neither clock nor cluster; a search that was stopped begins again from its journal.

errors       what can go wrong
letters      the faults to combine, each at several levels of strength
structure    parts, their replicas and their needs, and how two faults are related by them
gate         what a set of faults may hit together
likelihood   how likely a set is to break a promise, and why it is thought so
candidates   the sets that are worth a trial, the likeliest first, and how many are left out
groups       several sets that are looked at in one trial
evidence     how often a set was seen to break, and when that is enough
shrinking    from a set that breaks to the smallest, weakest and shortest one
hunt         all of it: which trials come next, until nothing is left to ask
terrain      a real system in these words
calls        what an injecting action means, and how it is made weaker
alphabet     the faults of a real system
promise      what has to hold
experiment   a set of faults as an experiment
judging      what a trial has shown
bench        one deployed system, on which trials are run
account      what it has come to, in words
keeping      what was found, among the experiments of the project
pool         several of these at a time
journal      the account of a search on disk
conduct      all of it on a real system
"""
