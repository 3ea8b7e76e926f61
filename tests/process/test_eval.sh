#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# --eval_model and --bench_model: names with '/' and ':', open extents, exit
# codes and texts of what a user gets wrong, and the line of JSON.
# shellcheck source=tests/process/lib.bash
source "$(dirname "${BASH_SOURCE[0]}")/lib.bash"
make_home

model=$work/relu.onnx # y/z:0 = Relu(a/x:0), float32 (N,3), opset 13
shape='\x12\x0f\x0a\x0d\x08\x01\x12\x09\x0a\x03\x12\x01N\x0a\x02\x08\x03'
printf '\x08\x08\x3a\x4d\x0a\x14\x0a\x05a/x:0\x12\x05y/z:0\x22\x04Relu\x12\x01g'"\x5a\x18\x0a\x05a/x:0$shape\x62\x18\x0a\x05y/z:0$shape"'\x42\x02\x10\x0d' >"$model"

npy() { # file, shape, bytes of float32 data
    local header
    printf -v header '%-117s' "{'descr': '<f4', 'fortran_order': False, 'shape': ($2), }"
    { printf '\x93NUMPY\x01\x00\x76\x00%s\n' "$header" && printf '%b' "$3"; } >"$1"
}
minus='\x00\x00\x80\xbf' one='\x00\x00\x80\x3f' zero='\x00\x00\x00\x00'
npy "$work/a.npy" '2, 3' "$minus$one$zero$one$minus$one"

eval_model() { # inputs [further options]: exit code in rc, texts in out and err
    rc=0
    "$runsh" --backend onednn --eval_model "${model_now:-$model}" --eval_inputs "$1" --eval_outputs "$work/out" "${@:2}" \
        >"$work/out.txt" 2>"$work/err" || rc=$?
}
refused() { # name, exit code, text
    if ((rc != $2)); then not_ok "$1" "exit code $rc, not $2"
    elif ! grep -qF -- "$3" "$work/err"; then not_ok "$1" "no \"$3\""
    else ok "$1"; fi
}

eval_model "a/x:0=$work/a.npy"
want=$(printf '%b' "$zero$one$zero$one$zero$one" | od -An -tx1)
if ((rc)); then not_ok "slash and colon become underlines" "exit code $rc"
elif [[ ! -f $work/out/y_z_0.npy ]]; then not_ok "slash and colon become underlines" "no y_z_0.npy: $(ls "$work/out")"
elif [[ $(tail -c 24 "$work/out/y_z_0.npy" | od -An -tx1) != "$want" ]]; then not_ok "slash and colon become underlines" "other numbers"
else ok "slash and colon become underlines"; fi

eval_model "b=$work/a.npy" && refused "an input that is not there is named with those that are" 2 'its inputs: a/x:0'
eval_model "" && refused "a missing input is named" 2 'input "a/x:0" was not given'
eval_model "a/x:0=$work/none.npy" && refused "a missing file is named" 2 'none.npy'
npy "$work/b.npy" '2, 4' "$one$one$one$one$one$one$one$one"
eval_model "a/x:0=$work/b.npy" && refused "a wrong shape is named" 2 'input "a/x:0" is ?x3, not 2x4'
npy "$work/c.npy" '2, 3' "$one"
eval_model "a/x:0=$work/c.npy" && refused "a short file is named" 2 'cut off'
model_now=$work/none.onnx eval_model "a/x:0=$work/a.npy" && refused "a missing model is named" 2 'none.onnx'
head -c 40 "$model" >"$work/cut.onnx"
model_now=$work/cut.onnx eval_model "a/x:0=$work/a.npy" && refused "a cut model is refused" 2 'cut.onnx'
sed 's/Relu/Rilu/' "$model" >"$work/op.onnx"
model_now=$work/op.onnx eval_model "a/x:0=$work/a.npy" && refused "an unknown operator is named with its opset" 2 'operator Rilu (opset 13)'
eval_model "a/x:0=$work/a.npy" --precision fp16 && refused "a precision that CPUs do not have" 2 'use --precision fp32'
eval_model "a/x:0=$work/a.npy" --precision fp8 && refused "fp8 on a CPU" 2 'use --precision fp32'

rc=0
"$runsh" --backend onednn --bench_model "$model" --shape 4x3 >"$work/out.txt" 2>"$work/err" || rc=$?
json='^\{"ms_median": [0-9.]+, "ms_min": [0-9.]+, "setup_ms": [0-9.]+, "peak_mb": [0-9.]+\}$'
if ((rc)); then not_ok "the last line of bench_model is JSON" "exit code $rc"
elif ! tail -n 1 "$work/out.txt" | grep -qE "$json"; then not_ok "the last line of bench_model is JSON" "$(tail -n 1 "$work/out.txt")"
else ok "the last line of bench_model is JSON"; fi
rc=0
REELMILL_GPU_TWIN=1 "$runsh" --backend onednn --bench_model "$model" --shape 4x3 >"$work/out.txt" 2>"$work/err" || rc=$?
if ((rc)) || ! tail -n 1 "$work/out.txt" | grep -qE ", \"ms_device\": [0-9.]+, "; then
    not_ok "a backend with device memory is timed there too" "exit code $rc: $(tail -n 1 "$work/out.txt")"
else ok "a backend with device memory is timed there too"; fi
for bad in 4x4 4xq 4x3,4x3 ''; do
    rc=0
    "$runsh" --backend onednn --bench_model "$model" --shape "$bad" >"$work/out.txt" 2>"$work/err" || rc=$?
    [[ -z $bad ]] && continue # none is given: one is chosen
    if ((rc != 2)); then not_ok "shape $bad is refused" "exit code $rc"; else ok "shape $bad is refused"; fi
done
finish
