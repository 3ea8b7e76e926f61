// SPDX-License-Identifier: MIT
//
// Lists of operators, for code that treats several in the same way.
#ifndef REEL_WORKER_GRAPH_ONE_OF_H
#define REEL_WORKER_GRAPH_ONE_OF_H

#include <string.h>

#include "worker/graph/graph.h"

// Whether the node's operator is in the list, which ends with NULL. Domains are not compared.
static inline bool node_is_one_of(const struct node *node, const char *const *op_types)
{
    while (*op_types && strcmp(node->op_type, *op_types)) op_types++;
    return *op_types != NULL;
}

#endif
