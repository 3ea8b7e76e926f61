#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How fast the pipeline is, as ratios measured within one run.

    bench.py --build build/release [--quick] [--only control,latency,...]
             [--json FILE] [--strict]

Every figure stands beside another one of the same minute on the same machine:
the two alternate, round by round, so that what else the machine does hits both.
Prints a Markdown table; --json writes the same as JSON. Exit code 1 when
something could not be run, with --strict also when a budget is missed.

Needs ffmpeg; the pipe that people write needs onnxruntime and numpy (skipped,
saying so, without them). Only the standard library here.
"""
import argparse
import json
import os
import platform
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LIMIT_S = 300  # for one command
QUICK = ["control", "latency", "decode", "stages", "scaling", "start"]  # about a minute, on an idle machine
BENCHES = {}  # name: (function, title), in the order of the table


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


def bench(name, title):
    def keep(function):
        BENCHES[name] = (function, title)
        return function

    return keep


class Lab:
    """Binaries, clips and results of one run."""

    def __init__(self, args):
        self.build = os.path.abspath(args.build)
        self.quick = args.quick
        self.cores = len(os.sched_getaffinity(0))
        self.dir = tempfile.mkdtemp(prefix="reelmill-bench.")
        self.rows = []
        self.env = dict(os.environ, XDG_RUNTIME_DIR=os.path.join(self.dir, "run"))
        os.mkdir(self.env["XDG_RUNTIME_DIR"], 0o700)
        self.model = os.path.join(ROOT, "models", "upscale2x.onnx")
        self.clips = {}

    def row(self, what, figure, beside, ratio, budget, met):
        """ratio and budget as text; met None: only told, there is no budget."""
        self.rows.append(dict(bench=self.now, what=what, figure=figure, beside=beside, ratio=ratio, budget=budget, met=met))
        print("| " + " | ".join([what, figure, beside, ratio, budget, "-" if met is None else "yes" if met else "NO"]) + " |", flush=True)

    def rounds(self, full, quick=1):
        return quick if self.quick else full

    # ---- commands ----

    def run(self, args, **more):
        """Runs a command: (wall seconds, CPU seconds with all its children, stderr)."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begin = time.monotonic()
        try:
            done = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=more.pop("stdout", subprocess.DEVNULL), stderr=subprocess.PIPE, text=True,
                                  timeout=LIMIT_S, env=self.env, **more)
        except subprocess.TimeoutExpired:
            raise Failed(f"took longer than {LIMIT_S} s: {' '.join(args)}")
        wall = time.monotonic() - begin
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode not in (0, 3):
            raise Failed(f"exit code {done.returncode}: {' '.join(args)}\n{done.stderr[-2000:]}")
        return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stderr

    def reel(self, *args):
        """A run of the pipeline: its report, with wall, cpu and stderr added."""
        report = os.path.join(self.dir, "report.json")
        wall, cpu, err = self.run([os.path.join(self.build, "coordinator"), "--progress", "off", "--report", report, "-y", *args])
        with open(report) as f:
            out = json.load(f)
        return dict(out, wall=wall, cpu=cpu, stderr=err)

    def reels_at_once(self, count, *args):
        """The frames a second of so many runs that know nothing of each other."""
        reports = [os.path.join(self.dir, f"report{i}.json") for i in range(count)]
        runs = [subprocess.Popen([os.path.join(self.build, "coordinator"), "--progress", "off", "--report", r, "-y", *args], stderr=subprocess.DEVNULL)
                for r in reports]
        if any(r.wait(timeout=LIMIT_S) for r in runs):
            raise Failed("one of several runs at once failed")
        return sum(json.load(open(r))["fps"] for r in reports)

    def sim(self, clip, ms, *args, out="null:"):
        return self.reel("--backend", "sim", "--sim_ms", str(ms), clip, "-o", out, *args)

    def ffmpeg(self, *args, **more):
        return self.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *args], **more)

    def ffmpeg_null(self, clip, threads=1, times=None):
        """Decodes; with `times`, no faster than so many times the clip's own speed."""
        pace = ["-readrate", str(times)] if times else []
        return self.ffmpeg("-threads", str(threads), *pace, "-i", clip, "-map", "0:v", "-f", "null", "-")

    def executor_ms(self, shape, model=None, count=1):
        """ms per frame of `count` executors that run at once, each alone in its process."""
        procs = [subprocess.Popen([os.path.join(self.build, "worker"), "--bench_model", model or self.model, "--shape", shape, "--backend", "onednn",
                                   "--threads", "1"], stdout=subprocess.PIPE, text=True) for _ in range(count)]
        texts = [p.communicate(timeout=LIMIT_S)[0] for p in procs]
        if any(p.returncode for p in procs):
            raise Failed("worker --bench_model failed")
        return [json.loads(t.strip().splitlines()[-1])["ms_median"] for t in texts]

    # ---- clips ----

    def clip(self, name, source, *options):
        """A generated clip, made once."""
        if name not in self.clips:
            path = os.path.join(self.dir, name)
            self.ffmpeg("-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", *options, path)
            self.clips[name] = path
        return self.clips[name]

    def small(self, frames):
        """Frames that cost next to nothing to decode."""
        return self.clip(f"small{frames}.mkv", f"testsrc2=s=64x48:r=50:d={frames / 50}", "-c:v", "mpeg2video", "-g", "50", "-q:v", "5")

    def h264(self, name, size, frames, *options):
        # Noise that moves: flat test pictures would decode faster than camera footage.
        return self.clip(name, f"testsrc2=s={size}:r=25:d={frames / 25},noise=alls=12:allf=t", "-c:v", "libx264", "-preset", "veryfast", "-crf", "26",
                         "-g", "50", *options)


def percent(x):
    return f"{100 * x:.1f}%"


def fps_text(x):
    return f"{x:.1f} fps"


def ffmpeg_frames(path):
    done = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0",
                           path], capture_output=True, text=True)
    return int(done.stdout.strip().strip(",") or 0)


# ---- control ------------------------------------------------------------------


def slope(lab, run, short, long):
    """What one frame more costs: (CPU us, wall us). Start and end cancel out."""
    best = {}
    for _ in range(lab.rounds(3, 2)):
        for n in (short, long):
            wall, cpu = run(lab.small(n))
            b = best.setdefault(n, [wall, cpu])
            b[0], b[1] = min(b[0], wall), min(b[1], cpu)
    return [(best[long][i] - best[short][i]) / (long - short) * 1e6 for i in (1, 0)]


@bench("control", "control: CPU of all processes for one frame, model of no cost, 64x48")
def control(lab):
    short, long = (1000, 6000) if lab.quick else (2000, 12000)

    def ours(*args):
        def run(clip):
            r = lab.sim(clip, *args)
            return r["wall"], r["cpu"]

        return run

    decode, _ = slope(lab, lambda clip: lab.ffmpeg_null(clip)[:2], short, long)
    cases = [("as fast as it goes", ours(0, "--gpu_num", "1"), decode, short, long), ("8 workers, as fast as it goes", ours(0, "--gpu_num", "8"), decode, short, long)]
    if not lab.quick:
        # The hard case: all processes sleep between the frames, whose decoding costs more, too, when it stops and goes.
        paced, _ = slope(lab, lambda clip: lab.ffmpeg_null(clip, times=20)[:2], 500, 3000)
        cases.append(("one device of 2 ms", ours(2, "--gpu_num", "1"), paced, 500, 3000))
    for name, run, beside, s, l in cases:
        cpu, wall = slope(lab, run, s, l)
        net = cpu - beside
        lab.row(f"control, {name} ({1e6 / wall:.0f} fps)", f"{net:.0f} us (with decoding {cpu:.0f})", f"ffmpeg decodes{' at 500 fps' * (beside != decode)} in {beside:.0f} us",
                "-", "<= 50 us", net <= 50)


@bench("latency", "latency: input slot written to TAKEN, model of no cost, one frame at a time")
def latency(lab):
    count = 80 if lab.quick else 250
    hops, ours = [], []
    clip = lab.small(1000)
    for _ in range(lab.rounds(3, 2)):
        done = subprocess.run([os.path.join(lab.build, "tests/bench/hops"), str(count), "20000"], capture_output=True, text=True, timeout=LIMIT_S)
        if done.returncode:
            raise Failed("hops: " + done.stderr)
        hops.append(json.loads(done.stdout)["p50_us"])
        # The filter lets a frame through every 20 ms: nothing else is on its way.
        err = lab.sim(clip, 0, "--gpu_num", "1", "--pre_filter", f"trim=end_frame={count},realtime", "--log_level", "debug")["stderr"]
        line = next((x for x in err.splitlines() if " latency: " in x), None)
        if not line:
            raise Failed("no latency in the aggregator's log")
        ours.append(float(line.split("median ")[1].split()[0]))
    over = statistics.median(o - h for o, h in zip(ours, hops))
    lab.row("DECODED to TAKEN, median", f"{statistics.median(ours):.0f} us", f"four ZeroMQ hops {statistics.median(hops):.0f} us", f"{over:+.0f} us",
            "<= +50 us", over <= 50)


# ---- throughput ---------------------------------------------------------------


@bench("decode", "decode: 1080p H.264 through the rings to null:")
def decode(lab):
    clip = lab.h264("hd.mp4", "1920x1080", 100 if lab.quick else 300)
    frames = ffmpeg_frames(clip)
    for threads in (1,) if lab.quick else (1, 2):
        ours, theirs = [], []
        for _ in range(lab.rounds(3, 2)):
            theirs.append(frames / lab.ffmpeg_null(clip, threads)[0])
            ours.append(lab.sim(clip, 0, "--decoder_threads", str(threads), "--gpu_num", "1")["fps"])
        ratio = max(ours) / max(theirs)
        lab.row(f"decode 1080p H.264, {threads} thread{'s' * (threads > 1)}", fps_text(max(ours)), f"ffmpeg -f null {fps_text(max(theirs))}", percent(ratio),
                ">= 90%", ratio >= 0.9)


@bench("stages", "end to end against each stage alone")
def stages(lab):
    size, (w, h) = "320x180", (320, 180)
    clip = lab.h264("sr_long.mp4", size, 75 if lab.quick else 2000)
    frames = ffmpeg_frames(clip)
    out, kept, raw = (os.path.join(lab.dir, name) for name in ("sr_out.mp4", "sr_kept.mkv", "sr_raw.yuv"))
    # The encoder alone gets the very pictures that the network makes: once encoded they are easier to encode again.
    lab.reel("--model", lab.model, clip, "-o", kept, "--encoder", "ffv1")
    lab.ffmpeg("-i", kept, "-map", "0:v", "-pix_fmt", "yuv420p", raw)
    os.unlink(kept)
    best = {}

    def keep(key, fps, cpu):
        b = best.setdefault(key, [0, 1e9])
        b[0], b[1] = max(b[0], fps), min(b[1], cpu)

    for _ in range(lab.rounds(3)):
        r = lab.reel("--model", lab.model, clip, "-o", out)
        keep("all", r["fps"], r["cpu"] / frames)
        wall, cpu, _ = lab.ffmpeg_null(clip)
        keep("decoder", frames / wall, cpu / frames)
        # The worker's stage is the network with what it reads from and writes to the slots.
        cpu = lab.reel("--model", lab.model, clip, "-o", "null:")["cpu"] - lab.sim(clip, 0)["cpu"]
        keep("worker", lab.cores * frames / cpu, cpu / frames)
        ms = statistics.mean(lab.executor_ms(f"1x1x{h}x{w}"))
        keep("network", 1e3 / ms, ms / 1e3)
        wall, cpu, _ = lab.ffmpeg("-f", "rawvideo", "-s", f"{2 * w}x{2 * h}", "-r", "25", "-i", raw, "-c:v", "libx264", "-threads", "4", "-crf", "18",
                                  "-preset", "medium", "-f", "null", "-")
        keep("encoder", frames / wall, cpu / frames)
    os.unlink(raw)
    alone = {k: best[k] for k in ("decoder", "worker", "encoder")}
    slowest = min(alone, key=lambda k: alone[k][0])
    by_cpu = lab.cores / sum(v[1] for v in alone.values())
    bound = min(alone[slowest][0], by_cpu)
    ratio = best["all"][0] / bound
    what = f"{slowest} alone" if bound < by_cpu else f"{lab.cores} cores / CPU of the stages"
    lab.row(f"end to end, upscale2x, {size} to libx264", fps_text(best["all"][0]), f"{what} {fps_text(bound)}", percent(ratio), ">= 95%", ratio >= 0.95)
    cpu = sum(v[1] for v in alone.values())
    lab.row("CPU of a frame, all processes, start and end included", f"{1e3 * best['all'][1]:.1f} ms", "the stages alone " + " + ".join(
        f"{1e3 * v[1]:.1f}" for v in alone.values()) + f" ms (the network {1e3 * best['network'][1]:.1f})", percent(cpu / best["all"][1]), "-", None)


def dense_network(path, layers=8, channels=64):
    """A network of SRVGG's kind (3x3 convolutions of 64 channels, PReLU, depth-to-space), random weights."""
    try:
        import numpy as np
        from onnx import helper, numpy_helper, save, TensorProto
    except ImportError:
        return None
    rng = np.random.default_rng(1)
    nodes, weights, last = [], [], "input"
    for i in range(layers + 2):
        n_in, n_out = 3 if i == 0 else channels, 12 if i == layers + 1 else channels
        w = rng.normal(0, (1 / (9 * n_in)) ** 0.5, (n_out, n_in, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(w, f"w{i}"))
        nodes.append(helper.make_node("Conv", [last, f"w{i}"], [f"c{i}"], kernel_shape=[3, 3], pads=[1] * 4))
        last = f"c{i}"
        if i <= layers:
            weights.append(numpy_helper.from_array(np.full((n_out, 1, 1), 0.2, np.float32), f"s{i}"))
            nodes.append(helper.make_node("PRelu", [last, f"s{i}"], [f"a{i}"]))
            last = f"a{i}"
    nodes.append(helper.make_node("DepthToSpace", [last], ["output"], blocksize=2))
    open_size = ["n", 3, "h", "w"]
    graph = helper.make_graph(nodes, "dense", [helper.make_tensor_value_info("input", TensorProto.FLOAT, open_size)],
                              [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 3, "h2", "w2"])], weights)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@bench("pair", "two workers against two executors at once")
def pair(lab):
    w, h = 640, 360
    dense = dense_network(os.path.join(lab.dir, "dense.onnx"))
    cases = [("upscale2x", lab.model, 1, 30)] + ([("eight layers of 64 channels", dense, 3, 2)] if dense else [])
    for name, model, channels, seconds in cases:
        # What decodes easily: the workers are what is looked at.
        clip = lab.clip(f"pair{seconds}.mp4", f"testsrc2=s={w}x{h}:r=25:d={2 if lab.quick else seconds}", "-c:v", "libx264", "-preset", "ultrafast",
                        "-tune", "fastdecode")
        ours, theirs, runs = [], [], []
        for _ in range(lab.rounds(3, 2)):
            theirs.append(sum(1e3 / ms for ms in lab.executor_ms(f"1x{channels}x{h}x{w}", model, count=2)))
            ours.append(lab.reel("--model", model, "--gpu_num", "2", clip, "-o", "null:")["fps"])
            runs.append(lab.reels_at_once(2, "--model", model, "--gpu_num", "1", clip, "-o", "null:"))
        ratio = max(ours) / max(runs)
        lab.row(f"two CPU workers, {name}, {w}x{h} to null:", fps_text(max(ours)), f"two runs of one worker at once {fps_text(max(runs))}", percent(ratio),
                ">= 97%", ratio >= 0.97)
        ratio = max(ours) / max(theirs)
        lab.row(f"two CPU workers, {name}, {w}x{h} to null:", fps_text(max(ours)), f"two executors at once {fps_text(max(theirs))}", percent(ratio),
                ">= 97%", ratio >= 0.97)


PIPE = """
import sys, numpy as np, onnxruntime as ort
model, w, h, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
o = ort.SessionOptions()
o.intra_op_num_threads = threads
s = ort.InferenceSession(model, o, providers=["CPUExecutionProvider"])
name = s.get_inputs()[0].name
while True:
    b = sys.stdin.buffer.read(w * h * 3 // 2)  # yuv420p; the network takes Y
    if len(b) < w * h * 3 // 2:
        break
    b = np.frombuffer(b, np.uint8)
    y = s.run(None, {name: b[: w * h].reshape(1, 1, h, w).astype(np.float32) / 255})[0]
    sys.stdout.buffer.write((y.clip(0, 1) * 255 + 0.5).astype(np.uint8).tobytes())
    for plane in b[w * h :].reshape(2, h // 2, w // 2):
        sys.stdout.buffer.write(plane.repeat(2, 0).repeat(2, 1).tobytes())
"""


@bench("pipe", "against the pipe that people write")
def pipe(lab):
    if subprocess.run([sys.executable, "-c", "import numpy, onnxruntime"], capture_output=True).returncode:
        raise Skipped("no onnxruntime or numpy for this Python (pip install numpy onnxruntime)")
    w, h = 320, 180
    clip = lab.h264("sr.mp4", f"{w}x{h}", 75 if lab.quick else 200)
    frames = ffmpeg_frames(clip)
    script, out = os.path.join(lab.dir, "pipe.py"), os.path.join(lab.dir, "pipe.mp4")
    with open(script, "w") as f:
        f.write(PIPE)
    ours, theirs = [], []
    for _ in range(lab.rounds(3)):
        theirs.append(frames / lab.run(["bash", "-o", "pipefail", "-c", f"ffmpeg -v error -i {clip} -f rawvideo -pix_fmt yuv420p - | "
                                        f"{sys.executable} {script} {lab.model} {w} {h} {lab.cores} | ffmpeg -v error -y -f rawvideo -pix_fmt yuv420p "
                                        f"-s {2 * w}x{2 * h} -r 25 -i - -c:v libx264 -crf 18 -pix_fmt yuv420p {out}"])[0])
        ours.append(frames / lab.reel("--model", lab.model, clip, "-o", out)["wall"])
    ratio = max(ours) / max(theirs)
    lab.row(f"whole command, upscale2x, {w}x{h} to libx264", fps_text(max(ours)), f"ffmpeg, Python and ONNX Runtime, ffmpeg {fps_text(max(theirs))}",
            f"{ratio:.2f} times", "> 1", ratio > 1)


@bench("defaults", "the scale chosen by default against settings by hand")
def defaults(lab):
    clip = lab.h264("sr.mp4", "320x180", 75 if lab.quick else 200)
    out = os.path.join(lab.dir, "defaults.mp4")
    c = lab.cores
    hand = [["--gpu_num", str(c), "--lanes", "1"], ["--gpu_num", str(c), "--lanes", "3", "--encoder_threads", "1"], ["--gpu_num", str(max(1, c - 1))]]
    if not lab.quick:
        hand += [["--gpu_num", str(c + 1)], ["--gpu_num", "1", "--threads", str(c)], ["--encoder_threads", str(c)]]
    plain, tuned = [], {}
    for _ in range(lab.rounds(3)):
        plain.append(lab.reel("--model", lab.model, clip, "-o", out)["fps"])
        for args in hand:
            key = " ".join(args)
            tuned[key] = max(tuned.get(key, 0), lab.reel("--model", lab.model, *args, clip, "-o", out)["fps"])
    best = max(tuned, key=tuned.get)
    ratio = max(plain) / tuned[best]
    lab.row("the default scale, upscale2x, 320x180 to libx264", fps_text(max(plain)), f"best by hand ({best}) {fps_text(tuned[best])}", percent(ratio),
            ">= 95%", ratio >= 0.95)


# ---- simulated devices ---------------------------------------------------------


@bench("scaling", "simulated devices")
def scaling(lab):
    seconds = 3 if lab.quick else 8

    def fps(ms, n, rate):
        """Frames that last `seconds` at `rate`, from a clip of about that length."""
        frames = max(200, int(rate * seconds) // 200 * 200)
        return lab.sim(lab.small(frames), ms, "--gpu_num", str(n))["fps"]

    one = many = mixed = wide = 0
    for _ in range(lab.rounds(2)):
        one = max(one, fps(10, 1, 100))
        many = max(many, fps(10, 8, 800))
        mixed = max(mixed, fps("10,10,10,10,40,40,40,40", 8, 500))
        wide = max(wide, fps(64, 64, 1000))
    lab.row("8 devices of 10 ms", fps_text(many), f"8 times one {fps_text(8 * one)}", percent(many / (8 * one)), ">= 98%", many >= 0.98 * 8 * one)
    lab.row("4 devices of 10 ms, 4 of 40 ms", fps_text(mixed), "sum of their speeds 500.0 fps", percent(mixed / 500), ">= 97%", mixed >= 0.97 * 500)
    lab.row("64 devices of 64 ms", fps_text(wide), "sum of their speeds 1000.0 fps", percent(wide / 1000), ">= 95%", wide >= 0.95 * 1000)


# ---- memory, start, recovery -----------------------------------------------------


def tree(pid):
    """Process ids of pid's children and theirs."""
    out = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as f:
                text = f.read()
        except OSError:
            continue
        state, parent = text.rsplit(")", 1)[1].split()[:2]
        if int(parent) == pid and state != "Z":
            out += [int(entry)] + tree(int(entry))
    return out


def peak_kb(pids):
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/status") as f:
                total += next((int(x.split()[1]) for x in f if x.startswith("VmHWM")), 0)
        except OSError:
            pass
    return total


def start(lab, *args):
    return subprocess.Popen([os.path.join(lab.build, "coordinator"), *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, env=lab.env)


def ended(proc):
    proc.communicate(timeout=LIMIT_S)


@bench("memory", "memory over a long run")
def memory(lab):
    frames = 6000 if lab.quick else 40000
    clip = lab.clip(f"long{frames}.mp4", f"testsrc2=s=320x180:r=50:d={frames / 50}", "-c:v", "libx264", "-preset", "ultrafast", "-g", "100")
    proc = start(lab, "--progress", "json", "--backend", "sim", "--gpu_num", "2", "-y", "--segment_seconds", "4", "--encoder_opts", "preset=ultrafast",
                 clip, "-o", os.path.join(lab.dir, "long.mp4"))
    early = late = 0
    for line in proc.stdout:
        if not line.startswith("{"):
            continue
        share = json.loads(line)["frames"] / frames
        peak = peak_kb(tree(proc.pid) + [proc.pid])
        if share >= 0.1 and not early:
            early = peak
        late = max(late, peak)
    ended(proc)
    if proc.returncode or not early:
        raise Failed("the long run failed or was too short to be watched")
    lab.row(f"peak memory of all processes, {frames} frames", f"at the end {late / 1024:.0f} MB", f"at 10% {early / 1024:.0f} MB", f"{late / early:.3f}",
            "<= 1.05", late <= 1.05 * early)


@bench("start", "start of the whole command")
def start_up(lab):
    clip = lab.small(1)
    sr = lab.h264("one.mp4", "320x180", 1)
    ours, theirs, model = [], [], []
    for _ in range(lab.rounds(5, 3)):
        theirs.append(lab.ffmpeg_null(clip)[0])
        ours.append(lab.sim(clip, 0, "--gpu_num", "1")["wall"])
        model.append(lab.reel("--model", lab.model, sr, "-o", os.path.join(lab.dir, "one_out.mp4"))["wall"])
    lab.row("the whole command for one frame, no model", f"{min(ours):.2f} s", f"ffmpeg {min(theirs):.2f} s", "-", "-", None)
    lab.row("the whole command for one frame, upscale2x to libx264", f"{min(model):.2f} s", "-", "-", "-", None)


def wait_until(holds, seconds):
    begin = time.monotonic()
    while not holds():
        if time.monotonic() - begin > seconds:
            return None
        time.sleep(0.0005)
    return time.monotonic() - begin


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm") as f:
            return f.read().strip()
    except OSError:
        return ""


@bench("recovery", "after a kill")
def recovery(lab):
    clip = lab.small(4000)
    args = ["--progress", "json", "--backend", "sim", "--sim_ms", "4", "--gpu_num", "2", "--segment_seconds", "4", clip, "-o"]
    noticed, gone, resumed = [], [], []
    for i in range(lab.rounds(3)):
        out = os.path.join(lab.dir, f"kill{i}.mkv")
        proc = start(lab, *args, out, "--encoder_opts", "preset=ultrafast")
        done = 0
        for line in proc.stdout:
            done = json.loads(line)["frames"] if line.startswith("{") else 0
            if done > 1000:
                break
        # A worker: its successor is there.
        victim = next(p for p in tree(proc.pid) if name_of(p) == "worker")
        known = set(tree(proc.pid))
        os.kill(victim, signal.SIGKILL)
        noticed.append(wait_until(lambda: set(tree(proc.pid)) - known, 5))
        # The coordinator: its tree is gone.
        pids = tree(proc.pid)
        os.kill(proc.pid, signal.SIGKILL)
        gone.append(wait_until(lambda: not any(name_of(p) in ("worker", "decoder", "aggregator") and not is_zombie(p) for p in pids), 10))
        ended(proc)
        # Again: all that is left, and what it took beyond the devices' time for it.
        r = lab.reel(*[a for a in args if a not in ("--progress", "json")], out, "--encoder_opts", "preset=ultrafast")
        left = (4000 - done) * 4e-3 / 2
        resumed.append(r["wall"] - left)
    if None in noticed + gone:
        raise Failed("a killed process was not replaced, or did not go")
    lab.row("a killed worker's successor runs after", f"{1e3 * max(noticed):.0f} ms", "-", "-", "<= 10 ms to notice, <= 1 s to work", max(noticed) <= 1)
    lab.row("no process is left after the coordinator's kill -9", f"{1e3 * max(gone):.0f} ms", "-", "-", "<= 1 s", max(gone) <= 1)
    segment = 200 * 4e-3 * 2 / 2  # two lanes of 200 frames, two devices
    lab.row("resume, beyond the frames not yet done", f"{max(resumed):.2f} s", f"segments in work {segment:.1f} s", "-", "<= 2 s + a segment",
            max(resumed) <= 2 + segment)


def is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@bench("verdict", "does the report name what bounds the run")
def verdict(lab):
    hd = lab.h264("hd.mp4", "1920x1080", 100 if lab.quick else 300)
    sd = lab.h264("slow.mp4", "640x360", 50)
    out = os.path.join(lab.dir, "verdict.mp4")
    cases = [
        ("decoder", "--decoder", [hd, "-o", "null:", "--gpu_num", "1"], 0),
        ("worker", "gpu_num", [lab.small(1000), "-o", "null:", "--gpu_num", "2"], 10),
        ("aggregator", "--encoder_opts", [sd, "-o", out, "--encoder_opts", "preset=veryslow", "--gpu_num", "1"], 0),
    ]
    for stage, word, args, ms in cases:
        b = lab.reel("--backend", "sim", "--sim_ms", str(ms), *args)["bottleneck"]
        right = b["stage"] == stage and word in b["text"]
        lab.row(f"bound by the {stage}: the report says", b["text"].replace("|", "/"), "-", "-", "names it and what helps", right)


# ---- the run --------------------------------------------------------------------


def machine():
    model = "unknown CPU"
    try:
        with open("/proc/cpuinfo") as f:
            model = next((x.split(":", 1)[1].strip() for x in f if x.startswith("model name")), model)
    except OSError:
        pass
    return model


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default=os.path.join(ROOT, "build/release"))
    p.add_argument("--quick", action="store_true")
    p.add_argument("--only", default="", help="names: " + ", ".join(BENCHES))
    p.add_argument("--json", metavar="FILE")
    p.add_argument("--strict", action="store_true")
    args = p.parse_args()
    names = [n for n in args.only.split(",") if n] or (QUICK if args.quick else list(BENCHES))
    unknown = [n for n in names if n not in BENCHES]
    if unknown:
        p.error(f"unknown: {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    for tool in ("ffmpeg", "ffprobe"):
        if not shutil.which(tool):
            print(f"could not measure: there is no {tool} (apt-get install ffmpeg)", file=sys.stderr)
            return 1
    lab = Lab(args)
    load = os.getloadavg()[0]
    began = time.monotonic()
    head = f"{time.strftime('%Y-%m-%d')}, {machine()}, {lab.cores} cores, Linux {platform.release()}, load before the run {load:.2f}"
    print(f"{head}{', quick' if args.quick else ''}\n\n| what | figure | beside | ratio | budget | met |\n|---|---|---|---|---|---|", flush=True)
    failed, skipped = [], []
    try:
        for name in names:
            function, title = BENCHES[name]
            lab.now = name
            try:
                function(lab)
            except Skipped as e:
                skipped.append(f"{title}: {e}")
            except (Failed, OSError, ValueError, KeyError, StopIteration, subprocess.SubprocessError) as e:
                failed.append(f"{title}: {e}")
    finally:
        shutil.rmtree(lab.dir, ignore_errors=True)
    missed = [r for r in lab.rows if r["met"] is False]
    met = sum(1 for r in lab.rows if r["met"])
    print()
    for text in skipped:
        print(f"skipped: {text}")
    for text in failed:
        print(f"could not be run: {text}")
    print(f"{met} budgets met, {len(missed)} missed, {len(skipped)} skipped, {len(failed)} could not be run, {time.monotonic() - began:.0f} s")
    if args.json:
        with open(args.json, "w") as f:
            json.dump(dict(machine=head, rows=lab.rows, met=met, missed=len(missed), skipped=skipped, failed=failed), f, indent=1)
            f.write("\n")
    return 1 if failed or (args.strict and missed) else 0


if __name__ == "__main__":
    sys.exit(main())
