"""A module that fails while it is imported."""


class Broken(Exception):
    pass


raise Broken("broken while loading")
