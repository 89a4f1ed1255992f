"""
Clients and providers of the hostile tests, run inside real containers.

  storm IP PORT COUNT [FROM]   connects and resets COUNT times, from the address FROM; prints "done"
  urgent IP PORT               urgent data in the middle of a stream; prints the answer
  many IP PORT COUNT           COUNT clients in turn, each with a text of its own; prints how it went for them
  deaf IP PORT                 listens, and never accepts
  moody IP PORT                sends back what it reads; ends without a word every 100 ms, and starts again
"""
import os
import socket
import struct
import sys
import time

RESET = struct.pack("ii", 1, 0)


def storm(ip, port, count, source="0.0.0.0"):
    for i in range(int(count)):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.bind((source, 0))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        try:
            client.connect((ip, int(port)))
            if i % 2:
                client.send(b"x" * (i % 5000))
        except OSError:
            pass
        client.close()
    print("done")


def answer_of(client):
    answer = b""
    while data := client.recv(65536):
        answer += data
    return answer


def urgent(ip, port):
    client = socket.create_connection((ip, int(port)))
    client.sendall(b"before ")
    answer = client.recv(7, socket.MSG_WAITALL)
    client.send(b"!", socket.MSG_OOB)
    time.sleep(1)  # over which the test measures the processor time of the daemon
    client.sendall(b"after")
    client.shutdown(socket.SHUT_WR)
    print((answer + answer_of(client)).decode())


def one(ip, port, text):
    try:
        client = socket.create_connection((ip, int(port)), timeout=10)
        client.sendall(text)
        client.shutdown(socket.SHUT_WR)
        answer = answer_of(client)
    except OSError:
        return "broken"
    if answer == text:
        return "answered"
    return "cut" if text.startswith(answer) else "WRONG"


def many(ip, port, count):
    results = {"answered": 0, "cut": 0, "broken": 0, "WRONG": 0}
    for i in range(int(count)):
        results[one(ip, port, b"%d " % i * 500)] += 1
    print(*results.values())


def deaf(ip, port):
    server = socket.socket()
    server.bind((ip, int(port)))
    server.listen(1)
    print("ready", flush=True)
    sys.stdin.read()


def moody(ip, port):
    print("ready", flush=True)
    while True:
        pid = os.fork()
        if pid == 0:
            moody_life(ip, int(port))
        os.waitpid(pid, 0)


def moody_life(ip, port):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((ip, port))
    server.listen(100)
    end = time.monotonic() + 0.1
    while time.monotonic() < end:
        server.settimeout(max(0.001, end - time.monotonic()))
        try:
            client, _ = server.accept()
            client.settimeout(0.05)
            client.sendall(answer_of(client))
            client.close()
        except OSError:
            pass
    os._exit(0)


MODES = {"storm": storm, "urgent": urgent, "many": many, "deaf": deaf, "moody": moody}
MODES[sys.argv[1]](*sys.argv[2:])
