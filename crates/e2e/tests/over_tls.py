"""Runs a Python server as it is, over TLS: over_tls.py CERTIFICATE KEY PROGRAM ARGUMENTS..."""

import runpy, socketserver, ssl, sys

context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(sys.argv[1], sys.argv[2])
plain = socketserver.TCPServer.get_request


def over_tls(server):
    connection, address = plain(server)
    # A handshake that fails is an OSError, which the server takes for a caller that hung up.
    return context.wrap_socket(connection, server_side=True), address


socketserver.TCPServer.get_request = over_tls
sys.argv = sys.argv[3:]
runpy.run_path(sys.argv[0], run_name="__main__")
