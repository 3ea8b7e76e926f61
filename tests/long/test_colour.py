#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# Colours through the network and back: an identity model between a lossless
# input and a lossless encoder, for depths, chroma sizes, ranges and matrices.
# And the other direction: the RGB that a network reads, against FFmpeg's own
# conversion. Needs the Python packages numpy and onnx.
import itertools
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from media import DATA, Cases, ffmpeg, probe, reel  # noqa: E402

try:
    import numpy
    import onnx
    from onnx import helper as h
except ImportError:
    onnx = None

SIZE = (320, 180)
MATRICES = {"bt709": "bt709", "smpte170m": "smpte170m", "bt2020nc": "bt2020"}
FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p12le", "gbrp", "gray"]


def identity(path, gain=1.0):
    shape = [1, 3, "h", "w"]
    node = h.make_node("Mul", ["in", "gain"], ["out"])
    graph = h.make_graph([node], "identity", [h.make_tensor_value_info("in", 1, shape)], [h.make_tensor_value_info("out", 1, shape)],
                         [h.make_tensor("gain", 1, [1], [gain])])
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], ir_version=8), path)


def source(path, pix_fmt, matrix, full):
    """A few frames of a real clip in this format, kept without loss."""
    clip = DATA / "clips/dog_848x464.mp4"
    given = ["-i", clip] if clip.exists() else ["-f", "lavfi", "-i", "mandelbrot=s=320x180:r=25"]
    rgb = pix_fmt.startswith("gbr")
    args = [] if rgb or pix_fmt == "gray" else ["-colorspace", matrix, "-color_range", "pc" if full else "tv"]
    out_range = "pc" if full else "tv"
    scale = f"scale={SIZE[0]}:{SIZE[1]}:flags=bicubic+accurate_rnd+full_chroma_int" + ("" if rgb else f":out_color_matrix={MATRICES[matrix]}:out_range={out_range}")
    done = ffmpeg(*given, "-frames:v", 6, "-an", "-vf", scale, "-pix_fmt", pix_fmt, "-c:v", "ffv1", *args, "-y", path)
    if done.returncode:
        raise RuntimeError(done.stderr.decode())


def planes(path, pix_fmt):
    luma = ["-vf", "extractplanes=y"] if pix_fmt == "gray" else []
    raw = ffmpeg("-i", path, "-map", "0:v:0", *luma, "-fps_mode", "passthrough", "-pix_fmt", pix_fmt, "-f", "rawvideo", "-").stdout
    deep = "10" in pix_fmt or "12" in pix_fmt
    peak = 4095 if "12" in pix_fmt else 1023 if "10" in pix_fmt else 255
    return numpy.frombuffer(raw, dtype="<u2" if deep else "u1").astype("f8"), peak


def psnr(a, b, peak):
    if len(a) != len(b):
        return 0.0
    error = float(numpy.mean((a - b) ** 2))
    return 99.0 if error == 0 else 10 * numpy.log10(peak * peak / error)


def round_trip(work, model, pix_fmt, matrix, full):
    clip, out = work / "in.mkv", work / "out.mkv"
    source(clip, pix_fmt, matrix, full)
    code, text = reel("--backend", "onednn", "--gpu_num", 1, "--model", model, "--encoder", "ffv1", "-y", clip, "-o", out)
    if code:
        return [f"exit code {code}: {text}"]
    made = probe(out, "-show_streams")["streams"][0]
    problems = []
    if not pix_fmt.startswith("gbr") and pix_fmt != "gray":
        if made.get("color_space") != matrix:
            problems.append(f"matrix {made.get('color_space')}, wanted {matrix}")
        if made.get("color_range") != ("pc" if full else "tv"):
            problems.append(f"range {made.get('color_range')}")
    # Compared in the input's own form, so that a change of form counts as loss.
    a, peak = planes(clip, pix_fmt)
    b, _ = planes(out, pix_fmt)
    # Chroma is scaled up and down again; a matrix and back is rounded once.
    least = 48 if "420" in pix_fmt or "422" in pix_fmt else 51
    got = psnr(a, b, peak)
    if got < least:
        problems.append(f"{got:.1f} dB, wanted {least} dB or more ({made.get('pix_fmt')})")
    print(f"# {pix_fmt} {matrix} {'pc' if full else 'tv'}: {got:.1f} dB ({made.get('pix_fmt')})", flush=True)
    return problems


def reading(work, model, matrix, full, pix_fmt="yuv444p"):
    """Pictures that come out are those that FFmpeg makes of the same frames."""
    clip = work / "in.mkv"
    source(clip, pix_fmt, matrix, full)
    code, text = reel("--backend", "onednn", "--gpu_num", 1, "--model", model, "-y", clip, "-o", work / "%03d.png")
    if code:
        return [f"exit code {code}: {text}"]
    ours = numpy.concatenate([planes(p, "rgb24")[0] for p in sorted(work.glob("*.png"))])
    raw = ffmpeg("-i", clip, "-vf", f"scale=in_color_matrix={MATRICES[matrix]}:flags=accurate_rnd+full_chroma_int+full_chroma_inp",
                 "-pix_fmt", "rgb24", "-f", "rawvideo", "-").stdout
    theirs = numpy.frombuffer(raw, dtype="u1").astype("f8")
    got = psnr(ours, theirs, 255)
    means = [abs(float(ours[i::3].mean() - theirs[i::3].mean())) for i in range(3)] if len(ours) == len(theirs) else [255]
    print(f"# rgb of {pix_fmt} {matrix} {'pc' if full else 'tv'}: {got:.1f} dB, means off by {max(means):.2f}", flush=True)
    return [] if got > 45 and max(means) < 0.5 else [f"{got:.1f} dB from FFmpeg's own RGB, means off by {means}"]


def main():
    cases = Cases(sys.argv[1:])
    if onnx is None:
        cases.skip("colours", "the Python packages numpy and onnx are not there")
        return
    with tempfile.TemporaryDirectory(prefix="reelmill-colour.") as temporary:
        work = pathlib.Path(temporary)
        model = work / "identity.onnx"
        identity(model)
        for pix_fmt, matrix, full in itertools.product(FORMATS, MATRICES, (False, True)):
            if (pix_fmt.startswith("gbr") or pix_fmt == "gray") and (matrix != "bt709" or full):
                continue
            name = f"identity_{pix_fmt}_{matrix}_{'pc' if full else 'tv'}"
            if cases.wanted(name):
                cases.end(name, round_trip(work, model, pix_fmt, matrix, full))
        for matrix, full in itertools.product(MATRICES, (False, True)):
            name = f"rgb_{matrix}_{'pc' if full else 'tv'}"
            if cases.wanted(name):
                for old in work.glob("*.png"):
                    old.unlink()
                cases.end(name, reading(work, model, matrix, full))
    cases.finish()


main()
