"""pyftpdlib as the scripts in this folder run a server."""

import logging
import os

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

env = os.environ
handler = FTPHandler
if "BENCH_CERT" in env:
    from OpenSSL import SSL
    from pyftpdlib.handlers import TLS_FTPHandler

    handler = TLS_FTPHandler
    handler.certfile = env["BENCH_CERT"]
    handler.keyfile = env["BENCH_KEY"]

logging.disable(logging.CRITICAL)
handler.authorizer = DummyAuthorizer()
handler.authorizer.add_user(
    env["BENCH_USER"], env["BENCH_PASSWORD"], env["BENCH_HOME"], perm="elradfmwMT"
)
handler.passive_ports = range(
    int(env["BENCH_PASSIVE_FROM"]), int(env["BENCH_PASSIVE_TO"]) + 1
)
handler.timeout = 3600
server = FTPServer((env["BENCH_ADDRESS"], int(env["BENCH_PORT"])), handler, backlog=1024)
server.max_cons = 0
server.max_cons_per_ip = 0
server.serve_forever()
