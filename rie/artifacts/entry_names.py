"""Whether the names in an archive can be unpacked: each stays within, and no two are in the way.

A name that may lead out is refused rather than bent into one that does not: Lambda would
refuse it too, or put it where its maker did not mean it to be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rie.artifacts.findings import Finding, error
from rie.artifacts.limits import ENTRIES, NAME, PART_OF_NAME
from rie.artifacts.zip_directory import Entry

_ANEW = "make the archive anew, from inside of its folder"


def named(entries: Sequence[Entry]) -> tuple[dict[str, Entry], list[Finding]]:
    """Return the entries by their name within the tree, and what is wrong with names.

    The top of the tree itself is left out. Of what is wrong nothing may be unpacked.
    """
    found: dict[str, Entry] = {}
    findings: list[Finding] = []
    for entry in entries:
        name = "/".join(part for part in entry.name.split("/") if part not in {"", "."})
        wrong = list(_wrong_with(entry))
        findings += wrong
        if wrong or not name:
            continue
        if name in found and not found[name].kind == entry.kind == "folder":
            findings.append(error(name, "is in the archive twice", _ANEW))
        found[name] = entry
    findings += _in_the_way(found)
    return found, findings


def _wrong_with(entry: Entry) -> Iterator[Finding]:
    name = entry.name
    parts = name.split("/")
    if "\0" in name:
        yield error(name, "has a NUL in its name", _ANEW)
    elif "\\" in name:
        yield error(
            name,
            "has backslashes in its name, as old Windows programs write them",
            "make the archive with `rie package`, zip or 7-Zip",
        )
    elif name.startswith("/") or not name:
        yield error(name or "(no name)", "is an absolute name", _ANEW)
    elif ".." in parts:
        yield error(name, "leads out of the archive by `..`", _ANEW)
    elif not name.isascii() and not _is_utf8(name):
        yield error(name, "is not UTF-8", "rename the file and make the archive anew")
    elif len(entry.raw_name) >= NAME or any(len(each.encode()) > PART_OF_NAME for each in parts):
        yield error(f"{name[:40]}...", "is longer than a name may be", "shorten it")
    elif entry.kind == "special":
        yield error(name, "is a device, a pipe or a socket", "leave it out")
    elif entry.kind == "folder" and entry.size:
        yield error(name, "is a folder with content of its own", _ANEW)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _in_the_way(found: Mapping[str, Entry]) -> Iterator[Finding]:
    """Find entries below one that is no folder: a file, or a link that would lead elsewhere."""
    judged: dict[str, str] = {}  # folders, and what each is below that is none
    for name in found:
        obstacle, way = "", []
        for above in folders_above(name):
            if above in judged:
                obstacle = judged[above]
                break
            way.append(above)
            if above in found and found[above].kind != "folder":
                obstacle = above
                break
        judged.update(dict.fromkeys(way, obstacle))
        if len(judged) > ENTRIES:  # no more than files: few names can have a great many folders
            yield error("", f"has more than {ENTRIES} folders", "leave some out")
            return
        if obstacle:
            yield error(name, f"is below {obstacle}, which is a {found[obstacle].kind}", _ANEW)


def folders_above(name: str) -> Iterator[str]:
    """Return the folders that a name is in, innermost first: a/b/c -> a/b, a."""
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name
