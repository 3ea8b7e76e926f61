#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Renders the demo clip: a ray-traced courtyard with brick, cobbles, a poster
with text and fine lines, and turning spheres, seen by a gliding camera.

    python3 models/demo/render.py models/demo/demo.mp4
    python3 models/demo/render.py --frame 60 picture.png

Everything is computed here (NumPy); the ffmpeg command encodes it and makes the
sound. Each pixel is the mean of 3 x 3 rays, as a camera's sensor would see it.
Takes about five minutes on one core.
"""
import subprocess
import sys

import numpy as np

WIDTH, HEIGHT, FPS, SECONDS = 480, 270, 24, 5
OVER = 3  # rays per axis of a pixel

# Letters as strokes on a grid of 4 x 6, the origin at the top left.
STROKES = {
    "R": [[(0, 6), (0, 0), (3, 0), (4, 1), (4, 2), (3, 3), (0, 3)], [(2, 3), (4, 6)]], "E": [[(4, 0), (0, 0), (0, 6), (4, 6)], [(0, 3), (3, 3)]],
    "L": [[(0, 0), (0, 6), (4, 6)]], "M": [[(0, 6), (0, 0), (2, 3), (4, 0), (4, 6)]], "I": [[(2, 0), (2, 6)], [(1, 0), (3, 0)], [(1, 6), (3, 6)]],
    "V": [[(0, 0), (2, 6), (4, 0)]], "D": [[(0, 0), (2.5, 0), (4, 1.5), (4, 4.5), (2.5, 6), (0, 6), (0, 0)]], "O": [[(1, 0), (3, 0), (4, 1), (4, 5), (3, 6), (1, 6), (0, 5), (0, 1), (1, 0)]],
    "A": [[(0, 6), (2, 0), (4, 6)], [(0.8, 4), (3.2, 4)]], "N": [[(0, 6), (0, 0), (4, 6), (4, 0)]], "T": [[(0, 0), (4, 0)], [(2, 0), (2, 6)]],
    "W": [[(0, 0), (1, 6), (2, 2.5), (3, 6), (4, 0)]], "C": [[(4, 1), (3, 0), (1, 0), (0, 1), (0, 5), (1, 6), (3, 6), (4, 5)]], "S": [[(4, 1), (3, 0), (1, 0), (0, 1), (0, 2), (1, 3), (3, 3), (4, 4), (4, 5), (3, 6), (1, 6), (0, 5)]],
    "F": [[(4, 0), (0, 0), (0, 6)], [(0, 3), (3, 3)]], "Y": [[(0, 0), (2, 3), (4, 0)], [(2, 3), (2, 6)]], "B": [[(0, 0), (0, 6), (3, 6), (4, 5), (4, 4), (3, 3), (0, 3)], [(3, 3), (3.7, 2.2), (3.7, 0.8), (3, 0), (0, 0)]],
    "U": [[(0, 0), (0, 5), (1, 6), (3, 6), (4, 5), (4, 0)]], "P": [[(0, 6), (0, 0), (3, 0), (4, 1), (4, 2), (3, 3), (0, 3)]], "G": [[(4, 1), (3, 0), (1, 0), (0, 1), (0, 5), (1, 6), (3, 6), (4, 5), (4, 3.2), (2.3, 3.2)]],
    "2": [[(0, 1), (1, 0), (3, 0), (4, 1), (4, 2), (0, 6), (4, 6)]], "4": [[(3, 6), (3, 0), (0, 4), (4, 4)]], "X": [[(0, 0), (4, 6)], [(4, 0), (0, 6)]], ",": [[(2, 5.5), (1.4, 7)]], " ": [],
}


def vec(values):
    return np.array(values, np.float32)


def draw_text(ink, text, left, top, unit, weight):
    """Adds text to a picture of ink (0..1); a letter is 4 x 6 units."""
    rows, columns = np.mgrid[0:ink.shape[0], 0:ink.shape[1]].astype(np.float32)
    for k, letter in enumerate(text):
        for line in STROKES[letter]:
            for (ax, ay), (bx, by) in zip(line, line[1:]):
                ax, bx = (left + unit * (v + 5.6 * k) for v in (ax, bx))
                ay, by = (top + unit * v for v in (ay, by))
                y0, y1 = int(min(ay, by) - weight - 1), int(max(ay, by) + weight + 2)
                x0, x1 = int(min(ax, bx) - weight - 1), int(max(ax, bx) + weight + 2)
                y, x = rows[y0:y1, x0:x1], columns[y0:y1, x0:x1]
                length = max((bx - ax)**2 + (by - ay)**2, 1e-6)
                t = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0, 1)
                far = np.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay))
                ink[y0:y1, x0:x1] = np.maximum(ink[y0:y1, x0:x1], np.clip(weight - far + 0.5, 0, 1))


def poster():
    """The poster on the wall: (H, W, 3) in linear light."""
    height, width = 900, 1350
    ink, fine = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    draw_text(ink, "REELMILL", 90, 90, 26, 15)
    draw_text(fine, "EVERY FRAME, IN ORDER", 92, 310, 9.6, 3.4)
    draw_text(fine, "DECODE  INFER  ENCODE", 92, 400, 6.5, 2.2)
    draw_text(fine, "TWICE AS WIDE AND TWICE AS TALL", 92, 460, 4.6, 1.6)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    star = np.hypot(y - 690, x - 1090)
    fine[(np.sin(24 * np.arctan2(y - 690, x - 1090)) > 0) & (star < 170)] = 1
    fine[np.abs(star - 180) < 3] = 1
    for k, period in enumerate((36, 24, 16, 11, 8)):  # a ruler for the eye
        area = (x > 92 + 160 * k) & (x < 232 + 160 * k) & (y > 560) & (y < 820)
        fine[area & (np.mod(np.where(y < 690, x, y), period) < period / 2)] = 1
    frame = (np.minimum(np.minimum(y, height - 1 - y), np.minimum(x, width - 1 - x)) < 22)[..., None]
    paper = vec([0.86, 0.8, 0.66])
    page = paper + ink[..., None] * (vec([0.02, 0.06, 0.2]) - paper)
    page = page + fine[..., None] * (vec([0.09, 0.02, 0.02]) - page)
    return np.where(frame, vec([0.05, 0.03, 0.02]), page).astype(np.float32)


def noise(rng, size, octaves):
    """Tileable value noise in 0..1."""
    out = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        cells = 4 << octave
        grid = rng.random((cells, cells)).astype(np.float32)
        t = np.arange(size) * cells / size
        i = t.astype(int)
        f = ((t - i)**2 * (3 - 2 * (t - i))).astype(np.float32)
        rows = grid[i % cells] * (1 - f)[:, None] + grid[(i + 1) % cells] * f[:, None]
        out += (rows[:, i % cells] * (1 - f) + rows[:, (i + 1) % cells] * f) / 2**octave
    return (out - out.min()) / (out.max() - out.min())


class Scene:
    """Floor y = 0, wall z = 9, spheres; colours are linear light."""

    def __init__(self):
        rng = np.random.default_rng(7)
        self.grain, self.cloud, self.poster = noise(rng, 512, 8), noise(rng, 512, 6), poster()
        self.tint = rng.random((64, 64)).astype(np.float32)
        self.sun = vec([-0.55, 0.72, -0.42])
        self.sun /= np.linalg.norm(self.sun)
        self.turn = 0.0
        self.spheres = [((-1.9, 0.9, 5.6), 0.9, "stripes"), ((0.15, 0.62, 4.3), 0.62, "mirror"),
                        ((1.75, 0.8, 5.2), 0.8, "marble")]

    def look(self, texture, u, v):
        return texture[(v * 512).astype(int) % 512, (u * 512).astype(int) % 512]

    def bricks(self, u, v, w, h, joint, colours, joint_colour):
        """A course pattern: u along, v up; colours: two ends of the tint."""
        row = np.floor(v / h)
        u = u + 0.5 * w * np.mod(row, 2)
        column = np.floor(u / w)
        du, dv = np.mod(u, w), np.mod(v, h)
        edge = np.minimum(np.minimum(du, w - du), np.minimum(dv, h - dv))
        tint = self.tint[row.astype(int) % 64, column.astype(int) % 64]
        grain = self.look(self.grain, u * 0.37 + tint, v * 0.37 + 3 * tint)
        colour = colours[0] + (tint * 0.7 + grain * 0.5)[:, None] * (colours[1] - colours[0])
        colour = colour * (0.55 + 0.9 * grain)[:, None]
        inside = np.clip((edge - joint) / (0.35 * joint), 0, 1)[:, None]
        return inside * colour + (1 - inside) * joint_colour * (0.6 + 0.8 * grain)[:, None]

    def wall(self, p):
        red = [vec(c) for c in ((0.2, 0.06, 0.035), (0.5, 0.2, 0.11))]
        colour = self.bricks(p[:, 0], p[:, 1], 0.62, 0.21, 0.014, red, vec([0.3, 0.27, 0.23]))
        u, v = (p[:, 0] + 1.45) / 4.05, (4.1 - p[:, 1]) / 2.7
        on = (u >= 0) & (u < 1) & (v >= 0) & (v < 1)
        colour[on] = self.poster[(v[on] * 900).astype(int), (u[on] * 1350).astype(int)]
        return colour

    def floor(self, p):
        grey = [vec(c) for c in ((0.1, 0.1, 0.11), (0.42, 0.4, 0.36))]
        return self.bricks(p[:, 0], p[:, 2], 0.46, 0.3, 0.018, grey, vec([0.05, 0.07, 0.03]))

    def skin(self, kind, n):
        """A sphere's colour where its normal is n."""
        a = np.arctan2(n[:, 2], n[:, 0]) / (2 * np.pi) + self.turn * (1 if kind == "stripes" else -0.6)
        b = np.arcsin(np.clip(n[:, 1], -1, 1)) / np.pi
        if kind == "stripes":
            line = (np.mod(a * 24, 1) < 0.08) | (np.mod(b * 12, 1) < 0.08)
            land = self.look(self.cloud, a, b + 0.5) > 0.52
            colour = np.where(land[:, None], vec([0.16, 0.33, 0.08]), vec([0.03, 0.12, 0.4])) * (
                0.6 + 0.8 * self.look(self.grain, a * 3, b * 3))[:, None]
            colour[line] = [0.75, 0.7, 0.55]
            return colour
        swirl = self.look(self.grain, a * 2, b * 2)
        vein = np.abs(np.sin(9 * (b * 3 + 1.3 * swirl + a * 2)))[:, None]**0.35
        return vein * vec([0.82, 0.74, 0.66]) + (1 - vein) * vec([0.28, 0.05, 0.04])

    def sky(self, d):
        up = np.clip(d[:, 1], 0, 1)
        colour = (1 - up[:, None]**0.5) * vec([0.55, 0.66, 0.8]) + up[:, None]**0.5 * vec([0.1, 0.24, 0.6])
        k = 0.25 / np.maximum(up, 0.05)
        cloud = np.clip(2.6 * self.look(self.cloud, d[:, 0] * k + self.turn * 0.1, d[:, 2] * k) - 1.2, 0, 1)[:, None]
        return colour * (1 - cloud) + 0.95 * cloud

    def hit(self, o, d):
        """Nearest thing on each ray: distance, and its number (-1 sky, 0 floor, 1 wall, 2.. spheres)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(d[:, 1] < -1e-6, -o[:, 1] / d[:, 1], np.inf)
            what = np.where(np.isfinite(t), 0, -1)
            tw = np.where(d[:, 2] > 1e-6, (9 - o[:, 2]) / d[:, 2], np.inf)
            high = o[:, 1] + np.where(np.isfinite(tw), tw, 0) * d[:, 1] > 4.75
            tw = np.where(high | (tw < 1e-3), np.inf, tw)
        what, t = np.where(tw < t, 1, what), np.minimum(t, tw)
        for i, (centre, radius, _) in enumerate(self.spheres):
            oc = o - vec(centre)
            b = (oc * d).sum(1)
            disc = b * b - (oc * oc).sum(1) + radius * radius
            ts = -b - np.sqrt(np.maximum(disc, 0))
            closer = (disc > 0) & (ts > 1e-3) & (ts < t)
            what, t = np.where(closer, 2 + i, what), np.where(closer, ts, t)
        return t, what

    def shade(self, o, d, bounces=1):
        t, what = self.hit(o, d)
        colour = np.zeros((len(d), 3), np.float32)
        p = o + np.where(np.isfinite(t), t, 0)[:, None] * d
        normal = np.zeros_like(p)
        normal[what == 0], normal[what == 1] = [0, 1, 0], [0, 0, -1]
        some = what == -1
        colour[some] = self.sky(d[some])
        for k, paint in ((0, self.floor), (1, self.wall)):
            some = what == k
            colour[some] = paint(p[some])
        for i, (centre, radius, kind) in enumerate(self.spheres):
            some = what == 2 + i
            normal[some] = (p[some] - vec(centre)) / radius
            if kind != "mirror":
                colour[some] = self.skin(kind, normal[some])
        solid = what >= 0
        _, over = self.hit(p[solid] + 2e-3 * normal[solid], np.broadcast_to(self.sun, p[solid].shape))
        lit = np.clip((normal[solid] * self.sun).sum(1), 0, 1) * (over == -1)
        near = np.ones(len(lit), np.float32)  # darker where a sphere stands close to the floor
        for centre, radius, _ in self.spheres:
            flat = np.hypot(p[solid, 0] - centre[0], p[solid, 2] - centre[2]) / radius
            near *= np.where(what[solid] == 0, 1 - 0.6 * np.exp(-1.6 * flat * flat), 1)
        ambient = vec([0.34, 0.4, 0.5]) * (0.7 + 0.3 * normal[solid, 1:2]) * near[:, None]
        colour[solid] *= lit[:, None] * vec([2.1, 1.9, 1.6]) + ambient
        shiny = vec([0, 0.0, *(0.9 if s[2] == "mirror" else 0.06 for s in self.spheres), 0.0])[what]
        if bounces:
            some = shiny > 0
            away = d[some] - 2 * (d[some] * normal[some]).sum(1, keepdims=True) * normal[some]
            seen = self.shade(p[some] + 2e-3 * normal[some], away, bounces - 1)
            colour[some] = colour[some] * (1 - shiny[some, None]) + seen * shiny[some, None]
        return colour

    def frame(self, n):
        """(HEIGHT, WIDTH, 3) uint8."""
        t = n / (FPS * SECONDS)
        self.turn = 0.45 * t
        eye = vec([-1.5 + 2.6 * t, 1.75 - 0.25 * t, -1.9 + 1.3 * t])
        aim = vec([0.35 + 0.35 * t, 1.85, 7.0])
        forward = (aim - eye) / np.linalg.norm(aim - eye)
        right = np.cross([0, 1, 0], forward)
        right /= np.linalg.norm(right)
        down = -np.cross(forward, right)
        y, x = np.mgrid[0:HEIGHT * OVER, 0:WIDTH * OVER].astype(np.float32)
        x = ((x + 0.5) / OVER - WIDTH / 2) / WIDTH * 0.98
        y = ((y + 0.5) / OVER - HEIGHT / 2) / WIDTH * 0.98
        d = forward + x[..., None] * right + y[..., None] * down
        d = (d / np.linalg.norm(d, axis=-1, keepdims=True)).astype(np.float32)
        rows = []
        for top in range(0, HEIGHT, 30):  # in bands, to stay within the cache's reach
            band = d[top * OVER:(top + 30) * OVER].reshape(-1, 3)
            colour = self.shade(np.broadcast_to(eye, band.shape), band).reshape(30, OVER, WIDTH, OVER, 3)
            rows.append(colour.mean((1, 3)))
        light = np.concatenate(rows)
        light = light * (1 + light / 6) / (1 + light)  # highlights roll off (Reinhard et al., 2002)
        light = np.clip(1.5 * light, 0, 1)
        return (np.where(light < 0.018, 4.5 * light, 1.099 * light**0.45 - 0.099) * 255 + 0.5).astype(np.uint8)


def main():
    scene = Scene()
    if sys.argv[1:2] == ["--frame"] and len(sys.argv) == 4:
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-i", "-",
                        sys.argv[3]], input=scene.frame(int(sys.argv[2])).tobytes(), check=True)
        return
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    # a music box over a low fifth
    sound = ("aevalsrc='0.14*sin(2*PI*330*pow(2,mod(floor(t*4)*7,12)/12)*t)*exp(-5*mod(t,0.25))"
             "+0.05*sin(2*PI*110*t)+0.04*sin(2*PI*165*t)':s=48000")
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS),
               "-i", "-", "-f", "lavfi", "-t", str(SECONDS), "-i", sound,
               "-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p", "-colorspace", "bt709",
               "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv", "-c:v", "libx264", "-crf", "20",
               "-preset", "slow", "-g", "48", "-c:a", "aac", "-b:a", "64k", "-ac", "1", "-metadata", "title=reelmill demo",
               "-movflags", "+faststart", sys.argv[1]]
    encoder = subprocess.Popen(command, stdin=subprocess.PIPE)
    for n in range(FPS * SECONDS):
        encoder.stdin.write(scene.frame(n).tobytes())
    encoder.stdin.close()
    sys.exit(encoder.wait())


if __name__ == "__main__":
    main()
