"""A compositor that draws nothing, for what Debian's has not got: security-context-v1, and a keyboard.

    compositor.py PATH MODE     MODE: context  knows security-context-v1
                                      refuse   does, and answers every introduction with an error
                                      silent   never answers
                                      garbage  answers with what is no Wayland
                                      flood    answers with globals without an end

It says, a line each: ready; context ENGINE APP INSTANCE; client direct|APP INSTANCE; closed APP (its listener is not
to be listened to any more); gone APP (a client left).
"""
import array
import os
import select
import socket
import struct
import sys
import tempfile

PATH, MODE = sys.argv[1:3]
KEYMAP = b'xkb_keymap { stand-in };\0'
GLOBALS = {1: ('wl_seat', 5), 2: ('wp_security_context_manager_v1', 1)}


def say(*words):
    print(*words, flush=True)


def string(text):
    data = text.encode() + b'\0'
    return struct.pack('=I', len(data)) + data + b'\0' * (-len(data) % 4)


class Client:
    def __init__(self, connection, who):
        self.connection, self.who = connection, who
        self.data, self.fds, self.objects, self.context = b'', [], {1: 'wl_display'}, {}

    def send(self, target, opcode, body=b'', fds=()):
        head = struct.pack('=II', target, (8 + len(body)) << 16 | opcode)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else []
        self.connection.sendmsg([head + body], rights)

    def read(self):
        """False: it left."""
        try:
            return self.receive()
        except ConnectionError:
            return False

    def receive(self):
        data, fds, _, _ = socket.recv_fds(self.connection, 65536, 28)
        self.data += data
        self.fds += fds
        if data and MODE == 'garbage':
            self.connection.sendall(b'HTTP/1.1 400 Bad Request\r\n\r\n')
            self.data = b''
        if data and MODE == 'silent':
            self.data = b''
        while len(self.data) >= 8:
            target, second = struct.unpack('=II', self.data[:8])
            body, self.data = self.data[8:second >> 16], self.data[second >> 16:]
            self.request(self.objects[target], target, second & 0xffff, body)
        return bool(data)

    def request(self, kind, target, opcode, body):
        if kind == 'wl_display':
            new, = struct.unpack('=I', body)
            self.new(new, 'wl_callback' if opcode == 0 else 'wl_registry')
            if opcode == 0:
                self.send(new, 0, struct.pack('=I', 0))
                self.send(1, 1, struct.pack('=I', new))
                return
            while MODE == 'flood':
                self.send(new, 0, struct.pack('=I', 9) + string('x' * 1000) + struct.pack('=I', 1))
            for name, (interface, version) in GLOBALS.items():
                self.send(new, 0, struct.pack('=I', name) + string(interface) + struct.pack('=I', version))
        elif kind == 'wl_registry':
            name, = struct.unpack('=I', body[:4])
            new, = struct.unpack('=I', body[-4:])
            self.new(new, GLOBALS[name][0])
            if name == 1:
                self.send(new, 0, struct.pack('=I', 2))  # it has a keyboard
                self.send(new, 1, string('seat0'))
        elif kind == 'wl_seat' and opcode == 1:
            new, = struct.unpack('=I', body)
            self.new(new, 'wl_keyboard')
            with tempfile.TemporaryFile() as file:
                file.write(KEYMAP)
                file.flush()
                self.send(new, 0, struct.pack('=II', 1, len(KEYMAP)), [file.fileno()])
            self.send(new, 5, struct.pack('=ii', 25, 600))
        elif kind == 'wp_security_context_manager_v1' and opcode == 1:
            new, = struct.unpack('=I', body)
            self.new(new, 'wp_security_context_v1')
            self.context = {'listener': self.fds.pop(0), 'hangup': self.fds.pop(0)}
            if MODE == 'refuse':
                self.send(1, 0, struct.pack('=II', target, 1) + string('no \x1b[31mnesting'))
        elif kind == 'wp_security_context_v1' and opcode in (1, 2, 3):
            length, = struct.unpack('=I', body[:4])
            self.context[opcode] = body[4:3 + length].decode()
        elif kind == 'wp_security_context_v1' and opcode == 4 and MODE == 'context':
            context = self.context
            say('context', context[1], context[2], context[3])
            listener = socket.socket(fileno=context['listener'])
            listeners[listener] = f'{context[2]} {context[3]}'
            hangups[context['hangup']] = listener

    def new(self, number, kind):
        """As libwayland: numbers are given one after the other."""
        assert number <= max(self.objects) + 1, (number, kind)
        self.objects[number] = kind


os.makedirs(os.path.dirname(PATH), exist_ok=True)
if os.path.exists(PATH):
    os.unlink(PATH)
own = socket.socket(socket.AF_UNIX)
own.bind(PATH)
own.listen(64)
listeners, hangups, clients = {own: 'direct'}, {}, {}
say('ready')
while True:
    for one in select.select([*listeners, *hangups, *clients], [], [])[0]:
        if one in listeners:
            listeners[one] and one.setblocking(True)
            connection, _ = one.accept()
            clients[connection] = Client(connection, listeners[one])
            say('client', listeners[one])
        elif one in hangups:
            listener = hangups.pop(one)
            os.close(one)
            say('closed', listeners.pop(listener).split()[0])
            listener.close()
        elif not clients[one].read():
            say('gone', clients.pop(one).who.split()[0])
            one.close()
