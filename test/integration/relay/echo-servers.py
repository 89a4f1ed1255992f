"""In a container: sockets of every type at paths, whose clients get back what they send. Says `ready`, then goes on."""
import os, socket, sys, threading

def bound(kind, path):
    server = socket.socket(socket.AF_UNIX, kind)
    server.bind(path)
    return server

def echo(client):
    while data := client.recv(1 << 16):
        client.sendall(data)
    client.close()

def accepting(server):
    server.listen(1024)
    while True:
        client, _ = server.accept()
        threading.Thread(target=echo, args=(client,), daemon=True).start()

def answering(server):
    while True:
        data, address = server.recvfrom(1 << 16)
        server.sendto(data, address)

kinds = {"stream": (socket.SOCK_STREAM, accepting), "seqpacket": (socket.SOCK_SEQPACKET, accepting),
         "dgram": (socket.SOCK_DGRAM, answering)}
for name, (kind, serve) in kinds.items():
    threading.Thread(target=serve, args=(bound(kind, f"/run/{name}"),), daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
