"""A way to a server that can be cut: new connections are refused, old ones broken."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

COPY_BEGINS = b"PGCOPY\n\xff\r\n\0"
COMMITTED = b"COMMIT\0"
"""How a server answers that it has committed."""


class CuttableProxy:
    """Forwards a port of its own to `port` on 127.0.0.1 until it is cut.

    Attributes:
        has_cut: set when it has cut by itself, as it was told to.
    """

    def __init__(self, port: int) -> None:
        self.has_cut = threading.Event()
        self._upstream = port
        self._begins = COPY_BEGINS
        self._copy_left: int | None = None
        self._in_copy: socket.socket | None = None
        self._keeps_answer = False
        self._pairs: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut()
        for thread in self._threads:
            thread.join()

    def cut(self) -> None:
        """Break what is open and refuse what comes."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._pairs:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._pairs.clear()

    def cut_in_copy(self, after: int, begins: bytes = COPY_BEGINS) -> None:
        """Cut when the server has got just so many bytes, from the next binary COPY on.

        Args:
            after: how many.
            begins: what the first of them are, where it is another.
        """
        self.has_cut.clear()
        self._begins = begins
        self._copy_left = after

    def cut_at_commit(self) -> None:
        """Cut when the server says that it has committed, and keep that from the client."""
        self.has_cut.clear()
        self._keeps_answer = True

    def mend(self) -> None:
        """Take connections again, at the same port."""
        self._listener = self._listen(self.port)

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port))
        self._start(self._accept, listener)
        return listener

    def _start(self, work: object, *ends: socket.socket) -> None:
        assert callable(work)
        thread = threading.Thread(target=work, args=ends, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self._upstream))
                self._pairs += [client, server]
                self._start(self._forward_questions, client, server)
                self._start(self._forward_answers, server, client)

    def _forward_questions(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                passed = self._before_cut(client, data)
                server.sendall(data[:passed])
                if passed is not None:
                    self._cut_by_itself()
        self._end(client, server)

    def _before_cut(self, client: socket.socket, data: bytes) -> int | None:
        """Return how much of what a client sent goes through before the cut; None for all."""
        if self._copy_left is None:
            return None
        begin = 0
        if self._in_copy is None:
            begin = data.find(self._begins)
            if begin < 0:
                return None
            self._in_copy = client
        if self._in_copy is not client:
            return None
        if len(data) - begin < self._copy_left:
            self._copy_left -= len(data) - begin
            return None
        passed = begin + self._copy_left
        self._copy_left = self._in_copy = None
        return passed

    def _forward_answers(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if self._keeps_answer and COMMITTED in data:
                    self._keeps_answer = False
                    self._cut_by_itself()
                client.sendall(data)
        self._end(server, client)

    def _cut_by_itself(self) -> None:
        self.cut()
        self.has_cut.set()

    @staticmethod
    def _end(source: socket.socket, sink: socket.socket) -> None:
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
