"""
resident.py: what lives in a container of the soak, as /app/plan.json says: programs that serve, and traffic through the
links that the container has, each by a traffic.py of its own, for as long as nobody wants quiet. What the traffic has
come to is said on standard output every now and then, a line of JSON for each link: {"link", "life", ...}, where "life"
is another for each traffic.py.

Quiet is wanted while there is a key of the user's metadata by that name; the line {"quiet": true} says that it is. Nobody
reads that, but with it each container has written something before the first look, and the runtime has its log open.
"""
import json
import os
import subprocess
import sys
import threading
import time

QUIET = "/pantavisor/user-meta/quiet"
REPORT_S = 5
plan = json.load(open("/app/plan.json"))


def say(line):
    print(json.dumps(line), flush=True)


def talk(link, kind, target):
    """Traffic through that link, again and again; in between it is quiet."""
    while True:
        while os.path.exists(QUIET):
            quiet.add(link)
            time.sleep(0.1)  # a rate: a file is looked for
        quiet.discard(link)
        argv = [sys.executable, "/app/traffic.py", kind, target, "may-end", "may-be-away"]
        traffic = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        life = f"{link} {os.uname().nodename} {time.time()}"
        traffic.stdout.readline()  # ready
        until = 0
        while not os.path.exists(QUIET) and traffic.poll() is None:
            if time.monotonic() > until:
                until = time.monotonic() + REPORT_S
                ask(traffic, "rounds", link, life)
            time.sleep(0.1)  # a rate, as before
        ask(traffic, "stop", link, life)
        traffic.wait()


def ask(traffic, word, link, life):
    traffic.stdin.write(word + "\n")
    traffic.stdin.flush()
    say({"link": link, "life": life, **json.loads(traffic.stdout.readline())})


quiet = set()
for command in plan["prepare"]:
    subprocess.check_call(["sh", "-c", command])
servers = [subprocess.Popen(argv, stdout=subprocess.DEVNULL) for argv in plan["serve"]]
for link, kind, target in plan["use"]:
    threading.Thread(target=talk, args=(link, kind, target), daemon=True).start()

was_quiet = False
while True:
    time.sleep(0.1)  # a rate, as before
    is_quiet = len(quiet) == len(plan["use"]) and os.path.exists(QUIET)
    if is_quiet and not was_quiet:
        say({"quiet": True})
    was_quiet = is_quiet
    over = [one for one in servers if one.poll() is not None]
    if over:
        sys.exit(f"{over[0].args} has ended with {over[0].returncode}")
