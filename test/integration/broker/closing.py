"""BROKER: a daemon that has datagrams sent to containers, with descriptors of containers, some of which nobody can close:
a TCP socket that lingers (socket(7)) before a peer that reads nothing. Answers each line, a command, with one. It is run
behind lingering.py and daemon.py.

  hold PID               a handle
  hold-others N          so many handles, of processes with mounts of their own
  release HANDLE
  reply FROM TO PATH WHAT N    so many datagrams: their different errnos. WHAT comes along: nothing, hang, pipe
  send FROM TO WHAT N    the same, to a socket that is connected
  eof N                  waits until so many pipes that were sent are closed
  let-go                 nothing hangs any more
  open                   how many descriptors the broker has
"""
import errno, os, select, socket, subprocess, sys

daemon = Daemon(sys.argv[1:2])
unread, pipes, others = [], [], []
def carried(what):
    if what == "hang":
        fd, ends = lingering()
        unread.append(ends)
        return [fd]
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
        filled.sendmsg([what.encode()], rights(fds))
        for fd in fds: os.close(fd) # what is in the queue does not wait for it
        error, _ = daemon.ask(REPLY, int(container), path=path.encode(), fds=(planted.fileno(), queue.fileno()), source=int(source))
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
        filled.sendmsg([what.encode()], rights(fds))
        for fd in fds: os.close(fd)
        error, _ = daemon.ask(SEND, int(container), 1, fds=(connected.fileno(), queue.fileno()), source=int(source))
        errnos.add(errno.errorcode.get(error, "sent"))
        for end in (connected, peer, queue, filled): end.close()
    return " ".join(sorted(errnos))

kept = []
def hold(pid):
    error, handle = daemon.ask(HOLD, arg=int(pid))
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
        said = daemon.ask(RELEASE, int(args[0]))[0]
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
        said = len(os.listdir("/proc/%d/fd" % daemon.broker.pid))
    print(said, flush=True)
for other in others: other.kill()
daemon.leave()
