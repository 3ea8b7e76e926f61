#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A folder of 1000 small videos, one of them broken: the rest is done, the
# report has a row for each, names are kept, and a run that is killed in the
# middle does only what is missing.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/../process/lib.bash"
need_ffmpeg

clip "$work/t.mp4" 0.2
for i in $(seq 999); do
    mkdir -p "$work/in/d$((i % 10))"
    cp "$work/t.mp4" "$work/in/d$((i % 10))/c$i.mp4"
done
noise 500 >"$work/in/d5/broken.mp4"

thousand() {
    local name=thousand rc=0 done_before
    start "$work/in" -o "$work/out-folder" --gpu_num 2 --report "$work/r.json"
    half_there() { (($(find "$work/out-folder" -name '*.mp4' 2>/dev/null | wc -l) >= 300)); }
    wait_for 600 half_there
    kill -9 $coordinator
    wait $coordinator 2>/dev/null
    wait_for 3 no_process
    done_before=$(find "$work/out-folder" -name '*.mp4' -newer "$work/t.mp4" | wc -l)
    limit=3000 reel "$work/in" -o "$work/out-folder" --gpu_num 2 --report "$work/r.json" || rc=$?
    if ((rc != 1)); then not_ok $name "exit code $rc"
    elif [[ $(find "$work/out-folder" -name '*.mp4' | wc -l) != 999 ]]; then not_ok $name "$(find "$work/out-folder" -name '*.mp4' | wc -l) outputs of 999"
    elif [[ $(grep -c '"status": "done"' "$work/r.json") != 999 || $(grep -c '"status": "failed"' "$work/r.json") != 1 ]]; then not_ok $name "rows of the report"
    elif ! grep -q 'broken.mp4' "$work/err"; then not_ok $name "the broken one is not named"
    elif ! grep -q '"out": 4995' "$work/r.json"; then not_ok $name "$(grep '"frames": {' "$work/r.json")"
    elif [[ $(find "$work/out-folder" -name '.*') != "$work/out-folder/.reelmill" || $(find "$work/out-folder/.reelmill" -name '*.done' | wc -l) != 999 ]]; then
        not_ok $name "left: $(find "$work/out-folder" -name '.*' | head -n 3)"
    elif ((done_before < 300)); then not_ok $name "only $done_before were done before"
    else ok $name; fi
}
thousand
finish
