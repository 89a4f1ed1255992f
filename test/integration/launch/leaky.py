"""leaky.py FILE old|new PROGRAM ARG...: executes a program with many descriptors of a file that it knows nothing of.

"old": on a kernel that has no close_range(2), as far as the program can tell.
It is run behind seccomp.py.
"""
import os, sys

CLOSE_RANGE, ENOSYS, FAIL = 436, 38, 0x00050000
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2


def without_close_range():
    program = program_of(
        rule(LOAD, 0),  # the number of the call
        rule(UNLESS, CLOSE_RANGE, 1),
        rule(RETURN, FAIL | ENOSYS),
        rule(RETURN, ALLOW),
    )
    checked(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0))


path, kernel, *argv = sys.argv[1:]
for number in range(45):
    os.set_inheritable(os.open(path, os.O_RDONLY), True)
if kernel == 'old':
    without_close_range()
os.execvp(argv[0], argv)
