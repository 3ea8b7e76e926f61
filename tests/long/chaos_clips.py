# SPDX-License-Identifier: MIT
#
# The clips of test_chaos.py, a few seconds each: what FFmpeg's own sources show, in all
# the ways in which files make life hard. And how one is damaged.
from media import ffmpeg

PICTURES = ["-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=6"]
SOUND = ["-f", "lavfi", "-i", "sine=f=440:d=6"]
X264 = ["-c:v", "libx264", "-preset", "fast", "-g", "25", "-pix_fmt", "yuv420p", "-threads", "1"]
VPX = ["-deadline", "realtime", "-cpu-used", "8", "-g", "25"]
FIELDS = "tinterlace=interleave_top"


def small(size, rate, seconds):
    return ["-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}"]


# name -> what FFmpeg is told; "@name" is a clip made before it.
CLIPS = {
    "base.mp4": [*PICTURES, *SOUND, *X264, "-bf", "3", "-c:a", "aac"],
    "open_gop.mp4": [*PICTURES, *X264, "-bf", "3", "-x264-params", "open-gop=1:scenecut=0"],
    "open_gop.ts": [*PICTURES, *X264, "-bf", "3", "-x264-params", "open-gop=1:scenecut=0"],
    "refresh.mkv": [*PICTURES, *X264, "-x264-params", "intra-refresh=1:keyint=25"],
    "refresh.ts": [*PICTURES, *X264, "-x264-params", "intra-refresh=1:keyint=25"],
    "vfr.mkv": [*PICTURES, "-vf", "select='not(between(mod(n,10),4,7))'", "-fps_mode", "vfr", *X264],
    "vfr.mp4": [*PICTURES, "-vf", "setpts='PTS+if(mod(N,3),0,0.3/25/TB)+gt(N,70)*2/TB'", "-fps_mode", "passthrough", *X264,
                "-video_track_timescale", "90000"],
    "wrap.ts": [*PICTURES, *SOUND, *X264, "-bf", "2", "-c:a", "mp2", "-output_ts_offset", "95440.5", "-muxdelay", "0"],
    "fields.ts": [*PICTURES, "-vf", f"{FIELDS},fieldorder=tff", "-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-g", "12", "-bf", "2"],
    "fields.mp4": [*PICTURES, "-vf", FIELDS, *X264, "-flags", "+ildct+ilme", "-x264-params", "tff=1"],
    "odd.webm": [*small("97x81", 24, 5), "-c:v", "libvpx-vp9", *VPX, "-b:v", "300k"],
    "odd.mkv": [*small("97x81", "30000/1001", 5), "-c:v", "libx264", "-preset", "fast", "-pix_fmt", "yuv444p", "-g", "30"],
    "ten_bits.mkv": [*PICTURES, "-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-x265-params",
                     "log-level=error:keyint=25:pools=1"],
    "open_gop_265.mp4": [*PICTURES, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params",
                         "log-level=error:keyint=25:open-gop=1:bframes=4:pools=1"],
    "alpha.webm": [*small("128x96", 25, 3), "-vf", "format=yuva420p", "-c:v", "libvpx-vp9", *VPX],
    "alpha.mov": [*small("128x96", 25, 2), "-vf", "format=rgba", "-c:v", "qtrle"],
    "one.mp4": [*PICTURES, *X264, "-frames:v", "1"],
    "one.ts": [*PICTURES, *X264, "-frames:v", "1"],
    "two.mkv": [*PICTURES, *X264, "-frames:v", "2"],
    "turned.mp4": ["-i", "@base.mp4", "-c", "copy", "-metadata:s:v:0", "rotate=90"],
    "sound.m4a": [*SOUND, "-c:a", "aac"],
    "cover.png": ["-i", "@base.mp4", "-frames:v", "1", "-update", "1"],
    "cover_only.m4a": [*SOUND, "-i", "@cover.png", "-map", "0", "-map", "1", "-c:a", "aac", "-c:v", "png", "-disposition:v:0",
                       "attached_pic"],
    "cover.mp4": ["-i", "@base.mp4", "-i", "@cover.png", "-map", "0", "-map", "1", "-c", "copy", "-c:v:1", "png", "-disposition:v:1",
                  "attached_pic"],
    "edit_list.mp4": ["-ss", "1.3", "-i", "@base.mp4", "-c", "copy"],
    "fragments.mp4": ["-i", "@base.mp4", "-c", "copy", "-movflags", "frag_keyframe+empty_moov"],
    "late_video.mkv": ["-itsoffset", "2", "-i", "@base.mp4", "-i", "@base.mp4", "-map", "0:v", "-map", "1:a", "-c", "copy"],
    "asp.avi": [*PICTURES, "-c:v", "mpeg4", "-bf", "2", "-g", "20", "-q:v", "5"],
    "mpeg2.vob": [*PICTURES, "-c:v", "mpeg2video", "-g", "12", "-bf", "2", "-q:v", "5", "-f", "vob"],
    "intra.mkv": [*small("128x96", 25, 4), "-c:v", "ffv1", "-g", "5", "-pix_fmt", "gbrp"],
    "vp8.webm": [*PICTURES, "-c:v", "libvpx", *VPX, "-auto-alt-ref", "1", "-lag-in-frames", "16"],
    "raw.h264": [*PICTURES, *X264, "-bf", "0", "-f", "h264"],
    "slow.mp4": [*small("64x64", 1, 40), "-c:v", "libx264", "-g", "2", "-pix_fmt", "yuv420p"],
    "tiny.mp4": [*small("16x16", 25, 3), *X264],
}


def make(folder):
    """Writes them all, but for what this FFmpeg has no encoder for; returns the videos' paths."""
    for name, words in CLIPS.items():
        made = ffmpeg("-y", *[folder / w[1:] if w.startswith("@") else w for w in words], folder / name)
        if made.returncode:
            (folder / name).unlink(missing_ok=True)
    # Its clock begins anew in the midst.
    (folder / "joined.ts").write_bytes((folder / "open_gop.ts").read_bytes() + (folder / "refresh.ts").read_bytes())
    return sorted(path for path in folder.iterdir() if path.name != "cover.png")


def damage(rng, data):
    """Some bytes of a file as they come out of a broken disk, transfer or recording."""
    data, size = bytearray(data), len(data)
    at = rng.randrange(size)
    how = rng.choice(["cut", "bits", "bits", "hole", "zeros", "more", "twice"])
    if how == "cut":
        del data[at:]
    elif how == "bits":
        for _ in range(rng.choice([1, 5, 50, 500])):
            data[rng.randrange(size)] ^= 1 << rng.randrange(8)
    elif how == "hole":
        del data[at:at + rng.randrange(1, 20000)]
    elif how == "zeros":
        end = min(size, at + rng.randrange(1, 5000))
        data[at:end] = bytes(end - at)
    elif how == "more":
        data[at:at] = rng.randbytes(rng.randrange(1, 4000))
    else:
        data += data[at:]
    return bytes(data)
