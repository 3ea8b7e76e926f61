# SPDX-License-Identifier: MIT
"""Rendered scenes to train on: dead leaves with texture, lines and letters.

Discs, bars and letters of power-law sizes that cover each other have the edges
and the spectrum of natural pictures (Lee, Mumford, Huang, Occlusion models for
natural images, 2001), cost nothing, and are nobody's. A scene is one large
picture over which a camera pans, slow or fast.
"""
import numpy as np

FONT = {  # 5x7, rows from the top, most significant bit left
    "A": "0E 11 11 1F 11 11 11", "E": "1F 10 1E 10 10 10 1F", "K": "11 12 14 18 14 12 11", "M": "11 1B 15 15 11 11 11",
    "R": "1E 11 11 1E 14 12 11", "S": "0F 10 10 0E 01 01 1E", "X": "11 0A 04 04 04 0A 11", "8": "0E 11 11 0E 11 11 0E",
}


def glyph(letter):
    return np.array([[(int(row, 16) >> (4 - b)) & 1 for b in range(5)] for row in FONT[letter].split()], bool)


def field(rng, size, slope):
    """Noise with a spectrum of 1/f^slope in 0..1, tileable."""
    f = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    f[0, 0] = 1
    spectrum = np.exp(2j * np.pi * rng.random(f.shape)) / f**slope
    out = np.fft.irfft2(spectrum, (size, size))
    return ((out - out.min()) / (out.max() - out.min())).astype(np.float32)


def canvas(rng, height, width):
    """One scene in 0..1 at the size of the supersampled camera."""
    image = np.full((height, width), 0.5, np.float32)
    textures = [field(rng, 512, s) for s in (0.7, 1.0, 1.3, 1.8)]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    for _ in range(2600):
        r = min(8.0 * rng.random() ** (-1 / 1.6), 420.0)  # more small ones than large ones
        cy, cx = rng.random() * height, rng.random() * width
        top, bottom, left, right = (int(max(0, cy - r)), int(min(height, cy + r + 1)), int(max(0, cx - r)),
                                    int(min(width, cx + r + 1)))
        if bottom <= top or right <= left:
            continue
        yy, xx = y[top:bottom, left:right] - cy, x[top:bottom, left:right] - cx
        angle = rng.random() * np.pi
        u, v = xx * np.cos(angle) + yy * np.sin(angle), yy * np.cos(angle) - xx * np.sin(angle)
        kind = rng.random()
        if kind < 0.6:
            mask = (u / r)**2 + (v / (r * (0.3 + 0.7 * rng.random())))**2 < 1
        elif kind < 0.85:
            mask = (np.abs(u) < 0.95 * r) & (np.abs(v) < r * 0.6 * rng.random()**2 + 1.5)
        else:
            g = glyph(rng.choice(list(FONT)))
            i, j = ((v / r + 0.7) * 5).astype(int), ((u / r + 0.5) * 5).astype(int)
            inside = (np.abs(v) < 0.7 * r) & (np.abs(u) < 0.5 * r)
            mask = np.zeros_like(inside)
            mask[inside] = g[np.clip(i[inside], 0, 6), np.clip(j[inside], 0, 4)]
        texture = textures[rng.integers(4)]
        oy, ox = rng.integers(512, size=2)
        patch = texture[(np.arange(top, bottom) + oy)[:, None] % 512, (np.arange(left, right) + ox)[None, :] % 512]
        shade = rng.random() + rng.random() * 0.9 * (patch - 0.5) + 0.15 * (rng.random() - 0.5) * u / r
        image[top:bottom, left:right][mask] = shade[mask]
    return np.clip(image, 0, 1)


def render(seed, frames, height, width, over=3):
    """(frames, height, width) uint8 of limited-range luma: a pan over a scene."""
    rng = np.random.default_rng(seed)
    speed = np.array([0.5, 1.0]) * 2.0 ** rng.integers(-1, 5)  # 0.5..16 output pixels a frame
    margin = (np.abs(speed) * frames * over).astype(int) + over
    big = canvas(rng, height * over + margin[0], width * over + margin[1])
    out = []
    for n in range(frames):
        top, left = (speed * n * over).astype(int)
        view = big[top:top + height * over, left:left + width * over]
        mean = view.reshape(height, over, width, over).mean((1, 3))
        out.append((16 + 219 * mean + 0.5).astype(np.uint8))
    return np.stack(out)
