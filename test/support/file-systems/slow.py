"""WHERE SECONDS: a file system without a file, each look into which takes that long, and is said in a line."""
import threading
delay = float(sys.argv[2])

def look(_, reply, body):
    print("looked", flush=True)
    timer = threading.Timer(delay, reply, (-2,))
    timer.daemon = True
    timer.start()

serve(mount(sys.argv[1], b"slow"), {
    GETATTR: lambda _, reply, body: reply(0, struct.pack("<QII", 0, 0, 0) + attributes(1, 0o40755)),
    LOOKUP: look,
})
