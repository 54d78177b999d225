#!/usr/bin/env python3
"""What the exec layer keeps: does what each line's event says."""

import json
import os
import signal
import sys
import time


def say(message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if os.environ.get("RIE_EXEC_READY"):
    if os.environ.get("BROKEN") == "error":
        say({"error": {"errorType": "NoDatabase", "errorMessage": "it is not there"}})
        sys.exit(0)
    if os.environ.get("BROKEN") == "exit":
        sys.stderr.write("no database\n")
        sys.exit(4)
    say({"ready": True})
for count, line in enumerate(sys.stdin, 1):
    order = json.loads(line)
    event, context = order["event"], order["context"]
    do = event.get("do") if isinstance(event, dict) else None
    if do == "count":
        say({"result": {"count": count, "process": os.getpid()}})
    elif do == "context":
        say({"result": context})
    elif do == "error":
        say({"error": event["error"]})
    elif do == "json-rpc":
        say({"result": 1, "error": None, "requestId": context["requestId"]})
    elif do == "null":
        say({"result": None})
    elif do == "noise":
        sys.stdout.write('noise\n{"level": "info", "result": 3}\n{"resu\n\n')
        say({"result": "after the noise"})
    elif do == "pieces":
        for piece in ('{"res', 'ult": "of ', 'pieces"}', "\n"):
            sys.stdout.write(piece)
            sys.stdout.flush()
    elif do == "twice":
        say({"result": 1, "requestId": context["requestId"]})
        say({"result": 2, "requestId": context["requestId"]})
    elif do == "big":
        say({"result": "x" * (event["n"] - 2)})
    elif do == "size":
        say({"result": len(line)})
    elif do == "exit":
        sys.stdout.write(event.get("stdout", ""))
        sys.stderr.write("the last words\n")
        sys.exit(event["code"])
    elif do == "answer and exit":
        say({"result": "my last"})
        sys.exit(0)
    elif do == "signal":
        os.kill(os.getpid(), getattr(signal, event["name"]))
    elif do == "close":
        os.close(1)
        time.sleep(600)  # until it is killed
    else:
        say({"result": event})
