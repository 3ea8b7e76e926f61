// SPDX-License-Identifier: MIT
//
// `worker --list_devices [FD]`: this machine's GPUs as a table (common/device.h)
// for the coordinator, which loads no GPU driver itself. A short-lived process:
// a driver that hangs or crashes takes nothing with it.
#ifndef WORKER_DEVICES_H
#define WORKER_DEVICES_H

// Writes the table to descriptor fd. Returns the exit code: 0 when it was
// written, whatever it says.
int devices_main(int fd);

#endif
