"""A client that is gone, by a reset, before its handshake is read: its request is behind it. argv: IP PORT TIMES."""
import socket
import ssl
import struct
import sys

ip, port, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
context.maximum_version = ssl.TLSVersion.TLSv1_2
session = None
for _ in range(times):
    raw = socket.create_connection((ip, port))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, session=session)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            raw.sendall(outgoing.read())
            incoming.write(raw.recv(65536))
    session = tls.session
    tls.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.sendall(outgoing.read())
    raw.close()
print(tls.session_reused)
