"""Where the symbolic links of a tree lead, worked out from names alone, as the kernel would."""

from __future__ import annotations

from collections.abc import Mapping

from rie.artifacts.findings import Finding, error, shown

_MOST_LINKS = 40  # MAXSYMLINKS: the kernel follows no more on one way


def destination(name: str, links: Mapping[str, str]) -> str | None:
    """Return the name within the tree that the link `name` leads to; None is outside of it.

    `links` has the target of each link in the tree. The top of the tree is "". What goes in
    circles leads to a link. A text alone does not tell: with `d -> .`, `d/d/../..` is above
    the top.
    """
    if name not in links:
        return name
    here = name.split("/")[:-1]
    if links[name].startswith("/"):
        return None
    ahead = links[name].split("/")[::-1]
    followed = 1
    while ahead:
        part = ahead.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            if not here:
                return None
            here.pop()
            continue
        here.append(part)
        target = links.get("/".join(here))
        if target is None:
            continue
        if target.startswith("/"):
            return None
        followed += 1
        if followed > _MOST_LINKS:
            return "/".join(here)
        here.pop()
        ahead.extend(target.split("/")[::-1])
    return "/".join(here)


def outward_link(name: str, target: str) -> Finding:
    """Say that a link leads out of its tree."""
    return error(
        name,
        f"is a symbolic link out of the folder, to {shown(target)}",
        "link to a file inside by a relative path, or copy the file in",
    )
