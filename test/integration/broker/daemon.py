"""A daemon's side of the broker, in records (native/protocol.h)."""
import array, os, socket, struct, subprocess
HOLD, RELEASE, REPLY, SEND, CHANNEL = 3, 4, 10, 13, 3

def rights(fds):
    """As ancillary data."""
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []

class Daemon:
    """Starts the broker, which ends when this is left."""
    def __init__(self, argv):
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
        def ready():
            for i in (0, 1): os.dup2(pairs[i][1].fileno(), 100 + i)
            for i in (0, 1): os.dup2(100 + i, CHANNEL + i)
        self.broker = subprocess.Popen(argv, preexec_fn=ready, close_fds=False)
        self.ends = [mine for mine, _ in pairs]
        for _, theirs in pairs: theirs.close()

    def ask(self, op, container=0, arg=0, path=b"", fds=(), source=0):
        """The errno and the value of the answer, whose descriptor is closed."""
        record = struct.pack("=8IQ", 1, op, container, socket.SOCK_DGRAM, 0, 0, arg, len(path), source)
        self.ends[0].sendmsg([record + path.ljust(1024, b"\0")], rights(fds))
        data, control, _, _ = self.ends[0].recvmsg(1 << 17, 4096)
        for _, _, carried in control: os.close(array.array("i", carried)[0])
        return struct.unpack_from("=4I", data)[1:3]

    def leave(self):
        for end in self.ends: end.close()
        self.broker.terminate()
        self.broker.wait()
