"""The exceptions of linnet.

Every error that a caller can fix is an `Error`. The message is one line: the file, what was found,
what was expected and, if known, what to do.
"""

__all__ = ["Error", "FileError", "InputError", "ModelError", "OutOfMemoryError", "StateError"]


class Error(Exception):
    """The base of all errors of linnet; `kind` says which one it is."""

    kind: str = "error"


class FileError(Error, OSError):
    """A file cannot be read or written. kind: "io"."""

    kind = "io"


class ModelError(Error, ValueError):
    """A file is not a valid RWKV model. kind: "bad_model"."""

    kind = "bad_model"


class StateError(Error, ValueError):
    """A state is damaged or belongs to another model. kind: "bad_state"."""

    kind = "bad_state"


class InputError(Error, ValueError):
    """A token, text or option is out of range. kind: "bad_input"."""

    kind = "bad_input"


class OutOfMemoryError(Error, MemoryError):
    """There is not enough memory on this machine. kind: "no_memory"."""

    kind = "no_memory"
