"""WHERE: a file system of one file, "file", whose closing is never answered. Says "flush" of each that began."""
def about(node):
    return attributes(1, 0o40755) if node == 1 else attributes(2, stat.S_IFREG | 0o666)

def keep(node, reply, body):
    print("flush", flush=True)

serve(mount(sys.argv[1], b"unflushed"), {
    GETATTR: lambda node, reply, body: reply(0, struct.pack("<QII", 9, 0, 0) + about(node)),
    LOOKUP: lambda _, reply, body: reply(0, struct.pack("<QQQQII", 2, 0, 9, 9, 0, 0) + about(2)),
    OPEN: lambda _, reply, body: reply(0, struct.pack("<QII", 1, 0, 0)),
    FLUSH: keep,
    RELEASE: lambda _, reply, body: reply(0),
})
