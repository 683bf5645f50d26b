"""What the examples show their work with: progress on the terminal, and pictures as PNG files; numpy and nothing else.

Where tqdm is installed its bars are used on a terminal; otherwise, and where the output goes to a file, plain lines.
"""

import pathlib
import struct
import sys
import time
import zlib

import numpy as np

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None


class Progress:
    """How far a loop of so many steps has come: call `advance` in each step, `finish` at the end.

    Where there is no bar, so many lines are printed on the way."""

    def __init__(self, name, steps, lines=10):
        self.name, self.steps, self.lines = name, steps, lines
        self.done, self.start = 0, time.perf_counter()
        terminal = tqdm is not None and sys.stdout.isatty()
        self.bar = tqdm(desc=name, total=steps, file=sys.stdout, leave=False) if terminal else None

    def advance(self, note=""):
        self.done += 1
        if self.bar is not None:
            self.bar.set_postfix_str(note, refresh=False)
            self.bar.update()
        elif self.done * self.lines // self.steps > (self.done - 1) * self.lines // self.steps:
            print(f"{self.name} {self.done:{len(str(self.steps))}}/{self.steps}  {note}", flush=True)

    def finish(self, note=""):
        if self.bar is not None:
            self.bar.close()
        print(f"{self.name} done in {time.perf_counter() - self.start:.1f} s  {note}", flush=True)


def save_png(path, pixels):
    """Writes a picture: uint8, (height, width) in grey or (height, width, 3) in red, green and blue."""
    pixels = np.ascontiguousarray(pixels)
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        raise ValueError(
            f"a picture is uint8, (height, width) or (height, width, 3), not {pixels.dtype} {pixels.shape}"
        )
    height, width = pixels.shape[:2]

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    # Each line of pixels begins with a byte that names its filter: 0 is none.
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if pixels.ndim == 2 else 2, 0, 0, 0)
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines.tobytes(), 9))
        + chunk(b"IEND", b"")
    )
    print(f"picture: {path}")


def grid(images, columns, scale=4, gap=2):
    """One picture of many: (n, height, width) of floats, 0 for paper to 1 for ink, side by side and enlarged."""
    images = np.asarray(images, np.float32)
    many, height, width = images.shape
    rows = -(-many // columns)
    large = images.repeat(scale, axis=1).repeat(scale, axis=2)
    picture = np.full((rows * (height * scale + gap) + gap, columns * (width * scale + gap) + gap), 160, np.uint8)
    for place, image in enumerate(large):
        top = gap + place // columns * (height * scale + gap)
        left = gap + place % columns * (width * scale + gap)
        picture[top : top + height * scale, left : left + width * scale] = np.round(255 * (1 - image.clip(0, 1)))
    return picture


COLOURS = [(31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40)]


def plot(*series, size=(240, 800)):
    """Curves in one picture: each a sequence of numbers, all drawn to one scale; NaN leaves a gap."""
    height, width = size
    series = [np.asarray(one, float) for one in series]
    low = min(np.nanmin(one) for one in series)
    high = max(np.nanmax(one) for one in series)
    longest = max(len(one) for one in series)
    picture = np.full((height, width, 3), 255, np.uint8)
    columns = np.linspace(0, longest - 1, 4 * width)
    for colour, one in zip(COLOURS, series):
        inside = columns <= len(one) - 1
        values = np.interp(columns[inside], np.arange(len(one)), one)
        kept = ~np.isnan(values)
        rows = np.round((high - values[kept]) / max(high - low, 1e-12) * (height - 9)).astype(int) + 4
        across = (np.flatnonzero(inside)[kept] // 4).astype(int)
        # A steep curve skips rows: what lies between two points of one curve is filled.
        for column, row, before in zip(across, rows, np.concatenate([rows[:1], rows[:-1]])):
            first, last = (row, row) if abs(row - before) > height // 2 else sorted((row, before))
            picture[first - 1 : last + 2, column] = colour
    return picture
