// SPDX-License-Identifier: MIT
//
// Whose word counts: answers about parts of an earlier run, failures of an epoch
// that is over, and what a finished job's journal says of it.
#include "tests/check.h"

#include "coordinator/coordinator.h"
#include "coordinator/resume.h"

static struct run run;
static struct reel_job spec;
static struct job job;
static struct job_segment segments[3];

static void begin(void)
{
    memset(&run, 0, sizeof run);
    memset(segments, 0, sizeof segments);
    job = (struct job){.spec = &spec, .lock_fd = -1, .asked_row = NO_ROW, .segments = segments, .n_segments = 3};
    run.jobs = &job;
    run.n_jobs = run.n_active = 1;
}

static void begin_check(uint32_t row)
{
    begin();
    job.state = JOB_CHECK;
    for (uint32_t i = 0; i < 3; i++) {
        segments[i] = (struct job_segment){.state = SEGMENT_CHECKING, .row = row};
        segments[i].committed = (struct journal_segment){
            .segment = i, .frames = 50, .ledger = {.packets = 50, .decoded = 50, .encoded = 50}};
    }
}

// A part counts by the word of the aggregator that was asked for it, once.
static void parts_by_the_word_of_the_asked(void)
{
    struct proc asked = {.stage = REEL_AGGREGATOR, .row = 5}, other = {.stage = REEL_AGGREGATOR, .row = 6};
    begin_check(asked.row);
    jobs_on_verified(&run, &other, &(struct reel_rec_verify){.segment = 0, .ok = 1});
    jobs_on_verified(&run, &other, &(struct reel_rec_verify){.segment = 1, .ok = 0});
    CHECK_INT(job.n_committed, 0);
    CHECK_INT(job.frames_resumed, 0);
    for (int i = 0; i < 3; i++) CHECK(segments[i].state == SEGMENT_CHECKING && segments[i].row == asked.row);

    for (int twice = 0; twice < 2; twice++) {
        jobs_on_verified(&run, &asked, &(struct reel_rec_verify){.segment = 0, .ok = 1});
        jobs_on_verified(&run, &asked, &(struct reel_rec_verify){.segment = 1, .ok = 0});
        CHECK_INT(job.n_committed, 1);
        CHECK_INT(job.frames_resumed, 50);
        CHECK_INT(segments[0].state, SEGMENT_COMMITTED);
        CHECK_INT(segments[1].state, SEGMENT_PENDING);
        CHECK_INT(segments[2].state, SEGMENT_CHECKING);
    }
    // Of a job or a part that there is none of, or when nobody asks any more.
    jobs_on_verified(&run, &asked, &(struct reel_rec_verify){.segment = 3, .ok = 1});
    jobs_on_verified(&run, &asked, &(struct reel_rec_verify){.job = 1, .segment = 2, .ok = 1});
    job.state = JOB_RUN;
    jobs_on_verified(&run, &asked, &(struct reel_rec_verify){.segment = 2, .ok = 1});
    CHECK_INT(job.n_committed, 1);
}

// Who was asked owes the answer, so that it is missed when it is silent, and
// the question is asked again when it dies.
static void who_checks_a_part_owes(void)
{
    struct proc asked = {.stage = REEL_AGGREGATOR, .row = 5}, other = {.stage = REEL_AGGREGATOR, .row = 6};
    begin_check(asked.row);
    CHECK(jobs_owes(&run, &asked));
    CHECK(!jobs_owes(&run, &other));
    jobs_on_gone(&run, &(struct supervise_death){.proc = &other});
    CHECK_INT(segments[2].row, asked.row);
    for (uint32_t i = 0; i < 2; i++) jobs_on_verified(&run, &asked, &(struct reel_rec_verify){.segment = i, .ok = 1});
    CHECK(jobs_owes(&run, &asked)); // the third
    jobs_on_gone(&run, &(struct supervise_death){.proc = &asked});
    CHECK_INT(segments[2].row, NO_ROW);
    CHECK_INT(segments[2].state, SEGMENT_CHECKING);
    CHECK(!jobs_owes(&run, &asked));
}

static void present_epochs(void)
{
    begin();
    run.n_lanes = 2;
    run.lanes[0].state = LANE_OPEN;
    run.lanes[0].p.epoch = 7;
    run.lanes[1].state = LANE_CLOSING;
    run.lanes[1].p.epoch = 8;
    CHECK(flow_is_present(&run, 0, 7));
    CHECK(!flow_is_present(&run, 0, 6)); // the lane is another's now
    CHECK(!flow_is_present(&run, 0, 8));
    CHECK(!flow_is_present(&run, 1, 8)); // given up
    run.lanes[1].state = LANE_IDLE;
    CHECK(!flow_is_present(&run, 1, 8));
    run.lanes[2].state = LANE_OPEN; // beyond those there are
    CHECK(!flow_is_present(&run, 2, 0));
}

static char *text(const char *s)
{
    return strdup(s);
}

// A job that an earlier run finished: its account is its journal's, with the
// frames that were filled in there.
static void a_finished_job_keeps_its_account(void)
{
    begin();
    struct journal_segment done[2] = {
        {.segment = 0, .frames = 50, .ledger = {.packets = 51, .hidden = 1, .decoded = 50, .encoded = 50}},
        {.segment = 1,
         .frames = 30,
         .ledger = {.packets = 32, .unreadable = 2, .decoded = 30, .encoded = 30, .quarantined = 2}}};
    struct journal_quarantine filled_in[2] = {{1, 3}, {1, 17}};
    run.config_text = text("task = \"auto\";\n");
    run.model_known = true;
    run.workers = 1;
    for (int stage = REEL_DECODER; stage < REEL_STAGES; stage++) {
        struct proc *p = &run.sup.proc[run.sup.n];
        *p = (struct proc){.stage = (enum reel_stage)stage, .row = run.sup.n, .incarnation = 1};
        run.sup.first[stage] = run.sup.n++;
        run.sup.count[stage] = 1;
    }
    CHECK_INT(resume_take_over(&run, &job), REEL_AGAIN); // nobody has said yet what it is
    for (uint32_t i = 0; i < run.sup.n; i++) snprintf(run.sup.proc[i].hello.build, 8, "b");
    job.old = (struct journal_content){.has_header = true,
                                       .segments = done,
                                       .n_segments = 2,
                                       .quarantined = filled_in,
                                       .n_quarantined = 2,
                                       .done = true};
    job.old.header = (struct journal_header){.input = text("aa11"), .model = text("no"), .segments = 2};
    job.old.header.config = text(run.config_text);
    job.old.header.build = text("reelmill " REEL_VERSION "\ndecoder: b\nworker: b\naggregator: b");
    job.old.header.device = text("");
    CHECK_INT(resume_take_over(&run, &job), REEL_ERR_CONFIG); // another model's
    CHECK_INT(job.frames_out, 0);
    free(job.old.header.model);
    job.old.header.model = text("0000000000000000000000000000000000000000000000000000000000000000");
    CHECK_MSG(resume_take_over(&run, &job) == REEL_OK, "%s", reel_fail_text());
    CHECK_INT(job.frames_out, 80);
    CHECK_INT(job.frames_committed, 80);
    CHECK_INT(job.frames_resumed, 80);
    CHECK_INT(job.n_segments, 2);
    CHECK_INT(job.ledger.sum.unreadable, 2);
    CHECK_INT(jobs_quarantined(&job), 2);
    CHECK(poison_find(&job.poison, 1, 17) != NULL && poison_find(&job.poison, 1, 17)->quarantined);
    poison_fini(&job.poison);
    journal_header_fini(&job.old.header);
    free(run.config_text);
}

CHECK_MAIN({"jobs: parts by the word of the asked", parts_by_the_word_of_the_asked},
           {"jobs: who checks a part owes", who_checks_a_part_owes}, {"jobs: present epochs", present_epochs},
           {"jobs: a finished job keeps its account", a_finished_job_keeps_its_account})
