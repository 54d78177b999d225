"""The version of the distribution; read by hatchling and by `rie --version`."""

__version__ = "0.1.0"
