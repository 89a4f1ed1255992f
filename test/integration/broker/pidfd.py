"""BROKER PID PATH: a daemon that has datagrams' answers sent to a path in the container of that process, out of sockets
to whose datagrams the kernel adds a pidfd and credentials of the sender. Prints the broker's pid; at each line it has
fifty answers sent, and prints what came of the last one. It is run behind daemon.py."""
import os, socket, sys
PASSCRED, PASSPIDFD = 16, 76

daemon = Daemon(sys.argv[1:2])

def answer(container, carried):
    (source, unused), (queue, filled) = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
    for option in (PASSCRED, PASSPIDFD): queue.setsockopt(socket.SOL_SOCKET, option, 1)
    filled.sendmsg([b"datagram"], rights(carried))
    return daemon.ask(REPLY, container, path=sys.argv[3].encode(), fds=(source.fileno(), queue.fileno()))[0]

_, handle = daemon.ask(HOLD, arg=int(sys.argv[2]))
null = os.open("/dev/null", os.O_RDONLY)
print(daemon.broker.pid, flush=True)
for line in sys.stdin:
    for _ in range(50):
        error = answer(handle, [null] * 5)
    print(error, flush=True)
daemon.leave()
