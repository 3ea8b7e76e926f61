#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Plans every pattern for every GPU and compiles what needs compiling: minutes.
# `make test` does a part of it.
exec "$REELMILL_BUILD/tests/unit/worker/test_cudnn_plan" --long
