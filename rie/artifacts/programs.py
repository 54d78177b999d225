"""What a program is, by its first bytes: for which processor, or by which interpreter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Architecture = Literal["x86_64", "arm64"]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)

HEAD = 512  # bytes that are enough to tell

_ELF = b"\x7fELF"
_ELF_CLASS, _ELF_ORDER, _ELF_MACHINE = 4, 5, slice(18, 20)
_MACHINES = {
    (3, 1): "32-bit x86",
    (40, 1): "32-bit ARM",
    (62, 2): "x86_64",
    (183, 2): "arm64",
    (243, 2): "RISC-V",
}
_MACH_O = (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe")


@dataclass(frozen=True, slots=True)
class Binary:
    """Machine code; `machine` is one of ARCHITECTURES, or says what else it is made for."""

    machine: str


@dataclass(frozen=True, slots=True)
class Script:
    """A text with a first line `#!interpreter`."""

    interpreter: str
    crlf: bool


@dataclass(frozen=True, slots=True)
class Unknown:
    """Neither: the kernel cannot run it."""


def program(head: bytes) -> Binary | Script | Unknown:
    """Tell what begins with these bytes."""
    if head.startswith(_ELF) and len(head) >= _ELF_MACHINE.stop:
        return Binary(_machine(head))
    if head.startswith(_MACH_O):
        return Binary("macOS")
    if head.startswith(b"MZ"):
        return Binary("Windows")
    if head.startswith(b"#!"):
        line = head[2:].partition(b"\n")[0]
        words = line.decode("utf-8", "replace").split()
        return Script(words[0] if words else "", crlf=line.endswith(b"\r"))
    return Unknown()


def _machine(head: bytes) -> str:
    order: Literal["little", "big"] = "big" if head[_ELF_ORDER] > 1 else "little"
    number = int.from_bytes(head[_ELF_MACHINE], order)
    word = head[_ELF_CLASS]
    return _MACHINES.get((number, word), f"machine {number}, {word * 32} bits")
