"""Texts as asynchronous iterators, and chats as iterators."""

from __future__ import annotations

TYPE_CHECKING = False  # without typing, whose import takes longer than that of linnet
if TYPE_CHECKING:
    from collections.abc import Generator

    from linnet._linnet import Chat, Generation, Piece


async def next_piece(self: Generation) -> Piece:
    """The next piece, generated on another thread, so that the event loop goes on."""
    import asyncio

    piece = await asyncio.to_thread(self.next)
    if piece is None:
        raise StopAsyncIteration
    return piece


class _Closed(Exception):
    """The reader of a stream has gone."""


def stream_chat(self: Chat, text: str) -> Generator[str, None, None]:
    """A turn of the user; an iterator of the parts of the reply.

    The reply is written on another thread. Closing the iterator, or an exception in its loop, ends
    the reply; the partial reply is kept.
    """
    import queue
    import threading

    parts: queue.SimpleQueue[str | BaseException | None] = queue.SimpleQueue()
    closed = threading.Event()

    def put(part: str) -> None:
        if closed.is_set():
            raise _Closed
        parts.put(part)

    def work() -> None:
        try:
            self.ask(text, on_text=put)
            parts.put(None)
        except _Closed:
            parts.put(None)
        except BaseException as error:  # raised again by the reader
            parts.put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (part := parts.get()) is not None:
            if isinstance(part, BaseException):
                raise part
            yield part
    finally:
        closed.set()
        thread.join()
