// SPDX-License-Identifier: MIT
//
// `worker --list_devices [FD]`: writes a table of this machine's GPUs (common/device.h) for
// the coordinator, which loads no GPU driver itself. The process is short-lived, so a
// driver that hangs or crashes takes nothing else with it.
#ifndef WORKER_DEVICES_H
#define WORKER_DEVICES_H

// Writes the table to descriptor fd. Returns the exit code: 0 if the table was written,
// even if it lists no GPU.
int devices_main(int fd);

#endif
