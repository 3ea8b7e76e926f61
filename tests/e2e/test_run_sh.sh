#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# run.sh as people meet it: from any folder, without a model, killed in the
# middle, interrupted, installed elsewhere, by a user who may write nowhere.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

names=("no model named: twice as large, and said" "no model: jsonl and sim are no upscaling" "killed coordinator: goes on by itself"
    "interrupt: 130, and the same command resumes" "files of a configuration lie beside it" "installed, from a folder with a space"
    "no Debian: one clear message" "missing packages: make says which")
need_ffmpeg "${names[@]}" || exit 0
make_home
cd "$scratch" || exit 1
make_clip a.mp4 2

no_model() {
    "$runsh" a.mp4 -o twice.mkv >log 2>&1 || { cat log; return 1; }
    grep -q 'no model was given' log || { cat log; return 1; }
    expect size 384,216 "$(stream twice.mkv v:0 width,height)"
}

no_model_elsewhere() {
    local rc=0
    "$runsh" --backend onednn a.mp4 -o a.jsonl >log 2>&1 || rc=$?
    expect "exit code" 2 "$rc" && grep -q 'no model was given' log || { cat log; return 1; }
    "$runsh" --backend sim a.mp4 -o null: >log 2>&1 || { cat log; return 1; }
    ! grep -q 'no model was given' log
}

# The coordinator is killed at its second commit, and so is the next; run.sh starts others, which go on.
killed() {
    local rc=0
    REELMILL_CRASH=commit.after_journal:2:9 "$runsh" --backend sim --gpu_num 1 --segment_seconds 0.5 a.mp4 -o killed.mkv >log 2>&1 || rc=$?
    expect "exit code" 0 "$rc" && expect frames 50 "$(frames killed.mkv)" && grep -q 'restarting it' log &&
        ! grep -q 'REELMILL_PARENT' log || { cat log; return 1; } # bash says nothing of its own
}

# Interrupted when all is there but the name: whoever would give it is stopped.
interrupted() {
    local sh i rc=0
    rm -f log
    REELMILL_CRASH=aggregator.before_publish:1:19 setsid "$runsh" --backend sim --gpu_num 1 --segment_seconds 0.5 a.mp4 -o int.mkv >log 2>&1 &
    sh=$!
    for ((i = 0; i < 1000 * slow; i++)); do
        grep -q 'crash point "aggregator.before_publish"' log 2>/dev/null && break
        read -rt 0.05 <> <(:) || true
    done
    kill -TERM "$sh"
    wait "$sh" || rc=$?
    expect "exit code" 130 "$rc" && ((i < 1000 * slow)) && [[ ! -e int.mkv ]] || { cat log; return 1; }
    "$runsh" --backend sim --gpu_num 1 --segment_seconds 0.5 a.mp4 -o int.mkv >log 2>&1 || { cat log; return 1; }
    expect frames 50 "$(frames int.mkv)"
}

beside_config() {
    mkdir -p "cfg/m" && cp "$root/models/upscale2x.onnx" cfg/m/up.onnx && echo 'model = "m/up.onnx";' >cfg/up.cfg
    "$runsh" --config cfg/up.cfg a.mp4 -o beside.mkv >log 2>&1 || { cat log; return 1; }
    expect size 384,216 "$(stream beside.mkv v:0 width,height)"
}

# As a user who may not write where the programs are, with TMPDIR elsewhere.
installed() {
    local as=() dir="$scratch/some place" variant
    variant=${build##*/}
    make -s -o all -C "$root" VARIANT="$variant" DESTDIR="$dir" PREFIX=/opt install >log 2>&1 || { cat log; return 1; }
    mkdir -p "$dir/videos" "$dir/tmp" && cp a.mp4 "$dir/videos/"
    if ((EUID == 0)) && command -v setpriv >/dev/null; then
        chmod 755 "$scratch" && chown -R 65534:65534 "$dir/videos" "$dir/tmp"
        as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    fi
    (cd "$dir/videos" && env -u XDG_RUNTIME_DIR -u REELMILL_VARIANT TMPDIR="$dir/tmp" HOME=/nonexistent "${as[@]}" \
        "$dir/opt/bin/reelmill" a.mp4 -o out.mkv) >log 2>&1 || { cat log; return 1; }
    expect size 384,216 "$(stream "$dir/videos/out.mkv" v:0 width,height)" &&
        expect leftovers "" "$(find "$dir/tmp" "$dir/opt" -mindepth 1 -user 65534 | head -n 3)"
}

# PATH without apt-get: what another distribution's user sees.
no_debian() {
    local rc=0 tool
    mkdir -p bin && for tool in bash readlink dirname cat; do ln -sf "$(command -v "$tool")" "bin/$tool"; done
    PATH=$scratch/bin "$root/run.sh" --setup >log 2>&1 || rc=$?
    expect "exit code" 1 "$rc" && grep -q 'no Debian or Ubuntu; install by hand' log || { cat log; return 1; }
}

make_says() {
    local rc=0
    PKG_CONFIG_PATH='' PKG_CONFIG_LIBDIR=/nonexistent make -C "$root" -n all >log 2>&1 || rc=$?
    expect "exit code" 2 "$rc" && grep -q 'missing: .*libzmq.*run.sh --setup' log || { cat log; return 1; }
    PKG_CONFIG_PATH='' PKG_CONFIG_LIBDIR=/nonexistent make -s -C "$root" help >log 2>&1
}


check "${names[0]}" no_model
check "${names[1]}" no_model_elsewhere
check "${names[2]}" killed
check "${names[3]}" interrupted
check "${names[4]}" beside_config
if [[ ${build##*/} == asan || ${build##*/} == tsan ]]; then
    skip "${names[5]}" "the installed tree holds the release build"
else
    check "${names[5]}" installed
fi
check "${names[6]}" no_debian
check "${names[7]}" make_says
