"""runtime.py SOCKET serve|start|serve+start PROGRAM ARG...: what a runtime is to the daemon.

"serve": an empty graph at SOCKET. "start": the program, as a child. It inherits orphans and, like some processes 1,
reaps nobody but that child. Prints the child's pid, or 0; with "+tell" then "asked", when it is asked for the graph.
What the child prints goes nowhere, as our own output has these lines alone.
"""
import ctypes, socket, subprocess, sys, threading

PR_SET_CHILD_SUBREAPER = 36
path, tasks, *argv = sys.argv[1:]
started = threading.Event()


def serve(listener):
    told = 'tell' not in tasks
    while True:
        client, _ = listener.accept()
        client.recv(65536)
        if not told:
            started.wait()
            print('asked', flush=True)
            told = True
        client.sendall(b'HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n[]')
        client.close()


ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
if 'serve' in tasks:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
child = subprocess.Popen(argv, stdout=subprocess.DEVNULL) if 'start' in tasks else None
print(child.pid if child else 0, flush=True)
started.set()
if child:
    print('ended', child.wait(), flush=True)
threading.Event().wait()
