"""``flametest init``: looks at a system that somebody else has built, and writes what tests it.

It serves `flametest.cli` alone, reads and never changes a cluster, and writes nothing but the folder that it is given.

selectors    labels and what selects them
system       the parts of a system, as far as they decide how it fails
fields       fields of JSON objects that may be missing
parsing      a part from its JSON object
pods         what the pods of a part are given and need
sources      a whole system, from a namespace or from a folder of manifests
evidence     what a statement rests on, and how certain it is
wellknown    programs that are told by their images, names and ports
hosts        hosts in texts
hostkeys     which keys ask for a host
needs        which Services and other hosts workloads name
entry        where users enter
roles        what each workload is to its system
topology     all of that together
contexts     the source of images that are built from beside the manifests
handlers     what answers a path asks
weakness     what a weakness is
absences     weaknesses of what is named and not there
readiness    weaknesses of probes that ask others
rules        weaknesses, a pure function each
suitability  which faults suit a workload by its role, and why others do not
proxied      which paths an nginx in front sends where
paths        which path users ask for that needs a part
experiments  what each experiment does, claims and promises
plan         all experiments of a system, and what was not written
documents    an experiment as Chaos Toolkit reads it
project      the folder's texts, and writing them without losing anything
tightening   tighter limits from what a run has measured
shipped      the shipped system as the files of a project, for `flametest new`
answers      which paths of the entry answer
openapi      what a service answers, from its OpenAPI document
fastapi      the same, from the source of a FastAPI application
apis         where that is described
examples     a value that a schema allows
writes       a first ledger, guessed from that
account      all that was found out, for tools
visitors     the load test that is written, as it is
errors       what can go wrong
"""

from flametest.starter.account import account
from flametest.starter.answers import answering_paths
from flametest.starter.apis import find_operations
from flametest.starter.errors import StarterError
from flametest.starter.evidence import Certainty
from flametest.starter.needs import Dependency
from flametest.starter.paths import user_paths
from flametest.starter.plan import Plan, make_plan
from flametest.starter.project import Written, project_files, write_project
from flametest.starter.rules import find_weaknesses
from flametest.starter.shipped import shipped_files
from flametest.starter.sources import read_folder, read_namespace
from flametest.starter.system import System, Workload
from flametest.starter.tightening import Proposal, Tightening, propose_limits, tightened
from flametest.starter.topology import Topology, make_topology
from flametest.starter.weakness import Severity, Weakness
from flametest.starter.writes import LEDGER_FILE, Guess, guess_ledger

__all__ = [
    "LEDGER_FILE",
    "Certainty",
    "Dependency",
    "Guess",
    "Plan",
    "Proposal",
    "Severity",
    "StarterError",
    "System",
    "Tightening",
    "Topology",
    "Weakness",
    "Workload",
    "Written",
    "account",
    "answering_paths",
    "find_operations",
    "find_weaknesses",
    "guess_ledger",
    "make_plan",
    "make_topology",
    "project_files",
    "propose_limits",
    "read_folder",
    "read_namespace",
    "shipped_files",
    "tightened",
    "user_paths",
    "write_project",
]
