"""A Wayland client that asks for a keyboard and says what its keymap is: it comes as a descriptor."""
import os
import socket
import struct
import sys

display = socket.socket(socket.AF_UNIX)
display.connect(sys.argv[1])


def send(target, opcode, body):
    display.sendall(struct.pack('=II', target, (8 + len(body)) << 16 | opcode) + body)


send(1, 1, struct.pack('=I', 2))
send(2, 0, struct.pack('=I', 1) + struct.pack('=I', 8) + b'wl_seat\0' + struct.pack('=II', 5, 3))
send(3, 1, struct.pack('=I', 4))
data = b''
while True:
    data, fds, _, _ = socket.recv_fds(display, 4096, 28)
    if not data:
        print('closed')
        break
    if data.startswith(b'HTTP'):
        print('no Wayland')
        break
    if fds:
        print(os.pread(fds[0], 100, 0).rstrip(b'\0').decode())
        break
