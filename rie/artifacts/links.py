"""Where the symbolic links of a tree lead, worked out from names alone, as the kernel would."""

from __future__ import annotations

from collections.abc import Mapping

from rie.artifacts.errors import BuildError
from rie.artifacts.findings import Finding, error, shown

_MOST_LINKS = 40  # MAXSYMLINKS: the kernel follows no more on one way


# Longer than all links of any real tree take together; a hostile one would take minutes.
_MOST_STEPS = 5_000_000


class Links:
    """The links of one tree; `targets` has what each of them says."""

    def __init__(self, targets: Mapping[str, str]) -> None:
        self._targets = targets
        self._deepest = max((name.count("/") + 1 for name in targets), default=0)
        self._steps_left = _MOST_STEPS

    def destination(self, name: str) -> str | None:
        """Return the name within the tree that the link `name` leads to; None is outside of it.

        The top of the tree is "". What goes in circles leads to a link. A text alone does not
        tell: with `d -> .`, `d/d/../..` is above the top. Raises BuildError where the links of the
        tree lead around for too long.
        """
        if name not in self._targets:
            return name
        here = name.split("/")[:-1]
        if self._targets[name].startswith("/"):
            return None
        ahead = self._parts(self._targets[name])
        followed = 1
        while ahead:
            part = ahead.pop()
            if part == "..":
                if not here:
                    return None
                here.pop()
                continue
            here.append(part)
            target = self._target_at(here)
            if target is None:
                continue
            if target.startswith("/"):
                return None
            followed += 1
            if followed > _MOST_LINKS:
                break
            here.pop()
            ahead.extend(self._parts(target))
        return "/".join(here)

    def _parts(self, target: str) -> list[str]:
        """Return what is ahead, the next one last."""
        parts = [part for part in target.split("/")[::-1] if part not in {"", "."}]
        self._steps_left -= len(parts)
        if self._steps_left < 0:
            raise BuildError("its symbolic links lead around for too long: shorten their targets")
        return parts

    def _target_at(self, here: list[str]) -> str | None:
        # No link is so far down: to put the way together would be for nothing.
        return self._targets.get("/".join(here)) if len(here) <= self._deepest else None


def outward_link(name: str, target: str) -> Finding:
    """Say that a link leads out of its tree."""
    return error(
        name,
        f"is a symbolic link out of the folder, to {shown(target)}",
        "link to a file inside by a relative path, or copy the file in",
    )
