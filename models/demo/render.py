#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Renders the demo clip: a moving scene with texture, text and fine detail.

    python3 models/demo/render.py models/demo/demo.mp4

Everything is computed here (NumPy); the ffmpeg command encodes it. Each frame
is rendered at 4 times the size and averaged down, as a camera's sensor would.
"""
import subprocess
import sys

import numpy as np

WIDTH, HEIGHT, FPS, SECONDS = 480, 270, 24, 5
OVER = 4  # supersampling per axis

GLYPHS = {  # 5x7, rows from the top, most significant bit left
    "R": "1E 11 11 1E 14 12 11", "E": "1F 10 10 1E 10 10 1F", "L": "10 10 10 10 10 10 1F", "M": "11 1B 15 15 11 11 11",
    "I": "0E 04 04 04 04 04 0E", "0": "0E 11 13 15 19 11 0E", "1": "04 0C 04 04 04 04 0E", "2": "0E 11 01 02 04 08 1F",
    "3": "1F 02 04 02 01 11 0E", "4": "02 06 0A 12 1F 02 02", "5": "1F 10 1E 01 01 11 0E", "6": "06 08 10 1E 11 11 0E",
    "7": "1F 01 02 04 08 08 08", "8": "0E 11 11 0E 11 11 0E", "9": "0E 11 11 0F 01 02 0C", " ": "00 00 00 00 00 00 00",
}


def noise(rng, size, octaves):
    """Tileable value noise in 0..1."""
    out = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        cells = 4 << octave
        grid = rng.random((cells, cells)).astype(np.float32)
        t = np.arange(size) * cells / size
        i = t.astype(int)
        f = (t - i) ** 2 * (3 - 2 * (t - i))
        rows = grid[i % cells] * (1 - f)[:, None] + grid[(i + 1) % cells] * f[:, None]
        out += (rows[:, i % cells] * (1 - f) + rows[:, (i + 1) % cells] * f) / 2**octave
    return (out - out.min()) / (out.max() - out.min())


def text_mask(text, y, x, top, left, unit):
    """1 where the text covers a point; y and x are coordinate rows and columns."""
    mask = np.zeros((y.size, x.size), bool)
    row = np.floor((y - top) / unit).astype(int)
    column = np.floor((x - left) / unit).astype(int)
    for k, letter in enumerate(text):
        bits = np.array([[(int(line, 16) >> (4 - b)) & 1 for b in range(5)] for line in GLYPHS[letter].split()], bool)
        rows, columns = (row >= 0) & (row < 7), (column >= 6 * k) & (column < 6 * k + 5)
        if rows.any() and columns.any():
            mask[np.ix_(rows, columns)] |= bits[np.ix_(row[rows], column[columns] - 6 * k)]
    return mask


def paint(image, mask, colour):
    image[mask] = colour


def frame(n, grass, cloud):
    t = n / FPS
    y = (np.arange(HEIGHT * OVER) + 0.5) / OVER
    x = (np.arange(WIDTH * OVER) + 0.5) / OVER
    yy, xx = y[:, None], x[None, :]
    drift = 14 * t
    sky = cloud[(y * 2).astype(int)[:, None] % 512, (x * 1.3 + drift).astype(int)[None, :] % 512][..., None]
    image = (1 - 0.75 * sky) * np.array([0.32, 0.55, 0.86]) + 0.75 * sky * np.array([0.95, 0.95, 0.93])
    # hills: three layers with texture, nearer ones move faster
    for k, (level, speed, colour) in enumerate([(150, 8, (0.35, 0.5, 0.42)), (185, 18, (0.28, 0.45, 0.2)), (222, 36, (0.38, 0.33, 0.18))]):
        u = x + speed * t
        edge = level + 14 * np.sin(u / (47 - 9 * k)) + 5 * np.sin(u / 11 + k)
        texture = grass[(y * 3).astype(int)[:, None] % 512, (u * 3).astype(int)[None, :] % 512]
        shade = (0.55 + 0.9 * texture)[..., None] * np.array(colour)
        image = np.where((yy > edge)[..., None], shade, image)
    # a turning wheel with thin spokes
    cy, cx = 176.0, 110 + 22 * t
    r, angle = np.hypot(yy - cy, xx - cx), np.arctan2(yy - cy, xx - cx) + 1.1 * t
    paint(image, (np.abs(r - 44) < 2.2) | ((np.abs(np.sin(9 * angle)) * r < 3.4) & (r < 44)) | (r < 6), (0.85, 0.2, 0.12))
    # a board with text and a ruler of fine lines
    board = (np.abs(yy - 66) < 38) & (np.abs(xx - 336 + 9 * t) < 112)
    paint(image, board, (0.93, 0.91, 0.84))
    ruler = board & (yy > 88) & (np.mod(xx + 9 * t, 4) < 1.3)
    paint(image, ruler, (0.1, 0.1, 0.12))
    paint(image, text_mask("REELMILL", y, x, 36, 242 - 9 * t, 3.6), (0.08, 0.12, 0.3))
    paint(image, text_mask(f"0123456789 {n:03d}", y, x, 70, 246 - 9 * t, 1.7), (0.35, 0.1, 0.1))
    small = image.reshape(HEIGHT, OVER, WIDTH, OVER, 3).mean((1, 3))
    return (np.clip(small, 0, 1) * 255 + 0.5).astype(np.uint8)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    rng = np.random.default_rng(7)
    grass, cloud = noise(rng, 512, 7), np.clip(noise(rng, 512, 5) * 1.6 - 0.55, 0, 1)
    sound = "aevalsrc='0.12*sin(2*PI*(220*pow(2,mod(floor(t*4),8)/12))*t)*exp(-6*mod(t,0.25))':s=48000"
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS),
               "-i", "-", "-f", "lavfi", "-t", str(SECONDS), "-i", sound,
               "-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p", "-colorspace", "bt709",
               "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv", "-c:v", "libx264", "-crf", "20",
               "-preset", "slow", "-g", "48", "-c:a", "aac", "-b:a", "64k", "-ac", "1", "-metadata", "title=reelmill demo",
               "-movflags", "+faststart", sys.argv[1]]
    encoder = subprocess.Popen(command, stdin=subprocess.PIPE)
    for n in range(FPS * SECONDS):
        encoder.stdin.write(frame(n, grass, cloud).tobytes())
    encoder.stdin.close()
    sys.exit(encoder.wait())


if __name__ == "__main__":
    main()
