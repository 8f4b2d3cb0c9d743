"""What programs may ask of the demo: the same search and the same answers as on the page, without it."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from workflow_scripts.config.demo import AnswerSettings
from workflow_scripts.demo.messages import sentence
from workflow_scripts.demo.system import System
from workflow_scripts.demo.uploads import files_alone, read_text, take_upload


class Api:
    """Functions behind the named endpoints; errors reach a client as one sentence."""

    def __init__(self, system: System) -> None:
        self._system = system

    def search(self, query: str) -> list[dict[str, Any]]:
        """The best pictures for a description, best first: rank, score and id, which `ask` takes."""
        try:
            hits = self._system.search(read_text(query, "query", self._system.settings))
        except Exception as error:
            raise gr.Error(sentence(error), print_exception=False) from error
        return [{"rank": hit.rank, "score": hit.score, "id": hit.id} for hit in hits]

    def ask(
        self, file: str | None, picture: str, question: str, answers: str, beams: int, temperature: float, longest: int
    ) -> Iterator[str]:
        """The answer to a question about a picture, a file or the id of one of the index, as it grows: a program that
        goes away in the middle ends it."""
        system, stop = self._system, threading.Event()
        try:
            question = read_text(question, "question", system.settings)
            names = system.conversation.adaptors
            if answers and answers not in names:
                raise ValueError(f"Nobody called {answers!r} answers here; choose one of {', '.join(names)}.")
            settings = AnswerSettings(max_new_tokens=longest, num_beams=beams, temperature=temperature)
            if file:
                seen = system.see(take_upload(Path(file), system.settings), "your picture")
            else:
                seen = system.see_row(system.row_of(picture))
            yield from system.conversation.answer(seen.look, question, settings, stop, answers or names[0])
        except Exception as error:
            raise gr.Error(sentence(error), print_exception=False) from error
        finally:
            stop.set()


def add_endpoints(system: System, model: dict[str, Any]) -> None:
    """Add `/search` and `/ask` to the page that is being built; `model` are the limits of what needs the models."""
    api = Api(system)
    # Hidden components, since a file that comes in through one is checked to be an upload, and not a path of ours.
    with gr.Row(visible=False):
        query, found = gr.Textbox(label="query"), gr.JSON(label="pictures")
        inputs = [
            files_alone(gr.File(label="file")),
            gr.Textbox(label="picture"),
            gr.Textbox(label="question"),
            gr.Textbox(label="answers"),
            gr.Number(AnswerSettings().num_beams, precision=0, label="beams"),
            gr.Number(AnswerSettings().temperature, label="temperature"),
            gr.Number(AnswerSettings().max_new_tokens, precision=0, label="longest"),
        ]
        answer = gr.Textbox(label="answer")
        gr.Button().click(api.search, query, found, api_name="search", concurrency_limit=2)
        gr.Button().click(api.ask, inputs, answer, api_name="ask", **model)
