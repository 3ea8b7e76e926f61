#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# Runs drawn at random: clip (whole or damaged), network, output, numbers of processes. Each
# is made once by one process of a stage, undisturbed, and once while its processes are
# killed, stopped and told to end, run.sh and the coordinator among them, and the command
# is given again until it is done. Bytes, counts and exit code must be the same, and
# nothing may be left.
#
#   tests/long/test_chaos.py [--seed N] [--cases N] [--seconds S] [--keep DIR]
#
# A seed is a case: `--seed N --cases 1` runs the one that failed again, with its signals at
# about the same moments. --keep leaves the folders of failed ones there.
import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import chaos_clips  # noqa: E402
from media import BUILD, ROOT, Cases, file_hash, probe  # noqa: E402

SLOW = float(os.environ.get("REELMILL_TEST_SLOW", "1"))
RUN_SECONDS = 200 * SLOW  # for one run: the machine may be busy
TRIES, QUIET_FROM = 10, 6  # runs of one command, and from which on nobody is killed
STAGES = {"decoder", "worker", "aggregator"}
POINTS = ["decoder.start", "decoder.scan", "decoder.mid_slot", "decoder.before_decoded", "decoder.after_decoded",
          "decoder.before_lane_end", "decoder.picture", "worker.start", "worker.before_run", "worker.mid_slot", "worker.before_done",
          "worker.untold", "worker.exchange", "aggregator.start", "aggregator.before_taken", "aggregator.before_commit",
          "aggregator.after_rename", "aggregator.mid_mux", "aggregator.before_publish", "aggregator.verify", "commit.before_journal",
          "commit.after_journal", "done.before_move", "done.before_drop"]
QUICK = {".webm": ["deadline=realtime:cpu-used=8"],
         **{e: ["preset=ultrafast", "preset=veryfast:bf=3", "preset=veryfast:g=10"] for e in (".mp4", ".mkv", ".mov", ".ts")}}


# ---- what is drawn ----------------------------------------------------------------


def network(rng, models, cover):
    """(words of the command, frames out for each in)"""
    small = lambda *names: ["--backend", "onednn", "--model", models / f"{rng.choice(names)}.onnx"]  # noqa: E731
    kind = rng.choice(["sim", "sim", "bundled", "split", "window", "window", "between", "between", "state", "warm", "detect", "picture",
                       "stamped", "matte"])
    if kind == "sim":
        return ["--backend", "sim", "--sim_ms", rng.choice(["0", "2", "5,20", "30"])], 1
    if kind in ("bundled", "split"):
        words = ["--backend", "onednn", "--model", ROOT / "models/upscale2x-fast.onnx"]
        return words + (["--split", "spatial"] if kind == "split" else []), 1
    if kind == "window":
        return small("behind", "before", "now", "oldest", "newest", "each", "row") + rng.choice([[], ["--tile", "48x48"]]), 1
    if kind == "between":
        rate = rng.choice([2, 3, 4, 5])
        words = small("timed", "last", "seven", "eight", "eleven") if rate % 2 else small("middle", "timed", "eleven")
        return words + ["--rate", rate, "--scene_cut", rng.choice(["0.05", "0.25", "1"])], rate
    if kind in ("state", "warm"):
        words = small("delay", "brightest", "fed_back", "frame_before", "coarse", "matte")
        return words + (["--warmup_frames", rng.choice([1, 3, 12, 40])] if kind == "warm" else []), 1
    if kind == "detect":
        return small("detect", "masked", "segment") + ["--detect.score", "0.6"], 1
    if kind == "picture":
        name, given = rng.choice([("painted", "style"), ("swatch", "style"), ("plate", "bgr"), ("style", "style")])
        return small(name) + ["--io.pictures", f"{given}={cover}"], 1
    if kind == "stamped":
        return small("stamped") + ["--io.pictures", f"stamp={cover}", "--rate", 2], 2
    return small("matte") + ["--background", "0,177,64"], 1


class Drawn:
    """A case: everything that its seed decides."""

    def __init__(self, seed, clips, models, cover):
        rng = self.rng = random.Random(seed)
        self.inputs = [(rng.choice(clips), rng.random() < 0.18) for _ in range(rng.choice([1] * 7 + [2, 4]))]
        self.words, self.rate = network(rng, models, cover)
        self.end = rng.choice([".mp4", ".mkv", ".mov", ".webm", ".ts", ".md5", ".jsonl", ".png"])
        picture = "detect" not in str(self.words) and "masked" not in str(self.words) and "segment" not in str(self.words)
        if self.end == ".jsonl" and picture or self.end == ".png" and len(self.inputs) > 1:
            self.end = ".mkv"
        if self.end in QUICK:
            self.words += ["--encoder_opts", rng.choice(QUICK[self.end])]
        if rng.random() < 0.1:
            self.words += ["--pre_filter", rng.choice(["bwdif=send_frame", "hflip", "scale=80:46"])]
        if rng.random() < 0.08:
            self.words += ["--post_filter", rng.choice(["hue=s=0", "tmix=frames=3"])]
        self.words += ["--segment_seconds", rng.choice(["0.2", "0.5", "1", "1", "2", "10"])]
        self.scale = ["--gpu_num", rng.randrange(1, 5), "--decoders", rng.randrange(1, 4), "--aggregators", rng.randrange(1, 4)]
        if rng.random() < 0.7:
            self.scale += ["--lanes", rng.randrange(1, 7)]
        self.by_script = rng.random() < 0.6
        points = [f"{rng.choice(POINTS)}:{rng.choice([1, 1, 2, 3, 7, 20, 60])}:{rng.choice([9, 9, 11])}" for _ in range(rng.randrange(1, 4))]
        self.crash = ",".join(points) if rng.random() < 0.45 else ""
        self.signals = rng.choice([0, 1, 2, 4, 6]) if self.crash else rng.choice([1, 2, 4, 6, 10])


# ---- processes --------------------------------------------------------------------


def processes(run_dir):
    """Those of a run that are alive: id -> name."""
    found = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            with open(f"/proc/{entry.name}/environ", "rb") as f:
                ours = f"XDG_RUNTIME_DIR={run_dir}".encode() in f.read().split(b"\0")
            with open(f"/proc/{entry.name}/stat", encoding="ascii", errors="replace") as f:
                name, state = f.read().split("(", 1)[1].rsplit(") ", 1)
        except OSError:
            continue
        if ours and state[0] not in "ZX":
            found[int(entry.name)] = name
    return found


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


class Tormentor:
    """Sends signals to the processes of one run, and wakes up whom it stopped."""

    def __init__(self, rng, run_dir, signals, log):
        self.rng, self.run_dir, self.left, self.log = rng, run_dir, signals, log
        self.stopped, self.told = {}, False

    def step(self):
        for pid in [pid for pid, until in self.stopped.items() if time.monotonic() > until]:
            send(pid, signal.SIGCONT)
            del self.stopped[pid]
        if self.left <= 0:
            return
        there = processes(self.run_dir)
        if self.rng.random() < 0.8:
            there = {pid: name for pid, name in there.items() if name in STAGES}
        there = {pid: name for pid, name in there.items() if name in STAGES | {"coordinator", "run.sh"}}
        if not there:
            return
        pid = self.rng.choice(sorted(there))
        of_stage = there[pid] in STAGES
        last = signal.SIGSEGV if of_stage else signal.SIGINT
        number = self.rng.choice([signal.SIGKILL] * 3 + [signal.SIGSTOP] * 2 + [signal.SIGTERM, last])
        send(pid, number)
        self.left -= 1
        self.log.append(f"{there[pid]} {signal.Signals(number).name}")
        if number == signal.SIGSTOP:
            self.stopped[pid] = time.monotonic() + self.rng.choice([0.1, 0.5, 2]) * SLOW
        self.told |= not of_stage and number in (signal.SIGTERM, signal.SIGINT)

    def end(self):
        for pid in self.stopped:
            send(pid, signal.SIGCONT)


# ---- a case -------------------------------------------------------------------------


class Case:
    def __init__(self, seed, work, clips, models, cover):
        self.drawn = Drawn(seed, clips, models, cover)
        self.rng, self.work = self.drawn.rng, work
        self.problems, self.log = [], []
        (work / "in").mkdir(parents=True)
        # run.sh without its sources: it does not build in the midst.
        (work / "home/build").mkdir(parents=True)
        shutil.copy(ROOT / "run.sh", work / "home")
        (work / "home/build/release").symlink_to(BUILD.resolve())
        for name in "models", "configs":
            (work / "home" / name).symlink_to(ROOT / name)
        self.inputs = []
        for i, (clip, broken) in enumerate(self.drawn.inputs):
            data = clip.read_bytes()
            self.inputs.append(work / "in" / f"{i}_{clip.name}")
            self.inputs[-1].write_bytes(chaos_clips.damage(self.rng, data) if broken else data)

    def command(self, name, scale):
        end, out = self.drawn.end, self.work / name
        out.mkdir(exist_ok=True)
        many = len(self.inputs) > 1
        output = out / "all" if many else out / ("%05d.png" if end == ".png" else f"o{end}")
        words = [*self.inputs, "-o", output, "--report", self.work / f"{name}.json", "--progress", "off", *self.drawn.words, *scale]
        return words + (["--output_format", end] if many else [])

    def run(self, name, scale, program, crash="", signals=0):
        """(exit code or None, whether it was told to end)"""
        run_dir = self.work / f"run_{name}"
        run_dir.mkdir(mode=0o700, exist_ok=True)
        env = {k: v for k, v in os.environ.items() if k not in ("REELMILL_CRASH", "REELMILL_VARIANT")}
        env.update({"XDG_RUNTIME_DIR": str(run_dir)}, **({"REELMILL_CRASH": crash} if crash else {}))
        with open(self.work / f"{name}.err", "ab") as err:
            child = subprocess.Popen([str(w) for w in [program, *self.command(name, scale)]], env=env, stdin=subprocess.DEVNULL,
                                     stdout=err, stderr=err, start_new_session=True)
        tormentor = Tormentor(self.rng, run_dir, signals, self.log)
        until = time.monotonic() + RUN_SECONDS
        while child.poll() is None and (tormentor.left > 0 or tormentor.stopped) and time.monotonic() < until:
            time.sleep(self.rng.choice([0.003, 0.01, 0.03, 0.06, 0.12, 0.25]) * SLOW)
            tormentor.step()
        tormentor.end()
        try:
            code = child.wait(max(1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.problems.append(f"{name}: did not end in {RUN_SECONDS:.0f} s: {processes(run_dir)}")
            for pid in processes(run_dir):
                send(pid, signal.SIGKILL)
            child.wait()
            return None, False
        self.log.append(f"{name} exit code {code}")
        self.see_what_is_left(name, run_dir, killed=code < 0 or code > 130)
        return code, tormentor.told

    def see_what_is_left(self, name, run_dir, killed):
        until = time.monotonic() + 4 * SLOW
        while time.monotonic() < until and (processes(run_dir) or (not killed and any(run_dir.iterdir()))):
            time.sleep(0.05)
        if processes(run_dir):
            self.problems.append(f"{name}: left processes: {processes(run_dir)}")
        if not killed and any(run_dir.iterdir()):
            self.problems.append(f"{name}: left {[p.name for p in run_dir.iterdir()]}")

    def until_done(self, want):
        """The same command, again and again; its last exit code."""
        program = self.work / "home/run.sh" if self.drawn.by_script else BUILD / "coordinator"
        code = None
        for attempt in range(TRIES):
            disturbed = attempt < QUIET_FROM
            code, told = self.run("disturbed", self.drawn.scale, program, self.drawn.crash if attempt < 2 else "",
                                  self.drawn.signals if disturbed else 0)
            if code is None or code == want and (want != 1 or attempt > 1):
                break
            if code == 1 and disturbed:  # a budget of restarts may be used up, and what fails in the end may fail sooner
                continue
            if (code < 0 or code > 130) and self.outputs("disturbed") == self.outputs("quiet"):
                return want  # it was done, and killed behind its last word
            if code in (130, 143, -signal.SIGTERM) and not told:
                self.problems.append(f"exit code {code}, and nobody told it to end")
            if 0 <= code < 130:
                self.problems.append(f"exit code {code} after {attempt + 1} runs, not {want}")
                break
        return code

    def outputs(self, name):
        root = self.work / name
        return {str(p.relative_to(root)): file_hash(p) for p in sorted(root.rglob("*")) if p.is_file()}

    def report(self, name):
        return json.loads((self.work / f"{name}.json").read_text())

    def count(self, frames):
        """One whole input: as many frames as ffprobe finds."""
        if frames["out"] != frames["in"] * self.drawn.rate:
            self.problems.append(f"{frames} at rate {self.drawn.rate}")
        if len(self.inputs) > 1 or self.drawn.inputs[0][1]:
            return
        found = probe(self.inputs[0], "-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames")
        there = int(found["streams"][0]["nb_read_frames"])
        if there != frames["in"]:
            self.problems.append(f"ffprobe finds {there} frames, the report has {frames}")

    def compare(self):
        one = ["--gpu_num", 1, "--decoders", 1, "--aggregators", 1, "--lanes", 1]
        want, _ = self.run("quiet", one, BUILD / "coordinator")
        if want not in (0, 1, 2, 3):
            self.problems.append(f"undisturbed: exit code {want}")
            return
        code = self.until_done(want)
        if self.problems or want not in (0, 3):
            return
        if code != want:
            self.problems.append(f"never done: exit code {code}")
            return
        ours, theirs = self.outputs("disturbed"), self.outputs("quiet")
        if ours != theirs:
            differ = sorted(k for k in ours.keys() | theirs.keys() if ours.get(k) != theirs.get(k))
            self.problems.append(f"other bytes, or files: {differ[:5]}")
        hidden = [p for name in ("quiet", "disturbed") for p in (self.work / name).rglob(".*")]
        if hidden:
            self.problems.append(f"left: {hidden[:3]}")
        quiet, disturbed = self.report("quiet"), self.report("disturbed")
        for key in "frames", "kept":
            if quiet[key] != disturbed[key]:
                self.problems.append(f"{key} in the report: {disturbed[key]}, not {quiet[key]}")
        self.count(quiet["frames"])

    def story(self):
        words = " ".join(str(w) for w in self.command("disturbed", self.drawn.scale))
        return f"{words}; crash {self.drawn.crash or 'none'}; {', '.join(self.log)}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=1000000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--keep", type=pathlib.Path)
    args = parser.parse_args()
    cases = Cases([])
    if not shutil.which("ffmpeg") or not shutil.which("ffprobe"):
        cases.skip("chaos", "no ffmpeg on this machine")
        cases.finish()
    with tempfile.TemporaryDirectory(prefix="reelmill-chaos.") as folder:
        work = pathlib.Path(folder)
        for name in "clips", "models":
            (work / name).mkdir()
        clips = chaos_clips.make(work / "clips")
        subprocess.run([sys.executable, ROOT / "tests/models/small_models.py", work / "models"], check=True)
        until = time.monotonic() + args.seconds
        for seed in range(args.seed, args.seed + args.cases):
            if time.monotonic() > until:
                break
            case = Case(seed, work / str(seed), clips, work / "models", work / "clips/cover.png")
            case.compare()
            if case.problems:
                case.problems.append(case.story())
                if args.keep:
                    shutil.copytree(case.work, args.keep / str(seed), symlinks=True)
            cases.end(f"seed_{seed}", case.problems)
            shutil.rmtree(case.work)
    cases.finish()


main()
