"""What Lambda would not take of a layer or a function's code, or would fail with when it runs.

Errors are what is refused there or cannot run at all; warnings are legal and probably not meant.
All of it is found at once. Sources: Lambda developer guide, "Packaging your layer content",
"Lambda quotas"; execve(2) for what can be run.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rie.artifacts.findings import Finding, error, shown, warning
from rie.artifacts.limits import ENTRIES, UNZIPPED, size_in_words
from rie.artifacts.links import Links, outward_link
from rie.artifacts.placing import explained
from rie.artifacts.programs import HEAD, Architecture, Binary, Script, Unknown, program
from rie.artifacts.tree import Node, unzipped

What = Literal["layer", "package"]

# What runtimes look for at the top of /opt: "Packaging your layer content".
LAYER_FOLDERS = ("python", "nodejs", "java", "ruby", "bin", "lib", "extensions")
BOOTSTRAP = "bootstrap"
_EXTENSIONS = "extensions/"
_HOMES = ("/home/", "/Users/", "/root/")
_READ_AND_ENTER = stat.S_IROTH | stat.S_IXOTH
_PYC_FLAGS = slice(4, 8)
_LARGEST_SHOWN = 3
_MOST_ALIKE = 5  # findings of one kind, where thousands of files may be alike


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the tree is to be; no architecture: any, but one only."""

    what: What
    architecture: Architecture | None


def check(nodes: Sequence[Node], wanted: Wanted) -> list[Finding]:
    """Return all that is wrong with the tree, errors first, by path. Raises BuildError."""
    if not nodes:
        return [error("", "there is nothing in it", "put files into the folder")]
    found = [*_names(nodes), *_kinds(nodes), *_links(nodes), *_sizes(nodes)]
    found += _programs(nodes, wanted)
    found += _habits(nodes)
    if wanted.what == "layer":
        found += _top_of_layer(nodes)
    return sorted(found, key=lambda each: (each.severity, each.path))


def architectures(nodes: Sequence[Node]) -> dict[str, int]:
    """Return how many files are made for each machine. Raises BuildError."""
    found: dict[str, int] = {}
    for node in nodes:
        if node.name == BOOTSTRAP or node.name.startswith(_EXTENSIONS) or _may_be_code(node):
            made = _program(node)
            if isinstance(made, Binary):
                found[made.machine] = found.get(made.machine, 0) + 1
    return found


def _names(nodes: Sequence[Node]) -> Iterator[Finding]:
    for node in nodes:
        if "\\" in node.name:
            yield error(node.name, "has a backslash in its name", "rename it")
        elif not _is_utf8(node.name):
            yield error(node.name, "has a name that is not UTF-8", "rename it")


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kinds(nodes: Sequence[Node]) -> Iterator[Finding]:
    for node in nodes:
        if node.kind == "special":
            yield error(node.name, "is a device, a pipe or a socket", "leave it out")
        elif node.trouble:
            yield error(node.name, node.trouble, f"chmod u+rX {shown(node.name)}, or leave it out")
    closed = [node for node in nodes if not node.trouble and _is_closed(node)]
    for node in closed[:_MOST_ALIKE]:
        more = len(closed) - _MOST_ALIKE
        others = f" (as are {more} more)" if more > 0 and node is closed[_MOST_ALIKE - 1] else ""
        yield warning(
            node.name,
            f"is closed to other users{others}, and the function is one on Lambda",
            "chmod -R o+rX the folder",
        )


def _is_closed(node: Node) -> bool:
    match node.kind:
        case "file":
            return not node.mode & stat.S_IROTH
        case "folder":
            return node.mode & _READ_AND_ENTER != _READ_AND_ENTER
        case _:
            return False


def _links(nodes: Sequence[Node]) -> Iterator[Finding]:
    links = {node.name: node.target for node in nodes if node.kind == "link"}
    there = {node.name for node in nodes if node.kind != "link"} | {""}
    ways = Links(links)
    for name, target in links.items():
        leads_to = ways.destination(name)
        if leads_to is None:
            yield outward_link(name, target)
        elif leads_to not in there:
            yield warning(
                name,
                f"is a symbolic link to {shown(target)}, which is not there",
                "put it in, unless another layer has it",
            )


def _sizes(nodes: Sequence[Node]) -> Iterator[Finding]:
    if len(nodes) > ENTRIES:
        yield error(
            "", f"has {len(nodes)} files and folders, at most {ENTRIES} can be", "leave some out"
        )
    size = unzipped(nodes)
    if size > UNZIPPED:
        largest = sorted(nodes, key=lambda node: node.size, reverse=True)[:_LARGEST_SHOWN]
        named = ", ".join(f"{shown(each.name)} {size_in_words(each.size)}" for each in largest)
        yield error(
            "",
            f"is {size_in_words(size)} unzipped, Lambda takes at most {size_in_words(UNZIPPED)}",
            f"leave out what is not needed at run time; the largest: {named}",
        )


def _programs(nodes: Sequence[Node], wanted: Wanted) -> Iterator[Finding]:
    machines: dict[str, str] = {}
    for node in nodes:
        if not _is_started(node, wanted) and not _may_be_code(node):
            continue
        match _program(node):
            case Binary(machine):
                machines.setdefault(machine, node.name)
                yield from _machine(node, machine, wanted)
            case Script() as script:
                yield from _script(node, script, wanted)
            case Unknown():
                if _is_started(node, wanted):
                    yield from _no_program(node)
        if _is_started(node, wanted) and not node.mode & 0o111:
            yield error(
                node.name, "is not executable", f"chmod 755 {shown(node.name)}, then pack it again"
            )
    if wanted.architecture is None and len(machines) > 1:
        yield _mixture(machines)


def _is_started(node: Node, wanted: Wanted) -> bool:
    """Whether Lambda itself starts it: the runtime, and extensions of a layer."""
    if node.kind != "file":
        return False
    if node.name == BOOTSTRAP:
        return True
    inside = node.name.removeprefix(_EXTENSIONS)
    return wanted.what == "layer" and inside != node.name and "/" not in inside


def _may_be_code(node: Node) -> bool:
    base = node.name.rpartition("/")[2]
    library = base.endswith((".so", ".node")) or ".so." in base
    return node.kind == "file" and (library or bool(node.mode & 0o111))


def _program(node: Node) -> Binary | Script | Unknown:
    if node.kind != "file" or node.trouble:
        return Unknown()
    with explained(node.source), node.source.open("rb") as file:
        return program(file.read(HEAD))


def _machine(node: Node, machine: str, wanted: Wanted) -> Iterator[Finding]:
    foreign = machine in {"macOS", "Windows"}
    if foreign and not _is_started(node, wanted):
        return  # wheels and packages carry such programs along, and nobody starts them
    if foreign or machine != (wanted.architecture or machine):
        target = wanted.architecture or "Linux"
        yield error(
            node.name,
            f"is made for {machine}, not for {target}",
            f"build it for {target}, leave it out (--exclude)"
            + (
                f" or say --architecture {machine}"
                if wanted.architecture and machine in {"x86_64", "arm64"}
                else ""
            ),
        )


def _mixture(machines: Mapping[str, str]) -> Finding:
    named = ", ".join(f"{shown(name)} for {machine}" for machine, name in machines.items())
    return warning("", f"has programs for several machines: {named}", "make one archive for each")


def _script(node: Node, script: Script, wanted: Wanted) -> Iterator[Finding]:
    say = error if _is_started(node, wanted) or _is_called(node) else warning
    if script.crlf:
        yield say(
            node.name,
            "has Windows line ends (CRLF), so that its interpreter is not found",
            f"sed -i 's/\\r$//' {shown(node.name)}",
        )
    elif not script.interpreter:
        yield say(node.name, "has a #! line without an interpreter", "name one: #!/bin/sh")
    elif script.interpreter.startswith(_HOMES):
        yield warning(
            node.name,
            f"is for the interpreter {shown(script.interpreter)}, which Lambda does not have",
            "name one that is there: #!/usr/bin/env NAME",
        )


def _is_called(node: Node) -> bool:
    """Whether users call it by its name: what is at the top or in bin is no library's."""
    return "/" not in node.name.removeprefix("bin/")


def _no_program(node: Node) -> Iterator[Finding]:
    if node.trouble:
        return
    if not node.size:
        yield error(node.name, "is empty, Lambda could not start it", "put the program into it")
        return
    yield error(
        node.name,
        "is neither a Linux program nor a script with a #! line",
        "write the interpreter into its first line: #!/bin/sh",
    )


def _habits(nodes: Sequence[Node]) -> Iterator[Finding]:
    """Find what gets into archives unintended."""
    for name, what, remedy in _UNINTENDED:
        inside = [node.name for node in nodes if node.name.rpartition("/")[2] == name]
        if inside:
            more = f" (and {len(inside) - 1} more)" if len(inside) > 1 else ""
            yield warning(inside[0], f"{what}{more}", remedy)
    yield from _stale_caches(nodes)


def _stale_caches(nodes: Sequence[Node]) -> Iterator[Finding]:
    """Find what Python compiled for files of a certain time: in an archive they have another."""
    folders = {
        node.name.rpartition("/")[0]: None
        for node in nodes
        if node.kind == "file" and node.name.endswith(".pyc") and _goes_by_time(node)
    }
    if folders:
        first, *others = folders
        more = f" (and {len(others)} more)" if others else ""
        yield warning(
            first,
            f"has what Python compiled, for files of another time{more}, and would not use",
            "leave it out, or compile with --invalidation-mode unchecked-hash",
        )


def _goes_by_time(node: Node) -> bool:
    """Whether the file is valid for a time of its source, rather than for its content: PEP 552."""
    if node.trouble:
        return False
    with explained(node.source), node.source.open("rb") as file:
        return file.read(_PYC_FLAGS.stop)[_PYC_FLAGS] == bytes(4)


_UNINTENDED = (
    (".git", "is a repository's history", "leave it out"),
    (".venv", "is a virtual environment, of no use on Lambda", "leave it out"),
    (".DS_Store", "is macOS's note on a folder", "leave it out"),
)


def _top_of_layer(nodes: Sequence[Node]) -> Iterator[Finding]:
    top = {node.name: node for node in nodes if "/" not in node.name}
    known = (*LAYER_FOLDERS, BOOTSTRAP)
    for name, node in top.items():
        meant = next((each for each in known if each == name.lower() != name), None)
        if meant:
            yield warning(name, f"is not found as {meant}", f"rename it to {meant}")
        if name in LAYER_FOLDERS and node.kind == "file":
            yield warning(name, "is a file, where a folder is looked for", "make it a folder")
    if top.keys().isdisjoint(known):
        yield _unknown_top(nodes, top)


def _unknown_top(nodes: Sequence[Node], top: Mapping[str, Node]) -> Finding:
    only = next(iter(top)) if len(top) == 1 else ""
    within = {node.name.removeprefix(f"{only}/") for node in nodes}
    if only and not within.isdisjoint((*LAYER_FOLDERS, BOOTSTRAP)):
        return warning(
            only, "is the only thing at the top", f"pack the folder {shown(only)} itself"
        )
    return warning(
        "",
        f"has none of {', '.join((*LAYER_FOLDERS, BOOTSTRAP))} at its top, where it is /opt",
        "runtimes find nothing in it unless told: see docs/layers.md",
    )
