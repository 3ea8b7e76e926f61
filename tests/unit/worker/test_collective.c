// SPDX-License-Identifier: MIT
//
// Collectives: between processes through shared memory (broadcasts of all sizes,
// halos as a single process would have them, ranks that die, stop or never
// come, rounds of changing teams), and the NCCL side on functions that stand for the library's, which
// answer at once, late, with an error or never.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cuda.h"
#include "common/life.h"
#include "common/proto.h"
#include "common/rounds.h"
#include "common/shm.h"
#include "tests/check.h"
#include "worker/team/collective_ops.h"

#define LIMIT_MS 400

static int make_object(void)
{
    int fd = -1;
    if (reel_shm_create(REEL_SHM_MEMFD, REEL_COLLECTIVE_BYTES, &fd)) abort();
    return fd;
}

static uint8_t content(size_t i, uint32_t salt)
{
    return (uint8_t)(i * 131 + i / 251 + salt * 17);
}

// ---- what the ranks do: exit codes are theirs ----------------------------------------

static int broadcasts(struct collective *c)
{
    static const size_t sizes[] = {1, 4096, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20, 0, 3};
    for (uint32_t round = 0; round < sizeof sizes / sizeof *sizes; round++) {
        uint32_t root = round % c->ranks;
        uint8_t *data = malloc(sizes[round] + 1);
        for (size_t i = 0; i < sizes[round]; i++) data[i] = c->rank == root ? content(i, round) : 0;
        if (collective_broadcast(c, data, sizes[round], root)) return 2;
        for (size_t i = 0; i < sizes[round]; i++)
            if (data[i] != content(i, round)) return 3;
        free(data);
    }
    return 0;
}

// A picture of ROWS x WIDTH is blurred three times over; ranks have bands and
// exchange one row before each blur.
#define ROWS 24
#define WIDTH 90000 // rows that need several chunks

static void blur(const float *from, float *to, int rows, int first, int last)
{
    for (int y = first; y < last; y++)
        for (int x = 0; x < WIDTH; x++) {
            float sum = 0;
            for (int d = -1; d <= 1; d++)
                if (y + d >= 0 && y + d < rows) sum += from[(size_t)(y + d) * WIDTH + (size_t)x];
            to[(size_t)y * WIDTH + (size_t)x] = sum / 3;
        }
}

static int halos(struct collective *c)
{
    size_t bytes = (size_t)ROWS * WIDTH * sizeof(float), row = WIDTH * sizeof(float);
    float *all = malloc(bytes), *next = malloc(bytes), *mine = calloc(1, bytes), *made = calloc(1, bytes);
    for (size_t i = 0; i < (size_t)ROWS * WIDTH; i++) all[i] = (float)content(i, 1);
    int begin = ROWS * (int)c->rank / (int)c->ranks, end = ROWS * ((int)c->rank + 1) / (int)c->ranks;
    memcpy(mine + (size_t)begin * WIDTH, all + (size_t)begin * WIDTH, (size_t)(end - begin) * row);
    for (int k = 0; k < 3; k++) {
        struct collective_halo h = {.send_up = mine + (size_t)begin * WIDTH,
                                    .send_down = mine + (size_t)(end - 1) * WIDTH,
                                    .from_up = begin ? mine + (size_t)(begin - 1) * WIDTH : NULL,
                                    .from_down = end < ROWS ? mine + (size_t)end * WIDTH : NULL,
                                    .bytes = row};
        if (collective_exchange(c, &h)) return 2;
        blur(mine, made, ROWS, begin, end);
        memcpy(mine + (size_t)begin * WIDTH, made + (size_t)begin * WIDTH, (size_t)(end - begin) * row);
        blur(all, next, ROWS, 0, ROWS);
        memcpy(all, next, bytes);
        if (memcmp(mine + (size_t)begin * WIDTH, all + (size_t)begin * WIDTH, (size_t)(end - begin) * row)) return 3;
    }
    free(all), free(next), free(mine), free(made);
    return broadcasts(c); // the same memory serves both
}

static const char *model_path;
static const struct reel_rounds *rounds; // of the object
static _Atomic uint32_t *let_go;

static int reads_file(struct collective *c)
{
    void *data;
    size_t bytes;
    enum reel_err err = collective_read_file(c, model_path, 1 << 24, &data, &bytes);
    if (err) return err == REEL_GONE ? 9 : 2;
    bool ok = bytes == 3000000;
    for (size_t i = 0; ok && i < bytes; i++) ok = ((uint8_t *)data)[i] == content(i, 5);
    free(data);
    return ok ? 0 : 3;
}

// The last rank goes in the middle; the others must hear of it and not wait on.
static int one_dies(struct collective *c)
{
    uint8_t *data = calloc(1, 8 << 20);
    if (collective_broadcast(c, data, 4096, 0)) return 2;
    if (c->rank == c->ranks - 1) raise(SIGKILL);
    int64_t begin_us = reel_now_us();
    enum reel_err err = collective_broadcast(c, data, 8 << 20, 0);
    if (!err) return 4;
    if (err != REEL_GONE) return 5;
    // For good, and at once from now on.
    int64_t second_us = reel_now_us();
    if (collective_broadcast(c, data, 1, 0) != REEL_GONE) return 6;
    if (reel_now_us() - second_us > 100000) return 7;
    return reel_now_us() - begin_us > 5000000 ? 8 : 0;
}

static int one_stops(struct collective *c)
{
    if (c->rank == 1) raise(SIGSTOP);
    uint8_t data[64] = {0};
    enum reel_err err = collective_broadcast(c, data, sizeof data, 0);
    return err == REEL_GONE ? 0 : 4;
}

// Runs f on ranks as processes; missing: that one is never started. Returns the
// exit codes, -signal for a killed one.
static void run_ranks(int (*f)(struct collective *), uint32_t ranks, int missing, int *out_codes)
{
    int fd = make_object();
    void *base = NULL;
    if (reel_shm_map(fd, REEL_COLLECTIVE_BYTES, &base)) abort();
    rounds = base;
    pid_t pid[8];
    for (uint32_t r = 0; r < ranks; r++) {
        pid[r] = (int)r == missing ? -1 : fork();
        if (pid[r]) continue;
        struct collective *c;
        if (collective_open_shared(fd, r, ranks, f == one_dies || f == one_stops ? LIMIT_MS : 20000, &c)) _exit(1);
        int code = f(c);
        collective_close(&c);
        _exit(code);
    }
    // A stopped one cannot end by itself: when the others have ended it goes on.
    for (uint32_t i = 0; i < 2 * ranks; i++) {
        uint32_t r = i % ranks;
        int status = 0;
        if (pid[r] < 0) continue;
        if (i >= ranks) kill(pid[r], SIGCONT);
        if (i < ranks && f == one_stops && r == 1) continue;
        waitpid(pid[r], &status, 0);
        out_codes[r] = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
        pid[r] = -1;
    }
    reel_shm_unmap(base, REEL_COLLECTIVE_BYTES);
    close(fd);
}

static void all_get_the_same(void)
{
    for (uint32_t ranks = 1; ranks <= 3; ranks += 2) {
        int codes[8] = {0};
        run_ranks(broadcasts, ranks, -1, codes);
        for (uint32_t r = 0; r < ranks; r++)
            CHECK_MSG(codes[r] == 0, "broadcast: rank %u of %u ended with %d", r, ranks, codes[r]);
    }
}

static void halos_as_one_picture(void)
{
    for (uint32_t ranks = 2; ranks <= 3; ranks++) {
        int codes[8] = {0};
        run_ranks(halos, ranks, -1, codes);
        for (uint32_t r = 0; r < ranks; r++)
            CHECK_MSG(codes[r] == 0, "halo: rank %u of %u ended with %d", r, ranks, codes[r]);
    }
}

static void a_file_is_read_once(void)
{
    char folder[CHECK_FOLDER_BYTES], path[CHECK_FOLDER_BYTES + 16];
    check_folder(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    int fd = open(path, O_WRONLY | O_CREAT, 0600), codes[8] = {0};
    CHECK(fd >= 0);
    uint8_t *data = malloc(3000000);
    for (size_t i = 0; i < 3000000; i++) data[i] = content(i, 5);
    CHECK_INT(write(fd, data, 3000000), 3000000);
    free(data);
    model_path = path;
    run_ranks(reads_file, 3, -1, codes);
    for (int r = 0; r < 3; r++) CHECK_MSG(codes[r] == 0, "file: rank %d ended with %d", r, codes[r]);
    close(fd);
    unlink(path);
    rmdir(folder);
    // A file that is not there: all are told, at once.
    run_ranks(reads_file, 3, -1, codes);
    for (int r = 0; r < 3; r++) CHECK_INT(codes[r], 9);
}

static void the_dead_hold_up_nobody(void)
{
    int codes[8] = {0};
    run_ranks(one_dies, 3, -1, codes);
    CHECK_INT(codes[2], -SIGKILL);
    CHECK_INT(codes[0], 0);
    CHECK_INT(codes[1], 0);
    run_ranks(one_stops, 3, -1, codes);
    for (int r = 0; r < 3; r++) CHECK_MSG(codes[r] == 0, "stopped: rank %d ended with %d", r, codes[r]);
    memset(codes, 0, sizeof codes);
    run_ranks(one_stops, 3, 1, codes); // rank 1 never comes
    CHECK_INT(codes[0], 0);
    CHECK_INT(codes[2], 0);
}

// ---- rounds -----------------------------------------------------------------------------

// Rows of a round: of as many steps as chunks, their content by round, step and rank.
static int exchange_some(struct collective *c, uint64_t round, int steps, size_t most)
{
    uint8_t *send = malloc(4 * most), *from = send + 2 * most;
    int code = 0;
    for (int k = 0; k < steps && !code; k++) {
        size_t bytes = k % 3 == 2 ? most : 1000;
        uint32_t salt = (uint32_t)(round * 1000 + (uint64_t)k * 10);
        for (size_t i = 0; i < bytes; i++) {
            send[i] = content(i, salt + c->rank);
            send[most + i] = content(i, salt + c->rank + 5);
        }
        struct collective_halo h = {send, send + most, from, from + most, bytes};
        enum reel_err err = collective_exchange(c, &h);
        if (err) code = err == REEL_GONE ? 1 : 2;
        for (size_t i = 0; i < bytes && !code; i++) {
            if (c->rank && from[i] != content(i, salt + c->rank - 1 + 5)) code = 3;
            if (c->rank + 1 < c->ranks && from[most + i] != content(i, salt + c->rank + 1)) code = 4;
        }
    }
    free(send);
    return code;
}

// Until as many ranks have come to this place, as the coordinator sees to it.
static bool all_come_to(int place, uint32_t ranks)
{
    atomic_fetch_add(&let_go[place], 1);
    for (int i = 0; i < 100000 && atomic_load(&let_go[place]) < ranks; i++) usleep(100);
    return atomic_load(&let_go[place]) >= ranks;
}

// Three of four workers in every round; every eight rounds another one is left out
// and the ranks are others.
static int many_rounds(struct collective *c)
{
    const uint32_t me = c->rank;
    for (uint64_t round = 1; round <= 40; round++) {
        if (round % 8 == 0 && !all_come_to((int)(round / 8), 4)) return 6;
        uint32_t rank = (me + (uint32_t)(round / 8)) % 4;
        if (rank == 3) continue;
        if (collective_begin(c, round, rank, 3)) return 5;
        int code = exchange_some(c, round, 1 + (int)(round * 7 % 5), 300000);
        if (code) return code;
    }
    return 0;
}

// Rank 1 ends round 2 in its middle: the others are told, and round 3 is whole again.
static int one_gives_up(struct collective *c)
{
    for (uint64_t round = 1; round <= 3; round++) {
        if (collective_begin(c, round, c->rank, c->ranks)) return 5;
        bool ends = round == 2 && c->rank == 1;
        int code = exchange_some(c, round, ends ? 2 : 6, 5000);
        if (ends) collective_end_round(c, round);
        if (code != (round == 2 && !ends)) return 10 + code;
        if (round != 2) continue;
        if (!all_come_to(0, c->ranks) || !reel_rounds_is_over(rounds, 2) || reel_rounds_is_over(rounds, 3)) return 6;
        // A round that is over cannot be begun.
        if (collective_begin(c, 2, c->rank, c->ranks) != REEL_GONE) return 7;
    }
    return 0;
}

static bool make_places(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    let_go = p;
    return p != MAP_FAILED;
}

static void rounds_of_changing_teams(void)
{
    int codes[8] = {0};
    CHECK(make_places());
    run_ranks(many_rounds, 4, -1, codes);
    munmap((void *)let_go, 4096);
    for (int r = 0; r < 4; r++) CHECK_MSG(codes[r] == 0, "rounds: worker %d ended with %d", r, codes[r]);
}

static void who_gives_up_holds_up_nobody(void)
{
    int codes[8] = {0};
    CHECK(make_places());
    run_ranks(one_gives_up, 3, -1, codes);
    munmap((void *)let_go, 4096);
    for (int r = 0; r < 3; r++) CHECK_MSG(codes[r] == 0, "rounds: rank %d ended with %d", r, codes[r]);
}

// ---- NCCL ------------------------------------------------------------------------------

static struct {
    int polls_left;  // until work in progress is through
    bool never;      // it is never
    int async_error; // what it ends with
    int init_result;
    int aborts, sends, groups, peers; // peers: a digit each
    struct nccl_config config;
    int ranks, rank;
} fake;

static int a_stream;

static int f_version(int *out)
{
    *out = 22809;
    return 0;
}
static int f_id(struct nccl_id *out)
{
    memset(out, 7, sizeof *out);
    return 0;
}
static int f_init(void **out_comm, int ranks, struct nccl_id id, int rank, struct nccl_config *config)
{
    fake.config = *config, fake.ranks = ranks, fake.rank = rank;
    if (fake.init_result && fake.init_result != 7) return fake.init_result;
    *out_comm = &fake;
    return id.bytes[5] == 7 ? 7 : 4;
}
static int f_async(void *comm, int *out)
{
    if (comm != &fake) return 5;
    if (fake.never || fake.polls_left-- > 0) {
        *out = 7;
        return 0;
    }
    *out = fake.async_error;
    return 0;
}
static int f_abort(void *comm)
{
    fake.aborts += comm == &fake;
    return 0;
}
static int f_send(const void *from, size_t n, int type, int peer, void *comm, void *stream)
{
    if (stream != &a_stream) return 4;
    fake.sends++;
    fake.peers = 10 * fake.peers + peer;
    return 7;
}
static int f_recv(void *to, size_t n, int type, int peer, void *comm, void *stream)
{
    return 0;
}
static int f_group(void)
{
    fake.groups++;
    return 0;
}
static const char *f_text(int error)
{
    return error == 6 ? "remote process exited" : "some error";
}
static const struct nccl_table nccl = {.GetVersion = f_version,
                                       .GetUniqueId = f_id,
                                       .CommInitRankConfig = f_init,
                                       .CommGetAsyncError = f_async,
                                       .CommAbort = f_abort,
                                       .Send = f_send,
                                       .Recv = f_recv,
                                       .GroupStart = f_group,
                                       .GroupEnd = f_group,
                                       .GetErrorString = f_text};

static enum reel_err open_fake(struct collective *meet, struct collective **out)
{
    return collective_open_nccl_with(&nccl, meet, LIMIT_MS, out);
}

// As if it were of three.
static struct collective *join_fake(struct collective *meet)
{
    struct collective *c = NULL;
    memset(&fake, 0, sizeof fake);
    fake.polls_left = 5;
    if (open_fake(meet, &c)) abort();
    c->ranks = 3, c->rank = 1;
    collective_between(c, 0, 2);
    return c;
}

static void nccl_is_polled_and_aborted(void)
{
    int fd = make_object();
    struct collective *meet, *c = NULL;
    uint8_t data[64];
    struct collective_halo h = {data, data, data, data, 64, &a_stream};
    CHECK_INT(collective_open_shared(fd, 0, 1, LIMIT_MS, &meet), REEL_OK);
    c = join_fake(meet);
    CHECK_INT(fake.config.blocking, 0);
    CHECK_INT(fake.config.size, sizeof(struct nccl_config));
    CHECK_INT(collective_exchange(c, &h), REEL_OK);
    collective_between(c, 2, -1);
    CHECK_INT(collective_exchange(c, &h), REEL_OK);
    CHECK_INT(fake.peers, 22); // 0 and 2, then 2 alone
    CHECK_INT(fake.sends, 3);
    CHECK_INT(fake.groups, 4);
    CHECK_INT(collective_broadcast(c, data, sizeof data, 0), REEL_ERR_UNSUPPORTED);
    CHECK_INT(fake.aborts, 0);
    collective_close(&c);
    CHECK_INT(fake.aborts, 1); // an orderly end would wait for the others

    // Another rank was killed: the error comes with a later poll.
    c = join_fake(meet);
    fake.async_error = 6;
    CHECK_INT(collective_exchange(c, &h), REEL_GONE);
    CHECK(strstr(reel_fail_text(), "remote process exited") != NULL);
    CHECK_INT(fake.aborts, 1);
    int before = fake.sends;
    CHECK_INT(collective_exchange(c, &h), REEL_GONE);
    CHECK_INT(fake.sends, before); // it is over
    collective_close(&c);
    CHECK_INT(fake.aborts, 1);

    // It hangs: the time limit ends it.
    c = join_fake(meet);
    fake.never = true;
    int64_t begin_us = reel_now_us();
    CHECK_INT(collective_exchange(c, &h), REEL_GONE);
    int64_t took_us = reel_now_us() - begin_us;
    CHECK_MSG(took_us >= LIMIT_MS * 1000 && took_us < 20 * LIMIT_MS * 1000, "it took %lld us", (long long)took_us);
    CHECK_INT(fake.aborts, 1);
    collective_close(&c);

    // It hangs in a round that somebody ends.
    c = join_fake(meet);
    fake.never = true;
    CHECK_INT(collective_begin(meet, 1, 0, 1), REEL_OK);
    collective_end_round(meet, 1);
    CHECK_INT(collective_exchange(c, &h), REEL_GONE);
    CHECK(strstr(reel_fail_text(), "gave up") != NULL);
    CHECK_INT(fake.aborts, 1);
    collective_close(&c);
    collective_close(&meet);

    // It never begins.
    CHECK_INT(collective_open_shared(fd, 0, 1, LIMIT_MS, &meet), REEL_OK);
    memset(&fake, 0, sizeof fake);
    fake.never = true;
    CHECK_INT(open_fake(meet, &c), REEL_GONE);
    CHECK_INT(fake.aborts, 1);
    memset(&fake, 0, sizeof fake);
    fake.init_result = 5; // invalid usage: two ranks on one GPU
    CHECK_INT(open_fake(meet, &c), REEL_GONE);
    collective_close(&meet);
    close(fd);
}

// The real library where there is one: it loads, and refuses without a GPU.
static void nccl_without_a_gpu(void)
{
    int fd = make_object(), devices;
    struct collective *meet, *c = NULL;
    if (!reel_cuda_count(&devices)) {
        close(fd);
        SKIP("there is a GPU: see tests/gpu");
    }
    CHECK_INT(collective_open_shared(fd, 0, 1, LIMIT_MS, &meet), REEL_OK);
    enum reel_err err = collective_open_nccl(meet, 3000, &c);
    CHECK(err != REEL_OK && reel_fail_text()[0]);
    collective_close(&meet);
    close(fd);
}

CHECK_MAIN({"collective: all get the same", all_get_the_same},
           {"collective: halos as one picture", halos_as_one_picture},
           {"collective: a file is read once", a_file_is_read_once},
           {"collective: the dead hold up nobody", the_dead_hold_up_nobody},
           {"collective: rounds of changing teams", rounds_of_changing_teams},
           {"collective: who gives up holds up nobody", who_gives_up_holds_up_nobody},
           {"collective: NCCL is polled and aborted", nccl_is_polled_and_aborted},
           {"collective: NCCL without a GPU", nccl_without_a_gpu})
