"""Options as data: read off a command line and the environment, and explained by --help.

A command is a table of Option. `read` says what was asked for and where (flag or variable),
the command itself says what it means. Written here rather than with argparse, whose import
alone would delay the start of every function by 9 ms; tuples rather than dataclasses, which
take another to make.

Order of precedence: command line, RIE_ variable, the option's other variables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

TRUE, FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


class CommandError(Exception):
    """A command cannot do what was asked: one line that says why, and the exit status."""

    status = 2


class UsageError(CommandError):
    """What was asked for cannot be read, or makes no sense: says what to write instead."""


class HelpWanted(Exception):
    """--help was given."""


class VersionWanted(Exception):
    """--version was given."""


class BadValueError(ValueError):
    """A value that its option cannot take; str() is the reason: `must be a number`."""


class Option(NamedTuple):
    """One option of one command.

    `parse` turns the text into the value and raises BadValueError. A `switch` takes no
    value and has a `--no-` form. A `repeatable` option gathers a tuple; its variable is
    split at `separator`.
    """

    name: str  # without dashes: max-lifetime
    parse: Callable[[str], object]
    help: str
    metavar: str = ""
    default: str = ""  # as told to the reader
    group: str = "Options"
    aliases: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()  # besides RIE_<NAME>
    variable: str | None = None  # in place of RIE_<NAME>; "" is none
    short: str = ""  # a letter: o for -o
    switch: bool = False
    repeatable: bool = False
    separator: str = "\n"

    @property
    def field(self) -> str:
        """The name in code: max_lifetime."""
        return self.name.replace("-", "_")

    @property
    def all_variables(self) -> tuple[str, ...]:
        """The variables that stand for it, first the one that wins."""
        own = f"RIE_{self.field.upper()}" if self.variable is None else self.variable
        return (own, *self.variables) if own else self.variables

    @property
    def flags(self) -> tuple[str, ...]:
        """Every way to write it on a command line."""
        names = (self.name, *self.aliases)
        negated = tuple(f"--no-{name}" for name in names) if self.switch else ()
        letter = (f"-{self.short}",) if self.short else ()
        return letter + tuple(f"--{name}" for name in names) + negated


class Given(NamedTuple):
    """One value that was asked for: `text` as typed, `where` the flag or variable."""

    value: object
    text: str
    where: str


class Reading(NamedTuple):
    """What a command line and an environment ask for; `given` by the option's field."""

    given: dict[str, Given]
    positional: tuple[str, ...]

    def values(self) -> dict[str, Any]:
        """Return what was asked for, by field."""
        return {name: each.value for name, each in self.given.items()}


def read(
    options: Sequence[Option],
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    interspersed: bool = False,
) -> Reading:
    """Read the whole of what was asked for.

    Options end at `--` and, unless `interspersed`, at the first positional argument.
    Raises UsageError for what cannot be read, HelpWanted and VersionWanted.
    """
    texts, positional = _split(options, argv, interspersed=interspersed)
    given: dict[str, Given] = {}
    for option in options:
        from_line = texts.get(option.name)
        found = from_line or _from_environment(option, environ)
        if found:
            given[option.field] = _parse(option, found)
    return Reading(given=given, positional=positional)


Texts = list[tuple[str, str]]  # where, text


def _split(
    options: Sequence[Option], argv: Sequence[str], *, interspersed: bool
) -> tuple[dict[str, Texts], tuple[str, ...]]:
    by_flag = {flag: option for option in options for flag in option.flags}
    texts: dict[str, Texts] = {}
    positional: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            break
        if not word.startswith("-") or word == "-":
            positional.append(word)
            if interspersed:
                continue
            break
        option, flag, text = _option_of(word, by_flag)
        if text is None:
            text = _value_after(option, flag, words)
        texts.setdefault(option.name, []).append((flag, text))
    return texts, (*positional, *words)


def _option_of(word: str, by_flag: Mapping[str, Option]) -> tuple[Option, str, str | None]:
    if word in ("--help", "-h"):
        raise HelpWanted
    if word == "--version":
        raise VersionWanted
    flag, equals, text = word.partition("=")
    option = by_flag.get(flag)
    if option is None:
        raise UsageError(f"unknown option {flag!r}{_suggestion(flag, by_flag)}; see --help")
    if not equals:
        return option, flag, None
    if option.switch:
        raise UsageError(f"{flag} takes no value")
    return option, flag, text


def _value_after(option: Option, flag: str, words: Iterable[str]) -> str:
    if option.switch:
        return FALSE[0] if flag.startswith("--no-") else TRUE[0]
    text = next(iter(words), None)
    if text is None or text.startswith("--"):
        raise UsageError(f"{flag} needs a value: {flag} {option.metavar}")
    return text


def _suggestion(flag: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only for a mistake

    close = get_close_matches(flag, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _from_environment(option: Option, environ: Mapping[str, str]) -> Texts:
    for name in option.all_variables:
        text = environ.get(name)
        if not text:  # an empty variable is one that is not set, as for the official emulator
            continue
        if option.repeatable:
            return [(name, part) for part in text.split(option.separator) if part]
        return [(name, text)]
    return []


def _parse(option: Option, found: Texts) -> Given:
    values = []
    for where, text in found:
        try:
            values.append(option.parse(text))
        except BadValueError as error:
            raise UsageError(f"{where} {text!r} {error}") from None
    where, text = found[-1]
    return Given(value=tuple(values) if option.repeatable else values[-1], text=text, where=where)


def text(value: str) -> str:
    """Take any text but none."""
    if not value:
        raise BadValueError("must not be empty")
    return value


def whole_number(value: str) -> int:
    """Take an integer."""
    try:
        return int(value)
    except ValueError:
        raise BadValueError("must be a whole number") from None


def seconds(value: str) -> float:
    """Take a number of seconds, fractions too."""
    try:
        return float(value)
    except ValueError:
        raise BadValueError("must be a number of seconds") from None


def boolean(value: str) -> bool:
    """Take yes or no in the usual spellings."""
    if value.lower() in TRUE + FALSE:
        return value.lower() in TRUE
    raise BadValueError("must be true or false")


def address(value: str) -> tuple[str, int]:
    """Take HOST:PORT; an IPv6 host stands in brackets, no host is every interface."""
    host, colon, port = value.rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal():
        raise BadValueError("must be HOST:PORT, such as 127.0.0.1:8080")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise BadValueError("must have an IPv6 host in brackets, such as [::1]:8080")
    return host or "0.0.0.0", int(port)  # noqa: S104 - asked for, as in Go's ":8080"


def choice(*names: str, **synonyms: str) -> Callable[[str], str]:
    """Make a parser that takes one of `names`, or of the synonyms, in any case."""
    by_lower = {name.lower(): name for name in names} | synonyms

    def parse(value: str) -> str:
        chosen = by_lower.get(value.lower())
        if chosen is None:
            raise BadValueError(f"must be {', '.join(names[:-1])} or {names[-1]}")
        return chosen

    return parse


def explain(options: Iterable[Option], *, width: int = 80) -> str:
    """Return the options part of a command's --help, by group, in lines of at most `width`."""
    from textwrap import fill  # noqa: PLC0415 - only for --help

    groups: dict[str, list[str]] = {}
    for option in options:
        facts = "; ".join(filter(None, _facts(option)))
        says = f"{option.help} [{facts}]" if facts else option.help
        body = fill(says, width, initial_indent=" " * 6, subsequent_indent=" " * 6)
        groups.setdefault(option.group, []).append(f"  {_heading(option)}\n{body}")
    return "\n\n".join(f"{group}:\n" + "\n".join(entries) for group, entries in groups.items())


def _heading(option: Option) -> str:
    letter = f"-{option.short}, " if option.short else ""
    names = letter + ", ".join(f"--{name}" for name in (option.name, *option.aliases))
    if option.switch:
        return f"{names}, --no-{option.name}"
    return f"{names} {option.metavar}"


def _facts(option: Option) -> Iterable[str]:
    yield f"default: {option.default}" if option.default else ""
    yield "may be repeated" if option.repeatable else ""
    yield ", ".join(option.all_variables)
