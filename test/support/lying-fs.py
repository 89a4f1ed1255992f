"""
lying-fs.py WHERE MAJOR MINOR: a file system in which every name is a character device of those numbers.

Spoken over /dev/fuse directly (linux/fuse.h), as root of a container, which may be root of a user namespace only.
Prints "mounted"; ends with the container.
"""
import ctypes, os, struct, sys
where, numbers = sys.argv[1], int(sys.argv[2]) << 8 | int(sys.argv[3])
os.makedirs(where, exist_ok=True)
fuse = os.open("/dev/fuse", os.O_RDWR)
libc = ctypes.CDLL(None, use_errno=True)
options = b"fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other" % fuse
if libc.mount(b"lying", where.encode(), b"fuse", 6, options): # nosuid, nodev
    raise OSError(ctypes.get_errno(), "mount")
LOOKUP, FORGET, GETATTR, STATFS, INIT, INTERRUPT, BATCH = 1, 2, 3, 17, 26, 36, 42

def attributes(node):
    mode, rdev = (0o40755, 0) if node == 1 else (0o20660, numbers)
    return struct.pack("<QQQQQQIIIIIIIIII", node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, rdev, 0, 0)

def answer(unique, error, body=b""):
    try:
        os.write(fuse, struct.pack("<IiQ", 16 + len(body), error, unique) + body)
    except OSError:
        pass

print("mounted", flush=True)
while True:
    try:
        data = os.read(fuse, 1 << 18)
    except OSError:
        sys.exit()
    _, op, unique, node = struct.unpack_from("<IIQQ", data)
    if op == INIT:
        answer(unique, 0, struct.pack("<IIIIHHIIHHI7I", 7, 31, 1 << 16, 1 << 18, 64, 64, 1 << 16, 1, 1, 0, 0, *[0] * 7))
    elif op == GETATTR:
        answer(unique, 0, struct.pack("<QII", 9, 0, 0) + attributes(node))
    elif op == LOOKUP:
        answer(unique, 0, struct.pack("<QQQQII", 2, 0, 9, 9, 0, 0) + attributes(2))
    elif op == STATFS:
        answer(unique, 0, struct.pack("<5Q4I6I", 0, 0, 0, 0, 0, 4096, 255, 4096, *[0] * 7))
    elif op not in (FORGET, INTERRUPT, BATCH):
        answer(unique, -38)
