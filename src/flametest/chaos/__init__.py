"""What Chaos Toolkit loads: `controls`, `actions` and `probes`; so that a lone ``chaos run`` is measured too.

controls       the recorder control: starts with the experiment, ends with it on every way out
actions        wait for the baseline and for recovery; inject faults and heal them
holding        how long a system is observed before a fault and after its recovery: until its questions are decided
inquiry        what the limits ask, looked at while the record grows
probes         the measured figures, for the hypothesis to judge
gatekeeper     stands before what Chaos Toolkit runs before any control
plugin         what the ``chaos`` command loads, so that the gatekeeper is there first
gate           everything in an experiment that would run is known, guarded, or refused; pure
places         every place of an experiment in which code runs; pure
reading        what is known to read only: an explicit list; pure
values         configuration and secrets, as far as they are known
names          what the faults of an experiment are called; pure
radius         the blast radius that an experiment asks for; pure
arguments      whether our own functions can be called with an experiment's arguments
guard          refuses actions that would hit more than they mean to
guarded        other extensions' actions as faults, so that they are gated and healed too; pure
injections     the faults of the running experiment, noted in its record
preview        what an experiment would hit, without injecting anything
session        the one recorder of the process, where the former three meet
entryprobes    probes by HTTP trust whom all trust who ask the entry
extension      chaostoolkit-kubernetes on the recorder's connection
limits         the limits of the running experiment
settings       what the environment says: cluster, namespace, entry, record folder
recorder       owns prober, watches and record while an experiment runs
watching       the recorder's watches, and whether they have shown what is there
harmwatch      heals at once when users suffer more than was allowed
traffic        how many requests the pods themselves have counted
record         the record folder: history and samples
recorded       tells whoever runs Chaos Toolkit that everything is recorded
observations   objects of the API as events of the model; pure
view           what the watches have shown so far; pure
injection      stamped requests as an injected fault with targets, and its proof; pure
tracebacks     what the traceback of a failed activity says in the end
errors         the error tree

Chaos Toolkit swallows every exception of a control but InterruptExecution; see `controls`.
"""
