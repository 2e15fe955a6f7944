"""Every exception Tilewright raises, grouped by what the caller would do about it.

Nothing comes in; every other module raises these. Catch `TilewrightError` for all of them.
"""


class TilewrightError(Exception):
    """Base of all of Tilewright's own exceptions."""


class InputError(TilewrightError, ValueError):
    """What was given cannot be used as it is: fix the input and try again."""


class UnfitKeyError(InputError, KeyError):
    """A key that a store cannot have, so that nothing is there either: `in` is False for it, `get` gives the default."""

    def __str__(self) -> str:
        """Return the message itself, as `NotFoundError` does."""
        return str(self.args[0]) if self.args else ""


class NotFoundError(TilewrightError, KeyError):
    """What was asked for is not there; the message names what there is instead."""

    def __str__(self) -> str:
        """Return the message itself: `KeyError` would show its repr, quotes and escapes included."""
        return str(self.args[0]) if self.args else ""


class SetupError(TilewrightError, RuntimeError):
    """The machine or the configuration is in the way: fix the set-up, the input is fine."""


class TransientError(TilewrightError, RuntimeError):
    """The server or the network failed in a way that may pass: try again later."""


class FinalError(TilewrightError, RuntimeError):
    """The server refused, and would refuse again: report it or change the request."""
