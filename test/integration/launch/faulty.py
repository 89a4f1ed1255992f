"""faulty.py SWITCH PROGRAM ARG...: a kernel that has no watch left for epoll, while the file SWITCH is there.

Every EPOLL_CTL_ADD of the program and its children fails with the errno that is in the file; seccomp_unotify(2).
It is run behind seccomp.py.
"""
import errno, fcntl, os, platform, select, struct, sys

ARM = platform.machine() == 'aarch64'
EPOLL_CTL, SECCOMP = (21, 277) if ARM else (233, 317)
EPOLL_CTL_ADD = 1
SET_MODE_FILTER, NEW_LISTENER, ASK = 1, 8, 0x7FC00000
NOTIF_RECV, NOTIF_SEND = 0xC0502100, 0xC0182101
FLAG_CONTINUE = 1


def listen():
    program = program_of(
        rule(LOAD, 0),  # the number of the call
        rule(UNLESS, EPOLL_CTL, 3),
        rule(LOAD, 24),  # its second argument
        rule(UNLESS, EPOLL_CTL_ADD, 1),
        rule(RETURN, ASK),
        rule(RETURN, ALLOW),
    )
    return checked(libc.syscall(SECCOMP, SET_MODE_FILTER, NEW_LISTENER, program))


def is_there(pid, epoll, fd):
    """Such a one is EEXIST, whatever room there is."""
    with open('/proc/%d/fdinfo/%d' % (pid, epoll)) as info:
        return any(line.split()[:2] == ['tfd:', str(fd)] for line in info)


def answer(listener, switch):
    asked = bytearray(80)
    fcntl.ioctl(listener, NOTIF_RECV, asked)
    number, pid = struct.unpack_from('QI', asked)
    epoll, _, fd = struct.unpack_from('QQQ', asked, 32)
    try:
        fault = 0 if is_there(pid, epoll, fd) else -getattr(errno, open(switch).read())
    except FileNotFoundError:
        fault = 0
    reply = struct.pack('QqiI', number, 0, fault, 0 if fault else FLAG_CONTINUE)
    fcntl.ioctl(listener, NOTIF_SEND, bytearray(reply))


def supervise(listener, switch, program):
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while True:
        try:
            if poll.poll(200):
                answer(listener, switch)
            else:
                os.kill(program, 0)
        except ProcessLookupError:
            return
        except OSError:
            pass  # who asked is gone


switch, *argv = sys.argv[1:]
program = os.getpid()
listener = listen()
child = os.fork()
if child == 0:
    if os.fork() == 0:
        supervise(listener, switch, program)
    os._exit(0)
os.waitpid(child, 0)
os.execvp(argv[0], argv)
