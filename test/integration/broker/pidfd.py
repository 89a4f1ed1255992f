"""BROKER PID PATH: a daemon that has datagrams' answers sent to a path in the container of that process, out of sockets
to whose datagrams the kernel adds a pidfd and credentials of the sender. Prints how many descriptors the broker has
before, after, and what came of the last answer."""
import array, os, socket, struct, subprocess, sys, time
HOLD, REPLY, STREAM_FD = 3, 10, 3
PASSCRED, PASSPIDFD = 16, 76

ends = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
def ready():
    for i in (0, 1): os.dup2(ends[i][1].fileno(), 100 + i)
    for i in (0, 1): os.dup2(100 + i, STREAM_FD + i)
broker = subprocess.Popen(sys.argv[1:2], preexec_fn=ready, close_fds=False)

def ask(op, container=0, arg=0, path=b"", fds=()):
    record = struct.pack("=8IQ", 1, op, container, socket.SOCK_DGRAM, 0, 0, arg, len(path), 0) + path.ljust(1024, b"\0")
    ends[0][0].sendmsg([record], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
    data, control, _, _ = ends[0][0].recvmsg(1 << 17, 4096)
    for _, _, carried in control: os.close(array.array("i", carried)[0])
    return struct.unpack_from("=4I", data)

def count():
    time.sleep(0.3) # foreign descriptors are closed in their own time
    return len(os.listdir("/proc/%d/fd" % broker.pid))

def answer(container, carried):
    (source, unused), (queue, filled) = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
    for option in (PASSCRED, PASSPIDFD): queue.setsockopt(socket.SOL_SOCKET, option, 1)
    filled.sendmsg([b"datagram"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", carried))])
    return ask(REPLY, container, path=sys.argv[3].encode(), fds=(source.fileno(), queue.fileno()))[1]

_, error, handle, _ = ask(HOLD, arg=int(sys.argv[2]))
null = os.open("/dev/null", os.O_RDONLY)
before = count()
for _ in range(50):
    error = answer(handle, [null] * 5)
print(before, count(), error)
