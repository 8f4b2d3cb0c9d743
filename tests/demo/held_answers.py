"""An answer that cannot end before somebody has stopped it or lets it go, however slow or fast the machine is."""

import contextlib
import threading
import time
from dataclasses import dataclass, field
from unittest import mock

_LONGEST_SECONDS = 180


@dataclass
class Held:
    """The events that answers were given to be stopped by, in order, and how many tokens the model was asked for."""

    stops: list[threading.Event] = field(default_factory=list)
    tokens: int = 0
    waits: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)

    def is_stopped(self) -> bool:
        """Whether the first answer waits and was stopped; looks for a while."""
        return self.waits.wait(1) and self.stops[0].wait(1)


@contextlib.contextmanager
def held_answer(conversation, token=2):
    """Lets the first answer wait at one of its tokens until it is stopped or let go, and fail where neither comes."""
    held, usual = Held(), conversation.answer

    def answer(look, question, settings, stop, adaptor=None):
        held.stops.append(stop)
        return usual(look, question, settings, stop, adaptor)

    def hold(*_):
        held.tokens += 1
        if held.tokens == token:
            held.waits.set()
            deadline = time.monotonic() + _LONGEST_SECONDS
            while not (held.stops[0].is_set() or held.go.is_set()):
                if time.monotonic() > deadline:
                    raise RuntimeError("nobody stopped this answer")
                time.sleep(0.02)

    model = conversation._models[conversation.adaptors[0]].language_model
    hook = model.register_forward_pre_hook(hold)  # comes before the one of the answer itself
    try:
        with mock.patch.object(conversation, "answer", answer):
            yield held
    finally:
        hook.remove()
