# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# noise BYTES: bytes that mean nothing, the same ones every time. Of truly random
# ones FFmpeg takes a few in a thousand for some format and says another thing of them.
noise() {
    LC_ALL=C awk -v n="$1" 'BEGIN { for (x = 1; n > 0; n--) { x = x * 16807 % 2147483647; printf "%c", 1 + int(x / 65536) % 255 } }'
}
