"""
Provider and consumer of the unix and tcp e2e tests, run inside real containers. Neither knows of the proxy.
A PATH may be IP:PORT in the modes for streams.

  serve-echo PATH [stream|seqpacket|dgram]   sends back what it reads, descriptors included
  serve-sink PATH                            reads nothing until a line comes on stdin, then counts to the end
  serve-count PATH                           reads to the end, then answers with the SHA-256 of it all
  serve-flood PATH BYTES                     sends BYTES while it reads to the end, then half-closes
  serve-whoami PATH                          answers with uid, gid and groups of the peer
  serve-hold PATH                            accepts, and keeps
  ask PATH TEXT                              sends TEXT, half-closes, prints the answer
  fds PATH ROUNDS FDS SEED                   messages of mixed sizes with 0..FDS descriptors, checked in step
  flood PATH BYTES                           sends BYTES, half-closes, prints SHA-256 sent and the answer
  both PATH BYTES                            sends BYTES while it reads to the end, prints both SHA-256
  serve-reset PATH                           waits for a byte of each client and resets the connection
  end PATH TEXT                              sends TEXT, prints how the connection ended: eof or reset
  reset PATH                                 prints the answer to one byte and resets the connection
  serve-end PATH                             answers each byte, prints how the connection ended: eof or reset
  hold PATH COUNT                            opens COUNT connections, prints "open", closes them at end of stdin
  records PATH                               seqpacket records of many sizes, an empty one too, checked in step
  datagrams PATH BIND                        datagrams and their replies, from a bound or autobound socket
"""
import array
import hashlib
import os
import random
import socket
import struct
import sys
import threading

TYPES = {"stream": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET, "dgram": socket.SOCK_DGRAM}
CHUNK = 65536


def address(path):
    """Beyond 107 bytes a path is bound and reached through its folder's descriptor."""
    if len(path.encode()) < 108:
        return path
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY)
    return "/proc/self/fd/%d/%s" % (folder, os.path.basename(path))


def tcp(text):
    """Family and address, or None where it is a path."""
    if text.startswith("/"):
        return None
    ip, port = text.rsplit(":", 1)
    return socket.AF_INET6 if "[" in ip else socket.AF_INET, (ip.strip("[]"), int(port))


def listen_tcp(family, at):
    server = socket.socket(family)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(at)
    server.listen(4096)
    print("ready", flush=True)
    return server


def listen(path, kind="stream"):
    if tcp(path):
        return listen_tcp(*tcp(path))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    server = socket.socket(socket.AF_UNIX, TYPES[kind])
    server.bind(address(path))
    os.chmod(path, 0o777)
    if kind != "dgram":
        server.listen(4096)
    print("ready", flush=True)
    return server


def connect(path, kind="stream"):
    if tcp(path):
        client = socket.socket(tcp(path)[0])
        client.connect(tcp(path)[1])
        return client
    client = socket.socket(socket.AF_UNIX, TYPES[kind])
    client.connect(address(path))
    return client


def serve(path, handler, kind="stream"):
    server = listen(path, kind)
    while True:
        client, _ = server.accept()
        threading.Thread(target=handler, args=(client,), daemon=True).start()


def receive(sock, size):
    data, ancillary, flags, sender = sock.recvmsg(size, socket.CMSG_SPACE(253 * 4))
    assert not flags & socket.MSG_CTRUNC, "descriptors were cut"
    fds = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % 4])
    return data, list(fds), sender


def send(sock, data, fds):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sent = sock.sendmsg([data], rights)
    if sent < len(data):
        sock.sendall(data[sent:])


def close(fds):
    for fd in fds:
        os.close(fd)


def echo(client):
    while True:
        try:
            data, fds, _ = receive(client, CHUNK)
            if not data:
                break
            send(client, data, fds)
            close(fds)
        except OSError:
            break
    try:
        client.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def echo_records(client):
    """Ends by the record `end`, or where nobody takes the answer: an empty record is no end of stream."""
    data = b""
    while data != b"end":
        data, fds, _ = receive(client, 1 << 20)
        try:
            client.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
        except OSError:
            data = b"end"
        close(fds)
    client.close()


def echo_datagrams(path):
    server = listen(path, "dgram")
    while True:
        data, fds, sender = receive(server, 1 << 20)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            server.sendmsg([data], rights, 0, sender)
        except OSError:
            pass  # its sender is gone
        close(fds)


def digest_all(sock):
    digest, count = hashlib.sha256(), 0
    while True:
        data = sock.recv(1 << 20)
        if not data:
            return digest.hexdigest(), count
        digest.update(data)
        count += len(data)


def stream_of(count):
    block = bytes(random.Random(7).randbytes(1 << 20))
    while count > 0:
        yield block[: min(count, len(block))]
        count -= len(block)


def send_all(sock, count):
    digest = hashlib.sha256()
    for block in stream_of(count):
        digest.update(block)
        sock.sendall(block)
    sock.shutdown(socket.SHUT_WR)
    return digest.hexdigest()


def count_then_answer(client):
    digest, count = digest_all(client)
    client.sendall(("%s %d" % (digest, count)).encode())
    client.close()


def flood_and_count(total):
    def handler(client):
        sender = threading.Thread(target=send_all, args=(client, total))
        sender.start()
        digest, count = digest_all(client)
        sender.join()
        print(digest, count, flush=True)
        client.close()

    return handler


def whoami(client):
    _, uid, gid = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    groups = client.getsockopt(socket.SOL_SOCKET, 59, 1024)  # SO_PEERGROUPS
    client.sendall(("%d %d %d" % (uid, gid, len(groups) // 4)).encode())
    client.close()


def sink(path):
    client, _ = listen(path).accept()
    print("accepted", flush=True)
    sys.stdin.readline()
    print(*digest_all(client), flush=True)


def ask(path, text):
    client = connect(path)
    if text:  # who only listens may find that everything was said already
        client.sendall(text.encode())
    client.shutdown(socket.SHUT_WR)
    answer = b""
    while True:
        data = client.recv(CHUNK)
        if not data:
            break
        answer += data
    print(answer.decode(), end="")


def fds_in_step(path, rounds, most, seed):
    """Each descriptor is a pipe whose own number was written into it: which it is can be read from it."""
    rng = random.Random(seed)
    client = connect(path)
    expected, total, bytes_sent = [], 0, bytearray()
    received, got = bytearray(), []
    done = threading.Event()

    def reader():
        while not done.is_set() or len(received) < len(bytes_sent):
            data, fds, _ = receive(client, 1 + rng.randrange(CHUNK))
            if not data:
                return
            for fd in fds:
                got.append((len(received), int(os.read(fd, 16))))
                os.close(fd)
            received.extend(data)

    thread = threading.Thread(target=reader)
    thread.start()
    for i in range(rounds):
        data = rng.randbytes(1 + rng.randrange(1 << rng.randrange(1, 17)))
        fds = []
        for _ in range(rng.randrange(most + 1) if rng.random() < 0.5 else 0):
            read_end, write_end = os.pipe()
            os.write(write_end, str(total).encode())
            os.close(write_end)
            expected.append((len(bytes_sent), total))
            fds.append(read_end)
            total += 1
        bytes_sent.extend(data)
        send(client, data, fds)
        close(fds)
    done.set()
    client.shutdown(socket.SHUT_WR)
    thread.join()
    assert received == bytes_sent, "bytes differ"
    assert [number for _, number in got] == [number for _, number in expected], "descriptors differ"
    for (read_at, number), (sent_at, _) in zip(got, expected):
        assert read_at <= sent_at, "descriptor %d came after its byte" % number
    print("ok %d bytes %d descriptors" % (len(received), len(got)))


def records(path):
    client = connect(path, "seqpacket")
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    rng = random.Random(3)
    for size in [1, 0, 2, 100, 4096, 0, 65535, 65536, 150000]:
        record = rng.randbytes(size)
        read_end, write_end = os.pipe()
        send_fds = [read_end] if size % 2 else []
        client.sendmsg([record], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", send_fds))] if send_fds else [])
        answer, fds, _ = receive(client, 1 << 20)
        assert answer == record, "record of %d bytes came back as %d" % (size, len(answer))
        assert len(fds) == len(send_fds), "descriptors differ"
        close(fds + [read_end, write_end])
    client.sendall(b"end")
    assert client.recv(10) == b"end"
    assert client.recv(10) == b"", "no end of stream"
    print("ok")


def datagrams(path, bind):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    client.bind(bind if bind != "auto" else "")
    client.settimeout(5)
    client.connect(address(path))
    for size in [1, 0, 500, 60000]:
        data = random.Random(size).randbytes(size)
        client.send(data)
        assert client.recv(1 << 17) == data, "datagram of %d bytes" % size
    print("ok")


def flood(path, count):
    client = connect(path)
    sent = send_all(client, count)
    print(sent, client.recv(4096).decode(), flush=True)


def both(path, count):
    client = connect(path)
    result = []
    sender = threading.Thread(target=lambda: result.append(send_all(client, count)))
    sender.start()
    received, length = digest_all(client)
    sender.join()
    print(result[0], received, length, flush=True)


def break_off(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def how_it_ends(sock):
    try:
        while sock.recv(CHUNK):
            pass
        return "eof"
    except ConnectionResetError:
        return "reset"


def reset_at_a_byte(client):
    client.recv(1)
    break_off(client)


def answer_and_see(client):
    client.sendall(client.recv(1))
    print(how_it_ends(client), flush=True)
    client.close()


def end(path, text):
    client = connect(path)
    client.sendall(text.encode())
    print(how_it_ends(client), flush=True)


def reset(path):
    client = connect(path)
    client.sendall(b"x")
    print(client.recv(1).decode(), flush=True)
    break_off(client)


def hold(path, count):
    clients = [connect(path) for _ in range(count)]
    print("open", flush=True)
    sys.stdin.read()
    close([client.detach() for client in clients])


def main(mode, path, *rest):
    if mode == "serve-echo":
        kind = rest[0] if rest else "stream"
        if kind == "dgram":
            echo_datagrams(path)
        serve(path, echo if kind == "stream" else echo_records, kind)
    elif mode == "serve-count":
        serve(path, count_then_answer)
    elif mode == "serve-flood":
        serve(path, flood_and_count(int(rest[0])))
    elif mode == "serve-whoami":
        serve(path, whoami)
    elif mode == "serve-hold":
        kept = []
        serve(path, kept.append)
    elif mode == "serve-sink":
        sink(path)
    elif mode == "ask":
        ask(path, rest[0])
    elif mode == "fds":
        fds_in_step(path, *map(int, rest))
    elif mode == "flood":
        flood(path, int(rest[0]))
    elif mode == "both":
        both(path, int(rest[0]))
    elif mode == "serve-reset":
        serve(path, reset_at_a_byte)
    elif mode == "serve-end":
        serve(path, answer_and_see)
    elif mode == "end":
        end(path, rest[0])
    elif mode == "reset":
        reset(path)
    elif mode == "hold":
        hold(path, int(rest[0]))
    elif mode == "records":
        records(path)
    elif mode == "datagrams":
        datagrams(path, rest[0])
    else:
        sys.exit("unknown mode " + mode)


main(*sys.argv[1:])
