"""
slow-fs.py WHERE SECONDS: a file system without a file, each look into which takes that long.

Spoken over /dev/fuse directly (linux/fuse.h), as root of a container. Prints "mounted"; ends with the container.
"""
import ctypes, os, stat, struct, sys, threading, time
where, delay = sys.argv[1], float(sys.argv[2])
os.makedirs(where, exist_ok=True)
if not os.path.exists("/dev/fuse"):
    os.mknod("/dev/fuse", 0o666 | stat.S_IFCHR, os.makedev(10, 229))
fuse = os.open("/dev/fuse", os.O_RDWR)
libc = ctypes.CDLL(None, use_errno=True)
options = b"fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other" % fuse
if libc.mount(b"slow", where.encode(), b"fuse", 0, options):
    raise OSError(ctypes.get_errno(), "mount")
LOOKUP, FORGET, GETATTR, INIT, INTERRUPT, BATCH = 1, 2, 3, 26, 36, 42
ATTR = struct.pack("<QQQQQQIIIIIIIIII", 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 1, 0, 0, 0, 0, 0)

def answer(unique, error, body=b""):
    try:
        os.write(fuse, struct.pack("<IiQ", 16 + len(body), error, unique) + body)
    except OSError:
        pass

def later(unique):
    time.sleep(delay)
    answer(unique, -2)

print("mounted", flush=True)
while True:
    try:
        data = os.read(fuse, 1 << 18)
    except OSError:
        sys.exit()
    _, op, unique = struct.unpack_from("<IIQ", data)
    if op == INIT:
        answer(unique, 0, struct.pack("<IIIIHHIIHHI7I", 7, 31, 1 << 16, 1 << 18, 64, 64, 1 << 16, 1, 1, 0, 0, *[0] * 7))
    elif op == GETATTR:
        answer(unique, 0, struct.pack("<QII", 0, 0, 0) + ATTR)
    elif op == LOOKUP:
        threading.Thread(target=later, args=(unique,), daemon=True).start()
    elif op not in (FORGET, INTERRUPT, BATCH):
        answer(unique, -38)
