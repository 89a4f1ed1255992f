"""Filters of system calls: seccomp(2)."""
import ctypes, os, struct

libc = ctypes.CDLL(None, use_errno=True)
LOAD, UNLESS, RETURN = 0x20, 0x15, 0x06
ALLOW = 0x7FFF0000


class sock_fprog(ctypes.Structure):
    _fields_ = [('len', ctypes.c_ushort), ('filter', ctypes.c_char_p)]


def rule(operation, value, skip=0):
    """LOAD the word at `value` of seccomp_data; skip so many rules UNLESS it is `value`; RETURN `value`."""
    return struct.pack('HBBI', operation, 0, skip, value)


def program_of(*rules):
    return ctypes.byref(sock_fprog(len(rules), b''.join(rules)))


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), 'seccomp')
    return result
