// SPDX-License-Identifier: MIT
//
// Checks the limits that the shell or batch system sets (ulimit): open files and address space.
// Called by setup() in run.c and by flow_init() before any process is started, so that the reason
// is reported once, together with what helps.
#ifndef COORDINATOR_LIMITS_H
#define COORDINATOR_LIMITS_H

#include "coordinator/coordinator.h"

// Raises the limit on open files as far as allowed. Errors: LIMIT (not enough for this run's
// processes, lanes and inputs).
enum reel_err limits_raise_files(const struct run *run);
// Checks that every process can map the rings of all lanes. Errors: NOMEM (it cannot).
enum reel_err limits_check_addresses(const struct run *run);

#endif
