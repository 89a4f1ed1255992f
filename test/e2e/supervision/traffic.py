"""
traffic.py TYPE TARGET: checked traffic through one link whose provider sends back what it gets, until a line comes.

Says "ready" once the first answer was right. One client keeps its connection, another one comes and goes. Then one line
of JSON: what went wrong, how many rounds each has made, and the longest that a new client waited for its answer, in
milliseconds. TYPE: stream, bytes (stream without descriptors), tcp, seqpacket, dgram.
"""
import array
import json
import os
import random
import select
import socket
import sys
import threading
import time

TYPE, TARGET = sys.argv[1:3]
KINDS = {"seqpacket": socket.SOCK_SEQPACKET, "dgram": socket.SOCK_DGRAM}
KIND = KINDS.get(TYPE, socket.SOCK_STREAM)
LIMIT_S = 30

random.seed(1)
stopping = threading.Event()
ready = threading.Event()
faults = []
rounds = {"kept": 0, "new": 0}
longest = 0.0


def connect():
    if TYPE == "tcp":
        ip, port = TARGET.rsplit(":", 1)
        s = socket.create_connection((ip, int(port)), timeout=LIMIT_S)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s
    s = socket.socket(socket.AF_UNIX, KIND)
    s.settimeout(LIMIT_S)
    if TYPE == "dgram":
        s.bind("")  # a name of the kernel's choice, for the answer
    s.connect(TARGET)
    return s


def with_descriptor(text):
    fd = os.memfd_create("traffic")
    os.write(fd, text)
    return fd


def read_back(s, length):
    """Bytes and descriptors, as many as were sent."""
    data, fds = b"", array.array("i")
    while len(data) < length:
        part, ancillary, flags, _ = s.recvmsg(1 << 17, socket.CMSG_SPACE(64 * 4))
        if not part:
            raise EOFError(f"the end after {len(data)} of {length} bytes")
        if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
            raise ValueError("something was cut off")
        data += part
        for level, kind, value in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(value[: len(value) - len(value) % 4])
    return data, list(fds)


def one_round(s, size, carries):
    data = random.randbytes(size)
    sent = [with_descriptor(data[:16])] if carries else []
    try:
        if sent:
            socket.send_fds(s, [data], sent)
        else:
            s.sendall(data)
        back, fds = read_back(s, size)
        contents = [os.pread(fd, 16, 0) for fd in fds]
        for fd in fds:
            os.close(fd)
    finally:
        for fd in sent:
            os.close(fd)
    if back != data:
        raise ValueError(f"other bytes came back, {len(back)} of {size}")
    if contents != [data[:16]] * len(sent):
        raise ValueError(f"{len(fds)} descriptors came back, of {len(sent)}")


def keep():
    s = connect()
    while not stopping.is_set():
        n = rounds["kept"]
        one_round(s, random.randint(1, 40_000), TYPE in ("stream", "seqpacket") and n % 5 == 0)
        rounds["kept"] += 1
        ready.set()
    s.close()


def come_and_go():
    global longest
    ready.wait(LIMIT_S)
    while not stopping.is_set():
        before = time.monotonic()
        s = connect()
        one_round(s, 64, False)
        s.close()
        longest = max(longest, time.monotonic() - before)
        rounds["new"] += 1
        time.sleep(0.001)  # a rate: as many as come would leave nothing for the one that stays


def checked(who):
    try:
        who()
    except Exception as error:
        faults.append(f"{who.__name__}: {type(error).__name__} {error}")
        ready.set()


threads = [threading.Thread(target=checked, args=(who,), daemon=True) for who in (keep, come_and_go)]
for thread in threads:
    thread.start()
ready.wait(LIMIT_S)
print("ready", flush=True)
for line in sys.stdin:
    if line.strip() == "rounds":
        print(json.dumps(rounds), flush=True)
        continue
    break
stopping.set()
for thread in threads:
    thread.join(LIMIT_S)
    if thread.is_alive():
        faults.append("a client waits for its answer")
print(json.dumps({"faults": faults, "rounds": rounds, "longest": round(longest * 1000)}), flush=True)
