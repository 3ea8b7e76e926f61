// SPDX-License-Identifier: MIT
//
// Whether the images of one run are computed apart: only then may frames share a run and
// still give the bytes that each gives alone. Which axes of a value carry the images
// follows from two inferences of the same graph, with one image and with several: these
// axes have other extents.
#ifndef REEL_WORKER_GRAPH_APART_H
#define REEL_WORKER_GRAPH_APART_H

#include "worker/graph/graph.h"

// one, several: copies of a graph after shape_infer() for these numbers of images. True
// where an operator may read several images for one result: a mean, maximum or softmax
// along such an axis, steps of quantisation that are those of all numbers, a product that
// sums over it, or what is not followed.
bool graph_mixes_images(const struct graph *one, const struct graph *several);

#endif
