"""The page of the demo: what stands where, and what each button does."""

import html
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image, ImageDraw

from workflow_scripts.config.demo import AnswerSettings, DemoSettings
from workflow_scripts.data.boxes import parse_box
from workflow_scripts.demo.conversation import Stopped
from workflow_scripts.demo.find_experiment import example_queries, example_questions
from workflow_scripts.demo.system import Seen, System
from workflow_scripts.demo.uploads import read_text, read_upload

Messages = list[dict[str, Any]]

_STYLE = Path(__file__).with_name("style.css")
_SERIF = ("Charter", "Bitstream Charter", "Iowan Old Style", "Georgia", "Noto Serif", "DejaVu Serif", "serif")
_FAILED = "Something went wrong here; the terminal that runs the demo says what. Please try again."
_KEEP_SEARCH_IN_ADDRESS = """(query) => {
  const address = new URL(location.href);
  const short = query && query.trim() && query.length <= 500;
  short ? address.searchParams.set("q", query) : address.searchParams.delete("q");
  history.replaceState(null, "", address);
}"""
# On a phone the picture stands below the results.
_SHOW_PICTURE = "() => document.querySelector('#picture').scrollIntoView({behavior: 'smooth', block: 'nearest'})"
_FILE_AGE_SECONDS = 3600
_DRAWN_SIZE = 500


def note(text: str, problem: bool = False) -> str:
    """One line for the reader; nothing in it is taken as HTML."""
    return f'<span role="status"{" class=problem" if problem else ""}>{html.escape(text)}</span>'


def message(role: str, text: str) -> dict[str, Any]:
    """One turn of the conversation; the chat takes its content for HTML, so that it is escaped."""
    return {"role": role, "content": html.escape(text, quote=False)}


def sentence(error: Exception) -> str:
    """What a visitor is told about an error: the sentence of one that we raised, a general one otherwise."""
    if isinstance(error, ValueError):
        return str(error)
    logging.getLogger(__name__).error("a request failed", exc_info=error)
    return _FAILED


def draw_box(picture: Image.Image, answer: str) -> Image.Image:
    """The picture with the box that an answer names, if it names one."""
    larger = max(1, round(_DRAWN_SIZE / max(picture.size)))  # a line on a thumbnail would hide what it surrounds
    width, height = (larger * side for side in picture.size)
    box = parse_box(answer, width, height)
    if box is None:
        return picture
    marked = picture.resize((width, height), Image.Resampling.BICUBIC)
    corners = (box[0], box[1], box[0] + box[2], box[1] + box[3])
    line = max(width, height) // 150 + 1
    drawing = ImageDraw.Draw(marked)
    drawing.rectangle(corners, outline="white", width=line + 2)
    drawing.rectangle(corners, outline="#0f4c81", width=line)
    return marked


class Handlers:
    """What happens on each event; shared by all visitors, whose own things stand in the page's state."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.settings = system.settings
        self._answering: dict[str, threading.Event] = {}

    def search(self, query: str) -> tuple[Any, list[int], str]:
        """Pictures with scores for the gallery, their rows, and a note."""
        try:
            query = read_text(query, "query", self.settings)
            start = time.perf_counter()
            hits = self.system.search(query)
            seconds = time.perf_counter() - start
            pictures = [(self.system.thumbnail(hit.row), f"{hit.score:.3f}") for hit in hits]
        except Exception as error:
            return gr.skip(), gr.skip(), note(sentence(error), problem=True)
        found = f"The best {len(hits)} of {len(self.system.index):,} pictures for “{query}”, in {seconds * 1000:.0f} ms"
        return gr.Gallery(pictures, selected_index=None), [hit.row for hit in hits], note(found)

    def greet(self, request: gr.Request) -> tuple[Any, ...]:
        """The query in the address of the page, or the first example, and what `search` finds for it."""
        query = request.query_params.get("q") or next(iter(example_queries(self.system.experiment.scale)), "")
        return (query, *(self.search(query) if query else (gr.skip(), [], "")))

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
            return (gr.skip(),) * 4
        try:
            seen = self.system.see(read_upload(Path(path), self.settings), "your picture")
        except Exception as error:
            return self._not_seen(error)
        return self._seen(seen)

    def _seen(self, seen: Seen) -> tuple[Any, ...]:
        return seen, seen.shown, [], note(f"You are looking at {seen.name}.")

    def _not_seen(self, error: Exception) -> tuple[Any, ...]:
        return gr.skip(), gr.skip(), gr.skip(), note(sentence(error), problem=True)

    def answer(
        self,
        question: str,
        seen: Seen | None,
        talk: Messages,
        adaptor: str,
        beams: int,
        temperature: float,
        longest: int,
        request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:
        """Question box, conversation, picture, note and the two buttons, again and again while the answer grows."""
        idle, busy = (
            (gr.Button(visible=True), gr.Button(visible=False)),
            (gr.Button(visible=False), gr.Button(visible=True)),
        )
        try:
            question = read_text(question, "question", self.settings)
            if seen is None:
                raise ValueError("Choose a picture first: click one, or upload your own.")
            settings = AnswerSettings(max_new_tokens=longest, num_beams=beams, temperature=temperature)
        except ValueError as error:
            yield gr.skip(), gr.skip(), gr.skip(), note(sentence(error), problem=True), *idle
            return
        talk = [*talk, message("user", question), message("assistant", "…")]
        yield "", talk, seen.shown, note("Thinking."), *busy
        stop = threading.Event()
        self._answering[request.session_hash or ""] = stop
        text = ""
        try:
            for text in self.system.conversation.answer(seen.query_output, question, settings, stop, adaptor):
                talk[-1] = message("assistant", text or "…")
                yield gr.skip(), talk, gr.skip(), gr.skip(), gr.skip(), gr.skip()
            talk[-1] = message("assistant", text or "(The model said nothing.)")
            yield gr.skip(), talk, draw_box(seen.shown, text), note(f"You are looking at {seen.name}."), *idle
        except Stopped:
            talk[-1] = message("assistant", f"{text} (stopped)".strip())
            yield gr.skip(), talk, gr.skip(), note("Stopped."), *idle
        except Exception as error:
            talk[-1] = message("assistant", "(no answer)")
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


def build_page(system: System) -> gr.Blocks:
    """All components and their events."""
    handlers = Handlers(system)
    scale = system.experiment.scale
    with gr.Blocks(
        title="Image search", analytics_enabled=False, delete_cache=(_FILE_AGE_SECONDS, _FILE_AGE_SECONDS)
    ) as page:
        rows = gr.State([])
        seen = gr.State(None)
        gr.HTML(_head(system), elem_id="head")
        with gr.Row(equal_height=False, elem_id="both"):
            with gr.Column(scale=7, min_width=320):
                with gr.Row(elem_classes="line"):
                    query = gr.Textbox(label="What are you looking for?", max_lines=1, elem_id="query")
                    search = gr.Button("Search", variant="primary", elem_id="search")
                query_chips = _chips(example_queries(scale))
                found = gr.HTML(elem_classes="note", elem_id="found")
                gallery = gr.Gallery(
                    label="Pictures", show_label=False, columns=5, height="auto", object_fit="contain",
                    allow_preview=False, interactive=False, buttons=[], elem_id="pictures",
                )  # fmt: skip
            with gr.Column(scale=5, min_width=320):
                picture = gr.Image(
                    label="The picture", show_label=False, interactive=False, height=270, buttons=[], elem_id="picture",
                    placeholder="Click a picture to talk about it.",
                )  # fmt: skip
                upload = gr.UploadButton("Use a picture of your own", file_types=["image"], size="sm", elem_id="upload")
                talk = gr.Chatbot(
                    label="Conversation", show_label=False, height=230, render_markdown=False, buttons=[],
                    placeholder="Each question is answered from the picture alone.", elem_id="talk",
                )  # fmt: skip
                with gr.Row(elem_classes="line"):
                    question = gr.Textbox(label="Ask about the picture", max_lines=1, elem_id="question")
                    ask = gr.Button("Ask", variant="primary", elem_id="ask")
                    stop = gr.Button("Stop", variant="stop", visible=False, elem_id="stop")
                about = gr.HTML(elem_classes="note", elem_id="about")
                question_chips = _chips(example_questions(scale))
                with gr.Accordion("How answers are made", open=False):
                    adaptors = system.conversation.adaptors
                    boxes = any("refcoco" in name for name in adaptors)
                    adaptor = gr.Dropdown(
                        adaptors, value=adaptors[0], label="Answers by", elem_id="adaptor",
                        info="The RefCOCO training draws its answers: “give the box of the kite.”" if boxes else None,
                    )  # fmt: skip
                    beams = gr.Slider(1, 8, value=1, step=1, label="Beams", elem_id="beams")
                    temperature = gr.Slider(0, 2, value=0, step=0.1, label="Temperature (0 does not sample)")
                    longest = gr.Slider(1, 128, value=32, step=1, label="Longest answer, in tokens")

        searching = {"fn": handlers.search, "inputs": query, "outputs": [gallery, rows, found], "concurrency_limit": 2}
        shows = [seen, picture, talk, about]
        model = {"concurrency_limit": 1, "concurrency_id": "model", "show_progress": "hidden"}
        gr.on([search.click, query.submit], **searching, api_name="search").then(
            None, query, None, js=_KEEP_SEARCH_IN_ADDRESS
        )
        # Not through the queue: the page is empty until the answer is there.
        page.load(handlers.greet, None, [query, gallery, rows, found], queue=False, api_visibility="private")
        for chip in query_chips:
            chip.click(_value_of(chip), None, query, api_visibility="private").then(
                **searching, api_visibility="private"
            ).then(None, query, None, js=_KEEP_SEARCH_IN_ADDRESS)
        gallery.select(handlers.choose, rows, shows, **model, api_visibility="private").then(None, js=_SHOW_PICTURE)
        upload.upload(handlers.upload, upload, shows, **model, api_visibility="private")
        asking = {
            "fn": handlers.answer,
            "inputs": [question, seen, talk, adaptor, beams, temperature, longest],
            "outputs": [question, talk, picture, about, ask, stop],
            "api_visibility": "private",
        } | model
        gr.on([ask.click, question.submit], **asking)
        for chip in question_chips:
            chip.click(_value_of(chip), None, question, api_visibility="private").then(**asking)
        stop.click(handlers.stop, queue=False, api_visibility="private")
        page.unload(handlers.stop)
    return page


def launch_page(page: gr.Blocks, settings: DemoSettings, host: str, port: int, **options: Any) -> None:
    """Serve the page until interrupted, or return at once where `prevent_thread_lock` is given."""
    page.queue(max_size=settings.max_waiting, default_concurrency_limit=1)
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.blue, neutral_hue=gr.themes.colors.stone, font=_SERIF, font_mono=("monospace",)
    ).set(
        body_background_fill="#fdfdfb",
        button_primary_background_fill="#0f4c81",
        button_primary_background_fill_hover="#0b3a63",
        button_primary_text_color="white",
        color_accent="#0f4c81",
        block_shadow="none",
    )
    page.launch(
        server_name=host,
        server_port=port,
        share=False,
        ssr_mode=False,
        theme=theme,
        css_paths=[_STYLE],
        footer_links=["api"],
        max_file_size=settings.max_upload_megabytes * 1_000_000,
        state_session_capacity=settings.max_sessions,
        **options,
    )


def _head(system: System) -> str:
    run = html.escape(system.experiment.run.label)
    return (
        f"<h1>Image search</h1><p>Describe a picture, find it among {len(system.index):,}, then ask about it. "
        f"The answers are those of {run}, at scale {html.escape(system.experiment.scale.name)}.</p>"
    )


def _chips(texts: list[str]) -> list[gr.Button]:
    with gr.Row(elem_classes="chips"):
        return [gr.Button(text, size="sm", variant="secondary") for text in texts]


def _value_of(chip: gr.Button) -> Any:
    return lambda: chip.value
