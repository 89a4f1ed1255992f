# The two ends of links that somebody looks into. `serve`: echoes bytes, datagrams, and answers HTTP; says "ready".
# `hold KIND WHERE`: one client that has said something, and says "ready" and what it was told; it says the same again
# for each line that it reads, and leaves at the end of its input.
import os, re, socket, sys, threading


def unix(path, kind=socket.SOCK_STREAM):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, kind)
    listener.bind(path)
    os.chmod(path, 0o777)
    if kind == socket.SOCK_STREAM:
        listener.listen(64)
    return listener


def tcp(port):
    return socket.create_server(('127.0.0.1', port), backlog=64)


def each(listener, serve):
    def accept():
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client,), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()


def echo(client):
    try:
        while data := client.recv(65536):
            client.sendall(data)
    except OSError:
        pass
    client.close()


def http(client):
    try:
        text = b''
        while data := client.recv(65536):
            text += data
            while b'\r\n\r\n' in text:
                _, text = text.split(b'\r\n\r\n', 1)
                client.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    except OSError:
        pass
    client.close()


def datagrams(listener):
    while True:
        data, who = listener.recvfrom(65536)
        if who:
            listener.sendto(data, who)


def serve():
    each(unix('/run/s/raw'), echo)
    each(unix('/run/s/api'), http)
    each(tcp(7001), echo)
    each(tcp(7002), http)
    listener = unix('/run/s/notes', socket.SOCK_DGRAM)
    threading.Thread(target=datagrams, args=(listener,), daemon=True).start()


def connected(where):
    address = re.fullmatch(r'([\d.]+):(\d+)', where)
    if address:
        return socket.create_connection((address[1], int(address[2])))
    client = socket.socket(socket.AF_UNIX)
    client.connect(where)
    return client


def hello(client):
    fields = b'\x01\x01o\0\x15\0\0\0/org/freedesktop/DBus\0\0\0' + b'\x06\x01s\0\x14\0\0\0org.freedesktop.DBus\0\0\0\0'
    fields += b'\x02\x01s\0\x14\0\0\0org.freedesktop.DBus\0\0\0\0' + b'\x03\x01s\0\x05\0\0\0Hello\0'
    head = b'l\x01\0\x01' + (0).to_bytes(4, 'little') + (1).to_bytes(4, 'little') + len(fields).to_bytes(4, 'little')
    client.sendall(b'\0AUTH EXTERNAL 30\r\n')
    assert client.recv(4096).startswith(b'OK')
    message = head + fields
    client.sendall(b'BEGIN\r\n' + message + b'\0' * (-len(message) % 8))
    answer = b''
    while b'NameAcquired' not in answer or not re.search(rb':\d+\.\d+', answer):
        answer += client.recv(4096)
    return re.search(rb':\d+\.\d+', answer)[0].decode()


def talk(kind, client):
    if kind == 'http':
        client.sendall(b'GET /some/thing?of=interest HTTP/1.1\r\nHost: town.example\r\n\r\n')
        return 'told ' + client.recv(4096).split(b'\r\n')[0].decode()
    client.sendall(b'hello')
    return 'told ' + client.recv(4096).decode()


def hold(kind, where):
    if kind == 'dgram':
        client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        client.bind('')
        client.connect(where)
    else:
        client = connected(where)
    print('ready', hello(client) if kind == 'dbus' else talk(kind, client), flush=True)
    for _ in sys.stdin:
        print('ready', talk(kind, client), flush=True)


if sys.argv[1] == 'serve':
    serve()
    print('ready', flush=True)
    threading.Event().wait()
else:
    hold(*sys.argv[2:])
