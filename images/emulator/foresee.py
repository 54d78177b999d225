"""Imports what a start imports; prints, as JSON, the sources that dataclasses compiles for it.

make_folder.py has the new folder's interpreter run it, when all else is in its place. The argument
is the folder that start.pyc is in.
"""

import sys

# What a start imports, and what comes later on.
MODULES = (
    *("rie.__main__", "rie.cli", "rie.commands.drop_in", "rie.commands.doctor", "rie.groundwork"),
    *("rie.serving", "rie.sandbox.examination", "rie.worker.supervised_process", "uvloop"),
    *("rie.worker.bare_process", "rie.telemetry.json_lines", "structlog"),
)


def main(folder: str) -> None:
    """Import as start.py does, but note what is compiled."""
    sys.path.insert(0, folder)
    import start  # type: ignore[import-not-found]  # noqa: PLC0415 - only now can it be found

    start.equip(start.Modules(f"{folder}/code", f"{folder}/index"))
    import dataclasses  # noqa: PLC0415 - as above
    import json  # noqa: PLC0415 - as above

    sources: dict[str, None] = {}

    def execute(source: str, *scopes: dict[str, object]) -> None:
        sources[source] = None
        exec(source, *scopes)  # noqa: S102 - as dataclasses does

    dataclasses.exec = execute  # type: ignore[attr-defined]
    for name in MODULES:
        __import__(name)
    json.dump(list(sources), sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
