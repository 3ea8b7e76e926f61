// SPDX-License-Identifier: MIT
//
// What the shell or batch system that started us allows a process (ulimit): open files
// and addresses. Looked at by setup in run.c and by flow_init(), before any process is
// started, so that the reason is said once and with what helps.
#ifndef COORDINATOR_LIMITS_H
#define COORDINATOR_LIMITS_H

#include "coordinator/coordinator.h"

// Raises the number of open files as far as it may be. Errors: LIMIT (it is not enough for
// this run's processes, lanes and inputs).
enum reel_err limits_raise_files(const struct run *run);
// Every process maps the rings of all lanes. Errors: NOMEM (there are not enough addresses).
enum reel_err limits_check_addresses(const struct run *run);

#endif
