/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Print what a change of hands needs, of every combination, as shm__decide() answers it. Rows and
 * columns that say the same are one; test_decisions.py compares docs/ownership.md with it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

#define R       METAL_SHM_DIR_DEV_R
#define W       METAL_SHM_DIR_DEV_W
#define COLUMNS 12
#define OTHERS  6

struct dirt_name {
	const char *text;
	struct shm__dirt dirt;
};

static const struct dirt_name histories[] = {
	{ "nobody", { 0 } },
	{ "a CPU", { .cpu = true } },
	{ "DMA", { .device = true } },
	{ "both", { .cpu = true, .device = true } },
};

/* The bytes that stay where they are. A device that may be writing may have written. */
static const struct dirt_name others[OTHERS] = {
	{ "nobody", { 0 } },
	{ "a CPU", { .cpu = true } },
	{ "DMA", { .device = true } },
	{ "both", { .cpu = true, .device = true } },
	{ "DMA, still", { .device = true, .busy = true } },
	{ "both, still", { .cpu = true, .device = true, .busy = true } },
};

static const struct taker {
	const char *text;
	unsigned taker;
} takers[] = {
	{ "the program", SHM__PROGRAM },
	{ "CPU kinds", METAL_SHM_ACCESS_CPU_KERNEL },
	{ "DMA", METAL_SHM_ACCESS_DMA },
	{ "unknown", METAL_SHM_ACCESS_UNKNOWN },
};

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "decisions: no longer true: %s\n", what);
	exit(1);
}

/* A START that moves nothing stands for none: one sentence of the document is about it. */
static const char *answer(struct shm__question q)
{
	static const char *const refusals[] = { "", "refused: START", "refused: END",
						"refused: writer" };
	struct shm__plan plan, first;

	q.started = true;
	plan = shm__decide(&q);
	q.started = false;
	first = shm__decide(&q);
	must(first.end == plan.end && first.refusal == plan.refusal &&
		     first.start == (plan.end && !plan.start ? R : plan.start),
	     "only an END asks whether there was a START");
	if (plan.refusal)
		return refusals[plan.refusal];
	must(!plan.start || plan.start & W, "a START reads in");
	if (plan.start && plan.end)
		return "START, END";
	return plan.start ? "START" : plan.end ? "END" : "nothing";
}

/* The cells of a row. */
static void fill(const char *row[COLUMNS], bool ranged, struct shm__dirt in, struct shm__dirt out)
{
	for (int i = 0; i < COLUMNS; i++) {
		struct shm__question q = {
			.in = in,
			.out = out,
			.taker = takers[i / 3].taker,
			.dir = (enum metal_shm_dir)(i % 3 + 1),
			.ranged = ranged,
		};

		row[i] = answer(q);
		if (q.taker == METAL_SHM_ACCESS_CPU_KERNEL) {
			q.taker = METAL_SHM_ACCESS_CPU_USER;
			must(!strcmp(row[i], answer(q)), "CPU kinds are alike");
			q.taker = METAL_SHM_ACCESS_DMA_COHERENT;
			must(!strcmp(row[i], answer(q)), "and who sees the CPU's cache");
		}
		q.coherent = true;
		must(!strcmp(answer(q), "nothing"), "coherent memory needs nothing");
	}
}

static bool same_row(const char *a[COLUMNS], const char *b[COLUMNS])
{
	for (int i = 0; i < COLUMNS; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

static bool same_column(const char *rows[][COLUMNS], size_t n, int a, int b)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(rows[i][a], rows[i][b]) != 0)
			return false;
	return true;
}

/* Columns of one taker that are alike have one head: "DMA, writing" is also reading and writing. */
static void print_table(bool ranged, const char *names[][2], const char *rows[][COLUMNS], size_t n)
{
	static const char *const dirs[] = { "reading", "writing", "reading and writing" };
	bool shown[COLUMNS] = { false };

	printf("| these bytes |%s", ranged ? "" : " all others |");
	for (int i = 0; i < COLUMNS; i++) {
		const int taker = i / 3 * 3;
		bool all = same_column(rows, n, taker, taker + 1) &&
			   same_column(rows, n, taker, taker + 2);

		/* reading and writing is like one of both, or alone */
		shown[i] = i == taker || !same_column(rows, n, i - 1, i);
		if (!shown[i])
			continue;
		printf(" %s", takers[i / 3].text);
		if (!all)
			printf(", %s", i + 1 < taker + 3 && same_column(rows, n, i, i + 1)
					       ? i == taker ? "reading or writing" : "writing"
					       : dirs[i % 3]);
		printf(" |");
	}
	printf("\n|---|%s", ranged ? "" : "---|");
	for (int i = 0; i < COLUMNS; i++)
		if (shown[i])
			printf("---|");
	printf("\n");
	for (size_t row = 0; row < n; row++) {
		printf("| %s |", names[row][0]);
		if (!ranged)
			printf(" %s |", names[row][1]);
		for (int i = 0; i < COLUMNS; i++)
			if (shown[i])
				printf(" %s |", rows[row][i]);
		printf("\n");
	}
}

static void print_whole(void)
{
	static char text[24][64];
	const char *rows[24][COLUMNS], *names[24][2], *all[OTHERS][COLUMNS];
	size_t n = 0;

	for (size_t i = 0; i < 4; i++) {
		for (int o = 0; o < OTHERS; o++)
			fill(all[o], false, histories[i].dirt, others[o].dirt);
		for (int o = 0; o < OTHERS; o++) {
			bool seen = false;

			for (int before = 0; before < o; before++)
				seen |= same_row(all[before], all[o]);
			if (seen)
				continue;
			snprintf(text[n], sizeof(text[n]), "%s", others[o].text);
			for (int later = o + 1; later < OTHERS; later++) {
				if (!same_row(all[later], all[o]))
					continue;
				strncat(text[n], "; ", sizeof(text[n]) - strlen(text[n]) - 1);
				strncat(text[n], others[later].text,
					sizeof(text[n]) - strlen(text[n]) - 1);
			}
			memcpy(rows[n], all[o], sizeof(all[o]));
			names[n][0] = histories[i].text;
			names[n][1] = text[n];
			n++;
		}
	}
	print_table(false, names, rows, n);
}

static void print_ranged(void)
{
	const char *rows[4][COLUMNS], *names[4][2], *other[COLUMNS];

	for (size_t i = 0; i < 4; i++) {
		names[i][0] = histories[i].text;
		fill(rows[i], true, histories[i].dirt, others[0].dirt);
		for (int o = 1; o < OTHERS; o++) {
			fill(other, true, histories[i].dirt, others[o].dirt);
			must(same_row(rows[i], other), "a range is synced whatever the others are");
		}
	}
	print_table(true, names, rows, 4);
}

/* ---- what a part's view stands for ---- */

#define PAGE  4096u
#define LINE  64u
#define PARTS 5

static const struct {
	const char *text;
	size_t offset, size;
} parts[PARTS] = {
	{ "the whole buffer", 0, 4 * PAGE },
	{ "whole pages", PAGE, PAGE },
	{ "from a page's start", PAGE, LINE },
	{ "whole lines", LINE, LINE },
	{ "any bytes", 1, 3 },
};

static const struct {
	const char *text;
	enum metal_shm_access access;
	uint32_t flags;
} users[] = {
	{ "CPU kinds", METAL_SHM_ACCESS_CPU_KERNEL, 0 },
	{ "CPU kinds that take no offset", METAL_SHM_ACCESS_CPU_KERNEL, METAL_SHM_NEEDS_WHOLE },
	{ "DMA, unknown", METAL_SHM_ACCESS_DMA, 0 },
	{ "DMA, unknown that take no offset", METAL_SHM_ACCESS_DMA, METAL_SHM_NEEDS_WHOLE },
};

#define USERS (sizeof(users) / sizeof(users[0]))

static int sync_nothing(struct metal_device *dev, struct metal_shm_memory *memory,
			const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	(void)dev;
	(void)memory;
	(void)range;
	(void)dir;
	return 0;
}

static int window_nothing(struct metal_device *dev, struct metal_shm_memory *memory,
			  const struct metal_shm_range *range, struct metal_shm_memory *ret_window)
{
	(void)dev;
	(void)memory;
	(void)range;
	(void)ret_window;
	return 0;
}

static const char *mode_name(struct shm__root *root, int part, size_t user,
			     enum metal_shm_access access)
{
	static const char *const names[] = { [METAL_SHM_VIEW_IN_PLACE] = "in place",
					     [METAL_SHM_VIEW_WINDOW] = "window",
					     [METAL_SHM_VIEW_SHADOW] = "shadow" };
	const struct metal_generic_shm shm = {
		.root = root,
		.offset = parts[part].offset,
		.size = parts[part].size,
	};
	const struct metal_shm_constraints want = { .access = access, .flags = users[user].flags };
	enum metal_shm_view_mode mode;
	const char *why = NULL;

	shm__choose_mode(&shm, &want, &mode, &why);
	must(mode == METAL_SHM_VIEW_IN_PLACE || why, "what isn't in place has a reason");
	return names[mode];
}

static void fill_modes(const char *row[USERS], struct shm__root *root, int part)
{
	for (size_t i = 0; i < USERS; i++) {
		bool cpu = users[i].access == METAL_SHM_ACCESS_CPU_KERNEL;

		row[i] = mode_name(root, part, i, users[i].access);
		must(!strcmp(row[i],
			     mode_name(root, part, i,
				       cpu ? METAL_SHM_ACCESS_CPU_USER : METAL_SHM_ACCESS_UNKNOWN)),
		     "kinds are alike");
	}
}

/* Parts that are reached alike share a row. */
static void print_modes_of(const char *text, const struct metal_shm_device_ops *ops, size_t granule)
{
	static struct shm__root root;
	static struct metal_device src;
	const char *rows[PARTS][USERS];
	bool shown[PARTS] = { false };

	src.ops = ops;
	root.src = &src;
	root.granule = granule;
	root.size = root.memory.size = 4 * PAGE;
	for (int part = 0; part < PARTS; part++)
		fill_modes(rows[part], &root, part);
	for (int part = 0; part < PARTS; part++) {
		if (shown[part])
			continue;
		printf("| %s | %s", text, parts[part].text);
		for (int other = part + 1; other < PARTS; other++) {
			if (shown[other] ||
			    memcmp(rows[part], rows[other], sizeof(rows[part])) != 0)
				continue;
			shown[other] = true;
			printf("; %s", parts[other].text);
		}
		printf(" |");
		for (size_t i = 0; i < USERS; i++)
			printf(" %s |", rows[part][i]);
		printf("\n");
	}
}

static void print_modes(void)
{
	static const struct metal_shm_device_ops none = { 0 };
	static const struct metal_shm_device_ops syncs = { .sync_for_cpu = sync_nothing };
	static const struct metal_shm_device_ops windows = { .sync_for_cpu = sync_nothing,
							     .window = window_nothing };

	printf("| the source | the part |");
	for (size_t i = 0; i < USERS; i++)
		printf(" %s |", users[i].text);
	printf("\n|---|---|---|---|---|---|\n");
	print_modes_of("needs no syncs", &none, 0);
	print_modes_of("syncs all", &syncs, 0);
	print_modes_of("syncs lines", &syncs, LINE);
	print_modes_of("gives windows", &windows, PAGE);
}

int main(void)
{
	printf("What a part's view stands for:\n\n");
	print_modes();
	printf("\n");
	printf("Where the source can sync ranges, by itself or by windows:\n\n");
	print_ranged();
	printf("\nWhere it can only sync all of the memory:\n\n");
	print_whole();
	return 0;
}
