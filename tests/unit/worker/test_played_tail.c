// SPDX-License-Identifier: MIT
//
// The cases of test_lower_tail.c by exec_device.c, on a device that is played (played_device.h).
#include "tests/unit/worker/played_device.h"

#include "tests/unit/worker/test_lower_tail.c"
