#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Full disks, small /dev/shm, read-only folders: one message, exit code 1, and
# the same bytes when there is room again. Disks are tmpfs mounts in a mount
# namespace of the test's own.
if [[ -z ${REELMILL_IN_NAMESPACE-} ]]; then
    if ! unshare -m true 2>/dev/null; then
        echo "ok - disk # SKIP no mount namespaces here"
        exit 0
    fi
    export REELMILL_IN_NAMESPACE=1
    exec unshare -m "$0"
fi
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg

clip "$work/a.mp4" 9
reel "$work/a.mp4" -o "$work/want.mkv" --gpu_num 2 || not_ok reference "exit code $?"
want=$(sum "$work/want.mkv")
disk=$work/disk
mkdir "$disk"
bytes=$(stat -c %s "$work/want.mkv")

full() { # name, KiB of room
    local name=$1 rc=0
    mount -t tmpfs -o "size=${2}k" none "$disk" || { not_ok "$name" "could not mount"; return; }
    reel "$work/a.mp4" -o "$disk/o.mkv" --gpu_num 2 || rc=$?
    if ((rc != 1)); then not_ok "$name" "exit code $rc"
    elif ! grep -q "No space left on device" "$work/err"; then not_ok "$name" "the message does not say why"
    elif (($(grep -c "" "$work/err") > 4)); then not_ok "$name" "more than one message"
    elif [[ -e $disk/o.mkv ]]; then not_ok "$name" "there is an output"
    elif ! nothing_left; then not_ok "$name" "left: $(ls "$XDG_RUNTIME_DIR")"
    else
        mount -o remount,size=20m "$disk"
        rc=0
        reel "$work/a.mp4" -o "$disk/o.mkv" --gpu_num 2 || rc=$?
        if ((rc)); then not_ok "$name" "exit code $rc with room"
        elif [[ $(sum "$disk/o.mkv") != "$want" ]]; then not_ok "$name" "other bytes with room"
        elif [[ $(ls -A "$disk") != o.mkv ]]; then not_ok "$name" "left: $(ls -A "$disk")"
        else ok "$name"; fi
    fi
    umount "$disk"
}
full full_disk_journal 4                         # not even the first part
full full_disk_part $((bytes / 1024 / 2))        # in the middle
full full_disk_mux $((bytes / 1024 * 3 / 2 + 8)) # the parts have room, the output has not

images() {
    local rc=0
    mount -t tmpfs -o size=200k none "$disk" || { not_ok full_disk_images "could not mount"; return; }
    reel "$work/a.mp4" -o "$disk/%04d.png" || rc=$?
    if ((rc != 1)); then not_ok full_disk_images "exit code $rc"
    elif ! grep -q "No space left on device" "$work/err"; then not_ok full_disk_images "the message does not say why"
    else ok full_disk_images; fi
    umount "$disk"
}
images

other_shm() { # name, options of its mount
    local rc=0
    mount -t tmpfs -o "$2" none /dev/shm || { not_ok "$1" "could not mount"; return; }
    reel "$work/a.mp4" -o "$work/o.mkv" -y --gpu_num 2 || rc=$?
    umount /dev/shm
    if ((rc)); then not_ok "$1" "exit code $rc"
    elif [[ $(sum "$work/o.mkv") != "$want" ]]; then not_ok "$1" "other bytes"
    else ok "$1"; fi
}
other_shm small_shm size=64k
other_shm read_only_shm ro

read_only() {
    local rc=0
    mount -t tmpfs -o ro none "$disk" || { not_ok read_only "could not mount"; return; }
    reel "$work/a.mp4" -o "$disk/o.mkv" || rc=$?
    umount "$disk"
    if ((rc != 2)); then not_ok read_only "exit code $rc"
    elif ! grep -q "could not write output \"$disk/o.mkv\".*Read-only" "$work/err"; then not_ok read_only "the message does not say why"
    else ok read_only; fi
}
read_only

report_full() { # the run is done, the report is not: said, and not exit code 0
    local rc=0
    reel "$work/a.mp4" -o null: --report /dev/full || rc=$?
    if ((rc != 1)); then not_ok report_full "exit code $rc"
    elif ! grep -q 'could not write report "/dev/full"' "$work/err"; then not_ok report_full "the message does not say why"
    else ok report_full; fi
}
report_full
finish
