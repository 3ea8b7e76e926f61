// SPDX-License-Identifier: MIT
//
// Parts that become holes while their output is written, and are put back: what is a hole
// and what is not, the order of writes and syncs, lists and files that a dying process or
// somebody else left in any state.
#include "tests/unit/aggregator/moved_lab.h"

// ---- moving ------------------------------------------------------------------------------

// Of each part what is listed is a hole, to the last whole block, and nothing else is.
static void check_holes(void)
{
    DO(read_list());
    for (uint32_t i = 0; i < PARTS; i++) {
        uint64_t end = 0;
        for (size_t k = 0; k < b.n_lines; k++) {
            if (b.lines[k].segment != i) continue;
            CHECK_INT(b.lines[k].from, end);
            end = b.lines[k].to;
        }
        const bool all = end == b.bytes[i];
        const int fd = open(b.part[i], O_RDONLY | O_CLOEXEC);
        const off_t data = lseek(fd, 0, SEEK_DATA), hole = lseek(fd, data < 0 ? 0 : data, SEEK_HOLE);
        close(fd);
        CHECK_INT(data, all ? -1 : (off_t)(end - end % BLOCK));
        if (!all) CHECK_INT(hole, b.bytes[i]);
        if (!all) CHECK(holds((int)i, (uint64_t)data, b.bytes[i]));
    }
}

static void holes_where_it_is_listed(void)
{
    if (!has_holes) SKIP("no holes of 4096 bytes in files here");
    DO(begin());
    b.after_step = check_holes;
    CHECK_INT(join(), REEL_OK);
    CHECK(b.n_lines > 6);
    DO(check_holes());
    CHECK(holds(0, 0, 0)); // zeros, of the size that it had
    CHECK_INT(restore(), REEL_OK);
    check_all_back();
}

static void nothing_where_there_is_room(void)
{
    DO(begin());
    room = UINT64_C(1) << 30;
    CHECK_INT(join(), REEL_OK);
    CHECK(!is_there(b.list));
    CHECK_STR(told, "");
    CHECK_INT(restore(), REEL_OK);
    CHECK(is_there(b.unfinished)); // not its business
    for (int i = 0; i < PARTS; i++) CHECK(is_whole(i));
}

// Packets that a muxer holds are in no file: their range waits.
static void not_written_yet(void)
{
    DO(begin());
    b.held = 4;
    b.after_step = has_holes ? check_holes : NULL;
    CHECK_INT(join(), REEL_OK);
    CHECK(b.n_lines > 4);
    CHECK_INT(restore(), REEL_OK);
    DO(check_all_back());
    DO(begin());
    b.held = PARTS * PACKETS;
    CHECK_INT(join(), REEL_OK);
    CHECK(!is_there(b.list));
    for (int i = 0; i < PARTS; i++) CHECK(is_whole(i));
}

// All is in the output, but the join reads a part only so far.
static void nothing_that_is_still_to_be_read(void)
{
    struct moved *moved = NULL;
    DO(begin());
    room = UINT64_C(1) << 30;
    CHECK_INT(join(), REEL_OK);
    room = 0;
    CHECK_INT(moved_begin(&b.join, b.unfinished, HEADER, b.bytes[0] + b.bytes[1], &moved), REEL_OK);
    const bool due = moved_is_due(moved, b.bytes[0] + b.bytes[1]);
    enum reel_err err = moved_step(moved, 0, b.packet_at[4]);
    read_list();
    const struct line first = b.lines[0];
    const size_t lines = b.n_lines;
    if (!err) err = moved_step(moved, 1, 0);
    moved_end(&moved);
    read_list();
    CHECK_INT(err, REEL_OK);
    CHECK(due && lines == 1 && first.to <= b.packet_at[4]);
    CHECK(b.n_lines > 1);
    CHECK_INT(b.lines[b.n_lines - 1].segment, 0);
    CHECK_INT(b.lines[b.n_lines - 1].to, b.bytes[0]);
    CHECK(is_whole(1));
    CHECK_INT(restore(), REEL_OK);
    check_all_back();
}

static void synced_before_it_is_a_hole(void)
{
    char want[sizeof told] = "";
    DO(moved_some());
    for (size_t i = 0, n = 0; i < b.n_lines; i++)
        n += (size_t)snprintf(want + n, sizeof want - n,
                              "sync output.tmp\nwrite moved\nwrite moved\nsync moved\nhole segment-%06u.part\n",
                              b.lines[i].segment);
    CHECK_STR(told, want);
}

static void no_hole_without_its_line(void)
{
    static const char *const calls[] = {"sync output.tmp", "write moved", "sync moved"};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        DO(begin());
        failing = calls[i];
        failing_with = i == 1 ? ENOSPC : EIO;
        CHECK_INT(join(), REEL_ERR_IO);
        CHECK_HAS(reel_fail_text(), i ? "/moved\": " : "/output.tmp\": ");
        CHECK_HAS(reel_fail_text(), strerror(failing_with));
        CHECK(!is_there(b.list));
        for (int k = 0; k < PARTS; k++) CHECK(is_whole(k));
    }
}

static void no_holes_in_this_file_system(void)
{
    DO(begin());
    failing = "hole segment-000000.part";
    failing_with = EOPNOTSUPP;
    CHECK_INT(join(), REEL_OK);
    CHECK_INT(b.n_lines, 1);
    for (int i = 0; i < PARTS; i++) CHECK(is_whole(i));
    CHECK_INT(restore(), REEL_OK);
    check_all_back();
}

// ---- putting back ------------------------------------------------------------------------

static void back_before_its_line_goes(void)
{
    char want[sizeof told] = "cut output.tmp\nsync output.tmp\n";
    DO(moved_some());
    CHECK_INT(restore(), REEL_OK);
    for (size_t i = b.n_lines, n = strlen(want); i-- > 0;)
        n += (size_t)snprintf(want + n, sizeof want - n,
                              "write segment-%06u.part\nsync segment-%06u.part\ncut moved\nsync moved\n"
                              "cut output.tmp\nsync output.tmp\n",
                              b.lines[i].segment, b.lines[i].segment);
    CHECK_STR(told, want);
    check_all_back();
}

// Given up after each second range: the output is cut off behind what is still needed.
static void given_up_and_begun_again(void)
{
    DO(moved_some());
    while (b.n_lines >= 2) {
        const size_t lines = b.n_lines;
        struct stat st;
        b.ticks_left = 1;
        CHECK_INT(restore(), REEL_GONE);
        DO(read_list());
        CHECK_INT(b.n_lines, lines - 2);
        CHECK(!stat(b.unfinished, &st));
        CHECK_INT(st.st_size, b.n_lines ? b.lines[b.n_lines - 1].output_to : HEADER);
    }
    b.ticks_left = 1;
    CHECK_INT(restore(), REEL_OK);
    check_all_back();
}

static void failed_and_begun_again(void)
{
    static const char *const calls[] = {"cut output.tmp", "write segment-000001.part", "sync segment-000000.part",
                                        "cut moved", "sync moved"};
    static const char *const files[] = {"output.tmp", "segment-000001.part", "segment-000000.part", "moved", "moved"};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        DO(moved_some());
        failing = calls[i];
        failing_with = ENOSPC;
        CHECK_INT(restore(), REEL_ERR_IO);
        CHECK_HAS(reel_fail_text(), files[i]);
        CHECK_HAS(reel_fail_text(), strerror(ENOSPC));
        CHECK(is_there(b.list) && is_there(b.unfinished));
        failing = NULL;
        CHECK_INT(restore(), REEL_OK);
        DO(check_all_back());
    }
}

// The process died while it wrote the last line: its range is in the part.
static void torn(void)
{
    DO(moved_some());
    const struct line line = b.lines[b.n_lines - 1];
    CHECK(write_file(b.part[1], b.whole[1] + line.from, (size_t)(line.to - line.from), line.from));
}

static void torn_line(void)
{
    const off_t left[] = {1, sizeof(struct line) - 1, sizeof(struct line), sizeof(struct line) + 1};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        DO(torn());
        CHECK(!truncate(b.list, (off_t)b.list_at[b.n_lines - 1] + left[i]));
        CHECK_INT(restore(), REEL_OK);
        DO(check_all_back());
    }
}

// Its blocks were not all written: the size is right, the bytes are not.
static void torn_line_of_right_size(void)
{
    static const uint8_t none[sizeof(struct line)];
    const uint8_t other = 0xee;
    DO(torn());
    CHECK(write_file(b.list, none, sizeof none, b.list_at[b.n_lines - 1]));
    CHECK_INT(restore(), REEL_OK);
    DO(check_all_back());
    DO(torn()); // the second byte of the recipe is of the range itself
    CHECK(write_file(b.list, &other, 1, b.list_at[b.n_lines - 1] + sizeof(struct line) + 1));
    CHECK_INT(restore(), REEL_OK);
    check_all_back();
}

// From line 2 on nothing is known any more: that stays a hole, and nothing wrong is written.
static void check_two_lines_back(void)
{
    CHECK_INT(restore(), REEL_OK);
    CHECK(holds(0, 0, b.lines[2].from));
    CHECK(has_no_wrong_bytes(1));
    CHECK(!is_whole(1));
    CHECK(!is_there(b.list));
}

static void damaged_line(void)
{
    const uint8_t other = 0xee;
    const uint64_t at[] = {offsetof(struct line, crc), offsetof(struct line, from) + 1, sizeof(struct line) + 1};
    if (!has_holes) SKIP("no holes of 4096 bytes in files here");
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        DO(moved_some());
        CHECK(write_file(b.list, &other, 1, b.list_at[2] + at[i]));
        DO(check_two_lines_back());
    }
}

// What another version wrote is whole, but of another meaning.
static void line_of_another_kind(void)
{
    if (!has_holes) SKIP("no holes of 4096 bytes in files here");
    DO(moved_some());
    struct line line = b.lines[2];
    size_t n;
    uint8_t *list = read_file(b.list, &n);
    line.magic++;
    line.crc = 0;
    uint32_t crc = reel_crc32c(0, &line, sizeof line);
    crc = reel_crc32c(crc, list + b.list_at[2] + sizeof line, line.bytes);
    free(list);
    line.crc = crc;
    CHECK(write_file(b.list, &line, sizeof line, b.list_at[2]));
    check_two_lines_back();
}

static void part_made_anew(void)
{
    char path[REEL_PATH_BYTES + 8];
    DO(moved_some());
    uint8_t *anew = malloc(b.bytes[0]);
    CHECK(anew);
    memset(anew, 0xaa, b.bytes[0]);
    snprintf(path, sizeof path, "%s.anew", b.part[0]);
    const bool made = write_file(path, anew, b.bytes[0], 0) && !rename(path, b.part[0]);
    const enum reel_err err = restore();
    size_t n;
    uint8_t *now = read_file(b.part[0], &n);
    const bool same = now && n == b.bytes[0] && !memcmp(now, anew, n);
    free(anew);
    free(now);
    CHECK(made);
    CHECK_INT(err, REEL_OK);
    CHECK(same);
    CHECK(is_whole(1));
    CHECK(!is_there(b.list));
}

static void part_gone(void)
{
    DO(moved_some());
    CHECK(!unlink(b.part[0]));
    CHECK_INT(restore(), REEL_OK);
    CHECK(!is_there(b.part[0]));
    CHECK(is_whole(1));
    CHECK(!is_there(b.list));
}

// Another reason why it cannot be opened: all stays for the next time.
static void part_that_cannot_be_opened(void)
{
    char path[REEL_PATH_BYTES + 8];
    DO(moved_some());
    snprintf(path, sizeof path, "%s.away", b.part[0]);
    CHECK(!rename(b.part[0], path) && !mkdir(b.part[0], 0700));
    CHECK_INT(restore(), REEL_ERR_IO);
    CHECK_HAS(reel_fail_text(), "could not open part \"");
    CHECK_HAS(reel_fail_text(), strerror(EISDIR));
    CHECK(is_there(b.list) && is_there(b.unfinished));
    CHECK(!rmdir(b.part[0]) && !rename(path, b.part[0]));
    CHECK_INT(restore(), REEL_OK);
    check_all_back();
}

// The output has its name, and the process died before it said so.
static void output_that_has_its_name(void)
{
    DO(moved_some());
    CHECK(!rename(b.unfinished, b.output));
    CHECK_INT(restore(), REEL_OK);
    DO(check_all_back());
    CHECK(!is_there(b.output));
    DO(moved_some());
    CHECK(!link(b.unfinished, b.output)); // both, for a moment
    CHECK_INT(restore(), REEL_OK);
    DO(check_all_back());
    CHECK(!is_there(b.output));
}

#define USERS "a file of the user's"
static void check_users(void)
{
    size_t n;
    uint8_t *data = read_file(b.output, &n);
    const bool same = data && n >= sizeof USERS && !memcmp(data, USERS, sizeof USERS);
    free(data);
    CHECK_MSG(same, "\"%s\" has other bytes", b.output);
}

// Of the parts nothing is known then: they stay as they are, and will be made again.
static void output_that_is_not_there(void)
{
    for (int same_inode = 0; same_inode < 2; same_inode++) {
        DO(moved_some());
        if (same_inode) // as a file system may give it to the next file that is made
            CHECK(!rename(b.unfinished, b.output) && !truncate(b.output, 0));
        CHECK(write_file(b.output, USERS, sizeof USERS, 0));
        if (!same_inode) // longer than what is looked for
            CHECK(!truncate(b.output, 4 << 20) && !unlink(b.unfinished));
        CHECK_INT(restore(), REEL_OK);
        CHECK(!strstr(told, "write "));
        for (int i = 0; i < PARTS; i++) CHECK(has_no_wrong_bytes(i));
        CHECK(!is_there(b.list));
        DO(check_users());
    }
}

static void output_made_anew(void)
{
    char path[REEL_PATH_BYTES + 8];
    DO(moved_some());
    size_t n;
    uint8_t *data = read_file(b.unfinished, &n);
    snprintf(path, sizeof path, "%s.anew", b.unfinished);
    const bool made = write_file(path, data, n, 0) && !rename(path, b.unfinished);
    free(data);
    CHECK(made && write_file(b.output, USERS, sizeof USERS, 0));
    CHECK_INT(restore(), REEL_OK);
    CHECK(!strstr(told, "write ") && !strstr(told, "cut output.tmp"));
    CHECK(!is_there(b.list));
    check_users();
}

static void output_of_the_user(void)
{
    DO(moved_some());
    CHECK(write_file(b.output, USERS, sizeof USERS, 0));
    CHECK_INT(restore(), REEL_OK);
    DO(check_all_back());
    check_users();
}

static void output_that_cannot_be_opened(void)
{
    char path[REEL_PATH_BYTES + 8];
    DO(moved_some());
    snprintf(path, sizeof path, "%s.away", b.unfinished);
    CHECK(!rename(b.unfinished, path) && !mkdir(b.unfinished, 0700));
    CHECK_INT(restore(), REEL_ERR_IO);
    CHECK_HAS(reel_fail_text(), "could not open file \"");
    CHECK_HAS(reel_fail_text(), "/output.tmp\"");
    CHECK(!rmdir(b.unfinished) && !rename(path, b.unfinished));
    CHECK_INT(restore(), REEL_OK);
    check_all_back();
}

// What it waited for has done all, and has begun another join.
static void somebody_else_puts_back(void)
{
    DO(moved_some());
    b.lock_fd = open(b.list, O_RDWR | O_CLOEXEC);
    CHECK(b.lock_fd >= 0 && !flock(b.lock_fd, LOCK_EX));
    CHECK_INT(restore(), REEL_OK);
    CHECK_INT(b.lock_fd, -1);
    CHECK_STR(told, "");
    CHECK(is_there(b.unfinished));
}

static bool probe_holes(void)
{
    static const uint8_t data[4 * BLOCK] = {1};
    char path[CHECK_FOLDER_BYTES + 8];
    snprintf(path, sizeof path, "%s/probe", folder);
    if (!write_file(path, data, sizeof data, 0)) return false;
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    const bool has = !fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, BLOCK, BLOCK) &&
                     lseek(fd, 0, SEEK_HOLE) == BLOCK && lseek(fd, BLOCK, SEEK_DATA) == 2 * (off_t)BLOCK;
    close(fd);
    return has;
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {{"holes_where_it_is_listed", holes_where_it_is_listed},
                                              {"nothing_where_there_is_room", nothing_where_there_is_room},
                                              {"not_written_yet", not_written_yet},
                                              {"nothing_that_is_still_to_be_read", nothing_that_is_still_to_be_read},
                                              {"synced_before_it_is_a_hole", synced_before_it_is_a_hole},
                                              {"no_hole_without_its_line", no_hole_without_its_line},
                                              {"no_holes_in_this_file_system", no_holes_in_this_file_system},
                                              {"back_before_its_line_goes", back_before_its_line_goes},
                                              {"given_up_and_begun_again", given_up_and_begun_again},
                                              {"failed_and_begun_again", failed_and_begun_again},
                                              {"torn_line", torn_line},
                                              {"torn_line_of_right_size", torn_line_of_right_size},
                                              {"damaged_line", damaged_line},
                                              {"line_of_another_kind", line_of_another_kind},
                                              {"part_made_anew", part_made_anew},
                                              {"part_gone", part_gone},
                                              {"part_that_cannot_be_opened", part_that_cannot_be_opened},
                                              {"output_that_has_its_name", output_that_has_its_name},
                                              {"output_that_is_not_there", output_that_is_not_there},
                                              {"output_made_anew", output_made_anew},
                                              {"output_of_the_user", output_of_the_user},
                                              {"output_that_cannot_be_opened", output_that_cannot_be_opened},
                                              {"somebody_else_puts_back", somebody_else_puts_back}};
    check_folder(folder);
    has_holes = probe_holes();
    const int rc = check_main(cases, sizeof cases / sizeof *cases, argc, argv);
    forget();
    char command[CHECK_FOLDER_BYTES + 16];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) ? 1 : rc;
}
