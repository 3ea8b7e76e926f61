# SPDX-License-Identifier: MIT
"""Pairs of pictures to learn from: luma of clips, and the same cut down by 2,
encoded, and decoded again, as a network will meet it.

Everything runs through the ffmpeg command and is cached in a work folder.
Frames come as pairs of neighbours, so that flicker can be trained on. Luma is
limited range in 0..1 (full-range clips are converted).
"""
import os
import subprocess
import zlib

import numpy as np

import scenes

# Clips whose licence allows training (see models/README.md for the credits).
TRAIN = ["flower_960x540.mp4", "friday_faces_bw_640x480.mp4", "bottles_h264.mp4", "cars_topview_h264.mp4",
         "people_one_by_one_h264.mp4", "vp9_bbb_642x642.webm", "h264_bbb_bpyramid.mp4"]
# Clips that networks and settings were chosen on: (file, scale, first frame; 60 are black). The last four were once
# measured only, until the settling was fitted to them too.
VALIDATION = [("stream_of_water_480x360.mp4", 1, 0), ("person_signing_fullrange.mkv", 1, 0), ("dog_848x464.mp4", 1, 0),
              ("traffic_motorbike_720p.mp4", 1, 0), ("chaplin_people_bw.mp4", 1, 0),
              ("h264_face_bt601_640x428.mov", 1, 0), ("mpeg4_sintel_like_960x400.avi", 1, 60),
              ("security_person_178x100.mp4", 1, 0), ("av1_hdr10_1080p60_mdcv_clli.mp4", 0.5, 0),
              ("no_duration.webm", 1, 0), ("hevc_8k24_300ms.mp4", 1 / 6, 0)]
# Clips and scenes that nothing was chosen on: measured once all was settled.
TEST = [("fire_phone_vfr_rot180.mp4", 1, 0), ("hevc_main10_hlg_vfr_bframes_rot90_editlist.mp4", 0.5, 0),
        ("hevc_main10_hlg_color_chart.mp4", 0.5, 0), ("prores_422_10bit_180x144.mov", 1, 0),
        ("rot0_keyboard.mov", 1, 0), ("scene:101", 1, 0), ("scene:102", 1, 0)]

X264 = ["-c:v", "libx264", "-preset", "medium", "-threads", "1"]
X265 = ["-c:v", "libx265", "-preset", "fast", "-x265-params", "log-level=error:pools=1:frame-threads=1"]
VP9 = ["-c:v", "libvpx-vp9", "-b:v", "0", "-deadline", "good", "-cpu-used", "4", "-threads", "1"]
# How clips lose their size: scaler, encoder, quality. bicubic is ffmpeg's default.
VARIANTS = [("bicubic", X264, 23), ("bicubic", X264, 19), ("area", X264, 23), ("lanczos", X264, 27),
            ("bicubic", X265, 26), ("bicubic", VP9, 33), ("area", X264, 18)]
PAIRS = 24   # pairs of neighbouring frames taken from a source
FRAMES = 150  # of a clip that is trained on
MEASURED = 16  # frames of a clip that is measured on


def run(command, **more):
    return subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *command], check=True, **more)


def size(path):
    out = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height",
                          "-of", "csv=p=0", path], check=True, stdout=subprocess.PIPE, text=True).stdout
    return tuple(int(v) for v in out.strip().strip(",").split(",")[:2])


def luma(path, width, height, filters="null"):
    """Luma planes of a file, as they are stored: (N, H, W) uint8."""
    raw = run(["-i", path, "-vf", f"{filters},extractplanes=y", "-vsync", "passthrough", "-pix_fmt", "gray", "-f",
               "rawvideo", "-"], stdout=subprocess.PIPE).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width)


def reduce_file(source, scaler, encoder, crf, work):
    """A file at half a lossless file's size, after one encoder."""
    small = os.path.join(work, f"{os.path.basename(source)}.{scaler}.{encoder[1]}.{crf}.mkv")
    width, height = size(source)
    if not os.path.exists(small):
        run(["-y", "-i", source, "-vf", f"scale={width // 2}:{height // 2}:flags={scaler}", "-an", *encoder, "-crf",
             str(crf), "-pix_fmt", "yuv420p", small + ".part.mkv"])
        os.rename(small + ".part.mkv", small)
    return small


def reduce(source, scaler, encoder, crf, work):
    """Its luma."""
    width, height = size(source)
    return luma(reduce_file(source, scaler, encoder, crf, work), width // 2, height // 2)


def master(path, work, shrink, skip, frames):
    """A lossless, limited-range copy of a clip with sides divisible by 4,
    smaller by `shrink`: its own codec's faults shrink with it."""
    width, height = size(path)
    w, h = (int(v * shrink) // 4 * 4 for v in (width, height))
    crop = f"crop={int(w / shrink) // 2 * 2}:{int(h / shrink) // 2 * 2}:0:0"
    out = os.path.join(work, f"{os.path.basename(path)}.{w}x{h}.{frames}.mkv")
    if not os.path.exists(out):
        run(["-y", "-noautorotate", "-i", path, "-an", "-vf", f"trim=start_frame={skip},setpts=N/30/TB,{crop},"
             f"scale={w}:{h}:flags=lanczos:out_range=tv,format=yuv420p", "-r", "30", "-frames:v", str(frames),
             "-c:v", "ffv1", out + ".part.mkv"])
        os.rename(out + ".part.mkv", out)
    return out


def rendered(seed, work, frames=32, height=432, width=640):
    out = os.path.join(work, f"scene{seed}.mkv")
    if not os.path.exists(out):
        y = scenes.render(seed, frames, height, width)
        grey = np.full((frames, height * width // 2), 128, np.uint8)
        raw = np.concatenate([y.reshape(frames, -1), grey], 1).tobytes()
        run(["-y", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}", "-r", "30", "-i", "-", "-c:v",
             "ffv1", out + ".part.mkv"], input=raw)
        os.rename(out + ".part.mkv", out)
    return out


def neighbours(n, pairs):
    """First frames of at most `pairs` pairs of neighbours out of n frames."""
    return np.unique(np.linspace(0, n - 2, min(pairs, n - 1)).astype(int))


def training_set(clips, work):
    """[(low, high)]: arrays (pairs, 2, H, W) and (pairs, 2, 2H, 2W) uint8."""
    cache = os.path.join(work, "training-set.npz")
    if os.path.exists(cache):
        arrays = np.load(cache)
        highs = {key: arrays[f"high{key}"] for key in set(arrays["of"])}
        return [(arrays[f"low{i}"], highs[key]) for i, key in enumerate(arrays["of"])]
    masters = [master(os.path.join(clips, n), work, s, 0, FRAMES) for n in TRAIN for s in (1, 0.6)]
    masters += [rendered(seed, work) for seed in range(1, 9)]
    out, of = [], []
    for path in masters:
        high = luma(path, *size(path))
        first = neighbours(len(high), PAIRS)
        picked = np.stack([high[first], high[first + 1]], 1)
        # half of the variants each, chosen by name: variety over sources
        turn = zlib.crc32(os.path.basename(path).replace(f".{FRAMES}.", ".").encode()) % 2
        for k, (scaler, encoder, crf) in enumerate(VARIANTS):
            if k and k % 2 != turn:
                continue
            low = reduce(path, scaler, encoder, crf, work)
            assert len(low) == len(high), path
            out.append((np.stack([low[first], low[first + 1]], 1), picked))
            of.append(masters.index(path))
    lows = {f"low{i}": low for i, (low, _) in enumerate(out)}
    highs = {f"high{key}": high for key, (_, high) in zip(of, out)}
    np.savez(cache + ".part.npz", of=np.array(of), **lows, **highs)
    os.rename(cache + ".part.npz", cache)
    return out


def measured(item, clips, work, frames=MEASURED):
    """The lossless file of an item of VALIDATION or TEST."""
    name, scale, skip = item
    if name.startswith("scene:"):
        return rendered(int(name[6:]), work)
    return master(os.path.join(clips, name), work, scale, skip, frames)


def validation_set(clips, work, frames=MEASURED):
    """{name: (low, high)}, (N, H, W) and (N, 2H, 2W) uint8: neighbouring frames after x264 at CRF 23."""
    out = {}
    for item in VALIDATION:
        path = measured(item, clips, work)
        out[item[0]] = (reduce(path, *VARIANTS[0], work)[:frames], luma(path, *size(path))[:frames])
    return out
