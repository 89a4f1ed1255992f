"""WHERE FLAG: a file system for sockets and device nodes, in one folder, until the file FLAG is there: then it answers
nothing any more, for ever."""
names, attributes_of = {}, {1: (0o40755, 0)}

def about(node):
    return attributes(node, *attributes_of[node])

def entry(node, reply):
    reply(0, struct.pack("<QQQQII", node, 0, 0, 0, 0, 0) + about(node))

def look(_, reply, body):
    name = body.rstrip(b"\0")
    entry(names[name], reply) if name in names else reply(-2)

def make(_, reply, body):
    mode, rdev = struct.unpack_from("<II", body)
    node = len(attributes_of) + 1
    names[body[16:].rstrip(b"\0")] = node
    attributes_of[node] = (mode, rdev)
    entry(node, reply)

def rename(_, reply, body):
    old, new = body[16:].split(b"\0")[:2]
    names[new] = names.pop(old)
    reply(0)

def unlink(_, reply, body):
    names.pop(body.rstrip(b"\0"))
    reply(0)

def until_then(answer):
    return lambda *asked: None if os.path.exists(sys.argv[2]) else answer(*asked)

serve(mount(sys.argv[1], b"stalling"), {op: until_then(answer) for op, answer in {
    GETATTR: lambda node, reply, _: reply(0, struct.pack("<QII", 0, 0, 0) + about(node)),
    LOOKUP: look, MKNOD: make, RENAME2: rename, UNLINK: unlink,
}.items()})
