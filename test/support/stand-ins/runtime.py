"""A stand-in for the runtime of a device, with the habits of the real one.

It serves `/xconnect-graph` on a unix socket, launches the daemon as its child, and starts it anew some seconds after it
ended. It reads a JSON object a line from standard input, settings that change from then on, and prints one a line: what
it is asked, and what becomes of its child. See runtime.ts for both. What it does as the real one does:

- one thread: it accepts long before it answers, and while it is silent nobody is answered
- HTTP/1.0, each answer ends with the connection
- what it does not know is a 400, `{"Error": "unknown endpoint ..."}`
- the child inherits what the runtime has open: nothing is closed at exec
- the child's standard output and standard error are filed apart
- it reaps its child, and nobody else's, though orphans become its own
- killed by a signal that can't be caught, it leaves everything as it is
"""
import ctypes
import json
import os
import select
import signal
import socket
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
SOCKET, LOG_FOLDER, *COMMAND = sys.argv[1:]
MOST = 1 << 20

settings = {
    "graph": [],  # what is answered, as it stands
    "silent": False,  # accepts, and does not answer
    "endpoints": [],  # known beside the graph: answered 200 with {}
    "respawn": 5.0,  # seconds between the end of the child and its next life
    "leaks": 45,  # descriptors that the child inherits and has no business with
}


def say(**what):
    print(json.dumps(what), flush=True)


def leak(count):
    """Sockets and files as a runtime has them, inheritable."""
    for i in range(count // 2):
        for end in socket.socketpair():
            os.set_inheritable(end.detach(), True)
    os.set_inheritable(os.open("/etc/hostname", os.O_RDONLY), True)


def launch():
    pid = os.fork()
    if pid:
        return pid
    for name, number in (("stdout", 1), ("stderr", 2)):
        path = os.path.join(LOG_FOLDER, name)
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), number)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.execvp(COMMAND[0], COMMAND)


def reply(connection, status, body):
    reason = {200: "OK", 400: "Bad Request"}[status]
    head = f"HTTP/1.0 {status} {reason}\r\nContent-Type: application/json\r\n\r\n"
    try:
        connection.sendall(head.encode() + json.dumps(body).encode())
    except OSError:
        pass  # whoever asked has given up
    connection.close()


def answer(connection, text):
    head, _, body = text.partition(b"\r\n\r\n")
    method, path, *_ = head.decode("latin-1").split(" ")
    say(request=f"{method} {path}", body=body.decode())
    if (method, path) == ("GET", "/xconnect-graph"):
        reply(connection, 200, settings["graph"])
    elif path in settings["endpoints"]:
        reply(connection, 200, {})
    else:
        reply(connection, 400, {"Error": f"unknown endpoint {path}"})


def is_whole(text):
    head, end, body = text.partition(b"\r\n\r\n")
    lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(end) and len(body) >= int(lengths[0] if lengths else 0)


class Child:
    """The daemon, over its lives."""

    def __init__(self):
        self.pid = 0
        self.next = 0.0

    def tend(self):
        if self.pid:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self.pid = 0
                self.next = time.monotonic() + settings["respawn"]
                say(ended=ended, status=os.waitstatus_to_exitcode(status))
        elif time.monotonic() >= self.next:
            self.pid = launch()
            say(daemon=self.pid)


def main():
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    listener = socket.socket(socket.AF_UNIX)
    if os.path.exists(SOCKET):
        os.unlink(SOCKET)
    listener.bind(SOCKET)
    listener.listen(64)
    os.set_inheritable(listener.fileno(), True)
    first = sys.stdin.readline()
    settings.update(json.loads(first))
    leak(settings["leaks"])
    child = Child()
    waiting = {}  # connections, and what they said
    commands = b""
    while True:
        child.tend()
        readable, _, _ = select.select([0, listener, *waiting], [], [], 0.02)
        if 0 in readable:
            more = os.read(0, MOST)
            if not more:
                if child.pid:
                    os.kill(child.pid, signal.SIGTERM)
                    os.waitpid(child.pid, 0)
                return
            commands += more
            while b"\n" in commands:
                line, _, commands = commands.partition(b"\n")
                settings.update(json.loads(line))
        if listener in readable:
            connection, _ = listener.accept()
            connection.set_inheritable(True)
            waiting[connection] = b""
        if settings["silent"]:
            time.sleep(0.01)  # what is not read would have select() return at once
            continue
        for connection in [one for one in readable if one in waiting]:
            more = connection.recv(MOST)
            waiting[connection] += more
            if not more:
                del waiting[connection]
                connection.close()
        for connection in [one for one, text in waiting.items() if is_whole(text)]:
            answer(connection, waiting.pop(connection))


main()
