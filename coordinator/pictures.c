// SPDX-License-Identifier: MIT
//
// See pictures.h. If the decoder hangs or crashes at a picture, that becomes an error message too.
#include "coordinator/pictures.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/life.h"
#include "common/log.h"

#define DECODE_MS 60000       // a large picture on a starved machine takes seconds
#define CRASHES 3             // after so many crashes of its decoder the picture is to blame
#define DEATHS (10 * CRASHES) // limit of deaths that includes kills from outside

static void decoder_path(char *out, size_t bytes)
{
    ssize_t n = readlink("/proc/self/exe", out, bytes - 8);
    out[n > 0 ? n : 0] = 0;
    char *slash = strrchr(out, '/');
    strcpy(slash ? slash + 1 : out, "decoder");
}

// Waits for the decoder's answer and returns it, or why there is none (GONE: a signal ended the
// decoder). CONFIG if the picture was refused.
static enum reel_err hear(const char *path, int pipe_fd, int pidfd, int *out_signal)
{
    struct reel_picture_answer answer = {0};
    struct pollfd wait = {.fd = pipe_fd, .events = POLLIN};
    int ready;
    do {
        ready = poll(&wait, 1, DECODE_MS);
    } while (ready < 0 && errno == EINTR && !reel_life_stops());
    const bool told = ready > 0 && read(pipe_fd, &answer, sizeof answer) == (ssize_t)sizeof answer;
    if (!told && ready <= 0) reel_life_kill(pidfd, SIGKILL);
    const int status = reel_life_reap(pidfd);
    answer.text[sizeof answer.text - 1] = 0;
    if (told && !answer.err) return REEL_OK;
    if (told)
        return reel_fail(answer.err == REEL_ERR_NOMEM || answer.err == REEL_ERR_IO ? (enum reel_err)answer.err
                                                                                   : REEL_ERR_CONFIG,
                         "%s", answer.text);
    if (ready <= 0)
        return reel_fail(REEL_ERR_IO, "could not read picture \"%s\": its decoder did not answer for %d seconds", path,
                         DECODE_MS / 1000);
    if (status >= 0)
        return reel_fail(REEL_ERR_IO, "could not read picture \"%s\": its decoder ended with exit code %d", path,
                         status);
    *out_signal = -status;
    return reel_fail(REEL_GONE, "could not read picture \"%s\": its decoder was killed by signal %d", path, -status);
}

static enum reel_err decode(const char *path, double max_pixels, int memory, int life, int *out_signal)
{
    char program[4200], memory_text[16], pipe_text[16], pixels_text[32], parent[16], life_text[16], file[SET_PATH];
    decoder_path(program, sizeof program);
    int ends[2], pidfd;
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC)) return reel_fail(REEL_ERR_IO, "could not make a pipe: %s", strerror(errno));
    snprintf(file, sizeof file, "%s", path);
    snprintf(memory_text, sizeof memory_text, "%d", memory);
    snprintf(pipe_text, sizeof pipe_text, "%d", ends[1]);
    snprintf(pixels_text, sizeof pixels_text, "%.17g", max_pixels);
    snprintf(parent, sizeof parent, "%d", (int)getpid());
    snprintf(life_text, sizeof life_text, "%d", life);
    char *argv[] = {"decoder", "--picture", file, memory_text, pipe_text, pixels_text, parent, life_text, NULL};
    const int keep[] = {memory, ends[1]};
    enum reel_err err = reel_life_spawn(program, argv, keep, 2, &pid, &pidfd);
    close(ends[1]);
    if (!err) {
        err = hear(path, ends[0], pidfd, out_signal);
        close(pidfd);
    }
    close(ends[0]);
    return err;
}

// As with other processes, a decoder that was killed is started again, and one that crashed by
// itself a few times.
static enum reel_err decode_alive(const char *path, double max_pixels, int memory)
{
    int crashes = 0;
    for (int life = 1;; life++) {
        int number = 0;
        enum reel_err err = decode(path, max_pixels, memory, life, &number);
        if (err != REEL_GONE || reel_life_stops()) return err;
        crashes += number != SIGKILL && number != SIGTERM && number != SIGHUP;
        if (crashes == CRASHES || life == DEATHS) return crashes == CRASHES ? REEL_ERR_CONFIG : REEL_ERR_IO;
        reel_warn("pictures", "the decoder of picture \"%s\" was killed by signal %d (%s): restarting it", path, number,
                  strsignal(number));
    }
}

static enum reel_err open_one(const char *path, double max_pixels, int *out_fd, uint8_t out_sha256[32])
{
    struct reel_picture head;
    int fd = memfd_create("reelmill-picture", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return reel_fail(REEL_ERR_IO, "could not create memory file: %s", strerror(errno));
    enum reel_err err = decode_alive(path, max_pixels, fd);
    if (!err && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL))
        err = reel_fail(REEL_ERR_IO, "could not seal picture \"%s\": %s", path, strerror(errno));
    if (!err && pread(fd, &head, sizeof head, 0) != (ssize_t)sizeof head)
        err = reel_fail(REEL_ERR_IO, "could not read picture \"%s\": its decoder left nothing", path);
    if (err) {
        close(fd);
        return err;
    }
    memcpy(out_sha256, head.sha256, 32);
    *out_fd = fd;
    return REEL_OK;
}

enum reel_err pictures_open(const struct reel_settings *s, struct pictures *out)
{
    int n;
    *out = (struct pictures){0};
    enum reel_err err = reel_pictures_parse(s->io.pictures, out->name, &n);
    for (int i = 0; i < n && !err; i++) {
        err = open_one(out->name[i].path, s->max_pixels, &out->fd[i], out->sha256[i]);
        if (!err) out->n = i + 1;
    }
    if (err) pictures_close(out);
    return err;
}

void pictures_close(struct pictures *p)
{
    for (int i = 0; i < p->n; i++) close(p->fd[i]);
    p->n = 0;
}

char *pictures_add_text(const struct pictures *p, char *text)
{
    for (int i = 0; i < p->n && text; i++) {
        char hex[65], *more = NULL;
        if (asprintf(&more, "%spicture for %s: %s\n", text, p->name[i].input, reel_hex(p->sha256[i], 32, hex)) < 0)
            more = NULL;
        free(text);
        text = more;
    }
    return text;
}
