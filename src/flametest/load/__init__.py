"""What asks the system under test, and notes every request: the open-loop prober and Locust.

prober         the handle by which the recorder starts, checks and ends the prober
prober_main    the prober's process: two lanes on an absolute schedule
lanes          how a lane sends: a fresh connection each time, or a kept one
schedule       when the next request is due; pure
exchange       one HTTP request on a connection, and the answer to it
locust_runner  the handle by which a run starts stock Locust, waits for its rate, and ends it
locust_export  what Locust loads beside the load test, to write samples
locust_sample  what Locust says of a request, as a sample; pure
samplefile     the CSV file of samples, written while they come
child          a child process with a log, ended for certain
errors         the error tree

Handles are safe to import anywhere: everything here but `locust_export` needs the standard library only.
"""

from flametest.load.errors import LoadError
from flametest.load.locust_runner import LoadOptions, Locust
from flametest.load.prober import Prober, ProberSummary

__all__ = ["LoadError", "LoadOptions", "Locust", "Prober", "ProberSummary"]
