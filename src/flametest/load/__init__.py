"""What asks the system under test, and notes every request: the open-loop prober and Locust.

prober         the handle by which the recorder starts, checks and ends the prober
prober_main    the prober's process: two lanes on an absolute schedule
lanes          how a lane sends: a fresh connection each time, or a kept one
process        the handle of a process that records beside a run, such as the prober
program        what such a process begins and ends with
stopping       when a recording process ends
resolving      an event loop whose lookups of names do not wait for one another
schedule       when the next request is due; pure
growing        a file that is read while another process appends lines to it
exchange       one HTTP request on a connection, and the answer to it
redirects      whether an entry serves, or says where else to ask
locust_runner  the handle by which a run starts stock Locust, waits for its rate, and ends it
locust_hold    what Locust loads first, to wait until it is let begin
locust_export  what Locust loads before the load test, to write samples
locust_sample  what Locust says of a request, as a sample; pure
locust_route   what Locust loads beside the load test, to reach an https entry or one behind a proxy
locust_ids     what Locust loads beside the load test, to send an id with each request
locust_watch   what Locust does not say of itself: errors of listeners, tasks and greenlets, users that are missing
generator      a load generator's account of itself, as it is kept and read; pure
exhaustion     when it is the sending machine that could not send
locust_serve   what Locust loads beside these in a pod, to be asked for its samples
distributed    the handle by which a run starts, waits for and ends Locust as master and workers in the cluster
worker_pods    what these are deployed as; pure
truth          the handle of a server whose outages are of known length, for the self-test
truth_main     that server's process
priority       what keeps a busy machine from delaying the prober, and what is being started from delaying others
processors     how long all processors of the prober's machine were busy
starting       a program that is started before it may begin, and waits until it is let
collector      fetches one worker's samples through the API server
clocks         a worker's clock in terms of this machine's; pure
clockname      which clock a process reads
rate           the rate that was reached, from the growing file of samples
samplefile     the CSV file of samples, written while they come
child          a child process with a log, ended for certain
errors         the error tree

Handles are safe to import anywhere: this package's own needs the standard library only. Only those called `locust_`
and loaded by Locust import it (`export`, `hold`, `route`, `serve`, `watch`); `distributed`, `worker_pods` and
`collector` need `flametest.kube`.
"""

from flametest.load.errors import LoadError
from flametest.load.locust_runner import LoadOptions, Locust
from flametest.load.prober import Prober, ProberSummary

__all__ = [
    "LoadError",
    "LoadOptions",
    "Locust",
    "Prober",
    "ProberSummary",
]
