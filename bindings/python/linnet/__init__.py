"""Linnet runs, trains and measures RWKV language models of all generations.

    import linnet

    model = linnet.Model.open("model.pth")
    for piece in model.generate("The kingfisher", max_tokens=50):
        print(piece, end="")

The package prints nothing unless it is asked to. docs/python.md is a tutorial.
"""

from linnet import iterate
from linnet._linnet import (
    Chat,
    Generation,
    Grammar,
    Model,
    Piece,
    Row,
    Sampler,
    Samples,
    Schedule,
    State,
    StepReport,
    Tokenizer,
    Trainer,
    __version__,
    chat_templates,
    has_builtin_model,
    write_data,
)
from linnet.errors import (
    Error,
    FileError,
    InputError,
    ModelError,
    OutOfMemoryError,
    StateError,
)
from linnet.files import convert, inspect, new_adapter, new_model, new_states, quantize
from linnet.training import train

__all__ = [
    "Chat",
    "Error",
    "FileError",
    "Generation",
    "Grammar",
    "InputError",
    "Model",
    "ModelError",
    "OutOfMemoryError",
    "Piece",
    "Row",
    "Sampler",
    "Samples",
    "Schedule",
    "State",
    "StateError",
    "StepReport",
    "Tokenizer",
    "Trainer",
    "__version__",
    "chat_templates",
    "convert",
    "has_builtin_model",
    "inspect",
    "new_adapter",
    "new_model",
    "new_states",
    "quantize",
    "train",
    "write_data",
]

# The parts of these classes that are easier in Python; the stubs show them as methods.
setattr(Generation, "__aiter__", lambda self: self)
setattr(Generation, "__anext__", iterate.next_piece)
setattr(Chat, "stream", iterate.stream_chat)
