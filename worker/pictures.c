// SPDX-License-Identifier: MIT
//
// pictures.h.
#include "worker/pictures.h"

#include <stdlib.h>
#include <string.h>

#include "common/life.h"
#include "common/log.h"
#include "worker/picture_set.h"

// Sets that are kept when no lane has them: sizes of frames that come in turn.
#define KEPT 2
#define MOST (KEPT + 64) // and as many as there are lanes

struct pictures {
    int n;
    struct reel_picture_name name[REEL_MAX_PICTURES];
    const struct reel_picture *picture[REEL_MAX_PICTURES];
    struct model_picture list[REEL_MAX_PICTURES];
    struct picture_set *set[MOST];
    uint64_t clock;
};

enum reel_err pictures_open(const struct reel_child *child, struct pictures **out_pictures)
{
    *out_pictures = NULL;
    if (!*child->settings.io.pictures) return REEL_OK;
    struct pictures *p = calloc(1, sizeof *p);
    if (!p) return reel_fail(REEL_ERR_NOMEM, "could not hold pictures for the model: out of memory");
    enum reel_err err = reel_pictures_parse(child->settings.io.pictures, p->name, &p->n);
    if (!err && p->n != child->n_pictures)
        err = reel_fail(REEL_ERR_PROTO, "could not take %d pictures: %d came", p->n, child->n_pictures);
    for (int i = 0; i < p->n && !err; i++) {
        if ((err = reel_picture_attach(child->picture_fds[i], &p->picture[i]))) break;
        p->list[i] = (struct model_picture){.input = p->name[i].input,
                                            .path = p->name[i].path,
                                            .width = (int)p->picture[i]->geometry.width,
                                            .height = (int)p->picture[i]->geometry.height};
    }
    if (err) pictures_close(&p);
    *out_pictures = p;
    return err;
}

void pictures_tell(const struct pictures *p, struct engine_params *params)
{
    params->n_pictures = p ? p->n : 0;
    params->pictures = p ? p->list : NULL;
}

// ---- sets ---------------------------------------------------------------------

static void set_destroy(struct picture_set **set)
{
    struct picture_set *s = *set;
    *set = NULL;
    for (int i = 0; s && i < REEL_MAX_PICTURES; i++) {
        free(s->canvas[i].values);
        reel_tensor_fini(&s->given[i].tensor);
        reel_tensor_fini(&s->values[i]);
    }
    free(s);
}

void pictures_close(struct pictures **pictures)
{
    struct pictures *p = *pictures;
    *pictures = NULL;
    for (int i = 0; p && i < MOST; i++) set_destroy(&p->set[i]);
    free(p);
}

static enum reel_err set_create(const struct pictures *p, const struct task *task, struct picture_set **out)
{
    const struct model_input *in = &task->model->input;
    struct picture_set *s = calloc(1, sizeof *s);
    if (!s) return reel_fail(REEL_ERR_NOMEM, "could not hold pictures for the model: out of memory");
    s->view = task->view;
    s->n = in->n_given;
    enum reel_err err = REEL_OK;
    for (int i = 0; i < s->n && !err; i++) {
        const struct model_given *g = &in->given[i];
        const struct reel_shape shape = model_given_shape(g, task->view.net_w, task->view.net_h);
        s->given[i].index = g->index;
        err = picture_canvas_make(p->picture[g->picture], g, task, &s->canvas[i]);
        if (!err) err = reel_tensor_init(&s->given[i].tensor, g->dtype, &shape);
        if (!err && g->dtype != REEL_F32) err = reel_tensor_init(&s->values[i], REEL_F32, &shape);
    }
    if (err)
        set_destroy(&s);
    else
        picture_set_cut(s, 0, 0);
    *out = s;
    return err;
}

// Whether two views put a picture at the same place; how it is cut is asked each time.
static bool same_place(const struct view *a, const struct view *b)
{
    return a->fit == b->fit && a->src_w == b->src_w && a->src_h == b->src_h && a->net_w == b->net_w &&
           a->net_h == b->net_h && a->pad_w == b->pad_w && a->pad_h == b->pad_h;
}

// The place of one that nobody has: an empty one where only a few are kept, else the
// one that was not used for longest.
static struct picture_set **place_for(struct pictures *p)
{
    struct picture_set **empty = NULL, **oldest = NULL;
    int idle = 0;
    for (int i = 0; i < MOST; i++) {
        struct picture_set **s = &p->set[i];
        if (!*s && !empty) empty = s;
        if (!*s || (*s)->lanes) continue;
        idle++;
        if (!oldest || (*s)->last_use < (*oldest)->last_use) oldest = s;
    }
    return idle >= KEPT || !empty ? oldest : empty;
}

enum reel_err pictures_take(struct pictures *p, const struct task *task, struct picture_set **out_set)
{
    *out_set = NULL;
    if (!p || !task->model || !task->model->input.n_given) return REEL_OK;
    for (int i = 0; i < MOST && !*out_set; i++)
        if (p->set[i] && same_place(&p->set[i]->view, &task->view)) *out_set = p->set[i];
    if (!*out_set) {
        const int64_t begin_us = reel_now_us();
        struct picture_set **place = place_for(p);
        if (!place) return reel_fail(REEL_ERR_LIMIT, "could not hold pictures for so many sizes of frames");
        if (*place) set_destroy(place);
        enum reel_err err = set_create(p, task, place);
        if (err) return err;
        *out_set = *place;
        reel_debug("pictures", "made ready for frames of %dx%d in %.1f ms", task->view.src_w, task->view.src_h,
                   (double)(reel_now_us() - begin_us) / 1e3);
    }
    (*out_set)->lanes++;
    (*out_set)->last_use = ++p->clock;
    return REEL_OK;
}

void pictures_give_back(struct picture_set **set)
{
    if (*set) (*set)->lanes--;
    *set = NULL;
}
