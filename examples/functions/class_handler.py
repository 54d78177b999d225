"""A class with state: handler name `class_handler.Counter.handle`, or `class_handler.count`.

In the first the bootstrap makes the instance, once, in the init phase; in the second the module
does, and the handler is the instance.
"""


class Counter:
    def __init__(self):
        self.total = 0

    def handle(self, event, context):  # noqa: ARG002  (every handler takes two)
        self.total += event.get("add", 1)
        return {"total": self.total}

    __call__ = handle


count = Counter()
