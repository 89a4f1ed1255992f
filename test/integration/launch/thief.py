"""Tries to take what a process of the mesh holds, and says as JSON what it got.

  thief.py socket PATH [UID]   over a link: the kernel's own word on who is behind it (SO_PASSPIDFD, SO_PEERPIDFD)
  thief.py pid PID [UID]       by its number, as any process of that pid namespace can

UID: whom to become first, for good. Everything under "got" is a success of the thief's.
"""
import ctypes, json, os, signal, socket, struct, sys

libc = ctypes.CDLL(None, use_errno=True)
PIDFD_OPEN, PIDFD_GETFD = 434, 438
SO_PASSPIDFD, SO_PEERPIDFD, SCM_PIDFD = 76, 77, 4
PTRACE_ATTACH = 16


class iovec(ctypes.Structure):
    _fields_ = [('base', ctypes.c_void_p), ('length', ctypes.c_size_t)]


def take(pidfd, what, got, refused):
    """Descriptors of the process behind a pidfd."""
    for fd in range(64):
        taken = libc.syscall(PIDFD_GETFD, pidfd, fd, 0)
        if taken >= 0:
            got.append('%s: descriptor %d' % (what, fd))
        else:
            refused.add(os.strerror(ctypes.get_errno()))


def attempt(what, got, function):
    try:
        result = function()
    except OSError:
        return
    if result:
        got.append(what)


def read(path, offset=0):
    with open(path, 'rb', buffering=0) as file:
        file.seek(offset)
        return file.read(16)


def read_memory(pid):
    """process_vm_readv of where a program begins, wherever that is: EFAULT too says that one may."""
    buffer = ctypes.create_string_buffer(16)
    here = iovec(ctypes.cast(buffer, ctypes.c_void_p), 16)
    there = iovec(0x400000, 16)
    libc.process_vm_readv.restype = ctypes.c_ssize_t
    n = libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    return n >= 0 or ctypes.get_errno() == 14


def attach(pid):
    if libc.ptrace(PTRACE_ATTACH, pid, None, None) < 0:
        return False
    os.waitpid(pid, 0)
    return True


def by_pid(pid):
    got, refused = [], set()
    pidfd = os.pidfd_open(pid)
    take(pidfd, 'pidfd_open', got, refused)
    attempt('ptrace', got, lambda: attach(pid))
    attempt('process_vm_readv', got, lambda: read_memory(pid))
    for fd in range(8):
        attempt('/proc/PID/fd', got, lambda: os.readlink('/proc/%d/fd/%d' % (pid, fd)))
    for name in ('mem', 'environ', 'maps', 'auxv', 'stack', 'syscall', 'io'):
        attempt('/proc/PID/' + name, got, lambda: read('/proc/%d/%s' % (pid, name)) or name == 'mem')
    for name in ('exe', 'cwd', 'root', 'ns/net'):
        attempt('/proc/PID/' + name, got, lambda: os.readlink('/proc/%d/%s' % (pid, name)))
    return {'uid': os.getuid(), 'got': got, 'refused': sorted(refused)}


def over_socket(path):
    got, refused, seen = [], set(), []
    client = socket.socket(socket.AF_UNIX)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    client.setsockopt(socket.SOL_SOCKET, SO_PASSPIDFD, 1)
    client.connect(path)
    peer = struct.unpack('i', client.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD, 4))[0]
    take(peer, 'SO_PEERPIDFD', got, refused)
    client.sendall(b'x')
    data, ancillary, _, _ = client.recvmsg(16, 4096)
    for _, kind, content in ancillary:
        if kind == SCM_PIDFD:
            pidfd = struct.unpack('i', content[:4])[0]
            seen.append('pidfd' if pidfd >= 0 else 'no pidfd')
            take(pidfd, 'SO_PASSPIDFD', got, refused)
            attempt('pidfd_send_signal', got, lambda: signal.pidfd_send_signal(pidfd, 0) or True)
        if kind == socket.SCM_CREDENTIALS:
            seen.append('uid %d' % struct.unpack('iii', content[:12])[1])
    return {'uid': os.getuid(), 'got': got, 'refused': sorted(refused), 'seen': seen, 'data': data.decode()}


mode, which = sys.argv[1:3]
if len(sys.argv) > 3:
    uid = int(sys.argv[3])
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
print(json.dumps(over_socket(which) if mode == 'socket' else by_pid(int(which))))
