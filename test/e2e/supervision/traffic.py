"""
traffic.py TYPE TARGET [may-end [may-be-away]]: checked traffic through one link, until a line comes, such as "stop".

Says "ready" once the first answer was right. One client keeps its connection, another one comes and goes. Then one line
of JSON: what went wrong, how many rounds each has made, how often a connection ended, how many bytes were as they had
to be, and the longest that a new client waited for its answer, in milliseconds. The line "rounds" is answered with the
same of what was until then, and it goes on. With "may-end" a connection that ends is made anew, and is no fault; with
"may-be-away" too, neither is an answer of HTTP that says that nobody is there.

TYPE: stream, bytes (stream without descriptors), tcp, seqpacket, dgram, where the provider sends back what it gets;
wayland and bus, of D-Bus, where a connection may end that has only begun; http; device, of which clients get one.
"""
import array
import hashlib
import json
import os
import random
import socket
import stat
import struct
import sys
import threading
import time

TYPE, TARGET = sys.argv[1:3]
BEGUN_BY_DAEMON = ("bus", "wayland")
MAY_END = {"kept", "new"} if "may-end" in sys.argv[3:] else {"new"} if TYPE in BEGUN_BY_DAEMON else set()
KINDS = {"seqpacket": socket.SOCK_SEQPACKET, "dgram": socket.SOCK_DGRAM}
KIND = KINDS.get(TYPE, socket.SOCK_STREAM)
LIMIT_S = float(os.environ.get("LIMIT_S", 30))
PAUSE_S = float(os.environ.get("PAUSE_S", 0))
IS_TCP = not TARGET.startswith("/")
AWAY = (" 502 ", " 503 ", " 504 ") if "may-be-away" in sys.argv[3:] else ()

random.seed(1)
stopping = threading.Event()
ready = threading.Event()
faults = []
rounds = {"kept": 0, "new": 0}
ended = {"kept": 0, "new": 0}
checked_bytes = 0
longest = 0.0


def connect():
    if IS_TCP:
        ip, port = TARGET.rsplit(":", 1)
        s = socket.create_connection((ip, int(port)), timeout=LIMIT_S)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s
    s = socket.socket(socket.AF_UNIX, KIND)
    s.settimeout(2 if TYPE == "dgram" and "new" in MAY_END else LIMIT_S)  # a datagram that is lost has no answer
    if TYPE == "dgram":
        s.bind("")  # a name of the kernel's choice, for the answer
    s.connect(TARGET)
    return s


def count(size):
    """Bytes, both ways, that were as they had to be."""
    global checked_bytes
    checked_bytes += size


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


def echo(s, size, carries):
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
    count(2 * size)


class Echo:
    def __init__(self, size, carries=False):
        self.socket, self.size, self.carries, self.count = connect(), size, carries, 0

    def round(self):
        echo(self.socket, random.randint(1, self.size), self.carries and self.count % 5 == 0)
        self.count += 1


class Wayland:
    """wl_display.sync, again and again."""

    def __init__(self):
        self.socket, self.last = connect(), 1

    def round(self):
        self.last += 1
        self.socket.sendall(struct.pack("=III", 1, 12 << 16, self.last))
        back, _ = read_back(self.socket, 24)
        wanted = struct.pack("=III", self.last, 12 << 16, 0) + struct.pack("=III", 1, 12 << 16 | 1, self.last)
        if back != wanted:
            raise ValueError(f"a compositor answered {back}")
        count(36)


class Bus:
    """A call of the bus itself: for one's own name, which stays the same."""

    def __init__(self):
        self.socket, self.serial, self.data = connect(), 0, b""
        self.socket.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        self.line(b"OK ")
        self.socket.sendall(b"BEGIN\r\n")
        self.name = self.ask("Hello")
        self.id = self.ask("GetId")

    def line(self, begin):
        while b"\r\n" not in self.data:
            self.more()
        line, self.data = self.data.split(b"\r\n", 1)
        if not line.startswith(begin):
            raise ValueError(f"the bus said {line}")

    def more(self):
        part = self.socket.recv(1 << 16)
        if not part:
            raise EOFError("the end of the bus")
        self.data += part

    def message(self):
        while True:
            if len(self.data) >= 16:
                body, _, fields = struct.unpack_from("<III", self.data, 4)
                length = 16 + fields + -fields % 8 + body
                if len(self.data) >= length:
                    message, self.data = self.data[:length], self.data[length:]
                    return message, message[length - body:]
            self.more()

    def ask(self, member):
        def field(code, kind, value):
            text = value.encode()
            data = bytes((code, 1, ord(kind), 0)) + struct.pack("<I", len(text)) + text + b"\0"
            return data + b"\0" * (-len(data) % 8)

        self.serial += 1
        name = "org.freedesktop.DBus"
        fields = field(1, "o", "/org/freedesktop/DBus") + field(2, "s", name)
        fields += field(6, "s", name) + field(3, "s", member).rstrip(b"\0") + b"\0"
        head = b"l\1\0\1" + struct.pack("<III", 0, self.serial, len(fields)) + fields
        self.socket.sendall(head + b"\0" * (-len(head) % 8))
        while True:
            message, body = self.message()
            if message[1] == 4:  # a signal
                continue
            # The reply's serial is the field of code 5: a "u".
            serial = struct.unpack_from("<I", message, message.index(b"\5\1u\0") + 4)[0]
            if message[1] != 2 or serial != self.serial:
                raise ValueError(f"a message of type {message[1]} to {serial} in place of the answer to {self.serial}")
            return body

    def round(self):
        if self.ask("GetId") != self.id:
            raise ValueError("another bus")
        count(len(self.id))


class Http:
    def __init__(self):
        self.socket, self.data = connect(), b""

    def round(self):
        text = random.randbytes(random.randint(1, 2_000)).hex()
        head = f"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(text)}\r\n\r\n"
        self.socket.sendall((head + text).encode())
        while b"\r\n\r\n" not in self.data:
            self.more()
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        lines = head.decode().lower().split("\r\n")
        if any(code in lines[0] + " " for code in AWAY):
            raise EOFError("nobody is there")
        if " 200 " not in lines[0]:
            raise ValueError(f"the answer is {lines[0]}")
        length = int(next(line for line in lines if line.startswith("content-length:")).split(":")[1])
        while len(self.data) < length:
            self.more()
        answer, self.data = json.loads(self.data[:length]), self.data[length:]
        if answer["sum"] != hashlib.sha256(text.encode()).hexdigest():
            raise ValueError("another body arrived")
        count(len(text) + length)
        if "connection: close" in lines:
            raise EOFError("as the server said")

    def more(self):
        part = self.socket.recv(1 << 16)
        if not part:
            raise EOFError("the end of HTTP")
        self.data += part


class Device:
    def __init__(self):
        self.socket = connect()
        data, fds, _, _ = socket.recv_fds(self.socket, 1, 1)
        if not data:
            raise EOFError("no device")
        if len(fds) != 1 or not stat.S_ISCHR(os.fstat(fds[0]).st_mode):
            raise ValueError("no device came")
        os.close(fds[0])
        self.socket.settimeout(0.05)

    def round(self):
        try:
            if not self.socket.recv(1):
                raise EOFError("the device was taken back")
        except socket.timeout:
            pass


CLIENTS = {"wayland": Wayland, "bus": Bus, "http": Http, "device": Device}
KEEPS = CLIENTS.get(TYPE, lambda: Echo(40_000, TYPE in ("stream", "seqpacket")))
COMES = CLIENTS.get(TYPE, lambda: Echo(64))


def unless_it_ends(whose, step):
    """What the step returns; None: the connection ended, which it may."""
    try:
        return step()
    except (EOFError, ConnectionError, socket.timeout, FileNotFoundError) as error:
        if whose not in MAY_END or (isinstance(error, socket.timeout) and TYPE != "dgram"):
            raise
        ended[whose] += 1
        time.sleep(0.01)  # a rate: nobody may be there for a while
        return None


def again(client):
    client.round()
    return True


def keep():
    client = None
    while not stopping.is_set():
        client = client or unless_it_ends("kept", KEEPS)
        if client and unless_it_ends("kept", lambda: again(client)):
            rounds["kept"] += 1
            ready.set()
            time.sleep(PAUSE_S)  # a rate
        elif client:
            client.socket.close()
            client = None


def come_and_go():
    global longest
    ready.wait(LIMIT_S)
    while not stopping.is_set():
        before = time.monotonic()
        client = unless_it_ends("new", COMES)
        if client and unless_it_ends("new", lambda: again(client)):
            longest = max(longest, time.monotonic() - before)
            rounds["new"] += 1
        if client:
            client.socket.close()
        time.sleep(max(0.001, PAUSE_S))  # a rate: as many as come would leave nothing for the one that stays


def checked(who):
    try:
        who()
    except Exception as error:
        faults.append(f"{who.__name__}: {type(error).__name__} {error}")
        ready.set()


def summary():
    counts = {"rounds": rounds, "ended": ended, "bytes": checked_bytes}
    return {"faults": faults, **counts, "longest": round(longest * 1000)}


threads = [threading.Thread(target=checked, args=(who,), daemon=True) for who in (keep, come_and_go)]
for thread in threads:
    thread.start()
ready.wait(LIMIT_S)
print("ready", flush=True)
for line in sys.stdin:
    if line.strip() == "rounds":
        print(json.dumps(summary()), flush=True)
        continue
    break
stopping.set()
for thread in threads:
    thread.join(LIMIT_S)
    if thread.is_alive():
        faults.append("a client waits for its answer")
print(json.dumps(summary()), flush=True)
