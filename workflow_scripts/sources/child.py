"""Run a command beside a local server and end as it ends."""

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from http.server import ThreadingHTTPServer
from types import FrameType

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


class LoopbackServer(ThreadingHTTPServer):
    """A threaded server on the loopback interface that never waits for its clients when it closes."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    # A port that another process listens on must be an error, not shared.
    allow_reuse_port = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that hang up; they do so on purpose."""
        return


def start_server(handler: type, port: int) -> LoopbackServer:
    """Bind to 127.0.0.1 (port 0 for any free one); a busy port is a ValueError."""
    try:
        server = LoopbackServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise ValueError(
            f"Port {port} on 127.0.0.1 cannot be used ({error.strerror}); choose another --port, or 0 for a free one."
        ) from error
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


def run_beside(server: LoopbackServer, command: Sequence[str]) -> int:
    """Run the command with MIRROR_URL set; signals go on to it. Returns its exit code (128 + n for signal n)."""
    address = f"http://127.0.0.1:{server.server_address[1]}"
    if not command:
        print(f"serving at {address}; export MIRROR_URL={address}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return 0
    environment = {**os.environ, "MIRROR_URL": address}
    try:
        child = subprocess.Popen(command, env=environment)
    except FileNotFoundError:
        raise ValueError(f"The command {command[0]!r} does not exist.") from None

    def forward(number: int, frame: FrameType | None) -> None:
        if child.poll() is None:
            child.send_signal(number)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        server.shutdown()
        server.server_close()
    return code if code >= 0 else 128 - code
