"""Relay: pvx-relay, bare, and its daemon, which is this program: commands in, events out, whatever they are. The cases of
program-cases.py are run behind it.

  python3 -c TEXT PROGRAM CASE    status 0: it held
"""
import array, collections, mmap, os, select, socket, struct, subprocess, sys

OPS = "HELLO LINK LISTEN RETARGET RESOLVE STOP CLOSE NOTE OWED JOIN TRANSFER CANCEL LED".split()
EVENTS = "BORN WELCOME STANDING COMPLETE PENDING HANDED UPSTREAM FULL STOPPED GONE MOVED LED BROKER".split()
STREAM, SEQPACKET = socket.SOCK_STREAM, socket.SOCK_SEQPACKET
FORWARD, ASK, HAND = 0, 1, 2
REQUEST = 40 + 1024 # bytes of a struct pvx_request
CONNECT_UNIX, LISTEN_UNIX = 6, 5
VERSION = 2         # of the protocol
COUNTERS = 128      # bytes of a link's
TIMES = 80          # bytes of how long its connections took, behind all counters
NOBODY = 65534
Event = collections.namedtuple("Event", "type link conn error bytes fd data")

def command(op, link=1, conn=0, mode=0, flags=0, ms=0, most=100, other=0, bytes=0, request=b"", data=b""):
    return struct.pack("=8IQ2I", OPS.index(op) + 1 if op in OPS else op, link, conn, mode, flags, ms, most, other, bytes,
                       len(request), len(data)) + request + data

def request(op=CONNECT_UNIX, path=b"/nowhere"):
    return struct.pack("=8IQ", 0, op, 1, STREAM, 0, 0, 0, len(path), 0) + path.ljust(1024, b"\0")

def pair(type=STREAM):
    return socket.socketpair(socket.AF_UNIX, type)

for _ in range(3, 10): os.open("/dev/null", os.O_RDWR) # so that 3 and 4 are no sockets of ours

class Relay:
    def __init__(self, broker=None, **options):
        self.daemon, theirs = pair(SEQPACKET)
        def prepare():
            if broker: os.dup2(broker.fileno(), 3)
            os.dup2(theirs.fileno(), 4)
        self.process = subprocess.Popen([sys.argv[1]], preexec_fn=prepare, pass_fds=(3, 4), stderr=subprocess.PIPE,
                                        **({"user": NOBODY, "group": NOBODY, "extra_groups": []} | options))
        theirs.close()
        self.read = collections.deque()

    def send(self, record, *ends):
        """Takes the sockets."""
        fds = [end if isinstance(end, int) else end.fileno() for end in ends]
        self.daemon.sendmsg([record], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
        for end in ends:
            os.close(end) if isinstance(end, int) else end.close()

    def tell(self, op, *ends, **fields):
        self.send(command(op, **fields), *ends)

    def event(self):
        while not self.read:
            data, fds, _, _ = socket.recv_fds(self.daemon, 65536, 253)
            assert data, "the relay has ended"
            at = 0
            while at < len(data):
                type, link, conn, error, bytes, has_fd, length = struct.unpack_from("=4IQ2I", data, at)
                at += 32 + length
                self.read.append(Event(EVENTS[type - 1], link, conn, error, bytes, fds.pop(0) if has_fd else -1,
                                       data[at - length:at]))
            assert at == len(data) and not fds
        return self.read.popleft()

    def expect(self, type, **fields):
        event = self.event()
        assert event.type == type and all(getattr(event, name) == value for name, value in fields.items()), event
        return event

    def greet(self, incarnation=1):
        """What stands; the counters are in `self.counters`."""
        self.tell("HELLO", mode=VERSION, conn=incarnation)
        welcome = self.expect("WELCOME", conn=incarnation, error=VERSION)
        self.memory = welcome.fd
        self.counters = mmap.mmap(welcome.fd, 0, mmap.MAP_SHARED, mmap.PROT_READ)
        standing = []
        while (event := self.event()).type != "COMPLETE": standing.append(event)
        return standing

    def link(self, number=1, type=STREAM, **fields):
        self.tell("LINK", link=number, mode=type, **({"ms": 60000, "bytes": 2**24} | fields))

    def join(self, number=1, conn=0, type=STREAM):
        (near, consumer), (far, provider) = pair(type), pair(type)
        self.tell("JOIN", near, far, link=number, conn=conn)
        return consumer, provider

    def listen(self, number=1, mode=HAND, **fields):
        """Its address, in the abstract namespace."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("")
        listener.listen(4096)
        address = listener.getsockname()
        self.tell("LISTEN", listener, link=number, mode=mode, **fields)
        return address

    def count(self, number=1):
        names = ("active", "joins", "total", "to_provider", "to_consumer", *(f"close_{i}" for i in range(11)), "links")
        return dict(zip(names, struct.unpack_from("=2I15Q", self.counters, number * COUNTERS)))

    def settled(self):
        """All commands until here were run."""
        self.tell("LED", os.dup(0), link=LAST, conn=77, other=LAST)
        while (event := self.event())[:3] != ("LED", LAST, 77): yield event

    def open(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def end(self):
        """What it said on the standard error."""
        self.daemon.close()
        said = self.process.stderr.read().decode()
        assert self.process.wait() == 0, self.process.returncode
        return said

LAST = 16383 # a link that is there for `settled` alone

def connect(address):
    client = socket.socket(socket.AF_UNIX)
    client.connect(address)
    return client

def passes(one, other, what=b"to be passed on"):
    one.send(what)
    assert other.recv(1024) == what
