"""org.example.Files on the bus at argv[1], with python3-dbus: descriptors in both directions."""
import os
import sys

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

NAME = "org.example.Files"


class Files(dbus.service.Object):
    @dbus.service.method(NAME, in_signature="h", out_signature="s")
    def Read(self, fd):
        with os.fdopen(fd.take(), "rb") as file:
            return file.read().decode()

    @dbus.service.method(NAME, in_signature="s", out_signature="h")
    def Open(self, path):
        with open(path, "rb") as file:
            return dbus.types.UnixFd(file)

    @dbus.service.method(NAME, in_signature="ah", out_signature="as")
    def ReadAll(self, fds):
        return [self.Read(fd) for fd in fds]


def serve(address):
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus = dbus.bus.BusConnection(address)
    name = dbus.service.BusName(NAME, bus)
    Files(name, "/org/example/Files")
    print("ready", flush=True)
    GLib.MainLoop().run()


def client(address):
    bus = dbus.bus.BusConnection(address)
    files = dbus.Interface(bus.get_object(NAME, "/org/example/Files", introspect=False), NAME)
    for number in range(20):
        read, write = os.pipe()
        os.write(write, b"number %d" % number)
        os.close(write)
        answer = files.Read(dbus.types.UnixFd(read))
        os.close(read)
        assert answer == "number %d" % number, answer
    with os.fdopen(files.Open("/etc/passwd").take()) as file:
        assert "root" in file.read()
    pipes = [os.pipe() for _ in range(10)]
    for number, (_, write) in enumerate(pipes):
        os.write(write, b"%d" % number)
        os.close(write)
    answers = files.ReadAll(dbus.Array([dbus.types.UnixFd(read) for read, _ in pipes], "h"))
    assert list(answers) == [str(number) for number in range(10)], answers
    print("ok")


{"serve": serve, "client": client}[sys.argv[1]](sys.argv[2])
