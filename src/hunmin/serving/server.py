"""Listening on a port, and serving until somebody stops it."""

from __future__ import annotations

import contextlib
import ipaddress
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from hunmin.core.errors import InputError

SHUTDOWN_SECONDS = 3
WAITING_CONNECTIONS = 256


def refuse_open_exposure(host: str, *, api_key: str | None, allow_no_key: bool) -> None:
    """Refuse to serve other machines without a key.

    Args:
        host: Address to listen on.
        api_key: The key that clients must send, if any.
        allow_no_key: The user insists.

    Raises:
        InputError: The address can be reached from elsewhere and nothing protects it.
    """
    if api_key or allow_no_key or _is_loopback(host):
        return
    raise InputError(
        "other machines could use this server, and no key protects it",
        where=f"--host {host}",
        allowed="127.0.0.1, ::1 or localhost without a key; any address with one",
        hint="set HUNMIN_API_KEY, or insist with --allow-no-key",
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """Take a port.

    Args:
        host: Address or name to listen on.
        port: 0 for any free one.

    Returns:
        The listening socket; connections wait in it until the server runs.

    Raises:
        InputError: The address cannot be used, or somebody else uses the port.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _cannot_listen(host, port, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(WAITING_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, error) from error
    return listener


def _cannot_listen(host: str, port: int, error: OSError) -> InputError:
    return InputError(
        "cannot listen here",
        where=f"{host}:{port}",
        given=error.strerror or str(error),
        hint="stop the other program, or choose another port (--port 0 takes any free one)",
    )


def address_of(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """A server on a socket that is already open.

    Args:
        app: The application.
        on_ready: Called once requests are answered.
    """

    def __init__(self, app: ASGIApp, *, on_ready: Callable[[], None] = lambda: None) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
                server_header=False,
            )
        )
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._on_ready()

    def serve_until_stopped(self, listener: socket.socket) -> None:
        """Answer requests until Ctrl-C, SIGTERM or `should_exit`; open streams get a few seconds.

        Args:
            listener: As `listen` gives it; closed at the end.
        """
        with listener:
            self.run(sockets=[listener])

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Turn Ctrl-C and SIGTERM into a clean end; uvicorn would raise them again afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
