"""Draws scenes: a background with texture, soft shadows, objects slightly turned and lit, and a little noise."""

import random
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from workflow_scripts.miniature.scenes import Scene, SceneObject
from workflow_scripts.miniature.shapes import RGB, mix, sprite

BACKGROUND_SIDE = 288
VARIANTS = 12
MAX_TILT = 9.0
NOISE = 5.0


def draw_scene(scene: Scene, image_size: int) -> Image.Image:
    """Draw a scene as a square RGB picture; the same scene gives the same pixels."""
    rng = random.Random(repr(scene))
    picture = background(scene.background, rng.randrange(VARIANTS), image_size).copy()
    for thing in sorted(scene.objects, key=lambda thing: thing.cell):
        _draw_object(picture, thing, rng)
    pixels = np.asarray(picture, dtype=np.float32) * rng.uniform(0.9, 1.06)
    noise = _noise(image_size)
    shift = (rng.randrange(image_size), rng.randrange(image_size))
    pixels = pixels + np.roll(noise, shift, axis=(0, 1)) * rng.uniform(0.4, 1.0)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _draw_object(picture: Image.Image, thing: SceneObject, rng: random.Random) -> None:
    size = picture.width
    x, y, width, height = (value * size for value in thing.box)
    drawn = sprite(thing.noun, thing.colour)
    double = (max(2, round(2 * width)), max(2, round(2 * height)))
    drawn = drawn.resize(double, Image.Resampling.BOX, reducing_gap=2.0)
    if rng.random() < 0.5 and thing.noun not in ("key", "clock"):
        drawn = drawn.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    drawn = drawn.rotate(rng.uniform(-MAX_TILT, MAX_TILT), Image.Resampling.BILINEAR, expand=True)
    # The turned object keeps its box: it is made a little smaller instead of sticking out.
    drawn = drawn.resize((max(1, round(width)), max(1, round(height))), Image.Resampling.HAMMING)
    alpha = drawn.getchannel("A")
    lit = ImageEnhance.Brightness(drawn.convert("RGB")).enhance(rng.uniform(0.88, 1.1))
    corner = (round(x), round(y))
    offset = max(1, round(0.012 * size))
    shadow = alpha.filter(ImageFilter.GaussianBlur(0.012 * size)).point(lambda v: v * 2 // 5)
    picture.paste((20, 18, 30), (corner[0] + offset, corner[1] + offset), shadow)
    picture.paste(lit, corner, alpha)


@cache
def _noise(image_size: int) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0.0, NOISE, (image_size, image_size, 3))
    return noise.astype(np.float32)


@cache
def background(name: str, variant: int, image_size: int) -> Image.Image:
    """One of the drawn variants of a background, RGB."""
    rng = random.Random(f"{name} {variant}")
    canvas = _PAINTERS[name](rng)
    if rng.random() < 0.5:
        canvas = canvas.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    canvas = canvas.filter(ImageFilter.GaussianBlur(1.5))
    return canvas.resize((image_size, image_size), Image.Resampling.LANCZOS)


def _gradient(top: RGB, bottom: RGB, height: int = BACKGROUND_SIDE) -> Image.Image:
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    rows = np.asarray(top, np.float32) * (1 - ramp) + np.asarray(bottom, np.float32) * ramp
    return Image.fromarray(np.broadcast_to(rows, (height, BACKGROUND_SIDE, 3)).astype(np.uint8))


def _land(rng: random.Random, sky: tuple[RGB, RGB], ground: tuple[RGB, RGB]) -> tuple[Image.Image, int]:
    """Sky above ground with a horizon in the upper third."""
    horizon = round(BACKGROUND_SIDE * rng.uniform(0.2, 0.34))
    canvas = _gradient(*sky)
    canvas.paste(_gradient(*ground, BACKGROUND_SIDE - horizon), (0, horizon))
    return canvas, horizon


def _meadow(rng: random.Random) -> Image.Image:
    canvas, horizon = _land(rng, ((150, 202, 240), (222, 240, 250)), ((150, 196, 104), (104, 160, 72)))
    draw = ImageDraw.Draw(canvas)
    middle = rng.uniform(0.1, 0.9) * BACKGROUND_SIDE
    draw.ellipse([middle - 220, horizon - 24, middle + 220, horizon + 60], fill=(140, 188, 100))
    for _ in range(260):
        x, y = rng.uniform(0, BACKGROUND_SIDE), rng.uniform(horizon + 12, BACKGROUND_SIDE)
        draw.line([x, y, x + rng.uniform(-3, 3), y - rng.uniform(4, 10)], fill=(88, rng.randint(140, 176), 66), width=2)
    return canvas


def _beach(rng: random.Random) -> Image.Image:
    canvas, horizon = _land(rng, ((132, 200, 240), (224, 240, 248)), ((238, 218, 170), (226, 200, 148)))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle([0, horizon - 30, BACKGROUND_SIDE, horizon], fill=(76, 160, 196))
    shore = [(x, horizon + 5 * np.sin(x / 30 + rng.random())) for x in range(0, BACKGROUND_SIDE + 1, 8)]
    draw.line(shore, fill=(248, 250, 250), width=7)
    for _ in range(300):
        x, y = rng.uniform(0, BACKGROUND_SIDE), rng.uniform(horizon + 10, BACKGROUND_SIDE)
        draw.ellipse([x, y, x + 2, y + 2], fill=mix((226, 200, 148), (150, 120, 80), rng.uniform(0, 0.6)))
    return canvas


def _snow(rng: random.Random) -> Image.Image:
    canvas, horizon = _land(rng, ((176, 194, 214), (214, 224, 234)), ((248, 250, 252), (226, 234, 244)))
    draw = ImageDraw.Draw(canvas)
    middle = rng.uniform(0.1, 0.9) * BACKGROUND_SIDE
    draw.ellipse([middle - 200, horizon - 30, middle + 200, horizon + 80], fill=(244, 248, 252))
    for _ in range(70):
        x, y, r = rng.uniform(0, BACKGROUND_SIDE), rng.uniform(0, BACKGROUND_SIDE), rng.uniform(1.5, 4)
        draw.ellipse([x - r, y - r, x + r, y + r], fill=(255, 255, 255))
        draw.ellipse([x + 2, y + 18, x + 4, y + 20], fill=(206, 216, 230))
    return canvas


def _night(rng: random.Random) -> Image.Image:
    canvas = _gradient((16, 20, 52), (54, 58, 104))
    draw = ImageDraw.Draw(canvas)
    for _ in range(70):
        x, y, r = rng.uniform(0, BACKGROUND_SIDE), rng.uniform(0, BACKGROUND_SIDE), rng.uniform(0.8, 2.4)
        draw.ellipse([x - r, y - r, x + r, y + r], fill=(240, 240, 214))
    x, y = rng.uniform(30, 250), rng.uniform(20, 60)
    draw.ellipse([x - 16, y - 16, x + 16, y + 16], fill=(246, 240, 206))
    draw.ellipse([x - 8, y - 19, x + 22, y + 11], fill=(20, 24, 58))
    hill = rng.uniform(0.1, 0.9) * BACKGROUND_SIDE
    draw.ellipse([hill - 240, 240, hill + 240, 420], fill=(26, 32, 54))
    return canvas


def _street(rng: random.Random) -> Image.Image:
    canvas, horizon = _land(rng, ((190, 206, 220), (226, 230, 232)), ((140, 142, 148), (112, 114, 122)))
    draw = ImageDraw.Draw(canvas)
    x = -20.0
    while x < BACKGROUND_SIDE:
        width, height = rng.uniform(34, 64), rng.uniform(28, horizon - 4)
        tone = rng.randint(150, 196)
        draw.rectangle([x, horizon - height, x + width - 4, horizon], fill=(tone, tone - 8, tone - 18))
        for wx in range(int(x) + 6, int(x + width) - 12, 14):
            draw.rectangle([wx, horizon - height + 8, wx + 6, horizon - height + 16], fill=(112, 122, 136))
        x += width
    draw.rectangle([0, horizon, BACKGROUND_SIDE, horizon + 12], fill=(186, 184, 178))
    middle = rng.uniform(0.5, 0.8) * BACKGROUND_SIDE
    for left in range(rng.randint(-40, 0), BACKGROUND_SIDE, 74):
        draw.rectangle([left, middle, left + 40, middle + 7], fill=(228, 226, 214))
    return canvas


def _room(rng: random.Random) -> Image.Image:
    paper = rng.choice(((226, 214, 196), (204, 214, 204), (212, 206, 220)))
    canvas, horizon = _land(rng, (paper, mix(paper, (255, 255, 255), 0.3)), ((196, 154, 108), (172, 128, 84)))
    draw = ImageDraw.Draw(canvas)
    for x in range(8, BACKGROUND_SIDE, 26):
        draw.line([x, 0, x, horizon], fill=mix(paper, (120, 110, 100), 0.14), width=3)
    draw.rectangle([0, horizon - 8, BACKGROUND_SIDE, horizon], fill=(240, 234, 224))
    for y in range(horizon + 22, BACKGROUND_SIDE, 26):
        draw.line([0, y, BACKGROUND_SIDE, y], fill=(140, 100, 64), width=2)
        for x in range(rng.randint(0, 60), BACKGROUND_SIDE, 92):
            draw.line([x, y - 24, x, y], fill=(140, 100, 64), width=2)
    return canvas


def _lake(rng: random.Random) -> Image.Image:
    canvas, horizon = _land(rng, ((214, 226, 236), (240, 236, 226)), ((112, 176, 190), (54, 116, 146)))
    draw = ImageDraw.Draw(canvas)
    points: list[tuple[float, float]] = [(0, horizon)]
    for x in range(0, BACKGROUND_SIDE + 40, 40):
        points.append((x, horizon - rng.uniform(8, 44)))
    draw.polygon([*points, (BACKGROUND_SIDE, horizon)], fill=(124, 148, 150))
    for _ in range(60):
        x, y = rng.uniform(-20, BACKGROUND_SIDE), rng.uniform(horizon + 6, BACKGROUND_SIDE)
        draw.arc([x, y, x + rng.uniform(20, 44), y + 8], 200, 340, fill=(176, 216, 222), width=2)
    return canvas


def _wall(rng: random.Random) -> Image.Image:
    canvas = _gradient((214, 206, 198), (190, 182, 176))
    draw = ImageDraw.Draw(canvas)
    tone = rng.choice(((188, 150, 134), (176, 160, 148), (196, 170, 150)))
    for row, y in enumerate(range(0, BACKGROUND_SIDE, 24)):
        for x in range(-48 + (row % 2) * 24, BACKGROUND_SIDE, 48):
            brick = mix(tone, (110, 84, 76), rng.uniform(0, 0.28))
            draw.rectangle([x + 2, y + 2, x + 45, y + 21], fill=brick)
    return canvas


_PAINTERS = {
    "meadow": _meadow,
    "beach": _beach,
    "snow": _snow,
    "night": _night,
    "street": _street,
    "room": _room,
    "lake": _lake,
    "wall": _wall,
}
