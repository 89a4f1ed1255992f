"""What nobody can close: a TCP socket that lingers (socket(7)) before a peer that reads nothing."""
import socket, struct

def lingering():
    """Its descriptor, and the sockets to keep for as long as whoever closes the last one shall wait."""
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    peer = server.accept()[0]
    client.setblocking(False)
    try:
        while True:
            client.send(bytes(1 << 20))
    except BlockingIOError:
        pass
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 10000))
    return client.detach(), (server, peer)
