// SPDX-License-Identifier: MIT
//
// docs/options.md is made from the option table: "test_options_doc --print" writes it (make docs). The
// test fails if the page lacks an option or has one that does not exist.
#include "common/settings.h"
#include "tests/check.h"

static void print_doc(FILE *f)
{
    fputs(
        "# Options\n"
        "\n"
        "This page lists all options, as `./run.sh --help` does. It is generated from the option table by\n"
        "`make docs`; do not edit it.\n"
        "\n"
        "Options can be given on the command line (`--name value` or `--name=value`; `-` and `_` are the same; a\n"
        "switch is turned off with `--no_name`) or in a configuration file (`--config FILE`, libconfig syntax, where\n"
        "`detect.score` is `score` in the group `detect`). The command line wins. `--dump_config` prints the "
        "effective\n"
        "settings in the form of such a file. The configuration files in `configs/` are examples.\n",
        f);
    opt_markdown(reel_settings_table(), f);
}

// The page has a row for each option, and no others.
static void page_has_all_options(void)
{
    static char page[1 << 16];
    FILE *f = fopen("docs/options.md", "r");
    const size_t n = f ? fread(page, 1, sizeof page - 1, f) : 0;
    if (f) fclose(f);
    page[n] = 0;
    const struct opt_table *table = reel_settings_table();
    int rows = 0;
    for (const char *p = page; (p = strstr(p, "\n| `")); p++) rows++;
    for (int i = 0; i < table->n; i++) {
        char row[80], with_letter[80];
        const struct opt_def *def = &table->defs[i];
        snprintf(row, sizeof row, "\n| `--%s", def->name);
        snprintf(with_letter, sizeof with_letter, "\n| `-%c, --%s", def->letter, def->name);
        const char *at = strstr(page, def->letter ? with_letter : row);
        CHECK_MSG(at, "docs/options.md lacks --%s: run make docs", def->name);
    }
    CHECK_MSG(rows == table->n, "docs/options.md has %d options, there are %d: run make docs", rows, table->n);
}

// A cell of a Markdown table cannot hold these.
static void texts_fit_a_table(void)
{
    const struct opt_table *table = reel_settings_table();
    for (int i = 0; i < table->n; i++)
        CHECK_MSG(!strpbrk(table->defs[i].help, "|\n"), "the help of --%s has a \"|\" or a line feed",
                  table->defs[i].name);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {{"options page has all options", page_has_all_options},
                                              {"options texts fit a table", texts_fit_a_table}};
    if (argc > 1 && !strcmp(argv[1], "--print")) {
        print_doc(stdout);
        return 0;
    }
    return check_main(cases, (int)(sizeof cases / sizeof *cases), argc, argv);
}
