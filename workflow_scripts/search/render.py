"""Search results as a page or a picture, thumbnails included."""

import base64
import bisect
import html
from collections.abc import Callable, Sequence
from io import BytesIO

from workflow_scripts.search.index import Hit, Index
from workflow_scripts.search.pictures import open_thumbnail

_STYLE = """
body{font:16px/1.45 Charter,"Bitstream Charter",Georgia,"DejaVu Serif",serif;color:#1c1c1c;background:#fdfdfb;
margin:2rem auto;max-width:72rem;padding:0 1rem}
h1{font-size:1.35rem;font-weight:600}
ol{list-style:none;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(9rem,1fr));gap:1rem}
figure{margin:0}img{width:100%;aspect-ratio:1;object-fit:contain;background:#f1f0ec;border:1px solid #ddd}
figcaption{font:12px/1.35 system-ui,sans-serif;color:#555;overflow-wrap:anywhere}
"""


def data_url(jpeg: bytes) -> str:
    """A JPEG as an address that holds it."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def sheet_html(query: str, hits: Sequence[Hit], index: Index) -> str:
    """One self-contained page with the pictures of a result, best first."""
    figures = "".join(
        f'<li><figure><img src="{data_url(index.thumbnail(hit.row))}" alt="{html.escape(hit.id)}">'
        f"<figcaption>{hit.rank}. {hit.score:.3f}<br>{html.escape(hit.id)}</figcaption></figure></li>"
        for hit in hits
    )
    title = html.escape(query)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title><style>{_STYLE}</style>'
        f"<h1>{title}: {len(hits)} of {len(index)} pictures</h1><ol>{figures}</ol></html>\n"
    )


def sheet_png(query: str, hits: Sequence[Hit], index: Index, columns: int = 5) -> bytes:
    """One PNG with the pictures of a result in rows, best first."""
    from PIL import Image, ImageDraw, ImageFont, ImageOps

    size, gap, head = index.manifest["thumbnail_size"], 10, 40
    columns = min(columns, len(hits))
    rows = -(-len(hits) // columns)
    sheet = Image.new("RGB", (columns * (size + gap) + gap, head + rows * (size + gap + 20)), "#fdfdfb")
    draw = ImageDraw.Draw(sheet)
    large = ImageFont.load_default(18)
    draw.text((gap, gap), _shortened(query, sheet.width - 2 * gap, large.getlength), fill="#1c1c1c", font=large)
    small = ImageFont.load_default(12)
    for position, hit in enumerate(hits):
        left = gap + position % columns * (size + gap)
        top = head + position // columns * (size + gap + 20)
        thumbnail = open_thumbnail(index.thumbnail(hit.row), size)
        picture = ImageOps.contain(thumbnail, (size, size), Image.Resampling.BICUBIC)
        sheet.paste(picture, (left + (size - picture.width) // 2, top + (size - picture.height) // 2))
        draw.text(
            (left, top + size + 3),
            f"{hit.rank}. {hit.score:.3f}  {hit.id.rsplit('/', 1)[-1][-18:]}",
            fill="#555555",
            font=small,
        )
    stream = BytesIO()
    sheet.save(stream, "PNG")
    return stream.getvalue()


def _shortened(text: str, width: float, length: Callable[[str], float]) -> str:
    """As much of the beginning of a text as fits into a width."""
    if length(text) <= width:
        return text
    fitting = bisect.bisect_right(range(len(text)), width, key=lambda end: length(f"{text[:end]}…")) - 1
    return f"{text[: max(0, fitting)]}…"
