#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# Every model of the shared test data on a few frames of a clip that suits it:
# a right result (boxes where the faces are, masks where the person is, pictures
# that still show the input), raw tensors, or a refusal that says why.
#
#   tests/long/test_models.py [WORD...]    only models whose names hold a word
import json
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from media import DATA, Cases, ffmpeg, frame_hashes, reel, streams  # noqa: E402

try:
    import numpy
except ImportError:
    numpy = None

# Clip and second of each excerpt.
EXCERPTS = {
    "face": ("h264_face.mp4", 0.3), "friday": ("friday_faces_bw_640x480.mp4", 2), "cars": ("traffic_motorbike_720p.mp4", 1),
    "dog": ("dog_848x464.mp4", 1), "people": ("people_one_by_one_h264.mp4", 60), "bottles": ("bottles_h264.mp4", 5),
}
FACE = (425, 200, 730, 590)    # of the person in "face", loosely: x1 y1 x2 y2
PERSON = (120, 130, 1030, 720)  # the whole person there
WALKER = (370, 0, 540, 400)    # the person in "people"

# model -> (excerpt, kind, what is expected)
MODELS = {
    "face_ultraface_rfb320": ("face", "box", ("face", FACE)),
    "face_ultraface_rfb320_simplified": ("face", "box", ("face", FACE)),
    "face_ultraface_slim320": ("face", "box", ("face", FACE)),
    "face_yunet_2021_160x120": ("face", "box", ("face", FACE)),
    "face_yunet_n_dynamic": ("face", "box", ("face", FACE)),
    "face_yunet_s_dynamic": ("face", "box", ("face", FACE)),
    "face_retinaface_mbnet025": ("face", "box", ("face", FACE)),
    "det_yolox_nano": ("face", "box", ("person", PERSON)),
    "det_fastestdet_352": ("face", "box", ("person", PERSON)),
    "seg_deeplabv3_mnv2": ("people", "mask", ("person", WALKER)),
    "pose_bodypix_mnv1_x050_s16_dyn": ("people", "mask", ("1", WALKER)),
    "ocr_ppocr_mobile_v1.1_det": ("cars", "mask", ("1", (850, 200, 1280, 620))),
    "lowlight_sci_720x1280": ("cars", "picture", (1, 0.3)),
    "lowlight_tbefn_180x320": ("dog", "picture", (1, 0.5)),
    "style_candy_winml_op7": ("dog", "picture", (1, 0.2)),
    "style_mosaic_winml": ("dog", "picture", (1, 0.2)),
    "denoise_ircnn_medium_fp16": ("friday", "picture", (1, 0.99)),
    "denoise_ircnn_large_fp16": ("friday", "picture", (1, 0.98)),
    "sr_espcn_x3_pt02_op1": ("dog", "picture", (3, 0.97)),
    "sr_realesr_animevideov3_x4_fp16": ("dog", "picture", (4, 0.97)),
    "sr_realesr_general_x4v3_fp16": ("dog", "picture", (4, 0.95)),
    "cls_cifar_pt": ("dog", "classes", 10), "cls_mnist_cntk": ("dog", "classes", 10), "cls_mnist_ort": ("dog", "classes", 10),
    "cls_squeezenet_fp16": ("dog", "classes", 1000), "cls_speech_cmd_sqz": ("dog", "classes", 35),
    "face_landmark_mediapipe": ("face", "tensor", [1, 1404, 1, 1]), "feat_xfeat_640": ("dog", "tensor", [1, 64, 80, 80]),
    "track_nanotrack_v2_backbone": ("dog", "tensor", [1, 48, 16, 16]),
    "bad_lfs_pointer_yolo": ("dog", "refused", "Git LFS pointer"),
    "det_nms_yolov8_post": ("dog", "refused", "second input"),
    "fn_jax_mlp_functions": ("dog", "refused", "not a picture"),
    "rnn_gtcrn_stream": ("dog", "refused", "a picture has 1 or 3"), "rnn_gtcrn_stream_simple": ("dog", "refused", "not a picture"),
    "rnn_silero_vad_16k_only": ("dog", "refused", "input"), "rnn_silero_vad_16k_op15": ("dog", "refused", "not a picture"),
    "sr_espcn_x3_supres_ortjs": ("dog", "refused", "ai.onnx.contrib"),
    "tfm_nanogpt_4l": ("dog", "refused", "not a picture"), "tfm_self_attention": ("dog", "refused", "not a picture"),
    "track_nanotrack_v2_head": ("dog", "refused", "second input"),
}
SMALL = {"sr_realesr_animevideov3_x4_fp16": "scale=160:-2", "sr_realesr_general_x4v3_fp16": "scale=160:-2",
         "denoise_ircnn_medium_fp16": "scale=320:-2", "denoise_ircnn_large_fp16": "scale=320:-2"}


def excerpt(name, work, scale):
    file, second = EXCERPTS[name]
    out = work / f"{name}.mkv"
    done = ffmpeg("-ss", second, "-i", DATA / "clips" / file, "-frames:v", 3, "-an", "-vf", scale, "-c:v", "libx264", "-crf", 8,
                  "-preset", "fast", "-y", out)
    if done.returncode:
        raise RuntimeError(done.stderr.decode())
    return out


def overlap(box, area):
    """Intersection over union of x y w h with x1 y1 x2 y2."""
    x1, y1, x2, y2 = box[0], box[1], box[0] + box[2], box[1] + box[3]
    inter = max(0, min(x2, area[2]) - max(x1, area[0])) * max(0, min(y2, area[3]) - max(y1, area[1]))
    return inter / (box[2] * box[3] + (area[2] - area[0]) * (area[3] - area[1]) - inter)


def check_box(lines, label, area):
    problems = []
    for line in lines:
        if len(line["objects"]) != 1:
            problems.append(f"frame {line['frame']}: {len(line['objects'])} objects")
            continue
        found = line["objects"][0]
        if found["label"] != label or overlap(found["box"], area) < 0.6:
            problems.append(f"frame {line['frame']}: {found['label']} at {found['box']}, expected {label} at {area}")
    return problems


def mask_of(rle):
    """Rows x columns of COCO's uncompressed run lengths."""
    height, width = rle["size"]
    flat, value = numpy.zeros(height * width, bool), False
    at = 0
    for run in rle["counts"]:
        flat[at:at + run] = value
        at, value = at + run, not value
    return flat.reshape(width, height).T


def check_mask(lines, label, area):
    problems = []
    for line in lines:
        found = [s for s in line["segments"] if s["label"] == label]
        if len(found) != 1:
            problems.append(f"frame {line['frame']}: segments {[s['label'] for s in line['segments']]}, expected {label}")
            continue
        mask = mask_of(found[0]["rle"])
        inside = mask[area[1]:area[3], area[0]:area[2]].sum()
        if mask.sum() != found[0]["pixels"] or mask.sum() < 300 or inside < 0.7 * mask.sum():
            problems.append(f"frame {line['frame']}: {inside} of {mask.sum()} pixels lie in {area}")
    return problems


def luma(path, width, height):
    raw = ffmpeg("-i", path, "-vf", f"scale={width}:{height},format=gray", "-f", "rawvideo", "-").stdout
    return numpy.frombuffer(raw, "u1").reshape(-1, height * width).astype("f8")


def check_picture(clip, out, scale, least):
    """Size, and likeness to the input (correlation of luma at the input's size)."""
    a, b = streams(clip)["streams"][0], streams(out)["streams"][0]
    if (b["width"], b["height"]) != (scale * a["width"], scale * a["height"]):
        return [f"size {b['width']}x{b['height']} from {a['width']}x{a['height']}"]
    x, y = luma(clip, a["width"], a["height"]), luma(out, a["width"], a["height"])
    if len(x) != len(y):
        return [f"{len(y)} frames of {len(x)}"]
    like = [float(numpy.corrcoef(p, q)[0, 1]) for p, q in zip(x, y)]
    print(f"# likeness {min(like):.3f}", flush=True)
    same = frame_hashes(clip) == frame_hashes(out)
    return (["the pictures are the input's"] if same else []) + ([f"likeness {like}, {least} expected"] if min(like) < least else [])


def check_lines(kind, lines, want):
    if len(lines) != 3 or [line["frame"] for line in lines] != [0, 1, 2]:
        return [f"{len(lines)} lines of 3"]
    if kind == "box":
        return check_box(lines, *want)
    if kind == "mask":
        return check_mask(lines, *want)
    if kind == "classes":
        sums = [sum(c["score"] for c in line["classes"]) for line in lines]
        sorted_well = all(line["classes"] == sorted(line["classes"], key=lambda c: -c["score"]) for line in lines)
        good = all(0 < s <= 1.00001 for s in sums) and sorted_well and all(c["class"] < want for line in lines for c in line["classes"])
        return [] if good else [f"classes {lines[0]}"]
    shape = lines[0]["tensors"][0]["shape"]
    count = len(lines[0]["tensors"][0]["data"])
    product = int(numpy.prod(shape))
    return [] if shape == want and count == product else [f"shape {shape} with {count} numbers"]


def check_model(path, work):
    name, kind, want = MODELS[path.stem]
    clip = excerpt(name, work, SMALL.get(path.stem, "null"))
    out = work / ("out.mkv" if kind == "picture" else "out.jsonl")
    options = ["--encoder", "ffv1"] if kind == "picture" else []
    code, text = reel("--backend", "onednn", "--gpu_num", 1, "--model", path, *options, "-y", clip, "-o", out, timeout=1200)
    if kind == "refused":
        named = path.name in text and want in text
        return [] if code == 2 and named else [f"exit code {code}, wanted 2 and \"{want}\": {text}"]
    if code:
        return [f"exit code {code}: {text}"]
    if kind == "picture":
        return check_picture(clip, out, *want)
    problems = check_lines(kind, [json.loads(line) for line in out.read_text().splitlines()], want)
    if kind in ("box", "mask", "classes"):  # the same drawn into a video
        drawn = work / "drawn.mkv"
        code, text = reel("--backend", "onednn", "--gpu_num", 1, "--model", path, "--encoder", "ffv1", "-y", clip, "-o", drawn)
        if code or len(frame_hashes(drawn)) != 3 or frame_hashes(drawn) == frame_hashes(clip):
            problems.append(f"nothing was drawn (exit code {code}): {text}")
    return problems


def main():
    cases = Cases(sys.argv[1:])
    folder = DATA / "models"
    if not folder.is_dir():
        cases.skip("models", "the shared test data is not there (REELMILL_TESTDATA)")
        return
    if numpy is None:
        cases.skip("models", "the Python package numpy is not there")
        return
    for path in sorted(folder.glob("*.onnx")):
        if not cases.wanted(path.stem):
            continue
        with tempfile.TemporaryDirectory(prefix="reelmill-models.") as temporary:
            problems = check_model(path, pathlib.Path(temporary)) if path.stem in MODELS else ["the table does not name it"]
            cases.end(path.stem, problems)
    cases.finish()


main()
