"""The program of the fault proxy: stands between a Service and its pods, passes on what comes, and injects faults.

It is mounted as it is into a pod with a stock Python (3.11 or newer) and run by ``python -m edgeproxy``. So it needs
the standard library only, and its modules import each other by relative names. `flametest.faults.edge` deploys it and
takes it back; it uses `rules` as well, so that what an experiment may say is written once.

rules      which connections and requests are meant, and what is done to them; pure
edge       one fault: its rules in force, their draws, and what was done so far; pure
switch     all edges, one behind the other; pure
messages   HTTP/1.1 as far as requests and answers have to be told apart; pure
shaping    delays, paces and cuts bytes on their way
piping     bytes that go straight from one end of a connection to the other
passing    one connection, as TCP
exchange   one connection, as HTTP request by request
bodies     heads and bodies of HTTP from a stream
routes     the listening ports
soundings  connections of the proxy to itself, which show what a rule does
generator  answers soundings with as many bytes as are asked for
admin      the switch's own port
"""
