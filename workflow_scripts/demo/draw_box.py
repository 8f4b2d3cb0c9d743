"""Draw the box that an answer names on its picture."""

from PIL import Image, ImageDraw

from workflow_scripts.data.boxes import parse_box

_DRAWN_SIZE = 500


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
