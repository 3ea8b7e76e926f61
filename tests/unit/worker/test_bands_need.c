// SPDX-License-Identifier: MIT
//
// Which operators can be run in bands, with which margins, and why others cannot: one small network for each
// kind. test_bands.c runs whole networks in bands.
#include "tests/unit/worker/bands_make.h"

// A node of x with one list of attributes, "name value..." each, behind each other.
static struct value *with(struct maker *m, const char *op_type, struct value *x, struct value *other, const char *attrs)
{
    struct value *y = make_node(m, op_type, x, other, NULL);
    char *copy = graph_alloc(m->graph, strlen(attrs) + 1), *save = NULL;
    memcpy(copy, attrs, strlen(attrs) + 1);
    for (char *item = strtok_r(copy, ";", &save); item; item = strtok_r(NULL, ";", &save)) {
        int64_t list[8];
        int n = 0;
        char *value = strchr(item, ' '), *end = value;
        *value++ = 0;
        for (char *at = value; n < 8 && (list[n] = strtoll(at, &end, 10), end != at); at = end) n++;
        if (!n)
            make_attr(m, y,
                      (struct attr){.name = item, .type = ATTR_STRING, .count = (int)strlen(value), .u.s = value});
        else if (n == 1)
            attr_int(m, y, item, list[0]);
        else
            make_attr_ints(m, y, item, n, list);
    }
    return y;
}

static struct value *resized(struct maker *m, struct value *x, float rows, float columns, const char *attrs)
{
    struct value *y = with(m, "Resize", x, NULL, attrs), *in[3] = {x};
    struct reel_tensor t;
    if (reel_tensor_init(&t, REEL_F32, &DIMS(4))) abort();
    memcpy(t.data, (float[]){1, 1, rows, columns}, 16);
    in[2] = graph_add_constant(m->graph, NULL, &t);
    struct node *node =
        graph_add_node(m->graph, NULL, "Resize", NULL, in, 3, &(struct value *){graph_add_value(m->graph, NULL)}, 1);
    node->op = op_find("", "Resize", m->graph->opset, NULL);
    node->attr = y->producer->attr, node->n_attr = y->producer->n_attr;
    graph_remove_node(m->graph, y->producer);
    return node->out[0];
}

static struct value *pad(struct maker *m, struct value *x, const int64_t pads[8], const char *mode)
{
    struct value *y = make_node(m, "Pad", x, make_ints(m, 8, pads), NULL);
    make_attr(m, y, (struct attr){.name = "mode", .type = ATTR_STRING, .count = (int)strlen(mode), .u.s = mode});
    return y;
}

static struct value *eighth(struct maker *m, struct value *x)
{
    return with(m, "MaxPool", x, NULL, "kernel_shape 8 8;strides 8 8");
}

// A network whose interesting operator is the kind's; x: (1,16,64,64).
static struct value *odd_network(struct maker *m, struct value *x, int kind)
{
    const int64_t three[8] = {0, 0, 3, 0, 0, 0, 3, 0}, top[8] = {0, 0, 2}, bottom[8] = {0, 0, 0, 0, 0, 0, 2},
                  channels[8] = {0, 2}, less[8] = {0, 0, -2, 0, 0, 0, 2};
    struct value *w = make_weights(m, DIMS(16, 16, 3, 3), -1, 1), *y, *out[2];
    switch (kind) {
    case 0:
        return with(m, "MaxPool", x, NULL, "kernel_shape 3 3;strides 2 2;ceil_mode 1");
    case 1:
        return with(m, "ConvTranspose", x, w, "strides 2 2;pads 1 1 1 1;output_padding 1 1");
    case 2:
        return with(m, "ConvTranspose", x, w, "strides 2 2;pads 1 1 1 1"); // one row fewer than twice as many
    case 3:
        return with(m, "ConvTranspose", pad(m, x, three, "edge"), make_weights(m, DIMS(16, 16, 4, 4), -1, 1),
                    "strides 2 2;pads 1 1 1 1");
    case 4:
        for (int i = 0; i < 2; i++) out[i] = graph_add_value(m->graph, NULL);
        y = with(m, "MaxPool", x, NULL, "kernel_shape 2 2;strides 2 2");
        struct node *node = graph_add_node(m->graph, NULL, "MaxPool", NULL, &x, 1, out, 2);
        node->op = y->producer->op, node->attr = y->producer->attr, node->n_attr = y->producer->n_attr;
        y = with(m, "Cast", out[1], NULL, "to 1");
        return make_node(m, "Add", out[0], y, NULL);
    case 5:
        return with(m, "MaxPool", resized(m, x, 4, 4, "mode nearest"), NULL, "kernel_shape 65 65;strides 65 65");
    case 6:
        return resized(m, x, 2, 2, "mode linear;coordinate_transformation_mode align_corners");
    case 7:
        return resized(m, x, 2, 2, "mode linear;coordinate_transformation_mode half_pixel_symmetric");
    case 8:
        return resized(m, x, 1.5f, 1, "mode nearest");
    case 9:
        return resized(m, x, 0.5f, 1, "mode nearest");
    case 10:
        return resized(m, x, 3, 1, "mode linear");
    case 11:
        return resized(m, x, 3, 2, "mode nearest");
    case 12:
        return pad(m, x, channels, "constant");
    case 13:
        return pad(m, x, less, "constant");
    case 14:
        return pad(m, x, three, "wrap");
    case 15:
        return with(m, "Concat", x, x, "axis 2");
    case 16:
        return with(m, "DepthToSpace", pad(m, x, three, "edge"), NULL, "blocksize 2");
    case 17:
        return with(m, "SpaceToDepth", pad(m, x, three, "edge"), NULL, "blocksize 2");
    case 18:
        return resized(m, pad(m, x, three, "edge"), 2, 2, "mode nearest");
    case 19: // as many rows, which are others
        return make_node(m, "Max", pad(m, x, top, "edge"), pad(m, x, bottom, "edge"), NULL);
    case 20: // one row for all
        return make_node(m, "Max", x, with(m, "MaxPool", x, NULL, "kernel_shape 64 1;strides 64 1"), NULL);
    case 21:
        return make_node(m, "Max", x, make_weights(m, DIMS(1, 16, 64, 1), 0, 1), NULL);
    case 22:
        return make_node(m, "Max", x, make_weights(m, DIMS(16, 1, 1), 0, 1), NULL);
    case 23:
        return pad(m, x, three, "edge");
    case 24:
        return with(m, "Cast", x, NULL, "to 6");
    case 25:
        y = x;
        for (int i = 0; i < 5; i++) y = resized(m, y, 4, 1, "mode nearest");
        return y;
    case 26: // a window over rows is not one of columns
        y = with(m, "MaxPool", x, NULL, "kernel_shape 1 5;pads 0 2 0 2");
        return make_node(m, "Add", y, x, NULL);
    case 27: // a convolution whose weights follow from the picture
        y = with(m, "ReduceMean", x, NULL, "keepdims 1");
        return with(m, "Conv", x, make_node(m, "Mul", w, y, NULL), "pads 1 1 1 1");
    case 28: // a row for all, and three rows of the same scale
        y = with(m, "MaxPool", x, NULL, "kernel_shape 64 1;strides 64 1");
        return make_node(m, "Max", resized(m, y, 3, 1, "mode nearest"), y, NULL);
    case 29:
        return with(m, "Conv", x, w, "auto_pad SAME_UPPER");
    case 32:
        y = with(m, "Conv", x, w, "pads 1 1 1 1");
        y->producer->domain = "com.example";
        return y;
    case 33: // the sum of a convolution and of other rows
        y = with(m, "Conv", pad(m, x, top, "edge"), w, "pads 1 1 1 1");
        return make_node(m, "Add", y, pad(m, x, bottom, "edge"), NULL);
    case 34: // a result of two pictures
        return make_node(m, "Add", x, make_input(m, "other", DIMS(1, 16, 64, 64)), NULL);
    // Below, an eighth of the size: what is read there is eight rows of the input each.
    case 40: // above 4, below 3
    case 41: // above 3, below 4
        w = make_weights(m, DIMS(16, 16, 9, 9), -1, 1);
        y = with(m, "Conv", eighth(m, x), w, kind == 40 ? "strides 2 2;pads 4 4 3 3" : "strides 2 2;pads 3 3 4 4");
        return with(m, "DepthToSpace", y, NULL, "blocksize 4");
    case 42: // above 2, below 1
        y = with(m, "ConvTranspose", eighth(m, x), make_weights(m, DIMS(16, 16, 5, 5), -1, 1),
                 "strides 2 2;pads 1 1 2 2");
        break;
    case 48: // above 1, below 2
        y = with(m, "ConvTranspose", eighth(m, x), make_weights(m, DIMS(16, 16, 5, 5), -1, 1),
                 "strides 2 2;pads 3 3 0 0");
        break;
    case 49:
        return with(m, "ConvTranspose", x, w, "strides 2 2;output_shape 128 128");
    case 43: // two more rows than it makes, then 4 x 4 windows: above 1, below 2
        y = with(m, "Conv", pad(m, eighth(m, x), (const int64_t[8]){0, 0, 1, 1, 0, 0, 2, 2}, "edge"),
                 make_weights(m, DIMS(16, 16, 4, 4), -1, 1), "group 1");
        break;
    case 44: // three rows more at both ends, which are read by two windows: above 2
        y = with(m, "Conv", pad(m, eighth(m, x), (const int64_t[8]){0, 0, 3, 3, 0, 0, 3, 3}, "edge"), w, "group 1");
        y = with(m, "Conv", y, make_weights(m, DIMS(16, 16, 5, 5), -1, 1), "group 1");
        break;
    case 45: // four rows, each of two, and three beyond
        return resized(m, eighth(m, x), 2, 2, "mode cubic");
    case 46: // a kernel of one row with a stride
        return with(m, "Conv", x, make_weights(m, DIMS(16, 16, 1, 1), -1, 1), "strides 2 2");
    case 47: // no window: of three rows to one
        return with(m, "DepthToSpace", with(m, "Conv", x, make_weights(m, DIMS(18, 16, 1, 1), -1, 1), "group 1"), NULL,
                    "blocksize 3");
    default:
        return with(m, "SpaceToDepth", x, NULL, "blocksize 2");
    }
    return resized(m, y, 16, 16, "mode nearest");
}

static void what_can_be_cut(void)
{
    static const struct {
        int kind;
        const char *why; // NULL: it can be cut
        int margin, rows;
    } rows[] = {{0, "rounds or states its number of rows", 0},
                {1, "rounds or states its number of rows", 0},
                {2, "exactly as many rows as its stride says", 0},
                {3, "rows that were added as padding", 0},
                {4, "positions in the whole picture", 0},
                {5, "too large", 0},
                {6, "places its samples by the height", 0},
                {7, "places its samples by the height", 0},
                {8, "whole number", 0},
                {9, "whole number", 0},
                {10, "power of two", 0},
                {11, NULL, 3},
                {12, "something else than rows and columns", 0},
                {13, "cuts rows off", 0},
                {14, "wraps around", 0},
                {15, "something else than channels", 0},
                {16, "rearranges rows that were added", 0},
                {17, "rearranges rows that were added", 0},
                {18, "rearranges rows that were added", 0},
                {19, "different heights", 0},
                {20, "different heights", 0},
                {21, "other values in each row", 0},
                {22, NULL, 4},
                {23, "rows of padding around it", 0},
                {24, "something else than one picture of floats", 0},
                {25, "too large a factor", 0},
                {26, NULL, 4},
                {28, "different heights", 0},
                {29, "(auto_pad)", 0},
                {32, "may read the whole picture", 0},
                {33, "different heights", 0},
                {34, "one picture of floats from one picture", 0},
                {40, NULL, 32, 96},
                {41, NULL, 32, 96},
                {42, NULL, 16, 64},
                {48, NULL, 16, 64},
                {49, "rounds or states its number of rows", 0},
                {43, NULL, 16, 48},
                {44, NULL, 16, 48},
                {45, NULL, 40},
                {46, NULL, 8, 12},
                {47, NULL, 2},
                {99, NULL, 8}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct maker m = maker();
        struct bands_need need = need_of(&m, odd_network(&m, make_input(&m, "x", DIMS(1, 16, 64, 64)), rows[i].kind));
        CHECK_MSG(need.fit == !rows[i].why && (need.fit || strstr(need.why, rows[i].why)), "kind %d: %s", rows[i].kind,
                  need.fit ? "it can be cut" : need.why);
        CHECK_MSG(need.margin == rows[i].margin && (!rows[i].rows || need.rows == rows[i].rows),
                  "kind %d: margin %d, %d rows", rows[i].kind, need.margin, need.rows);
    }
}

CHECK_MAIN({"bands: what can be cut", what_can_be_cut})
