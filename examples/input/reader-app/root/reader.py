"""The consumer: is handed the keyboard, and says what is typed, until the keyboard is taken back."""
import os
import select
import socket
import struct
import sys
import time

EVENT = struct.Struct('llHHi')  # struct input_event of linux/input.h
KEY = 1


def read(keyboard):
    """Returns False when the keyboard was taken back."""
    try:
        data = os.read(keyboard, 64 * EVENT.size)
    except OSError:  # ENODEV: unplugged, or revoked
        return False
    for _, _, kind, code, value in EVENT.iter_unpack(data):
        if kind == KEY:
            print(f'key {code} is {["up", "down", "held"][value]}')
    return bool(data)


while True:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(sys.argv[1])
        _, fds, _, _ = socket.recv_fds(connection, 1, 1)
        print('I have the keyboard' if fds else 'I have no keyboard')
        while fds:
            ready, _, _ = select.select([connection, *fds], [], [])
            if connection in ready or not read(fds[0]):
                print('the keyboard was taken back')
                os.close(fds.pop())
    except FileNotFoundError:
        pass  # the link is not there yet
    connection.close()
    time.sleep(2)
