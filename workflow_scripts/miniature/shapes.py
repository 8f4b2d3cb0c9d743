"""Outlines of the nouns, drawn once in a large size and then scaled, turned and lit by `drawing`."""

import math
from collections.abc import Callable
from functools import cache

from PIL import Image, ImageDraw, ImageFilter

from workflow_scripts.miniature.scenes import NOUNS

RGB = tuple[int, int, int]
PALETTE: dict[str, RGB] = {
    "red": (214, 40, 40),
    "orange": (247, 140, 30),
    "yellow": (250, 216, 56),
    "green": (56, 158, 70),
    "blue": (48, 102, 214),
    "purple": (126, 60, 168),
    "pink": (247, 142, 186),
    "brown": (128, 80, 42),
}
DARK: RGB = (38, 34, 40)
LIGHT: RGB = (250, 248, 240)
GREY: RGB = (150, 152, 158)
SPRITE_SIDE = 144
MARGIN = 0.05
Point = tuple[float, float]


def mix(colour: RGB, other: RGB, part: float) -> RGB:
    """Blend `part` of another colour into a colour."""
    return tuple(round(a + (b - a) * part) for a, b in zip(colour, other, strict=True))  # type: ignore[return-value]


class Pen:
    """Draws in unit coordinates (0,0 top left, 1,1 bottom right of the noun's box)."""

    def __init__(self, image: Image.Image, colour: RGB) -> None:
        self.draw = ImageDraw.Draw(image)
        self.width, self.height = image.size
        self.colour = colour
        self.shade = mix(colour, (20, 16, 30), 0.35)
        self.tint = mix(colour, LIGHT, 0.55)

    def _xy(self, x: float, y: float) -> Point:
        span = 1 - 2 * MARGIN
        return (MARGIN + x * span) * self.width, (MARGIN + y * span) * self.height

    def _thickness(self, value: float) -> int:
        return max(1, round(value * max(self.width, self.height)))

    def polygon(self, *points: Point, fill: RGB | None = None) -> None:
        self.draw.polygon([self._xy(*point) for point in points], fill=fill or self.colour)

    def ellipse(self, x0: float, y0: float, x1: float, y1: float, fill: RGB | None = None) -> None:
        self.draw.ellipse([*self._xy(x0, y0), *self._xy(x1, y1)], fill=fill or self.colour)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: RGB | None = None, round_: float = 0) -> None:
        corners = [*self._xy(x0, y0), *self._xy(x1, y1)]
        self.draw.rounded_rectangle(corners, radius=self._thickness(round_) if round_ else 0, fill=fill or self.colour)

    def line(self, *points: Point, width: float = 0.04, fill: RGB = DARK) -> None:
        self.draw.line([self._xy(*p) for p in points], fill=fill, width=self._thickness(width), joint="curve")

    def arc(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        start: float,
        end: float,
        width: float,
        fill: RGB | None = None,
    ) -> None:
        corners = [*self._xy(x0, y0), *self._xy(x1, y1)]
        self.draw.arc(corners, start, end, fill=fill or self.colour, width=self._thickness(width))

    def pie(
        self, x0: float, y0: float, x1: float, y1: float, start: float, end: float, fill: RGB | None = None
    ) -> None:
        self.draw.pieslice([*self._xy(x0, y0), *self._xy(x1, y1)], start, end, fill=fill or self.colour)


def ball(pen: Pen) -> None:
    pen.ellipse(0, 0, 1, 1)
    pen.pie(0, 0, 1, 1, 20, 80, LIGHT)
    pen.pie(0, 0, 1, 1, 140, 200, LIGHT)
    pen.pie(0, 0, 1, 1, 260, 320, LIGHT)
    pen.ellipse(0.4, 0.4, 0.6, 0.6, pen.shade)


def bird(pen: Pen) -> None:
    pen.polygon((0.0, 0.55), (0.02, 0.25), (0.4, 0.5), (0.35, 0.8))
    pen.ellipse(0.18, 0.35, 0.78, 0.9)
    pen.ellipse(0.55, 0.05, 0.9, 0.5)
    pen.polygon((0.86, 0.2), (1, 0.3), (0.86, 0.38), fill=(240, 180, 40))
    pen.polygon((0.3, 0.55), (0.62, 0.5), (0.38, 0.8), fill=pen.shade)
    pen.ellipse(0.7, 0.18, 0.79, 0.29, LIGHT)
    pen.ellipse(0.73, 0.2, 0.79, 0.28, DARK)
    pen.line((0.42, 0.88), (0.42, 1), width=0.035)
    pen.line((0.56, 0.88), (0.56, 1), width=0.035)


def boat(pen: Pen) -> None:
    pen.polygon((0, 0.68), (1, 0.68), (0.82, 1), (0.18, 1))
    pen.line((0.46, 0), (0.46, 0.7), width=0.05)
    pen.polygon((0.52, 0.04), (0.52, 0.6), (0.94, 0.6), fill=LIGHT)
    pen.polygon((0.4, 0.16), (0.4, 0.6), (0.08, 0.6), fill=pen.tint)
    pen.line((0.06, 0.77), (0.94, 0.77), width=0.04, fill=pen.shade)


def bottle(pen: Pen) -> None:
    pen.box(0.3, 0.1, 0.7, 0.4)
    pen.box(0.26, 0, 0.74, 0.1, DARK)
    pen.box(0, 0.3, 1, 1, round_=0.12)
    pen.box(0, 0.55, 1, 0.78, LIGHT)
    pen.box(0.12, 0.36, 0.26, 0.52, pen.tint)


def car(pen: Pen) -> None:
    pen.polygon((0.18, 0.45), (0.3, 0.0), (0.72, 0.0), (0.88, 0.45))
    pen.box(0, 0.4, 1, 0.82, round_=0.08)
    pen.polygon((0.27, 0.4), (0.35, 0.1), (0.5, 0.1), (0.5, 0.4), fill=(198, 226, 244))
    pen.polygon((0.55, 0.4), (0.55, 0.1), (0.68, 0.1), (0.79, 0.4), fill=(198, 226, 244))
    for x in (0.12, 0.62):
        pen.ellipse(x, 0.58, x + 0.26, 1, DARK)
        pen.ellipse(x + 0.08, 0.71, x + 0.18, 0.87, GREY)


def cat(pen: Pen) -> None:
    pen.arc(0.55, 0.45, 1, 1, -80, 110, 0.08)
    pen.ellipse(0.12, 0.45, 0.8, 1.0)
    pen.polygon((0.08, 0.0), (0.42, 0.2), (0.12, 0.42))
    pen.polygon((0.78, 0.0), (0.44, 0.2), (0.76, 0.42))
    pen.ellipse(0.06, 0.1, 0.8, 0.58)
    pen.ellipse(0.2, 0.25, 0.34, 0.38, LIGHT)
    pen.ellipse(0.52, 0.25, 0.66, 0.38, LIGHT)
    pen.ellipse(0.25, 0.26, 0.32, 0.37, DARK)
    pen.ellipse(0.54, 0.26, 0.61, 0.37, DARK)
    pen.polygon((0.38, 0.42), (0.48, 0.42), (0.43, 0.48), fill=DARK)
    pen.ellipse(0.28, 0.64, 0.64, 1.0, pen.tint)


def chair(pen: Pen) -> None:
    pen.box(0.04, 0.6, 0.2, 1.0, pen.shade)
    pen.box(0.8, 0.6, 0.96, 1.0, pen.shade)
    pen.box(0.04, 0.0, 0.96, 0.14, round_=0.04)
    pen.box(0.04, 0.06, 0.2, 0.6)
    pen.box(0.8, 0.06, 0.96, 0.6)
    pen.box(0.42, 0.1, 0.58, 0.55, pen.shade)
    pen.polygon((0.04, 0.52), (0.96, 0.52), (1.0, 0.72), (0.0, 0.72))


def clock(pen: Pen) -> None:
    pen.ellipse(0.0, 0.0, 0.4, 0.32, pen.shade)
    pen.ellipse(0.6, 0.0, 1.0, 0.32, pen.shade)
    pen.line((0.2, 0.8), (0.08, 0.99), width=0.08)
    pen.line((0.8, 0.8), (0.92, 0.99), width=0.08)
    pen.ellipse(0.02, 0.1, 0.98, 0.96)
    pen.ellipse(0.16, 0.23, 0.84, 0.83, LIGHT)
    pen.line((0.5, 0.53), (0.5, 0.3), width=0.05)
    pen.line((0.5, 0.53), (0.7, 0.6), width=0.05)


def cup(pen: Pen) -> None:
    pen.arc(0.58, 0.3, 1.0, 0.82, -100, 100, 0.08)
    pen.polygon((0.0, 0.22), (0.78, 0.22), (0.66, 1.0), (0.12, 1.0))
    pen.ellipse(0.0, 0.1, 0.78, 0.36, pen.shade)
    pen.ellipse(0.07, 0.16, 0.71, 0.32, (88, 52, 30))
    pen.line((0.28, 0.1), (0.34, 0.0), width=0.03, fill=LIGHT)
    pen.line((0.48, 0.1), (0.54, 0.0), width=0.03, fill=LIGHT)


def fish(pen: Pen) -> None:
    pen.polygon((0.0, 0.08), (0.36, 0.5), (0.0, 0.92))
    pen.polygon((0.4, 0.15), (0.62, 0.0), (0.7, 0.22), fill=pen.shade)
    pen.ellipse(0.2, 0.1, 1.0, 0.9)
    pen.arc(0.42, 0.1, 0.76, 0.9, -75, 75, 0.025, pen.shade)
    pen.arc(0.3, 0.15, 0.6, 0.85, -70, 70, 0.025, pen.shade)
    pen.ellipse(0.8, 0.3, 0.91, 0.48, LIGHT)
    pen.ellipse(0.84, 0.34, 0.9, 0.45, DARK)


def flower(pen: Pen) -> None:
    green = (70, 140, 62)
    pen.line((0.5, 0.45), (0.5, 1.0), width=0.06, fill=green)
    pen.polygon((0.5, 0.86), (0.85, 0.66), (0.95, 0.78), fill=green)
    pen.polygon((0.5, 0.94), (0.15, 0.74), (0.05, 0.86), fill=green)
    for k in range(6):
        angle = k * math.pi / 3 + 0.3
        x, y = 0.5 + 0.3 * math.cos(angle), 0.31 + 0.205 * math.sin(angle)
        pen.ellipse(x - 0.2, y - 0.13, x + 0.2, y + 0.13)
    pen.ellipse(0.34, 0.2, 0.66, 0.42, (96, 62, 30))


def hat(pen: Pen) -> None:
    pen.ellipse(0.0, 0.62, 1.0, 1.0, pen.shade)
    pen.ellipse(0.0, 0.58, 1.0, 0.92)
    pen.box(0.24, 0.0, 0.76, 0.78, round_=0.07)
    pen.box(0.24, 0.52, 0.76, 0.7, DARK)


def house(pen: Pen) -> None:
    pen.box(0.7, 0.04, 0.84, 0.4, pen.shade)
    pen.box(0.1, 0.4, 0.9, 1.0)
    pen.polygon((0.0, 0.46), (0.5, 0.0), (1.0, 0.46), fill=(92, 60, 54))
    pen.box(0.4, 0.64, 0.62, 1.0, (84, 56, 40))
    pen.box(0.18, 0.54, 0.34, 0.72, (244, 232, 170))
    pen.box(0.68, 0.54, 0.84, 0.72, (244, 232, 170))


def key(pen: Pen) -> None:
    pen.box(0.3, 0.4, 1.0, 0.6)
    pen.box(0.68, 0.55, 0.77, 0.92)
    pen.box(0.86, 0.55, 0.98, 1.0)
    pen.draw.ellipse([*pen._xy(0, 0), *pen._xy(0.46, 1)], fill=pen.colour)
    pen.draw.ellipse([*pen._xy(0.12, 0.26), *pen._xy(0.34, 0.74)], fill=(0, 0, 0, 0))


def kite(pen: Pen) -> None:
    pen.polygon((0.5, 0.0), (1.0, 0.32), (0.5, 0.76), (0.0, 0.32))
    pen.polygon((0.5, 0.0), (1.0, 0.32), (0.5, 0.32), fill=pen.tint)
    pen.polygon((0.0, 0.32), (0.5, 0.32), (0.5, 0.76), fill=pen.shade)
    pen.line((0.5, 0.76), (0.58, 0.84), (0.46, 0.9), (0.56, 1.0), width=0.03)
    pen.polygon((0.36, 0.86), (0.52, 0.9), (0.38, 0.96))
    pen.polygon((0.68, 0.84), (0.52, 0.89), (0.68, 0.94))


def mushroom(pen: Pen) -> None:
    pen.box(0.34, 0.45, 0.66, 1.0, (240, 226, 200), round_=0.08)
    pen.pie(0.0, 0.0, 1.0, 1.1, 180, 360)
    pen.ellipse(0.0, 0.47, 1.0, 0.64)
    pen.ellipse(0.16, 0.28, 0.34, 0.46, LIGHT)
    pen.ellipse(0.42, 0.08, 0.62, 0.28, LIGHT)
    pen.ellipse(0.68, 0.3, 0.86, 0.48, LIGHT)


def tree(pen: Pen) -> None:
    pen.box(0.4, 0.75, 0.6, 1.0, (94, 64, 40))
    pen.polygon((0.5, 0.36), (1.0, 0.82), (0.0, 0.82))
    pen.polygon((0.5, 0.18), (0.92, 0.58), (0.08, 0.58), fill=mix(pen.colour, LIGHT, 0.15))
    pen.polygon((0.5, 0.0), (0.82, 0.34), (0.18, 0.34), fill=mix(pen.colour, LIGHT, 0.3))


def umbrella(pen: Pen) -> None:
    pen.line((0.5, 0.0), (0.5, 0.85), width=0.045)
    pen.arc(0.5, 0.7, 0.76, 1.0, 0, 180, 0.045, DARK)
    pen.pie(0.0, 0.04, 1.0, 1.08, 180, 360)
    pen.pie(0.3, 0.04, 0.7, 1.08, 180, 360, pen.tint)
    for x in (0.0, 0.335, 0.67):
        pen.draw.ellipse([*pen._xy(x, 0.48), *pen._xy(x + 0.33, 0.66)], fill=(0, 0, 0, 0))
    pen.line((0.5, 0.5), (0.5, 0.85), width=0.045)


SHAPES: dict[str, Callable[[Pen], None]] = {
    shape.__name__: shape
    for shape in (
        ball, bird, boat, bottle, car, cat, chair, clock, cup,
        fish, flower, hat, house, key, kite, mushroom, tree, umbrella,
    )
}  # fmt: skip


@cache
def sprite(noun: str, colour: str) -> Image.Image:
    """The noun in a colour with outline and light from the upper left, RGBA, its longer side `SPRITE_SIDE` pixels."""
    width, height = (round(SPRITE_SIDE * part) for part in NOUNS[noun])
    large = Image.new("RGBA", (2 * width, 2 * height), (0, 0, 0, 0))
    SHAPES[noun](Pen(large, PALETTE[colour]))
    flat = large.resize((width, height), Image.Resampling.BOX)
    alpha = flat.getchannel("A")
    outline = Image.new("RGBA", flat.size, (*mix(PALETTE[colour], DARK, 0.75), 255))
    outline.putalpha(alpha.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.GaussianBlur(0.8)))
    outline.alpha_composite(flat)
    light = Image.linear_gradient("L").rotate(30).resize(flat.size)
    shadow = Image.new("RGBA", flat.size, (12, 8, 30, 0))
    shadow.putalpha(Image.composite(light.point(lambda v: v // 4), Image.new("L", flat.size), alpha))
    outline.alpha_composite(shadow)
    return outline
