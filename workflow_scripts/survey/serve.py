"""Serve the survey as a page: nine answers of the system to rate, stored in a SQLite file.

Names and addresses of respondents are not stored. A page holds a random word, under which its response is stored once,
however often it is sent.
"""

import argparse
import logging
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jinja2
import markupsafe
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.routing import Route

from workflow_scripts.command_line import run_command
from workflow_scripts.serving import Guard, add_allowed_hosts, listen, names_of_hosts, url_of
from workflow_scripts.survey.build_survey import read_survey
from workflow_scripts.survey.responses import LONGEST_COMMENT, RATINGS, Response, ResponseStore

TEMPLATES = Path(__file__).parent / "templates"
LARGEST_FORM = 64_000
LONGEST_KEPT = 10 * LONGEST_COMMENT
log = logging.getLogger(__name__)
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {"Cache-Control": "no-store"}


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

    def application(self, host: str | None = None, allowed: Sequence[str] = ()) -> Guard:
        """The web application as served on `host`, also known by names that are `allowed`; by any without a host."""
        pages = Starlette(
            routes=[
                Route("/", self.show, methods=["GET"]),
                Route("/responses", self.receive, methods=["POST"]),
                Route("/thanks", self.thank, methods=["GET"]),
            ]
        )
        # What was filled in is not lost because a proxy does not say by which name it was asked.
        return Guard(pages, host, _POLICY, allowed, answers_itself=["/responses"])

    async def show(self, request: Request) -> HTMLResponse:
        """The page with all questions."""
        return self._page("survey.html.j2", respondent=secrets.token_hex(16), given={}, comment="", problem="")

    async def receive(self, request: Request) -> HTMLResponse | RedirectResponse | PlainTextResponse:
        """Store a response; one that is not stored comes back as it was, with a sentence on why."""
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LARGEST_FORM:
                return PlainTextResponse("The response is too long.", 413, _HEADERS)
        form = {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        comment = form.get("comment", "").replace("\r\n", "\n").strip()
        respondent = form.get("respondent", "")[:64] or secrets.token_hex(16)
        if form.get("survey") != self.survey["id"]:
            changed = "The survey has changed since you opened it: please look at its questions again."
            return self._back(409, changed, respondent, {}, comment)
        given = {number: int(text) for number in self.numbers if (text := form.get(f"q{number}", "")) in _ALLOWED}
        response = Response(respondent, given, comment)
        if foreign := request.scope.get("foreign"):
            way_out = "Please tell those who sent you here; their server needs --allowed-hosts with its name."
            return self._back(403, f"{foreign} {way_out}", respondent, given, comment)
        try:
            response.check(self.numbers)
        except ValueError as error:
            return self._back(422, str(error), respondent, given, comment)
        try:
            new = await run_in_threadpool(self.store.add, self.survey["id"], response)
        except (ValueError, OSError) as error:
            log.error("a response could not be stored: %s", error)
            failed = "Your response could not be stored just now; please send it again in a moment."
            return self._back(503, failed, respondent, given, comment)
        return RedirectResponse("/thanks" if new else "/thanks?again=1", 303, _HEADERS)

    def _back(self, status: int, problem: str, respondent: str, given: Mapping[int, int], comment: str) -> HTMLResponse:
        kept = {"respondent": respondent, "given": given, "comment": comment[:LONGEST_KEPT]}
        return self._page("survey.html.j2", status=status, problem=problem, **kept)

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
    parser.add_argument("--port", type=int, default=7870, help="0 for any free one")
    add_allowed_hosts(parser)
    arguments = parser.parse_args(argv)
    taken = listen(arguments.host, arguments.port)
    pages = SurveyPages(read_survey(arguments.survey), ResponseStore(arguments.responses))
    application = pages.application(arguments.host, names_of_hosts(arguments.allowed_hosts))
    print(f"the survey: {url_of(taken)} (Ctrl-C stops it)", flush=True)
    uvicorn.Server(uvicorn.Config(application, log_level="warning", access_log=False)).run([taken])


if __name__ == "__main__":
    run_command(main)
