"""Stands in for the standard library's ssl: the emulator speaks plain HTTP.

uvloop and asyncio want these names when they are imported. The real one would bring OpenSSL:
6 MB, and a good part of the time that a start takes.
"""

SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE, SSL_ERROR_SYSCALL = 2, 3, 5


class SSLError(OSError):
    """Raised by nobody."""


class SSLZeroReturnError(SSLError):
    """Raised by nobody."""


class SSLWantReadError(SSLError):
    """Raised by nobody."""


class SSLWantWriteError(SSLError):
    """Raised by nobody."""


class SSLSyscallError(SSLError):
    """Raised by nobody."""


class SSLCertVerificationError(SSLError, ValueError):
    """Raised by nobody."""


CertificateError = SSLCertVerificationError


class SSLContext:
    """What no socket here is wrapped in."""


class MemoryBIO:
    """What no socket here is wrapped in."""


class SSLSocket:
    """What no socket here is."""


class SSLObject:
    """What no socket here is wrapped in."""


def create_default_context() -> SSLContext:
    """Refuse, as there is no TLS."""
    raise SSLError("the emulator carried in an image has no TLS")
