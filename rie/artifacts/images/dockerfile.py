"""A Dockerfile read as far as it says what a function's image is made of: no more than that.

Instructions with their lines, stages, and what the last stage takes from the stages before.
Source: Dockerfile reference. Heredocs are skipped, ARGs are put in where they have a default.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_HEREDOC = re.compile(r"<<-?\s*([\"']?)(\w+)\1")
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::?-([^}]*))?\}|(\w+))")
_FLAG = re.compile(r"--[\w-]+(=\S*)?")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: `COPY --chmod=755 a b/` has the flags {chmod: 755} and the rest `a b/`."""

    line: int
    name: str
    flags: Mapping[str, str]
    rest: str

    @property
    def words(self) -> tuple[str, ...] | None:
        """The words of its JSON form; None when it has another."""
        if not self.rest.startswith("["):
            return None
        try:
            found = json.loads(self.rest)
        except json.JSONDecodeError:
            return None
        valid = isinstance(found, list) and all(isinstance(each, str) for each in found)
        return tuple(found) if valid else None

    @property
    def paths(self) -> tuple[str, ...]:
        """The words of a COPY, in whichever form."""
        return self.words if self.words is not None else tuple(self.rest.split())


@dataclass(frozen=True, slots=True)
class Stage:
    """What one FROM begins; `base` is an image, or the name or number of an earlier stage."""

    base: str
    name: str
    line: int
    instructions: tuple[Instruction, ...]

    def last(self, name: str) -> Instruction | None:
        """Return the one of these instructions that holds."""
        found = [each for each in self.instructions if each.name == name]
        return found[-1] if found else None


def stages(text: str, build_args: Mapping[str, str] | None = None) -> list[Stage]:
    """Read a Dockerfile."""
    known: dict[str, str] = {}
    found: list[tuple[str, str, int, list[Instruction]]] = []
    for each in _instructions(text):
        if each.name == "ARG" and not found:
            name, equals, value = each.rest.partition("=")
            if equals:
                known[name.strip()] = value.strip("\"'")
            known |= {name: value for name, value in (build_args or {}).items() if name in known}
        elif each.name == "FROM":
            words = filled_in(each.rest, known).split()
            name = words[2] if len(words) > 2 and words[1].upper() == "AS" else str(len(found))  # noqa: PLR2004 - IMAGE AS NAME
            found.append((words[0] if words else "", name, each.line, []))
        elif found:
            found[-1][3].append(each)
    return [Stage(base, name, line, tuple(inside)) for base, name, line, inside in found]


def lineage(found: Sequence[Stage]) -> list[Stage]:
    """Return the last stage and those that it is FROM, the last first."""
    by_name = {name: stage for stage in found for name in (stage.name, stage.name.lower())}
    chain: list[Stage] = []
    stage = found[-1] if found else None
    while stage is not None and stage not in chain:
        chain.append(stage)
        stage = by_name.get(stage.base) or by_name.get(stage.base.lower())
    return chain


def bases(found: Sequence[Stage]) -> list[str]:
    """Return the images that it takes from outside: FROM and COPY --from."""
    names = {stage.name.lower() for stage in found}
    wanted = [stage.base for stage in found]
    wanted += [
        each.flags["from"]
        for stage in found
        for each in stage.instructions
        if each.flags.get("from")
    ]
    outside = (each for each in wanted if each.lower() not in names and not each.isdecimal())
    return list(dict.fromkeys(outside))


def filled_in(text: str, values: Mapping[str, str]) -> str:
    """Replace $NAME, ${NAME} and ${NAME:-default}; what is not known stays as it is."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[3]
        default = match[2] if match[2] is not None else match[0]
        return values.get(name, default)

    return _VARIABLE.sub(value, text)


def _instructions(text: str) -> Iterator[Instruction]:
    lines = list(enumerate(text.splitlines(), 1))
    escape = _escape(text)
    while lines:
        number, line = lines.pop(0)
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        whole = line.strip()
        while whole.endswith(escape) and lines:
            following = lines.pop(0)[1].strip()
            if following.startswith("#"):
                continue
            whole = f"{whole[: -len(escape)].rstrip()} {following}"
        for _, word in _HEREDOC.findall(whole):
            while lines and lines.pop(0)[1].strip() != word:
                pass
        yield _instruction(number, whole)


def _instruction(number: int, whole: str) -> Instruction:
    name, *more = whole.split(maxsplit=1)  # at a space or a tab
    flags: dict[str, str] = {}
    rest = more[0].strip() if more else ""
    while flag := _FLAG.match(rest):
        key, _, value = flag[0].removeprefix("--").partition("=")
        flags[key.lower()] = value
        rest = rest[flag.end() :].strip()
    return Instruction(number, name.upper(), flags, rest)


def _escape(text: str) -> str:
    for line in text.splitlines():
        directive = re.match(r"#\s*(\w+)\s*=\s*(\S+)", line.strip())
        if directive is None:
            break
        if directive[1].lower() == "escape":
            return directive[2]
    return "\\"
