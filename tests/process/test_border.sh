#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Networks that do not pad (waifu2x, Real-CUGAN, SRCNN): their picture lacks a border, so frames
# get edge pixels around them, and come out at their own size or a whole multiple of it: whole,
# in tiles, in bands of several workers, and by the GPU's twin. And those that take one channel more
# than a picture has, a number that the user states (DRUNet's strength).
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg
command -v python3 >/dev/null || { skip border "no python3 on this machine"; exit 0; }
python3 "$root/tests/models/small_models.py" "$work" || not_ok models "they were not made"
clip "$work/a.mkv" 0.2 -vf scale=97:75 -c:v ffv1 -pix_fmt gbrp

# The pixel two rows above and two columns before, at the edges the edge's, each `scale` times wide and tall.
cat >"$work/check.py" <<'PY'
import subprocess, sys
scale, w, h = int(sys.argv[3]), 97, 75

def read(path):
    return subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
                          capture_output=True, check=True).stdout

source, made = read(sys.argv[1]), read(sys.argv[2])
frames = len(source) // (3 * w * h)
if len(made) != len(source) * scale * scale: sys.exit(f"{len(made)} bytes of {len(source)} x {scale} x {scale}")
for f in range(frames):
    for y in range(h * scale):
        from_row = (f * h + max(y // scale - 2, 0)) * w
        want = b"".join(source[3 * (from_row + max(x // scale - 2, 0)):][:3] for x in range(w * scale))
        at = 3 * (f * h * scale + y) * w * scale
        if made[at:at + len(want)] != want: sys.exit(f"row {y} of frame {f} differs")
PY

border() { # name model scale [options]
    reel "$work/a.mkv" -o "$work/$1.mkv" -y --backend onednn --model "$work/$2.onnx" --encoder ffv1 "${@:4}" ||
        { not_ok "$1" "exit code $?"; return; }
    local why
    if why=$(python3 "$work/check.py" "$work/a.mkv" "$work/$1.mkv" "$3" 2>&1); then ok "$1"; else not_ok "$1" "$why"; fi
}
border whole narrow 1
border tiles narrow 1 --tile 48x40
border bands narrow 1 --split spatial --gpu_num 2
border fixed doubled 2
REELMILL_GPU_TWIN=1 border twin narrow 1 --backend auto

if reel "$work/a.mkv" -o "$work/said.mkv" --backend onednn --model "$work/narrow.onnx" --encoder ffv1 --progress plain &&
    grep -q "leaves out a border, so frames get 4 x 4 pixels more" "$work/out" "$work/err"; then ok said
else not_ok said "nothing says that edge pixels were added"; fi

# A fifth of full scale is 51 of 255.
cat >"$work/brighter.py" <<'PY'
import subprocess, sys
read = lambda path: subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
                                   capture_output=True, check=True).stdout
source, made = read(sys.argv[1]), read(sys.argv[2])
if not source or made != bytes(min(v + 51, 255) for v in source): sys.exit("the pictures are not 51 brighter")
PY
strength() { # name [options]
    local why="no output"
    if reel "$work/a.mkv" -o "$work/strength_$1.mkv" -y --model "$work/strength.onnx" --encoder ffv1 --backend onednn \
        --io.constants picture=0.2 "${@:2}" &&
        why=$(python3 "$work/brighter.py" "$work/a.mkv" "$work/strength_$1.mkv" 2>&1); then ok "strength_$1"
    else not_ok "strength_$1" "$why"; fi
}
strength whole
strength tiles --tile 48x40
REELMILL_GPU_TWIN=1 strength twin --backend auto
if reel "$work/a.mkv" -o "$work/none.mkv" -y --model "$work/strength.onnx" --backend onednn; then not_ok unstated "it ran without a number"
elif grep -q -e '--io.constants "picture=0.06"' "$work/out" "$work/err"; then ok unstated
else not_ok unstated "the message does not say what to do"; fi

# Patches of 14 pixels that a frame does not fill would be left out (Depth Anything).
if reel "$work/a.mkv" -o null: --backend onednn --model "$work/patches.onnx" --progress plain &&
    grep -q "518x518, stretched frames; it makes a gray picture scaled per picture of the same size" "$work/out" "$work/err"
then ok patches
else not_ok patches "$(cat "$work/out" "$work/err")"; fi
if reel "$work/a.mkv" -o null: --backend onednn --model "$work/patches.onnx" --progress plain --io.out_range 0-1 &&
    grep -q "any size, whole frames; it makes a gray picture 0..1 of the same size" "$work/out" "$work/err"; then ok patches_whole
else not_ok patches_whole "$(cat "$work/out" "$work/err")"; fi
finish
