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

full() { # name, KiB of room, output, its right bytes
    local name=$1 out=${3:-o.mkv} rc=0 want=${4:-$want}
    mount -t tmpfs -o "size=${2}k" none "$disk" || { not_ok "$name" "could not mount"; return; }
    reel "$work/a.mp4" -o "$disk/$out" --gpu_num 2 || rc=$?
    if ((rc != 1)); then not_ok "$name" "exit code $rc"
    elif ! grep -q "No space left on device" "$work/err"; then not_ok "$name" "the message does not say why"
    elif (($(grep -vc "^warning: the disk of\|^free some space meanwhile" "$work/err") > 4)); then not_ok "$name" "more than one message"
    elif [[ -e $disk/$out ]]; then not_ok "$name" "there is an output"
    elif ! nothing_left; then not_ok "$name" "left: $(ls "$XDG_RUNTIME_DIR")"
    else
        mount -o remount,size=20m "$disk"
        rc=0
        reel "$work/a.mp4" -o "$disk/$out" --gpu_num 2 || rc=$?
        if ((rc)); then not_ok "$name" "exit code $rc with room"
        elif [[ $(sum "$disk/$out") != "$want" ]]; then not_ok "$name" "other bytes with room"
        elif [[ $(ls -A "$disk") != "$out" ]]; then not_ok "$name" "left: $(ls -A "$disk")"
        else ok "$name"; fi
    fi
    umount "$disk"
}
full full_disk_journal 4                         # not even the first part
full full_disk_part $((bytes / 1024 / 2))        # in the middle
# The parts have room, the output has not, and it does not hold their packets: a GIF's are whole pictures.
reel "$work/a.mp4" -o "$work/want.gif" --gpu_num 2 || not_ok reference "exit code $?"
full full_disk_mux $((160 * 120 * 3 * 225 / 1024 + 200)) o.gif "$(sum "$work/want.gif")"

# A disk that has room for the output and a few pieces of the parts, but not for both: pieces
# that are written are given back while parts are joined, whoever dies at whatever moment.
clip "$work/b.mp4" 8 -s 480x270 -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p
joined_as() { # name, output, RC
    if (($3)); then not_ok "$1" "exit code $3"
    elif grep -q "^warning: the disk" "$work/err"; then not_ok "$1" "false alarm"
    elif [[ $(sum "$disk/$2") != "$(sum "$work/want_$2")" ]]; then not_ok "$1" "other bytes"
    elif [[ $(ls -A "$disk") != "$2" ]]; then not_ok "$1" "left: $(ls -A "$disk")"
    else ok "$1"; fi
}
tight() { # name, output, crash points, [grep for]
    local rc=0
    [[ -e $work/want_$2 ]] || reel "$work/b.mp4" -o "$work/want_$2" --encoder mpeg2video --gpu_num 2 || not_ok "$1" "reference: $?"
    local kib=$(($(stat -c %s "$work/want_$2") * 11 / 10 / 1024 + 420))
    mount -t tmpfs -o "size=${kib}k" none "$disk" || { not_ok "$1" "could not mount"; return; }
    REELMILL_CRASH=$3 reel "$work/b.mp4" -o "$disk/$2" --encoder mpeg2video --gpu_num 2 --log_level info || rc=$?
    grep -q "given back to the disk" "$work/err" || not_ok "$1" "there was room"
    grep -q "${4:-.}" "$work/err" || not_ok "$1" "nothing of \"$4\""
    joined_as "$1" "$2" $rc
    umount "$disk"
}
for output in o.mkv o.ts o.avi o.nut o.mp4 o.mov; do tight "tight_$output" "$output" none; done
tight tight_killed o.mkv aggregator.0/aggregator.moved:9:9 "9 ranges of parts are put back"
tight tight_killed_listing o.ts aggregator.0/aggregator.listed:9:9 "9 ranges of parts are put back"
tight tight_killed_at_the_end o.mkv aggregator.0/aggregator.before_publish:1:9 "ranges of parts are put back"
tight tight_mp4_killed o.mp4 aggregator.0/aggregator.moved:9:9 "9 ranges of parts are put back"
tight tight_mov_killed_listing o.mov aggregator.0/aggregator.listed:9:9 "9 ranges of parts are put back"
tight tight_mp4_killed_at_the_end o.mp4 aggregator.0/aggregator.before_publish:1:9 "ranges of parts are put back"
# An .mp4 has room for its header from the start: it is not written where that would not fit.
begins_with() { # name, output: header in front, the packets right behind it
    local boxes
    boxes=$(ffprobe -v trace "$work/want_$2" 2>&1 | sed -n "s/.*type:'\(ftyp\|moov\|free\|wide\|mdat\)' parent:'root'.*/\1/p" | uniq | tr '\n' ' ')
    if [[ $boxes == "ftyp moov "[fw]*" mdat " ]]; then ok "$1"; else not_ok "$1" "boxes: $boxes"; fi
}
begins_with header_in_front_mp4 o.mp4
begins_with header_in_front_mov o.mov
# Each time that they are put back the process dies at the fourth.
tight tight_killed_again_and_again o.mkv 'aggregator.0/aggregator.moved:9:9,aggregator.put_back:4*:9' " 3 ranges of parts"

# The whole run dies in the middle of the join: the same command only joins.
tight_resumed() {
    local rc=0 kib=$(($(stat -c %s "$work/want_o.mkv") * 11 / 10 / 1024 + 420))
    mount -t tmpfs -o "size=${kib}k" none "$disk" || { not_ok tight_resumed "could not mount"; return; }
    REELMILL_CRASH=aggregator.moved:9:19 start "$work/b.mp4" -o "$disk/o.mkv" --encoder mpeg2video --gpu_num 1
    wait_for 60 grep -qs "crash point" "$work/bg.err" || not_ok tight_resumed "the point was not passed"
    kill -9 "$coordinator"
    nothing_left 5 || true
    reel "$work/b.mp4" -o "$disk/o.mkv" --encoder mpeg2video --gpu_num 1 --log_level info --report "$work/report" || rc=$?
    grep -q "ranges of parts are put back" "$work/err" || not_ok tight_resumed "nothing was put back"
    grep -A 1 '"worker": \[' "$work/report" | grep -q '"frames": 0,' || not_ok tight_resumed "frames were done again"
    joined_as tight_resumed o.mkv $rc
    umount "$disk"
}
tight_resumed

# A disk that the run will fill is told of long before, once, with what lacks; one that it just
# fits is not.
warned() { # name, KiB of room, output, how often it is told, exit code
    local rc=0 n
    mount -t tmpfs -o "size=${2}k" none "$disk" || { not_ok "$1" "could not mount"; return; }
    reel "$work/a.mp4" -o "$disk/$3" --gpu_num 1 --sim_ms 15 --progress plain --report "$work/report" || rc=$?
    n=$(grep -c "^warning: the disk of \"$disk/$3\" has .* left, and this run needs about .* more" "$work/err")
    if ((rc != $5)); then not_ok "$1" "exit code $rc"
    elif ((n != $4)); then not_ok "$1" "told $n times"
    elif ((n)) && ! grep -q '"disk": {"free_mb"' "$work/report"; then not_ok "$1" "not in the report"
    elif ((n)) && (($(grep -n "^warning: the disk" "$work/err" | cut -d: -f1) > $(grep -n "No space left" "$work/err" | cut -d: -f1))); then
        not_ok "$1" "told too late"
    elif ((!n)) && grep -q '"disk"' "$work/report"; then not_ok "$1" "in the report"
    else ok "$1"; fi
    umount "$disk"
}
warned warned_of_parts $((bytes * 6 / 10 / 1024)) o.mkv 1 1
warned warned_of_a_copy $((225 * 64 * 12 / 10 / 1024 + 20)) o.md5 1 1 # parts and output are of the same size
warned not_warned_md5 $((225 * 64 * 25 / 10 / 1024 + 60)) o.md5 0 0
warned not_warned_mkv $((bytes * 25 / 10 / 1024)) o.mkv 0 0
warned not_warned_just_enough $((bytes * 118 / 100 / 1024 + 420)) o.mp4 0 0

largest_file() { # what ulimit -f allows is known before it is reached
    local rc=0
    clip "$work/c.mp4" 80
    (ulimit -f 4200 && reel "$work/c.mp4" -o "$work/large.mkv" --encoder ffv1 --gpu_num 1 --sim_ms 1) || rc=$?
    if ((rc != 1)); then not_ok largest_file "exit code $rc"
    elif ! grep -q "allows no larger one" "$work/err"; then not_ok largest_file "the message does not say why"
    elif ! grep -q "^warning: .*large.mkv\" will have about .*, and a file there may have at most" "$work/err"; then not_ok largest_file "not told"
    else ok largest_file; fi
}
largest_file

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
