#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Every pattern of every model of the test data has a plan on an H200, none by
# cuDNN's generic engine. Without a GPU: tests/planning/plan_table.c.
set -uo pipefail

main() {
    local table rc=0 models=("$REELMILL_TESTDATA"/models/*.onnx)
    [[ -f ${models[0]} ]] || { echo "ok - plans of models # SKIP no models in $REELMILL_TESTDATA"; return; }
    table=$("$REELMILL_BUILD/tests/planning/plan_table" "$REELMILL_BUILD/tests/planning/libcuda.so.1" \
        tests/planning/devices/h200.json -- models/upscale2x.onnx "${models[@]}") || rc=$?
    printf '%s\n' "$table" >&2
    if ((rc == 77)); then
        echo "ok - plans of models # SKIP $(head -n 1 <<<"$table")"
    elif ((rc != 0)) || grep -qE ' (none|G)\b' <<<"$table"; then
        echo "not ok - plans of models"
    elif (($(grep -c ' P ' <<<"$table") < 20)); then # nearly forty models lower
        echo "not ok - plans of models"
    else
        echo "ok - plans of models"
    fi
}

main "$@"
