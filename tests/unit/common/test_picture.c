// SPDX-License-Identifier: MIT
//
// What io.pictures says, and which memory files are taken for pictures.
#include "common/picture.h"

#include <sys/mman.h>
#include <unistd.h>

#include "tests/check.h"

static void names_and_files(void)
{
    struct reel_picture_name name[REEL_MAX_PICTURES];
    int n;
    CHECK_INT(reel_pictures_parse("", name, &n), REEL_OK);
    CHECK_INT(n, 0);
    CHECK_INT(reel_pictures_parse("style=my style.png, bgr=a=b.png,", name, &n), REEL_OK);
    CHECK_INT(n, 2);
    CHECK_STR(name[0].input, "style");
    CHECK_STR(name[0].path, "my style.png");
    CHECK_STR(name[1].input, "bgr");
    CHECK_STR(name[1].path, "a=b.png");
    static const char *const wrong[] = {"style.png", "=style.png", "style=", "a=x,a=y",
                                        "a=1,b=2,c=3,d=4,e=5,f=6,g=7,h=8,i=9"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK_INT(reel_pictures_parse(wrong[i], name, &n), REEL_ERR_CONFIG);
        CHECK_HAS(reel_fail_text(), "INPUT=FILE");
    }
    char longest[SET_WORD + 8];
    memset(longest, 'n', sizeof longest);
    memcpy(longest + SET_WORD, "=x", 3);
    CHECK_INT(reel_pictures_parse(longest, name, &n), REEL_ERR_CONFIG);
}

static void whether_an_input_is_named(void)
{
    const char *text = "style=a.png, bgr=b.png";
    CHECK(reel_pictures_name(text, "style"));
    CHECK(reel_pictures_name(text, "bgr"));
    CHECK(!reel_pictures_name(text, "sty"));
    CHECK(!reel_pictures_name(text, "a.png"));
    CHECK(!reel_pictures_name("", "style"));
}

static int memory_of(const struct reel_picture *head, size_t bytes)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)bytes) || pwrite(fd, head, sizeof *head, 0) != (ssize_t)sizeof *head) abort();
    return fd;
}

static void refused(const struct reel_picture *head, size_t bytes)
{
    const struct reel_picture *p;
    int fd = memory_of(head, bytes);
    CHECK_INT(reel_picture_attach(fd, &p), REEL_ERR_PROTO);
    close(fd);
}

static void memory_files(void)
{
    struct reel_picture good = {.magic = REEL_PICTURE_MAGIC}, bad;
    CHECK_INT(reel_geometry_init(&good.geometry, (struct reel_pixel_format){REEL_PIX_GBR, 8, 0, 0}, 30, 20, 0),
              REEL_OK);
    const size_t bytes = REEL_PICTURE_OFFSET + good.geometry.slot_bytes;
    const struct reel_picture *p = NULL;
    int fd = memory_of(&good, bytes);
    CHECK_INT(reel_picture_attach(fd, &p), REEL_OK);
    CHECK_INT(p->geometry.width, 30);
    munmap((void *)p, bytes);
    close(fd);
    refused(&good, bytes - 1);
    refused(&good, sizeof good);
    bad = good;
    bad.magic[7] = '0';
    refused(&bad, bytes);
    bad = good;
    bad.geometry.plane_offset[2] = 1u << 30;
    refused(&bad, bytes);
    bad = good;
    bad.geometry.width = 4000;
    refused(&bad, bytes);
    bad = (struct reel_picture){.magic = REEL_PICTURE_MAGIC};
    refused(&bad, bytes);
}

CHECK_MAIN({"picture: names and files", names_and_files},
           {"picture: whether an input is named", whether_an_input_is_named}, {"picture: memory files", memory_files})
