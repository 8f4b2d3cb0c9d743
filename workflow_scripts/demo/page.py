"""The page of the demo: what stands where, and which event calls what."""

import html
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import uvicorn
from starlette.applications import Starlette

from workflow_scripts.config.demo import DemoSettings
from workflow_scripts.demo.address import NOBODY, keep_in_address
from workflow_scripts.demo.api import add_endpoints
from workflow_scripts.demo.find_experiment import example_queries, example_questions
from workflow_scripts.demo.handlers import WHY, Handlers
from workflow_scripts.demo.messages import note
from workflow_scripts.demo.system import System
from workflow_scripts.demo.uploads import files_alone
from workflow_scripts.serving import Guard, listen, url_of

_STYLE = Path(__file__).with_name("style.css")
_SERIF = ("Charter", "Bitstream Charter", "Iowan Old Style", "Georgia", "Noto Serif", "DejaVu Serif", "serif")
# On a phone the picture stands below the results.
_SHOW_PICTURE = "() => document.querySelector('#picture').scrollIntoView({behavior: 'smooth', block: 'nearest'})"
_SHOW_RESULTS = "() => document.querySelector('#found').scrollIntoView({behavior: 'smooth', block: 'nearest'})"
_FILE_AGE_SECONDS = 3600
# Gradio's page begins by scripts in it, and evaluates the JavaScript of events; all of it comes from here.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_FIRST = "Click a picture, or use your own; then ask about it."


def build_page(system: System) -> gr.Blocks:
    """All components and their events."""
    handlers = Handlers(system)
    scale = system.experiment.scale
    adaptors = system.conversation.adaptors
    private = {"api_visibility": "private"}
    with gr.Blocks(
        title="Image search", analytics_enabled=False, delete_cache=(_FILE_AGE_SECONDS, _FILE_AGE_SECONDS)
    ) as page:
        rows = gr.State([])
        seen = gr.State(None)
        # What stands in the address and nowhere else on the page.
        picture_id = gr.Textbox(visible="hidden")
        asked = gr.Textbox(visible="hidden")
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
                )  # fmt: skip
                with gr.Row(elem_classes="tools"):
                    why = gr.Button(WHY, size="sm", elem_id="why")
                    similar = gr.Button("More like this", size="sm", elem_id="similar")
                    upload = gr.UploadButton("Use your own", file_types=["image"], size="sm", elem_id="upload")
                talk = gr.Chatbot(
                    label="Conversation", show_label=False, height=230, render_markdown=False, buttons=[],
                    placeholder="Each question is answered from the picture alone.", elem_id="talk",
                )  # fmt: skip
                for takes_files in (upload, talk):
                    files_alone(takes_files)
                with gr.Row(elem_classes="line"):
                    question = gr.Textbox(label="Ask about the picture", max_lines=1, elem_id="question")
                    ask = gr.Button("Ask", variant="primary", elem_id="ask")
                    stop = gr.Button("Stop", variant="stop", visible=False, elem_id="stop")
                about = gr.HTML(note(_FIRST), elem_classes="note", elem_id="about")
                question_chips = _chips(example_questions(scale))
                with gr.Accordion("How answers are made", open=False, elem_id="how"):
                    boxes = any("refcoco" in name for name in adaptors)
                    adaptor = gr.Dropdown(
                        adaptors, value=adaptors[0], label="Answers by", elem_id="adaptor",
                        info="The RefCOCO training draws its answers: “give the box of the kite.”" if boxes else None,
                    )  # fmt: skip
                    beside = gr.Dropdown(
                        [NOBODY, *adaptors], value=NOBODY, label="Compared with", elem_id="beside",
                        info="Both then answer every question.",
                    )  # fmt: skip
                    beams = gr.Slider(1, 8, value=1, step=1, label="Beams", elem_id="beams")
                    temperature = gr.Slider(
                        0, 2, value=0, step=0.1, label="Temperature (0 does not sample)", elem_id="temperature"
                    )
                    longest = gr.Slider(1, 128, value=32, step=1, label="Longest answer, in tokens", elem_id="longest")

        answering = [adaptor, beside, beams, temperature, longest]
        linked = [query, picture_id, asked, *answering]
        keep = {"fn": None, "inputs": linked, "outputs": None, "js": keep_in_address(adaptors, system.settings)}
        shows = [seen, picture, talk, about, picture_id]
        result = [gallery, rows, found]
        model = {"concurrency_limit": 1, "concurrency_id": "model"}
        alone = model | {"show_progress": "hidden"} | private
        searching = {"fn": handlers.search, "inputs": query, "outputs": result, "concurrency_limit": 2} | private

        add_endpoints(system, model)  # first, so that the names are theirs and not those of the page's own events
        gr.on([search.click, query.submit], **searching).then(**keep)
        # Not through the queue: the page is empty until the answer is there.
        opened = [query, asked, question, *answering, *result, *shows]
        page.load(handlers.greet, None, opened, queue=False, **private)
        for chip in query_chips:
            chip.click(_value_of(chip), None, query, **private).then(**searching).then(**keep)
        whole = {"fn": lambda: WHY, "outputs": why, "queue": False} | private
        # What runs in the browser alone ends a chain: nothing follows it.
        chosen = gallery.select(handlers.choose, rows, shows, **alone).then(**whole)
        chosen.then(None, js=_SHOW_PICTURE)
        chosen.then(**keep)
        upload.upload(handlers.upload, upload, shows, **alone).then(**whole).then(**keep)
        why.click(handlers.why, [seen, query, why], [picture, about, why], **alone)
        similar.click(handlers.similar, seen, result, concurrency_limit=2, **private).then(None, js=_SHOW_RESULTS)
        asking = {
            "fn": handlers.answer,
            "inputs": [question, seen, talk, *answering],
            "outputs": [question, talk, picture, about, ask, stop, asked],
        } | alone
        gr.on([ask.click, question.submit], **asking).then(**whole).then(**keep)
        for chip in question_chips:
            chip.click(_value_of(chip), None, question, **private).then(**asking).then(**whole).then(**keep)
        gr.on([one.change for one in answering], **keep)
        stop.click(handlers.stop, queue=False, **private)
        page.unload(handlers.stop)
    return page


def launch_page(
    page: gr.Blocks,
    settings: DemoSettings,
    host: str,
    port: int | None = None,
    *,
    taken: socket.socket | None = None,
    allowed_hosts: Sequence[str] = (),
    auth: Callable[[str, str], bool] | None = None,
    auth_message: str | None = None,
    prevent_thread_lock: bool = False,
    quiet: bool = False,
) -> None:
    """Serve the page until interrupted, or return at once where `prevent_thread_lock` is given.

    `taken` is a port of `host` that listens already; otherwise it is `port`, or a free one. Gradio's own launch would
    take the port last, ask its server for something by way of any proxy, and answer all hosts and sites.
    """
    taken = taken or listen(host, port or 0)
    page.queue(max_size=settings.max_waiting, default_concurrency_limit=1)
    page.state_session_capacity = settings.max_sessions
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
    whole = gr.mount_gradio_app(
        Starlette(),
        page,
        path="",
        auth=auth,
        auth_message=auth_message,
        ssr_mode=False,
        theme=theme,
        css_paths=[_STYLE],
        footer_links=["api"],
        max_file_size=settings.max_upload_megabytes * 1_000_000,
    )
    page.app = whole.routes[-1].app
    page.local_url = url_of(taken) + "/"
    page.server_port = taken.getsockname()[1]
    page.server = _Server(Guard(whole, host, _POLICY, allowed_hosts), taken)
    page.server.start()
    if not quiet:
        print(f"the demo: {page.local_url} (Ctrl-C stops it)", flush=True)
    if not prevent_thread_lock:
        page.block_thread()


class _Server:
    """A server in a thread, which ends by `close`, as Gradio's page calls it."""

    def __init__(self, app: Guard, taken: socket.socket) -> None:
        # Gradio tells pages the news by streams, for as long as they are open.
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
        self._server, self._taken = uvicorn.Server(config), taken
        self._thread = threading.Thread(target=self._server.run, args=([taken],), daemon=True)

    def start(self) -> None:
        """Return when requests are answered."""
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise OSError("The demo's server ended as it began; what it said stands above.")
            time.sleep(0.01)

    def close(self) -> None:
        """Stop answering."""
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self._taken.close()


def _head(system: System) -> str:
    run = html.escape(system.experiment.run.label)
    return (
        f"<h1>Image search</h1><p>Describe a picture, find it among {len(system.index):,}, then ask about it. "
        f"The answers are those of {run}, at scale {html.escape(system.experiment.scale.name)}.</p>"
    )


def _chips(texts: list[str]) -> list[gr.Button]:
    if not texts:
        return []
    with gr.Row(elem_classes="chips"):
        return [gr.Button(text, size="sm", variant="secondary") for text in texts]


def _value_of(chip: gr.Button) -> Any:
    return lambda: chip.value
