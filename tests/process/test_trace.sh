#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# --trace: valid JSON whatever happens; every frame has its three events, in the
# pipeline's order; deaths are there; what a killed coordinator wrote goes on.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg
command -v python3 >/dev/null || { skip trace "no python3 on this machine"; exit 0; }

cat >"$work/look.py" <<'P'
import json, sys
from collections import defaultdict

path, want, options = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
text = open(path).read()
if "cut" in options:  # of a killed process: no closing bracket
    if text.rstrip().endswith("]"):
        sys.exit("the array is closed")
    text = text.rstrip().rstrip(",") + "]"
events = json.loads(text)
names = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
threads = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
tids = [tid for _, tid in set(threads)]
if len(tids) != len(set(tids)) or set(tids) & set(names):
    sys.exit("a thread's number is not its own")  # Perfetto has one space for all
if "coordinator" not in names.values():
    sys.exit(f"no row for the coordinator: {names}")

rows, frames = defaultdict(list), defaultdict(lambda: defaultdict(list))
for e in events:
    if e["ph"] in "XiC" and e["pid"] not in names:
        sys.exit(f"an event of a process without a name: {e}")
    if e["ph"] != "X":
        continue
    if e["dur"] < 0 or e["ts"] < 0:
        sys.exit(f"ends before it begins: {e}")
    if (e["pid"], e["tid"]) not in threads:
        sys.exit(f"an event on a row without a name: {e}")
    rows[e["pid"], e["tid"]].append(e)
    if e["cat"] == "frame":
        stage = {"decode": "decoder", "infer": "worker", "encode": "aggregator"}[e["name"]]
        if not names[e["pid"]].startswith(stage):
            sys.exit(f"{e['name']} by {names[e['pid']]}")
        frames[e["bind_id"]][e["name"]].append(e)
for row in rows.values():  # viewers take no events that half overlap
    row.sort(key=lambda e: e["ts"])
    for a, b in zip(row, row[1:]):
        if a["ts"] + a["dur"] > b["ts"]:
            sys.exit(f"overlap on one row: {a} and {b}")

whole = set()
for f in frames.values():
    if "encode" not in f:
        continue  # of an epoch that was given up
    if set(f) != {"decode", "infer", "encode"} or len(f["decode"]) != 1 or len(f["encode"]) != 1:
        sys.exit(f"not its three events: {dict(f)}")
    d, e, i = f["decode"][0], f["encode"][0], min(f["infer"], key=lambda x: x["ts"])
    if "parts" in options and len({x["args"]["part"] for x in f["infer"]}) != 2:
        sys.exit(f"not its parts: {dict(f)}")
    last = min(x["ts"] + x["dur"] for x in f["infer"]) if "parts" not in options else max(x["ts"] + x["dur"] for x in f["infer"])
    if not d["ts"] + d["dur"] <= i["ts"] or not last <= e["ts"]:
        sys.exit(f"out of order: {dict(f)}")
    if min(x["args"]["queued_us"] for x in f["infer"] + [e]) < 0:
        sys.exit(f"a negative wait: {dict(f)}")
    whole.add((d["args"]["job"], d["args"]["segment"], d["args"]["frame"]))
if "cut" not in options and len(whole) != want:
    sys.exit(f"{len(whole)} frames have their events, {want} were to")
counters = {e["name"] for e in events if e["ph"] == "C"}
if "cut" not in options and not {"frames in flight", "queue", "lane 0 window"} <= counters:
    sys.exit(f"counters: {counters}")
for o in options:
    if o.startswith("has=") and not any(e["name"] == o[4:] for e in events):
        sys.exit(f"no event {o[4:]!r}: {sorted({e['name'] for e in events})}")
P

# look NAME RC FILE FRAMES OPTIONS...
look() {
    local name=$1 rc=$2 why
    shift 2
    if ((rc)); then not_ok "$name" "exit code $rc"
    elif ! why=$(python3 "$work/look.py" "$@" 2>&1); then not_ok "$name" "$why"
    else ok "$name"; fi
}

clip "$work/a.mp4" 5
clip "$work/b.mp4" 3
t=$work/t.json

reel "$work/a.mp4" -o "$work/o.mkv" --gpu_num 2 --sim_ms 2 --trace "$t"
look whole $? "$t" 125 "has=scan" "has=open encoder" "has=mux" "has=segment 1 committed" "has=network loaded" has=ended

mkdir "$work/in" && cp "$work/a.mp4" "$work/b.mp4" "$work/in/"
reel "$work/in" -o "$work/outs" --gpu_num 3 --decoders 2 --aggregators 2 --sim_ms 1 --trace "$t"
look several_inputs $? "$t" 200

model=$root/models/upscale2x.onnx
reel "$work/b.mp4" -o "$work/s.mkv" --backend onednn --model "$model" --gpu_num 2 --split spatial --trace "$t"
look split $? "$t" 75 parts

# A worker dies with frames in its hands.
REELMILL_CRASH='worker.0/worker.before_done:10:9' reel "$work/a.mp4" -o "$work/o.mkv" -y --gpu_num 2 --sim_ms 2 --trace "$t"
look worker_dies $? "$t" 125 "has=was killed by signal 9 (Killed)" "has=started again"
REELMILL_CRASH='decoder.0/decoder.before_decoded:60:9' reel "$work/a.mp4" -o "$work/o.mkv" -y --decoders 1 --lanes 1 --sim_ms 2 --trace "$t"
look decoder_dies $? "$t" 125 "has=segment 1 (given up)" "has=started again"

# Ctrl-C: the array is closed.
interrupted() {
    rm -f "$t"
    start "$work/a.mp4" -o "$work/i.mkv" -y --sim_ms $((10 * cost)) --trace "$t"
    wait_for 10 grep -qs '"encode"' "$t"
    kill -INT "$coordinator"
    wait "$coordinator"
    (($? == 130)) || return
    if python3 -c 'import json,sys; sys.exit(not any(e["name"] == "interrupted" for e in json.load(open(sys.argv[1]))))' "$t"; then ok interrupted
    else not_ok interrupted "no event, or not closed"; fi
}
in_time interrupted "too late" interrupted

# The coordinator is killed: what is there can be read, and run.sh's next one goes on.
make_home
killed() {
    rm -rf "$work/k.mkv" "$work/.k.mkv.reelmill" "$t"
    "$runsh" --backend sim --progress off --segment_seconds 2 "$work/a.mp4" -o "$work/k.mkv" --sim_ms $((10 * cost)) --trace "$t" \
        2>"$work/bg.err" </dev/null &
    local shell=$! first
    wait_for 10 grep -qs '"segment 0 committed"' "$t"
    first=$(children "$shell" coordinator)
    [[ -n $first ]] && kill -STOP "$first" && cp "$t" "$work/cut.json" && kill -9 "$first"
    wait "$shell" || return
    grep -q "restarting it" "$work/bg.err" || return
    look killed_can_be_read 0 "$work/cut.json" 0 cut
    look killed_goes_on 0 "$t" 125 "has=verify part" has=ended
}
in_time killed "too late" killed

# Where it cannot be written: at once, and nothing else is made.
refuse() { # name, text, arguments...
    local name=$1 text=$2 rc=0
    shift 2
    rm -f "$work/n.mkv"
    reel "$@" || rc=$?
    if ((rc != 2)); then not_ok "$name" "exit code $rc"
    elif ! grep -q "$text" "$work/err"; then not_ok "$name" "no \"$text\""
    elif [[ -e $work/n.mkv ]]; then not_ok "$name" "an output was made"
    else ok "$name"; fi
}
refuse no_folder 'could not write trace ".*/none/t.json": No such file' "$work/a.mp4" -o "$work/n.mkv" --trace "$work/none/t.json"
refuse a_folder "it is a folder" "$work/a.mp4" -o "$work/n.mkv" --trace "$work"
refuse the_input "it is the input" "$work/a.mp4" -o "$work/n.mkv" --trace "$work/a.mp4"
refuse the_report "it is also the report" "$work/a.mp4" -o "$work/n.mkv" --trace "$work/r" --report "$work/r"
mkfifo "$work/pipe"
refuse unread_pipe "could not write trace" "$work/a.mp4" -o "$work/n.mkv" --trace "$work/pipe"

# A disk that is full: one warning, and the run goes on.
rc=0
reel "$work/a.mp4" -o "$work/o.mkv" -y --sim_ms 1 --trace /dev/full || rc=$?
if ((rc)); then not_ok full_disk "exit code $rc"
elif (($(grep -c 'could not write trace' "$work/err") != 1)); then not_ok full_disk "not one warning"
else ok full_disk; fi
finish
