"""Log lines of the pods by the id of the request that they belong to, kept while the pods still live.

handle      the handle by which a run starts and ends the follower, which is a process of its own
main        its process
following   the logs of all containers of a namespace, each read in a thread of its own
wanted      which requests failed or were slow, from the samples while they come
keeper      lines of late, in bounded memory, until it is known whose they are; pure
redaction   what looks like a secret is taken out before a line is kept; pure
kept        the file of kept lines, as it is read back

What the lines tell is for `flametest.measure.paths`.
"""

from flametest.tracing.handle import FollowerSummary, LogFollower, LogPlace
from flametest.tracing.kept import KEPT_LINES_FILE, read_kept

__all__ = ["KEPT_LINES_FILE", "FollowerSummary", "LogFollower", "LogPlace", "read_kept"]
