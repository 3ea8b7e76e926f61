// SPDX-License-Identifier: MIT
//
// Names of classes that a model's file holds itself. Ultralytics' exports have them in
// their metadata, as a dict or list of Python ("names": "{0: 'person', 1: 'car'}").
// This is not a reader of networks (that is worker/onnx/); everything except the
// metadata is skipped.
#ifndef REEL_AGGREGATOR_POST_MODEL_NAMES_H
#define REEL_AGGREGATOR_POST_MODEL_NAMES_H

// The names, one a line from class 0 on, empty where a class has none; free(). NULL: the
// file has none that can be read.
char *model_names_read(const char *path);

#endif
