"""Faults, one file each, and what all of them have in common; works on any cluster, through `flametest.kube` only.

protocol      what a fault is
wrapper       gate, show, journal, inject, prove, heal on every way out
safety        the gate: whether targets lie inside the blast radius; pure
survey        asks the cluster what the gate needs
undo          the journal of what has to be taken back, on disk before it is injected
armed         the undo records of one experiment
overlap       faults on one object at the same time, healed in any order; pure
account       what the faults of one experiment hit together
holding       which undo record holds an object that another fault is about to touch
healing       takes faults back from the journal
readback      how every heal looks at objects, changes them, and reads back what came of it
lanes         healing that hangs hangs alone
guardian      a process that heals when nobody else can
owner         whose a fault is, and whether that process lives
signals       heal before a signal ends the process, and let none end the healing
catalogue     every fault by name
rights        which rights each fault needs
enforcement   whether the network enforces NetworkPolicies, by trying
own_namespace a namespace of Flametest's own, gone on every way out
helper_pod    a pod of Flametest's own beside the system; pure
connection    whether a pod can connect
vantage_pod   a pod of Flametest's own that connects again and again, and tells by its log what becomes of it
inside        scripts in a container, and what they left running
selection     which pods, drawn or not
workloads     Deployments and StatefulSets as targets
nodes         nodes as targets
policies      NetworkPolicies that admit to given pods
admission     who may well connect to pods: those that policies name
http_faults   errors, latency and aborts of HTTP; pure
http_proof    whether requests to pods show them; pure
evidence      what shows a rate and a delay, and sounding on until it decides
odds          whether a count speaks for the rate that was asked for; pure
soundings     requests through the API server, sent to see what a fault does
switches      the fault switches of pods
server_access a policy by which the API server reaches pods that others shut it out of
apps          what the app of a fault names
egress        lets callers whose egress is limited connect to the fault proxy
callers       who calls a Service, by the addresses of its pods
proxy_parts   what the fault proxy is deployed as; pure
proxy_deployment  deploys it, leads a Service to it and back, removes it
proxy_switch  what it is told and asked
edge_options  which options of an edge make sense and can be proved; pure
edge_sharing  several edges of one Service: who shares its proxy, and what could not be told apart
edge_soundings  which soundings it is to send
edge_proof    whether soundings show the rules of an edge; pure
open_connections  ends connections that were open before
waiting       bounded waits
errors        the error tree

The faults: `bad_rollout`, `container_crash`, `cpu_hog`, `dependency_outage`, `dns_outage`, `edge`, `frozen_process`,
`full_volume`, `intrusion`, `memory_hog`, `network_partition`, `new_version`, `node_drain`, `node_loss`,
`pod_deletion`, `random_errors`, `rolling_restart`, `scaling`, `service_removal`.
"""
