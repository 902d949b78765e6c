"""The prices, in Python: one JSON object for every request."""

import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers every GET."""

    def do_GET(self) -> None:
        """Send the prices."""
        body = json.dumps({"tea": 3}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


signal.signal(signal.SIGTERM, lambda *_: sys.exit())
print("listening on 5000", flush=True)
ThreadingHTTPServer(("", 5000), Handler).serve_forever()
