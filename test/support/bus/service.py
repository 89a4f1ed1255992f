"""A service on a bus, with python3-dbus: service.py ADDRESS NAME...

Owns the names, and says "ready" or why not. Methods of org.example.Test at /: Echo, WhoAmI (the uid that the bus
sees of the caller), Quit. Each signal Changed that reaches it is a line. Ends when its connection does.
"""
import sys

import dbus
import dbus.bus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

FACE = "org.example.Test"


class Service(dbus.service.Object):
    @dbus.service.method(FACE, in_signature="s", out_signature="s")
    def Echo(self, text):
        return text

    @dbus.service.method(FACE, out_signature="u", sender_keyword="sender")
    def WhoAmI(self, sender):
        return bus.get_unix_user(sender)

    @dbus.service.method(FACE, in_signature="s")
    def Change(self, text):
        self.Changed(text)

    @dbus.service.method(FACE)
    def Quit(self):
        loop.quit()

    @dbus.service.signal(FACE, signature="s")
    def Changed(self, text):
        pass


dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
loop = GLib.MainLoop()
bus = dbus.bus.BusConnection(sys.argv[1])
bus.set_exit_on_disconnect(False)
bus.call_on_disconnection(lambda _: loop.quit())
service = Service(bus, "/")
try:
    names = [dbus.service.BusName(name, bus, do_not_queue=True) for name in sys.argv[2:]]
except dbus.DBusException as refused:
    print(refused.get_dbus_name(), flush=True)
    sys.exit(1)
bus.add_signal_receiver(lambda text: print("changed", text, flush=True), "Changed", FACE)
print("ready", bus.get_unique_name(), flush=True)
loop.run()
