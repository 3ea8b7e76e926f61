// SPDX-License-Identifier: MIT
//
// Whether the images of one run are computed independently. Only then may frames share a
// run and still get the bytes that each would get alone. The axes of a value that carry
// images are those whose extents differ between two inferences of the same graph, with one
// image and with several.
#ifndef REEL_WORKER_GRAPH_APART_H
#define REEL_WORKER_GRAPH_APART_H

#include "worker/graph/graph.h"

// one, several: copies of a graph after shape_infer() for these numbers of images. True if
// an operator may combine several images in one result (a mean, maximum, softmax or matrix
// product along such an axis; quantisation with a scale taken from all values), or is not
// understood.
bool graph_mixes_images(const struct graph *one, const struct graph *several);

#endif
