// SPDX-License-Identifier: MIT
//
// Still pictures that the model is given. See picture.h.
#include "common/picture.h"

#include <stdio.h>
#include <string.h>

#include "common/shm.h"

static enum reel_err wrong(const char *pair, const char *why)
{
    return reel_fail(REEL_ERR_CONFIG,
                     "could not use io.pictures \"%s\": %s\n"
                     "it is a list of INPUT=FILE, like \"style=style.png\"",
                     pair, why);
}

enum reel_err reel_pictures_parse(const char *text, struct reel_picture_name out[REEL_MAX_PICTURES], int *out_n)
{
    char list[SET_PATH], *rest = list, pair[SET_PATH];
    snprintf(list, sizeof list, "%s", text);
    *out_n = 0;
    for (char *word; (word = strsep(&rest, ",")) != NULL;) {
        word += strspn(word, " ");
        if (!*word) continue;
        snprintf(pair, sizeof pair, "%s", word);
        char *eq = strchr(word, '=');
        if (!eq || eq == word || !eq[1]) return wrong(pair, "it does not name an input and a file");
        *eq = 0;
        if (strlen(word) >= SET_WORD) return wrong(pair, "the input's name is too long");
        for (int i = 0; i < *out_n; i++)
            if (!strcmp(out[i].input, word)) return wrong(pair, "the input is named twice");
        if (*out_n == REEL_MAX_PICTURES) return wrong(pair, "there are too many");
        struct reel_picture_name *name = &out[(*out_n)++];
        snprintf(name->input, sizeof name->input, "%s", word);
        snprintf(name->path, sizeof name->path, "%s", eq + 1);
    }
    return REEL_OK;
}

bool reel_pictures_name(const char *text, const char *input)
{
    const size_t n = strlen(input);
    for (const char *p = text; *p; p += *p == ',') {
        p += strspn(p, " ");
        if (!strncmp(p, input, n) && p[n] == '=') return true;
        p += strcspn(p, ",");
    }
    return false;
}

enum reel_err reel_picture_attach(int fd, const struct reel_picture **out_picture)
{
    const void *data;
    size_t bytes;
    enum reel_err err = reel_shm_attach(fd, &data, &bytes);
    if (err) return err;
    const struct reel_picture *p = data;
    if (bytes < REEL_PICTURE_OFFSET || memcmp(p->magic, REEL_PICTURE_MAGIC, sizeof p->magic) ||
        p->geometry.format.layout == REEL_PIX_NONE ||
        !reel_geometry_valid(&p->geometry, 1, bytes - REEL_PICTURE_OFFSET))
        return reel_fail(REEL_ERR_PROTO, "could not use a decoded picture: its header is invalid");
    *out_picture = p;
    return REEL_OK;
}
