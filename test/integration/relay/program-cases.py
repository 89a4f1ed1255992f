"""The cases: what each shows is in program.test.ts."""
import random, threading, time

SO_MEMINFO = 55 # <asm-generic/socket.h>
TAP = 17 # PVX_RELAY_TAP

def started():
    relay = Relay()
    relay.expect("BORN")
    relay.greet()
    relay.link(LAST)
    return relay

def until(what):
    end = time.monotonic() + 10
    while not what():
        assert time.monotonic() < end, "it never holds"
        time.sleep(.01)  # how often it is looked at

def greeting():
    relay = Relay()
    relay.expect("BORN")
    relay.link()
    held, gone = pair()
    relay.tell("JOIN", gone, os.dup(0))
    assert held.recv(1) == b"" # dropped, as nobody has said HELLO
    relay.tell("HELLO", mode=99, conn=5)
    relay.expect("WELCOME", error=VERSION, conn=5, fd=-1)
    relay.link()
    assert relay.greet(6) == []
    assert relay.count()["links"] == 0
    relay.link()
    relay.link(2)
    address = relay.listen(2, FORWARD, data=b"what it is for")
    consumer, provider = relay.join()
    passes(consumer, provider)
    one, two = relay.greet(7)
    assert (one.type, one.link, one.conn, one.data) == ("STANDING", 1, 0, b"")
    assert (two.type, two.link, two.conn, two.data) == ("STANDING", 2, 1, b"what it is for")
    passes(provider, consumer)
    until(lambda: relay.count()["to_provider"] == relay.count()["to_consumer"] == len("to be passed on"))
    relay.tell("NOTE", link=2, data=b"another")
    relay.tell("STOP", link=2)
    relay.expect("STOPPED", link=2)
    assert [event.data for event in relay.greet(8)] == [b"", b"another"]
    assert [event.conn for event in relay.greet(9)] == [0, 0]
    relay.tell("CLOSE", ms=60_000)
    assert [event.conn for event in relay.greet(10)] == [2, 0] # it drains
    return relay.end() == ""

def counters():
    relay = started()
    memory = relay.memory
    for attempt in (lambda: os.write(memory, b"x"), lambda: os.ftruncate(memory, 0), lambda: os.ftruncate(memory, 2**24),
                    lambda: mmap.mmap(memory, 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE),
                    lambda: os.pwrite(os.open(f"/proc/self/fd/{memory}", os.O_RDWR), b"x", 0)):
        try:
            attempt()
            assert False, "it was changed"
        except OSError:
            pass
    assert len(relay.counters) == 16384 * (COUNTERS + TIMES)
    relay.link()
    ends = [relay.join() for _ in range(3)]
    for consumer, provider in ends: passes(consumer, provider)
    expected = dict.fromkeys(relay.count(), 0) | {"active": 3, "joins": 3, "links": 1}
    until(lambda: relay.count() == expected | {"to_provider": 3 * len("to be passed on")})
    ends.pop()[0].close()
    until(lambda: relay.count()["close_0"] == 1)
    relay.tell("CLOSE")
    relay.expect("GONE")
    assert relay.count()["close_4"] == 2 and relay.count()["active"] == 0
    relay.link()
    list(relay.settled())
    assert relay.count() == dict.fromkeys(relay.count(), 0) | {"links": 2}
    return relay.end() == ""

def owed():
    relay = started()
    relay.link()
    big = random.Random(1).randbytes(300_000)
    for at in range(0, len(big), 60_000): relay.tell("OWED", conn=5, mode=1, data=big[at:at + 60_000])
    relay.tell("OWED", conn=5, mode=0, data=b"to the consumer")
    consumer, provider = relay.join(conn=5)
    consumer.send(b"end")
    assert provider.recv(len(big) + 3, socket.MSG_WAITALL) == big + b"end"
    assert consumer.recv(100) == b"to the consumer"
    relay.tell("OWED", conn=6, mode=0, data=b"dropped")
    relay.tell("OWED", conn=7, mode=0, data=b"kept")
    consumer, provider = relay.join(conn=7)
    provider.send(b", and more")
    provider.close()
    assert consumer.recv(100, socket.MSG_WAITALL) == b"kept, and more"
    relay.tell("OWED", conn=8, mode=0, data=b"of another incarnation")
    relay.greet(2)
    passes(*reversed(relay.join(conn=8)))
    for _ in range(2**24 // 65536 + 1): relay.tell("OWED", conn=9, mode=0, data=bytes(65536))
    consumer, provider = relay.join(conn=9)
    assert consumer.recv(1) == provider.recv(1) == b"" # not a byte of what would have a gap
    return relay.end() == ""

def malformed():
    relay = started()
    relay.link()
    address = relay.listen()
    good = command("JOIN")
    list(relay.settled())
    before = relay.open()
    wrong = [
        (b"", 0), (b"x", 0), (good[:-1], 2), (good + b"x", 2), (good, 0), (good, 1), (good, 3), (good, 253),
        (command("HELLO", mode=VERSION), 1), (command("HELLO", mode=VERSION, flags=2), 0),
        (command(0), 0), (command(14), 0), (command(2**32 - 1), 0),
        (command("LINK", link=1, mode=STREAM), 0),      # in use
        (command("LINK", link=16384, mode=STREAM), 0),
        (command("LINK", link=2**32 - 1, mode=STREAM), 0),
        (command("LINK", link=2, mode=0), 0), (command("LINK", link=2, mode=3), 0),
        (command("LINK", link=2, mode=STREAM, flags=16), 0), (command("LINK", link=2, mode=STREAM, flags=12), 0),
        (command("LINK", link=2, mode=STREAM, flags=2, data=bytes(17)), 0),
        (command("LINK", link=2, mode=STREAM, flags=2, data=bytes(18)), 0),
        (command("LINK", link=2, mode=STREAM, flags=2, data=bytes([4, 33] + 16 * [0])), 0),
        (command("LINK", link=2, mode=STREAM, flags=2, data=bytes([6, 129] + 16 * [0])), 0),
        (command("LINK", link=2, mode=STREAM, flags=2, data=bytes([4, 8] + 16 * [0]) * 65), 0),
        (command("LINK", link=2, mode=STREAM, request=request()), 0),
        (command("LISTEN", mode=3), 1), (command("LISTEN", mode=HAND), 0), (command("LISTEN", mode=HAND), 2),
        (command("LISTEN", mode=HAND, data=bytes(16385)), 1), (command("NOTE", data=bytes(16385)), 0),
        (command("RETARGET", request=request(LISTEN_UNIX)), 0), (command("RETARGET", request=request()[:-1]), 0),
        (command("RETARGET", request=request(), data=b"x"), 0), (command("RESOLVE", request=request(LISTEN_UNIX)), 0),
        (command("OWED", mode=2, data=b"x"), 0), (command("OWED", mode=0), 0),
        (command("TRANSFER", bytes=0), 2), (command("TRANSFER", bytes=5, flags=4), 2), (command("TRANSFER", bytes=5), 1),
        (command("CANCEL", data=b"x"), 0), (command("LED"), 0), (command("LED"), 2),
        (struct.pack("=8IQ2I", 10, 1, 0, 0, 0, 0, 0, 0, 0, 2**32 - 1, 2**32 - 1), 2),
        (struct.pack("=8IQ2I", 9, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2**32 - 48), 0),
        (bytes(48 + REQUEST + 65536), 0), (bytes(100_000), 2),
    ]
    for record, n in wrong:
        held, gone = pair()
        relay.send(record, *(os.dup(gone.fileno()) for _ in range(n)))
        gone.close()
        assert n == 0 or held.recv(1) == b"", record[:64] # its descriptors were closed
    assert list(relay.settled()) == []
    until(lambda: relay.open() <= before)
    assert [event.link for event in relay.greet(2)] == [LAST, 1]
    passes(*relay.join())
    client = connect(address)
    assert relay.expect("HANDED").fd >= 0
    said = relay.end()
    return said.count("\n") == 1 and said.startswith("pvx-relay: the daemon sent a record that is no command: ")

def fuzz():
    """Commands of which some fields are right, with descriptors of all kinds."""
    chance = random.Random(20261129)
    relay = started()
    near, far = pair(SEQPACKET)
    near.settimeout(0)
    def field(*likely):
        return chance.choice([*likely, *likely, chance.randrange(2**32), 0, 2**32 - 1])
    def descriptor():
        kind = chance.randrange(7)
        if kind < 4:
            one, other = pair(chance.choice([STREAM, STREAM, SEQPACKET, socket.SOCK_DGRAM]))
            kept.append(other)
            chance.random() < .5 and other.send(b"something")
            return one
        if kind == 4:
            listener = socket.socket(socket.AF_UNIX, chance.choice([STREAM, SEQPACKET]))
            listener.bind("")
            listener.listen()
            client = socket.socket(socket.AF_UNIX, listener.type)
            client.connect(listener.getsockname())
            kept.append(client)
            return listener
        return os.open(["/dev/null", "/proc/self/stat"][kind - 5], os.O_RDWR if kind == 5 else os.O_RDONLY)
    kept = collections.deque(maxlen=200)
    for _ in range(4000):
        op = chance.randrange(1, 14)
        data = chance.randbytes(chance.choice([0, 0, 0, 18, 36, 5, 16384, 60000]))
        asks = request(chance.choice([6, 6, 31, 11, 5]), chance.randbytes(20)) if chance.random() < .3 else b""
        record = command(op, link=field(*range(1, 6)), conn=field(*range(1, 6)), mode=field(0, 1, 2, 5), flags=field(0, 1, 2, 3),
                         ms=field(0, 10, 1000), most=field(1, 10), other=field(1, 2, 3),
                         bytes=field(1, 5, 2**20, 2**64 - 1), request=asks, data=data)
        if chance.random() < .1:
            record = bytearray(record)
            record[chance.randrange(len(record))] = chance.randrange(256)
        n = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 2, 0, 1][op] if chance.random() < .9 else chance.randrange(5)
        relay.send(record, *(descriptor() for _ in range(n)))
        for event in relay.settled():
            if event.fd >= 0: os.close(event.fd)
            assert event.type != "BORN"
    for event in relay.greet(2):
        if event.link != LAST: relay.tell("CLOSE", link=event.link)
    kept.clear()
    for event in relay.settled():
        if event.fd >= 0: os.close(event.fd)
    relay.link(9)
    passes(*relay.join(9))
    before = relay.open()
    until(lambda: relay.open() <= 12)
    relay.end()
    return True

def unread():
    """A daemon that reads nothing: clients wait, connections go on, and its successor gets all that there is."""
    relay = started()
    relay.link(1)
    relay.link(2)
    address = relay.listen(1, HAND)
    passing = relay.join(2)
    relay.tell("NOTE", link=2, data=bytes(16384))
    for n in range(100): # what it says to each fills the channel
        relay.tell("HELLO", mode=VERSION, conn=1)
        relay.join(LAST)
        until(lambda: relay.count(LAST)["joins"] > n)
    clients = [connect(address) for _ in range(3000)]
    relay.daemon.setblocking(False)
    def busy():
        total = relay.count(1)["total"]
        time.sleep(.3) # more than a pause of the listener: nobody was accepted in it
        return 0 < total == relay.count(1)["total"]
    until(busy)
    handed = relay.count(1)["total"]
    assert 200 <= handed < 512, handed
    for _ in range(100): passes(*passing)
    more = [relay.join(2) for _ in range(100)]
    for consumer, provider in more:
        passes(consumer, provider)
        consumer.close()
        assert provider.recv(1) == b""
    relay.tell("STOP", link=2)  # its event waits behind the others
    relay.daemon.setblocking(True)
    relay.tell("HELLO", mode=VERSION, conn=2)
    got, types = [], set()
    while len(got) < 3000:
        event = relay.event()
        types.add(event.type)
        if event.type == "HANDED": got.append(event.fd)
    assert types >= {"HANDED", "WELCOME", "COMPLETE"}, types
    for number, client in enumerate(clients): client.send(b"%d" % number)
    for number, fd in enumerate(got): # in their order, and not one is lost
        assert os.read(fd, 10) == b"%d" % number
        os.close(fd)
    until(lambda: relay.open() < 50)
    return relay.end() == ""

def asked():
    relay = started()
    relay.link(1, ms=60000)
    address = relay.listen(1, ASK)
    clients = [connect(address) for _ in range(3)]
    pending = [relay.expect("PENDING", link=1).conn for _ in clients]
    relay.tell("RESOLVE", conn=pending[0])
    assert clients[0].recv(1) == b""
    relay.greet(2) # a daemon that was never answered asks again
    assert [relay.expect("PENDING", link=1).conn for _ in range(2)] == pending[1:]
    return relay.end() == ""

def brokers():
    """Answers to another relay's requests, to none, and to its own; then the broker's end."""
    near, far = pair(SEQPACKET)
    relay = Relay(far)
    far.close()
    relay.expect("BORN")
    relay.greet()
    relay.link()
    address = relay.listen(1, FORWARD, request=request(path=b"/provider"))
    client = connect(address)
    asked = near.recv(4096)
    number, op = struct.unpack_from("=2I", asked)
    assert op == CONNECT_UNIX and asked[40:49] == b"/provider" and len(asked) == REQUEST
    assert number >= 64
    def answer(id, *ends, error=0):
        socket.send_fds(near, [struct.pack("=4I2Q", id, error, 0, 0, 0, 0)], [end.fileno() for end in ends])
        for end in ends: end.close()
    for id in (number ^ 64, number ^ 1, number & 63, 0, 2**32 - 1):
        held, gone = pair()
        answer(id, gone)
        assert held.recv(1) == b""
    provider, theirs = pair()
    held, second = pair()
    answer(number, theirs, second)
    assert held.recv(1) == b"" # it is for one
    passes(client, provider)
    held, gone = pair()
    answer(number, gone) # answered already
    assert held.recv(1) == b""
    near.close()
    relay.expect("BROKER")
    passes(provider, client)
    return relay.end() == ""

def tcp_pair():
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    return client, listener.accept()[0]

PIECES = [bytes([i]) * 2**20 for i in range(80)]

def passes_on(one, other, pieces):
    def say():
        for piece in pieces: one.sendall(piece)
    saying = threading.Thread(target=say)
    saying.start()
    for piece in pieces:
        assert other.recv(len(piece), socket.MSG_WAITALL) == piece
    saying.join()

def join_tcp(relay, link=1):
    (consumer, near), (far, provider) = tcp_pair(), pair()
    relay.tell("JOIN", near, far, link=link)
    return consumer, provider

def spliced(relay):
    fds = f"/proc/{relay.process.pid}/fd"
    own = [os.readlink(f"{fds}/{name}") for name in os.listdir(fds) if int(name) > 2]
    return any(target.startswith("pipe:") for target in own)

def raced():
    """Bodies between TCP and a unix socket, so long that each way has its laps, and then the faster one."""
    relay = started()
    relay.link()
    idle = join_tcp(relay)
    passes_on(*idle, PIECES[:1]) # and pauses within its lap, which is one of the other way
    assert not spliced(relay)
    consumer, provider = join_tcp(relay)
    def others_go_on():
        passes_on(consumer, provider, PIECES[:8])
        return spliced(relay)
    until(others_go_on)
    passes_on(consumer, provider, PIECES)
    passes_on(provider, consumer, PIECES)
    return relay.end() == ""

def tapped():
    """A body that is tapped can't be spliced: it has no laps, so the first lap, which is copied, is left to others."""
    relay = started()
    relay.link(1)
    relay.link(2)
    tap, theirs = pair(SEQPACKET)
    relay.tell(TAP, theirs)
    assert tap.recv(65536) # it has begun
    passes_on(*join_tcp(relay), PIECES[:6])
    consumer, provider = join_tcp(relay, 2)
    passes_on(consumer, provider, PIECES[:2])
    assert not spliced(relay)
    def more_is_spliced():
        passes_on(consumer, provider, PIECES[:8])
        return spliced(relay)
    until(more_is_spliced)
    return relay.end() == ""

def crowded():
    """Streams of TCP that were fast, until nobody read any more."""
    most, count, fast, block = 2**24, 16, 2**23, bytes(range(256)) * 256
    relay = started()
    relay.link(bytes=most)
    inside, consumers, providers, sent, heard = [], [], [], [fast] * count, [0] * count
    for _ in range(count):
        (consumer, near), (far, provider) = tcp_pair(), tcp_pair()
        inside += [near.dup(), far.dup()]
        relay.tell("JOIN", near, far)
        consumers.append(consumer)
        providers.append(provider)
    def read(i, size):
        data = providers[i].recv(min(size, len(block)), socket.MSG_WAITALL)
        assert data == (block + block)[heard[i] % 256:][:len(data)]
        heard[i] += len(data)
        return len(data)
    for i in range(count):
        feeding = threading.Thread(target=consumers[i].sendall, args=(block * (fast // len(block)),))
        feeding.start()
        while heard[i] < fast: read(i, fast - heard[i])
        feeding.join()
        consumers[i].setblocking(False)
    def held():
        info = [struct.unpack("=9I", end.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36)) for end in inside]
        return sum(received + queued for received, _, _, _, _, queued, *_ in info)
    def full():
        """Nobody can send, and what there is stays as it is."""
        before = held(), list(sent)
        for i in range(count):
            try:
                while True: sent[i] += consumers[i].send((block + block)[sent[i] % 256:][:len(block)])
            except BlockingIOError:
                pass
        return (held(), sent) == before and asleep()
    def asleep():
        """In epoll_wait(2) without a timeout: an event will tell, and no tick looks."""
        call = open(f"/proc/{relay.process.pid}/syscall").read().split()
        return len(call) > 4 and int(call[4], 16) & 0xffffffff == 0xffffffff
    until(full)
    assert most // 4 < held() <= most, held()
    for consumer in consumers: consumer.shutdown(socket.SHUT_WR)
    for i in range(count):
        while read(i, len(block)): pass
    assert heard == sent
    return relay.end() == ""

def ends():
    """As root without capabilities in a namespace of its own it runs, with them it does not; SIGTERM is its end."""
    with_capabilities = Relay(user=0, group=0)
    assert with_capabilities.process.wait() == 1
    assert b"capabilities" in with_capabilities.process.stderr.read()
    nothing = subprocess.run([sys.argv[1]], stdin=subprocess.DEVNULL, capture_output=True)
    assert nothing.returncode == 2 and b"descriptor 4 is no socket" in nothing.stderr
    relay = started()
    status = dict(line.rstrip("\n").split(":\t", 1) for line in open(f"/proc/{relay.process.pid}/status"))
    assert [status[f"Cap{name}"] for name in ("Prm", "Eff", "Inh", "Amb")] == ["0" * 16] * 4
    assert (status["NoNewPrivs"], status["Seccomp"], status["SigBlk"]) == ("1", "2", "0" * 16)
    relay.process.terminate()
    assert relay.process.wait() == -15
    return True

assert globals()[sys.argv[2]](), "it does not hold"
