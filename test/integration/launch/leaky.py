"""leaky.py FILE old|new PROGRAM ARG...: executes a program with many descriptors of a file that it knows nothing of.

"old": on a kernel that has no close_range(2), as far as the program can tell.
"""
import ctypes, os, struct, sys

libc = ctypes.CDLL(None, use_errno=True)
CLOSE_RANGE, ENOSYS = 436, 38
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2


class sock_fprog(ctypes.Structure):
    _fields_ = [('len', ctypes.c_ushort), ('filter', ctypes.c_char_p)]


def without_close_range():
    rules = [
        (0x20, 0, 0, 0),  # the number of the call
        (0x15, 0, 1, CLOSE_RANGE),
        (0x06, 0, 0, 0x00050000 | ENOSYS),
        (0x06, 0, 0, 0x7FFF0000),
    ]
    code = b''.join(struct.pack('HBBI', *rule) for rule in rules)
    program = sock_fprog(len(rules), code)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) < 0:
        raise OSError(ctypes.get_errno(), 'seccomp')


path, kernel, *argv = sys.argv[1:]
for number in range(45):
    os.set_inheritable(os.open(path, os.O_RDONLY), True)
if kernel == 'old':
    without_close_range()
os.execvp(argv[0], argv)
