"""A consumer's client of a link with "mode": "fd": says what it was given, and what becomes of it.

    MAJOR:MINOR ACCESS nonblock|block     once it has the device
    master|-                              a line for each line that it reads: see stand-ins/ioctl.c
    ended                                 when the connection ends; the device is still open in here
"""
import fcntl
import os
import select
import socket
import sys

connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
data, fds, _, _ = socket.recv_fds(connection, 1, 1)
if not fds:
    print('nothing', flush=True)
    sys.exit()
device = fds[0]


def flags():
    return fcntl.fcntl(device, fcntl.F_GETFL)


number = os.fstat(device).st_rdev
access = {os.O_RDONLY: 'ro', os.O_WRONLY: 'wo', os.O_RDWR: 'rw'}[flags() & 3]
blocking = 'nonblock' if flags() & os.O_NONBLOCK else 'block'
print(f'{os.major(number)}:{os.minor(number)} {access} {blocking} {len(data)}', flush=True)
watched = [sys.stdin, connection]
while sys.stdin in watched:
    for one in select.select(watched, [], [])[0]:
        if one is connection:
            if not connection.recv(1):
                print('ended', flush=True)
                watched.remove(connection)
            continue
        line = sys.stdin.readline()
        if not line:
            watched.remove(sys.stdin)
        elif line.strip() == 'hang up':
            connection.close()
            watched.remove(connection)
        print('marked' if flags() & os.O_APPEND else '-', flush=True)
