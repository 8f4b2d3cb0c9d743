"""Many visitors at once, over HTTP, on the real page."""

import asyncio
import contextlib
import functools
import socket
import time
from pathlib import Path

import aiohttp
import pytest
from held_answers import held_answer
from PIL import Image
from tiny_results import random_picture
from visitors import Page, QueueFull, call

from workflow_scripts.demo.app import access

pytestmark = pytest.mark.slow

USUAL = ("", 1, 0, 6)  # answered by the usual adaptor, one beam, no sampling, six tokens


@contextlib.contextmanager
def served(system, guard=None, **settings):
    """The page of a system, served; its files lie in the folder `page.files`."""
    from workflow_scripts.demo.page import build_page, launch_page
    from workflow_scripts.demo.private_files import private_files

    limits = system.settings.model_copy(update=settings)
    with private_files() as files:
        page = build_page(system)
        page.files = files
        options = {"prevent_thread_lock": True, "quiet": True} | (guard or {})
        launch_page(page, limits, host="127.0.0.1", port=None, **options)
        try:
            yield page
        finally:
            page.close()


def visit(visits):
    """Run coroutines that take a client session side by side; exceptions come back as results."""

    async def together():
        limits = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=limits, timeout=aiohttp.ClientTimeout(900)) as session:
            return await asyncio.gather(*(one(session) for one in visits), return_exceptions=True)

    return asyncio.run(together())


def resident_megabytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1000


def test_fifty_at_once_are_all_answered_as_one_alone_is_in_bounded_memory(system):
    pictures = [f"{number % 18:02d}.png" for number in range(50)]
    with served(system) as page:

        def asking(picture):
            return lambda session: call(session, page.local_url, "ask", None, picture, "what is it?", *USUAL)

        alone = {picture: visit([asking(picture)])[0] for picture in sorted(set(pictures))}
        before, start = resident_megabytes(), time.monotonic()
        answers = visit([asking(picture) for picture in pictures])
        seconds, more = time.monotonic() - start, resident_megabytes() - before
        print(f"{len(answers)} visitors at once were answered within {seconds:.1f} s in {more:.0f} MB more memory")
        assert answers == [alone[picture] for picture in pictures]
        assert len(set(answers)) > 1
        assert more < 200


def test_more_than_may_wait_are_told_so_and_the_others_are_answered(system):
    with served(system, max_waiting=5) as page, held_answer(system.conversation, token=1) as held:

        async def asking(session):
            try:
                return await call(session, page.local_url, "ask", None, "00.png", "what?", *USUAL)
            except QueueFull:
                held.go.set()
                raise

        results = visit([asking] * 20)
        answered = [one for one in results if isinstance(one, str)]
        refused = sum(isinstance(one, QueueFull) for one in results)
        assert len(answered) >= 5
        assert refused >= 1
        assert len(answered) + refused == 20
        assert len(set(answered)) == 1
        assert visit([asking]) == answered[:1]


async def until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def with_own_picture(page, session, picture):
    """A page that looks at a picture of its visitor."""
    visitor = Page(session, page.local_url, page)
    await visitor.send("upload", await visitor.upload(picture))
    await visitor.wait()
    return visitor


def test_a_visitor_who_leaves_in_the_middle_of_an_answer_frees_the_model(system, tmp_path):
    random_picture(1).save(tmp_path / "mine.png")
    adaptor = system.conversation.adaptors[0]

    async def leave(page, held, session):
        visitor = await with_own_picture(page, session, tmp_path / "mine.png")
        await visitor.send("answer", "what is it?", None, [], adaptor, "nobody", 1, 0, 128)
        async with contextlib.aclosing(visitor.news()) as all_news:
            async for news in all_news:
                if news["msg"] == "process_generating" and held.waits.is_set():
                    return

    with served(system) as page, held_answer(system.conversation, token=3) as held:
        assert visit([functools.partial(leave, page, held)]) == [None]
        frees_the_model(page, held)


def test_a_program_that_leaves_in_the_middle_of_an_answer_frees_the_model(system):
    async def leave(page, held, session):
        endpoint = f"{page.local_url}gradio_api/call/ask"
        data = [None, "00.png", "what is it?", "", 1, 0, 128]
        async with session.post(endpoint, json={"data": data}) as answer:
            event = (await answer.json())["event_id"]
        async with session.get(f"{endpoint}/{event}") as stream:
            async for line in stream.content:
                if line.startswith(b"event: generating") and held.waits.is_set():
                    return

    with served(system) as page, held_answer(system.conversation, token=3) as held:
        assert visit([functools.partial(leave, page, held)]) == [None]
        frees_the_model(page, held)


def frees_the_model(page, held):
    """The one who has left was answered no further, and the next one is."""
    answer = visit([lambda session: call(session, page.local_url, "ask", None, "00.png", "what?", *USUAL)])[0]
    assert isinstance(answer, str)
    assert held.tokens <= 3 + 6  # the whole answer that nobody takes any more would have been 128


def test_a_visitor_who_leaves_while_waiting_loses_the_place_and_nobody_else_does(system, tmp_path):
    random_picture(1).save(tmp_path / "mine.png")
    adaptor = system.conversation.adaptors[0]
    with served(system) as page, held_answer(system.conversation, token=1) as held:

        def asking(session):
            return call(session, page.local_url, "ask", None, "00.png", "what?", *USUAL)

        def waiting():
            return sum(len(one.queue) for one in page._queue.event_queue_per_concurrency_id.values())

        async def scene(session):
            impatient = await with_own_picture(page, session, tmp_path / "mine.png")
            first = asyncio.create_task(asking(session))
            await until(held.waits.is_set)
            await impatient.send("answer", "what is it?", None, [], adaptor, "nobody", 1, 0, 128)
            async with contextlib.aclosing(impatient.news()) as all_news:
                async for news in all_news:
                    if news["msg"] == "estimation":
                        break
            await until(lambda: waiting() == 0)
            second = asyncio.create_task(asking(session))
            await until(lambda: waiting() == 1)
            held.go.set()
            return await first, await second

        ((first, second),) = visit([scene])
        assert first == second
        assert len(held.stops) == 2  # the third one was never begun


def test_nothing_of_an_uploaded_file_is_left_once_it_was_read(system, tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "a camera of somebody"
    random_picture(1).save(tmp_path / "mine.jpg", exif=exif)
    (tmp_path / "notes.jpg").write_text("written by somebody")
    with served(system) as page:

        async def upload_and_ask(session):
            visitor = Page(session, page.local_url, page)
            for name in ("mine.jpg", "notes.jpg"):
                await visitor.send("upload", await visitor.upload(tmp_path / name))
                await visitor.wait()
            return await call(
                session, page.local_url, "ask", await visitor.upload(tmp_path / "mine.jpg"), "", "what?", *USUAL
            )

        (answer,) = visit([upload_and_ask])
        kept = [path.read_bytes() for path in page.files.rglob("*") if path.is_file()]
    assert isinstance(answer, str)
    assert any(kept)  # the pictures that the page has shown
    assert not any(b"somebody" in content for content in kept)
    assert not page.files.exists()


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd", "README.md"])
def test_a_path_of_the_server_is_no_picture_for_the_api(system, path):
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    with served(system) as page:
        (result,) = visit([lambda session: call(session, page.local_url, "ask", file, "", "what?", *USUAL)])
    assert isinstance(result, (RuntimeError, aiohttp.ClientResponseError))
    assert "root:" not in str(result)


def test_an_address_in_place_of_a_file_is_not_fetched(system):
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0)
        address = f"http://127.0.0.1:{other.getsockname()[1]}/picture.png"
        for named in (address, "https://huggingface.co/picture.png"):
            file = {"path": named, "meta": {"_type": "gradio.FileData"}}
            with served(system) as page:
                (result,) = visit([lambda session, file=file: call(
                    session, page.local_url, "ask", file, "", "what?", *USUAL
                )])  # fmt: skip
            assert "give the file itself" in str(result)
        with pytest.raises(BlockingIOError):  # nobody has come
            other.accept()


def test_behind_a_password_nothing_is_told_or_taken_before_it_was_given(system):
    async def knock(session):
        page_of = "{}gradio_api/{}".format
        form = aiohttp.FormData()
        form.add_field("files", b"x", filename="x.png")
        join = {"data": ["a cat"], "fn_index": 0, "session_hash": "x"}
        attempts = [
            session.get(f"{page.local_url}config"),
            session.get(page_of(page.local_url, "info")),
            session.get(page_of(page.local_url, "queue/data?session_hash=x")),
            session.post(page_of(page.local_url, "call/search"), json={"data": ["a red cat"]}),
            session.post(page_of(page.local_url, "queue/join"), json=join),
            session.post(page_of(page.local_url, "upload"), data=form),
        ]
        refused = [(await one).status for one in attempts]
        wrong = await session.post(f"{page.local_url}login", data={"username": "me", "password": "Secret"})
        right = await session.post(f"{page.local_url}login", data={"username": "me", "password": "secret"})
        cookies = {name: morsel.value for name, morsel in right.cookies.items()}
        inside = await session.get(f"{page.local_url}config", cookies=cookies)
        return refused, wrong.status, right.status, inside.status

    with served(system, guard=access("127.0.0.1", "secret")) as page:
        assert visit([knock]) == [([401] * 6, 400, 200, 200)]


def test_errors_reach_programs_as_sentences(system):
    with served(system) as page:

        def result(*values):
            return str(visit([lambda session: call(session, page.local_url, *values)])[0])

        assert "no picture with this id" in result("ask", None, "/etc/passwd", "what?", *USUAL)
        assert "Type a question" in result("ask", None, "00.png", "  ", *USUAL)
        assert "Nobody called 'x' answers here" in result("ask", None, "00.png", "what?", "x", 1, 0, 6)
        assert "looking for" in result("search", "")
        assert "10,000 characters" in result("search", "x" * 10_000)


def test_the_client_example_searches_and_asks(system, capsys):
    import importlib.util

    path = Path(__file__).parents[2] / "examples" / "ask_the_demo.py"
    specification = importlib.util.spec_from_file_location("ask_the_demo", path)
    example = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(example)
    with served(system) as page:
        example.main(["a red cat", "what is it?", "--address", page.local_url])
    best = system.search("a red cat")[0]
    assert capsys.readouterr().out.startswith(f"{best.id} ({best.score:.3f}): ")
