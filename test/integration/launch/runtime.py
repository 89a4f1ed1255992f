"""runtime.py SOCKET serve|start|serve+start PROGRAM ARG...: what a runtime is to the daemon.

"serve": an empty graph at SOCKET. "start": the program, as a child. It inherits orphans and, like some processes 1,
reaps nobody but that child. Prints the child's pid, or 0; with "+tell" then "asked", when it is asked for the graph.
"""
import ctypes, os, socket, sys, threading

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
child = os.spawnvp(os.P_NOWAIT, argv[0], argv) if 'start' in tasks else 0
print(child, flush=True)
started.set()
if child:
    _, status = os.waitpid(child, 0)
    print('ended', os.waitstatus_to_exitcode(status), flush=True)
threading.Event().wait()
