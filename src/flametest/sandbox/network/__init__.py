"""The network of a sandbox: pod namespaces, Service addresses, cluster DNS and NodePorts."""
