"""What happens on each event of the page; shared by all visitors, whose own things stand in the page's state."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from workflow_scripts.config.demo import AnswerSettings
from workflow_scripts.demo.address import NOBODY, read_address
from workflow_scripts.demo.conversation import Stopped
from workflow_scripts.demo.draw_box import draw_box
from workflow_scripts.demo.find_experiment import example_queries
from workflow_scripts.demo.messages import Messages, message, note, sentence
from workflow_scripts.demo.system import Seen, System
from workflow_scripts.demo.uploads import read_text, take_upload
from workflow_scripts.search.index import Hit

WHY, WHOLE = "Why this picture?", "Whole picture"


class Handlers:
    """The events of one page over one system."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.settings = system.settings
        self._answering: dict[str, threading.Event] = {}

    def search(self, query: str) -> tuple[Any, list[int], str]:
        """Pictures with scores for the gallery, their rows, and a note."""

        def find() -> tuple[list[Hit], str]:
            text = read_text(query, "query", self.settings)
            return self.system.search(text), f"for “{text}”"

        return self._found(find)

    def similar(self, seen: Seen | None) -> tuple[Any, list[int], str]:
        """The same for the pictures that are most like the one that is looked at."""

        def find() -> tuple[list[Hit], str]:
            if seen is None:
                raise ValueError("Choose a picture first: click one, or use your own.")
            return self.system.similar(seen), f"like {seen.name}"

        return self._found(find)

    def _found(self, find: Callable[[], tuple[list[Hit], str]]) -> tuple[Any, list[int], str]:
        try:
            start = time.perf_counter()
            hits, wanted = find()
            seconds = time.perf_counter() - start
        except Exception as error:
            return gr.skip(), gr.skip(), note(sentence(error), problem=True)
        pictures = [(self.system.thumbnail(hit.row), f"{hit.score:.3f}") for hit in hits]
        found = f"The best {len(hits)} of {len(self.system.index):,} pictures {wanted}, in {seconds * 1000:.0f} ms"
        return gr.Gallery(pictures, selected_index=None), [hit.row for hit in hits], note(found)

    def greet(self, request: gr.Request) -> tuple[Any, ...]:
        """What the address of the page holds, or the first example: values of all that it may hold, the result of the
        search, and the picture that is looked at."""
        linked = read_address(request.query_params, self.system.conversation.adaptors, self.settings)
        query = linked.q or next(iter(example_queries(self.system.experiment.scale)), "")
        found = self.search(query) if query else (gr.skip(), [], "")
        shown = (gr.skip(),) * 5
        if linked.picture:
            try:
                shown = self._seen(self.system.see_row(self.system.row_of(linked.picture)))
            except Exception as error:
                shown = self._not_seen(error)
        values = (linked.question, linked.answers, linked.beside, linked.beams, linked.temperature, linked.longest)
        return query, linked.question, *values, *found, *shown

    def choose(self, rows: list[int], event: gr.SelectData) -> tuple[Any, ...]:
        """Look at a picture of the result; rows come from the visitor's state, never from the request."""
        try:
            seen = self.system.see_row(rows[event.index])
        except Exception as error:
            return self._not_seen(error)
        return self._seen(seen)

    def upload(self, path: str | None) -> tuple[Any, ...]:
        """Look at a picture of the visitor."""
        if path is None:
            return (gr.skip(),) * 5
        try:
            seen = self.system.see(take_upload(Path(path), self.settings), "your picture")
        except Exception as error:
            return self._not_seen(error)
        return self._seen(seen)

    def _seen(self, seen: Seen) -> tuple[Any, ...]:
        """State, picture, conversation, note and the picture's id for the address."""
        return seen, seen.shown, [], note(f"You are looking at {seen.name}."), seen.id

    def _not_seen(self, error: Exception) -> tuple[Any, ...]:
        return gr.skip(), gr.skip(), gr.skip(), note(sentence(error), problem=True), gr.skip()

    def why(self, seen: Seen | None, query: str, label: str) -> tuple[Any, Any, Any]:
        """The picture lit where the model looks for the query, or whole again; a note; what the button does next."""
        try:
            if seen is None:
                raise ValueError("Choose a picture first: click one, or use your own.")
            if label == WHOLE:
                return seen.shown, note(f"You are looking at {seen.name}."), WHY
            query = read_text(query, "query", self.settings)
            lit, score = self.system.why(seen, query)
        except Exception as error:
            return gr.skip(), note(sentence(error), problem=True), gr.skip()
        return lit, note(f"It is bright where the model looks for “{query}”; it scores {score:.3f}."), WHOLE

    def answer(
        self,
        question: str,
        seen: Seen | None,
        talk: Messages,
        adaptor: str,
        beside: str,
        beams: int,
        temperature: float,
        longest: int,
        request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:
        """Question box, conversation, picture, note, the two buttons and the last question, again and again while the
        answers grow: that of one adaptor, and then that of the one to compare it with."""
        idle = (gr.Button(visible=True), gr.Button(visible=False), gr.skip())
        busy = (gr.Button(visible=False), gr.Button(visible=True), question)
        try:
            question = read_text(question, "question", self.settings)
            if seen is None:
                raise ValueError("Choose a picture first: click one, or use your own.")
            settings = AnswerSettings(max_new_tokens=longest, num_beams=beams, temperature=temperature)
        except ValueError as error:
            yield gr.skip(), gr.skip(), gr.skip(), note(sentence(error), problem=True), *idle
            return
        compared = [adaptor] if beside in (NOBODY, adaptor) else [adaptor, beside]
        talk = [*talk, message("user", question)]
        stop = threading.Event()
        self._answering[request.session_hash or ""] = stop
        shown, by, text = seen.shown, "", ""
        try:
            for place, name in enumerate(compared):
                by, text = name if len(compared) > 1 else "", ""
                talk.append(message("assistant", "…", by))
                yield ("", talk, seen.shown, note("Thinking."), *busy) if place == 0 else _grown(talk)
                for text in self.system.conversation.answer(seen.look, question, settings, stop, name):
                    talk[-1] = message("assistant", text or "…", by)
                    yield _grown(talk)
                talk[-1] = message("assistant", text or "(The model said nothing.)", by)
                shown = draw_box(shown, text) if place == 0 else shown
            yield gr.skip(), talk, shown, note(f"You are looking at {seen.name}."), *idle
        except Stopped:
            talk[-1] = message("assistant", f"{text} (stopped)".strip(), by)
            yield gr.skip(), talk, gr.skip(), note("Stopped."), *idle
        except Exception as error:
            talk[-1] = message("assistant", "(no answer)", by)
            yield gr.skip(), talk, gr.skip(), note(sentence(error), problem=True), *idle
        finally:
            stop.set()
            if self._answering.get(request.session_hash or "") is stop:
                del self._answering[request.session_hash or ""]

    def stop(self, request: gr.Request) -> None:
        """Stop the answer that the visitor waits for; also when the visitor leaves."""
        event = self._answering.get(request.session_hash or "")
        if event is not None:
            event.set()


def _grown(talk: Messages) -> tuple[Any, ...]:
    """Of all that an answer changes, the conversation alone."""
    return gr.skip(), talk, *(gr.skip(),) * 5
