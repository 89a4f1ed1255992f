"""
Plays both ends of what the relay joins, so that neither is code of ours.

Jobs come as records on descriptor 3 (a seqpacket socket): JSON, with the sockets that it is about as
SCM_RIGHTS. Each runs in a thread of its own and is answered with {"id", "ok"} or {"id", "error"}.
"""
import array
import hashlib
import json
import os
import random
import socket
import sys
import threading
import time
import traceback

control = socket.socket(fileno=3)
MAX_FDS = 253
inodes = []
files = []
kept = []
for _ in range(32):
    files.append(os.memfd_create("peer"))
    inodes.append(os.fstat(files[-1]).st_ino)


def recv(sock, size, flags=0):
    """Bytes, and the descriptors that came with them."""
    data, control_data, state, address = sock.recvmsg(size, socket.CMSG_SPACE(4 * MAX_FDS), flags)
    fds = array.array("i")
    for level, kind, body in control_data:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(body[: len(body) - len(body) % 4])
    if state & socket.MSG_CTRUNC:
        raise ValueError("control data was cut short")
    return data, list(fds), address


def send(sock, data, fds=()):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    return sock.sendmsg([data], rights)


def pattern(seed, size):
    return random.Random(seed).randbytes(size)


def chosen(seed, index, count):
    """Which of the files go with a message."""
    return random.Random(f"{seed} {index}").choices(range(len(files)), k=count)


def pause(rng, job):
    if job.get("pauses") and rng.random() < 0.2:
        time.sleep(rng.random() * 0.003)  # another order of events on both sides


def say(job, sock):
    """`say`: [[bytes, descriptors], ...], each sent by one call as far as the kernel takes it."""
    seed = job["seed"]
    rng = random.Random(seed)
    for index, (size, count) in enumerate(job["say"]):
        data = pattern(f"{seed} {index}", size)
        sent = send(sock, data, [files[i] for i in chosen(seed, index, count)])
        if sent < len(data):
            sock.sendall(data[sent:])
        pause(rng, job)
    if sock.type != socket.SOCK_DGRAM:
        sock.shutdown(socket.SHUT_WR)


def take(sock, size, expected):
    """Exactly `size` bytes; only the first of them may have descriptors, and these ones."""
    data = b""
    while len(data) < size:
        more, fds, _ = recv(sock, size - len(data))
        found = [os.fstat(fd).st_ino for fd in fds]
        for fd in fds:
            os.close(fd)
        if found != (expected if not data else []):
            raise ValueError(f"{len(found)} descriptors at {len(data)}, {len(expected)} expected at 0")
        if not more:
            raise ValueError("the end came too early")
        data += more
    return data


def take_record(sock, size, expected):
    data, fds, _ = recv(sock, 1 << 20)
    found = [os.fstat(fd).st_ino for fd in fds]
    for fd in fds:
        os.close(fd)
    if found != expected:
        raise ValueError(f"{len(found)} descriptors, {len(expected)} expected")
    return data


def hear(job, sock):
    """`hear`: what the other end says with seed `from`, byte for byte and each descriptor with its byte."""
    seed = job["from"]
    rng = random.Random(seed)
    one = take if sock.type == socket.SOCK_STREAM else take_record
    for index, (size, count) in enumerate(job["hear"]):
        pause(rng, job)
        try:
            if one(sock, size, [inodes[i] for i in chosen(seed, index, count)]) != pattern(f"{seed} {index}", size):
                raise ValueError("other bytes")
        except ValueError as error:
            raise ValueError(f"message {index} of {size} bytes: {error}") from None
    if sock.type != socket.SOCK_DGRAM and recv(sock, 1)[:2] != (b"", []):
        raise ValueError("bytes after the end")


def do_talk(job, sock):
    """Says and hears at the same time, both to the end of the stream."""
    wrong = []

    def saying():
        try:
            say(job, sock)
        except OSError as error:
            wrong.append(error)

    thread = threading.Thread(target=saying, daemon=True)
    thread.start()
    hear(job, sock)
    thread.join()
    if wrong:
        raise wrong[0]


def do_flood(job, sock):
    """`bytes` of them, then the end of the stream."""
    digest = hashlib.blake2b(digest_size=8)
    block = pattern(job["seed"], 1 << 20)
    left = job["bytes"]
    while left:
        data = block[: min(left, len(block))]
        sock.sendall(data)
        digest.update(data)
        left -= len(data)
    sock.shutdown(socket.SHUT_WR)
    return [job["bytes"], digest.hexdigest()]


def do_drain(job, sock):
    """Until the end of the stream. A broken one counts as its end where `broken` says so."""
    digest = hashlib.blake2b(digest_size=8)
    count = 0
    buffer = bytearray(1 << 18)
    while True:
        try:
            size = sock.recv_into(buffer)
        except ConnectionResetError:
            if not job.get("broken"):
                raise
            break
        if not size:
            break
        digest.update(memoryview(buffer)[:size])
        count += size
    return [count, digest.hexdigest()]


def do_ask(job, sock):
    """`rounds` of a byte that comes back, then the end of the stream."""
    for i in range(job["rounds"]):
        sock.sendall(bytes([i % 256]))
        if sock.recv(1) != bytes([i % 256]):
            raise ValueError(f"round {i}: another byte, or the end")
    return job["rounds"]


def do_answer(job, sock):
    while data := sock.recv(1):
        sock.sendall(data)


def do_oob(job, sock):
    sock.sendall(b"before")
    sock.send(b"!", socket.MSG_OOB)
    sock.sendall(b"behind")


def do_write_until_broken(job, sock):
    """The errno that ends it."""
    while True:
        try:
            sock.sendall(bytes(65536))
        except OSError as error:
            return error.errno


def do_bomb(job, sock):
    """Sockets that carry sockets: `count` descriptors a message, as many messages as go without waiting."""
    inner, outer = socket.socketpair()
    send(outer, b"x", [inner.fileno(), outer.fileno()])
    sock.setblocking(False)
    sent = 0
    try:
        while sent < job["messages"]:
            send(sock, b"b", [inner.fileno()] * job["count"])
            sent += 1
    except OSError:
        pass
    return sent


def do_say_to_the_deaf(job, consumer, provider):
    """The provider reads nothing any more, and what the consumer has said by then nobody can close. Both stay open."""
    provider.shutdown(socket.SHUT_RD)
    bad, ends = lingering()
    consumer.sendall(b"plain")
    send(consumer, b"x", [bad])
    os.close(bad)
    kept.extend([consumer.dup(), provider.dup(), ends])


def do_end(job):
    """What the provider says after that arrives, and it leaves."""
    consumer, provider, _ = kept
    provider.sendall(b"last")
    if consumer.recv(4) != b"last":
        raise ValueError("other bytes")
    provider.close()


jobs = {name[3:]: function for name, function in list(globals().items()) if name.startswith("do_")}


def run(job, socks):
    answer = {"id": job["id"]}
    try:
        for sock in socks:
            sock.setblocking(True)
        answer["ok"] = jobs[job["do"]](job, *socks)
    except Exception as error:  # told to the test, which fails
        answer["error"] = f"{job['do']}: {error!r} {traceback.format_exc(limit=-1)}"
    for sock in socks:
        sock.close()
    control.send(json.dumps(answer).encode())


while True:
    data, fds, _ = recv(control, 1 << 20)
    if not data:
        sys.exit(0)
    socks = [socket.socket(fileno=fd) for fd in fds]
    threading.Thread(target=run, args=(json.loads(data), socks), daemon=True).start()
