"""Pictures and texts that visitors give: what cannot be used is refused in a sentence."""

from pathlib import Path
from typing import TypeVar

import gradio as gr
from gradio.utils import get_upload_folder
from gradio_client.utils import is_http_url_like
from PIL import Image

from workflow_scripts.config.demo import DemoSettings
from workflow_scripts.files.images import (
    COMMON,
    COMMON_TEXT,
    ImageError,
    NotAnImageError,
    TooManyPixelsError,
    open_image,
)
from workflow_scripts.search.query import clean_query

_Component = TypeVar("_Component", bound=gr.components.Component)


def files_alone(component: _Component) -> _Component:
    """Let a component take files that were uploaded, and fetch none: a request may name an address in their place."""
    move = component.async_move_resource_to_block_cache

    async def move_file(path: str | Path | None) -> str | None:
        if path and is_http_url_like(str(path)):
            raise gr.Error("Nothing is fetched from an address; give the file itself.", print_exception=False)
        return await move(path)

    component.async_move_resource_to_block_cache = move_file  # type: ignore[method-assign]
    return component


def take_upload(path: Path, settings: DemoSettings) -> Image.Image:
    """Decode an uploaded picture as `read_upload` does and delete its file, with all that a camera wrote into it."""
    path = Path(path).resolve()
    # Nothing else is read or deleted, whatever file a request names.
    if not path.is_relative_to(Path(get_upload_folder()).resolve()) or not path.is_file():
        raise ValueError("This file is not there any more; choose it again.")
    try:
        return read_upload(path, settings)
    finally:
        path.unlink()


def read_upload(path: Path, settings: DemoSettings) -> Image.Image:
    """Decode an uploaded picture as upright RGB without its metadata."""
    path = Path(path)
    if path.stat().st_size > settings.max_upload_megabytes * 1_000_000:
        raise ValueError(f"This file has more than {settings.max_upload_megabytes} MB; choose a smaller one.")
    try:
        picture = open_image(path, settings.max_upload_pixels, COMMON).image  # by content, whatever the name says
    except NotAnImageError:
        raise ValueError(f"This file is not a picture that can be read ({COMMON_TEXT}).") from None
    except TooManyPixelsError:
        raise ValueError(f"This picture has more than {settings.max_upload_pixels:,} pixels.") from None
    except ImageError as error:
        raise ValueError(f"This picture cannot be used: {error}.") from error
    bare = Image.new("RGB", picture.size)
    bare.paste(picture)
    return bare


def read_text(text: str, what: str, settings: DemoSettings) -> str:
    """A query or a question without surplus spaces; an empty or a very long one is refused."""
    if len(text) > settings.max_characters:
        raise ValueError(f"This {what} has {len(text):,} characters; put it in at most {settings.max_characters:,}.")
    if not text.strip():
        raise ValueError("Say what you are looking for." if what == "query" else "Type a question about the picture.")
    return clean_query(text)
