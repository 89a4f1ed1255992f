"""BROKER: a daemon that has datagrams sent to containers, with descriptors of containers, some of which nobody can close:
a TCP socket that lingers (socket(7)) before a peer that reads nothing. Answers each line, a command, with one.

  hold PID               a handle
  hold-others N          so many handles, of processes with mounts of their own
  release HANDLE
  reply FROM TO PATH WHAT N    so many datagrams: their different errnos. WHAT comes along: nothing, hang, pipe
  send FROM TO WHAT N    the same, to a socket that is connected
  eof N                  waits until so many pipes that were sent are closed
  let-go                 nothing hangs any more
  open                   how many descriptors the broker has
"""
import array, errno, os, select, socket, struct, subprocess, sys
HOLD, RELEASE, REPLY, SEND, CHANNEL = 3, 4, 10, 13, 3

ends = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
def ready():
    for i in (0, 1): os.dup2(ends[i][1].fileno(), 100 + i)
    for i in (0, 1): os.dup2(100 + i, CHANNEL + i)
broker = subprocess.Popen(sys.argv[1:2], preexec_fn=ready, close_fds=False)
for end in ends: end[1].close() # it ends with us

def ask(op, container=0, arg=0, path=b"", fds=(), source=0):
    record = struct.pack("=8IQ", 1, op, container, socket.SOCK_DGRAM, 0, 0, arg, len(path), source)
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    ends[0][0].sendmsg([record + path.ljust(1024, b"\0")], ancillary)
    data, control, _, _ = ends[0][0].recvmsg(1 << 17, 4096)
    for _, _, carried in control: os.close(array.array("i", carried)[0])
    _, error, value, _ = struct.unpack_from("=4I", data)
    return error, value

def lingering():
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    unread.append((server, server.accept()[0]))
    client.setblocking(False)
    try:
        while True:
            client.send(bytes(1 << 20))
    except BlockingIOError:
        pass
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 10000))
    return client.detach()

unread, pipes, others = [], [], []
def carried(what):
    if what == "hang":
        return [lingering()]
    if what == "pipe":
        mine, yours = os.pipe()
        pipes.append(mine)
        return [yours]
    return []

def reply(source, container, path, what, n):
    errnos = set()
    for _ in range(int(n)):
        (planted, unused), (queue, filled) = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
        fds = carried(what)
        filled.sendmsg([what.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
        for fd in fds: os.close(fd) # what is in the queue does not wait for it
        error, _ = ask(REPLY, int(container), path=path.encode(), fds=(planted.fileno(), queue.fileno()), source=int(source))
        errnos.add(errno.errorcode.get(error, "sent"))
        if error == errno.EBUSY: # it stays in the queue: as the relay does, which has others hang with it
            kept.append(queue)
        else:
            queue.close()
        for end in (planted, unused, filled): end.close()
    return " ".join(sorted(errnos))

def send(source, container, what, n):
    errnos = set()
    for _ in range(int(n)):
        connected, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        queue, filled = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fds = carried(what)
        filled.sendmsg([what.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
        for fd in fds: os.close(fd)
        error, _ = ask(SEND, int(container), 1, fds=(connected.fileno(), queue.fileno()), source=int(source))
        errnos.add(errno.errorcode.get(error, "sent"))
        for end in (connected, peer, queue, filled): end.close()
    return " ".join(sorted(errnos))

kept = []
def hold(pid):
    error, handle = ask(HOLD, arg=int(pid))
    return errno.errorcode[error] if error else handle

for line in sys.stdin:
    command, *args = line.split()
    if command == "hold":
        said = hold(*args)
    elif command == "hold-others":
        for _ in range(int(args[0])):
            others.append(subprocess.Popen(["unshare", "-m", "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE))
            others[-1].stdout.readline()
        said = " ".join(str(hold(other.pid)) for other in others)
    elif command == "release":
        said = ask(RELEASE, int(args[0]))[0]
    elif command == "reply":
        said = reply(*args)
    elif command == "send":
        said = send(*args)
    elif command == "eof":
        said = "closed"
        for _ in range(int(args[0])):
            if not select.select(pipes[:1], [], [], 10)[0]: # for ever, where it fails
                said = "open"
                break
            os.close(pipes.pop(0))
    elif command == "let-go":
        while unread:
            for end in unread.pop(): end.close()
        while kept: kept.pop().close()
        said = "gone"
    elif command == "open":
        said = len(os.listdir("/proc/%d/fd" % broker.pid))
    print(said, flush=True)
for other in others: other.kill()
for end in ends: end[0].close()
broker.wait()
