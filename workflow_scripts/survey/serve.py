"""Serve the survey as a page: nine answers of the system to rate, stored in a SQLite file.

Names and addresses of respondents are not stored. A page holds a random word, under which its response is stored once,
however often it is sent.
"""

import argparse
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jinja2
import markupsafe
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.routing import Route

from workflow_scripts.command_line import run_command
from workflow_scripts.survey.build_survey import read_survey
from workflow_scripts.survey.responses import LONGEST_COMMENT, RATINGS, Response, ResponseStore

TEMPLATES = Path(__file__).parent / "templates"
LARGEST_FORM = 64_000
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer, a browser hides the origin of our own form too
    "Cache-Control": "no-store",
}


class SurveyPages:
    """The pages of one survey and its store of responses."""

    def __init__(self, survey: Mapping[str, Any], store: ResponseStore) -> None:
        self.survey = survey
        self.store = store
        self.numbers = [question["number"] for question in survey["questions"]]
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def application(self) -> Starlette:
        """The web application."""
        return Starlette(
            routes=[
                Route("/", self.show, methods=["GET"]),
                Route("/responses", self.receive, methods=["POST"]),
                Route("/thanks", self.thank, methods=["GET"]),
            ]
        )

    async def show(self, request: Request) -> HTMLResponse:
        """The page with all questions."""
        return self._page("survey.html.j2", respondent=secrets.token_hex(16), given={}, comment="", problem="")

    async def receive(self, request: Request) -> HTMLResponse | RedirectResponse | PlainTextResponse:
        """Store a response; what is not complete comes back as it was, with a sentence on what is missing."""
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            return PlainTextResponse("This form was sent from another site.", 403, _HEADERS)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LARGEST_FORM:
                return PlainTextResponse("The response is too long.", 413, _HEADERS)
        form = {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        if form.get("survey") != self.survey["id"]:
            return PlainTextResponse("The survey has changed since; please load the page again.", 409, _HEADERS)
        given = {number: int(text) for number in self.numbers if (text := form.get(f"q{number}", "")) in _ALLOWED}
        comment = form.get("comment", "").replace("\r\n", "\n").strip()
        respondent = form.get("respondent", "")[:64]
        response = Response(respondent or secrets.token_hex(16), given, comment)
        try:
            response.check(self.numbers)
        except ValueError as error:
            kept = {"respondent": response.respondent, "given": given, "comment": comment}
            return self._page("survey.html.j2", status=422, problem=str(error), **kept)
        new = await run_in_threadpool(self.store.add, self.survey["id"], response)
        return RedirectResponse("/thanks" if new else "/thanks?again=1", 303, _HEADERS)

    async def thank(self, request: Request) -> HTMLResponse:
        """What is shown after a response."""
        return self._page("thanks.html.j2", again="again" in request.query_params)

    def _page(self, name: str, status: int = 200, **content: Any) -> HTMLResponse:
        style = markupsafe.Markup((TEMPLATES / "survey.css").read_text(encoding="utf-8"))
        page = self._templates.get_template(name).render(
            survey=self.survey, style=style, ratings=RATINGS, longest=LONGEST_COMMENT, **content
        )
        return HTMLResponse(page, status, _HEADERS)


_ALLOWED = {str(rating) for rating in RATINGS}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--survey", type=Path, required=True, help="survey.json")
    parser.add_argument("--responses", type=Path, required=True, help="SQLite file of the responses, made if needed")
    parser.add_argument("--host", default="127.0.0.1", help="this machine only, unless another address is given")
    parser.add_argument("--port", type=int, default=7870)
    arguments = parser.parse_args(argv)
    pages = SurveyPages(read_survey(arguments.survey), ResponseStore(arguments.responses))
    print(f"the survey: http://{arguments.host}:{arguments.port} (Ctrl-C stops it)", flush=True)
    uvicorn.run(pages.application(), host=arguments.host, port=arguments.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    run_command(main)
