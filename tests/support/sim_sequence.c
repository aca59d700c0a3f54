/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_sequence.h"

#include <stdlib.h>
#include <string.h>

#include "shm_test.h"
#include "sim_generate.h"

/* A failure that needs more runs than this to shrink is printed as it is by then. */
#define MOST_RUNS 20000u

struct sim_outcome sim_sequence_make(uint64_t seed, size_t most, unsigned mistakes,
				     struct sim_sequence *ret_sequence)
{
	struct sim_world *world = sim_world_new(mistakes);
	struct sim_rng rng = { seed };
	struct sim_op *ops = calloc(most, sizeof(*ops));
	size_t count = 0;

	assert_non_null(ops);
	while (count < most) {
		ops[count] = sim_generate(world, &rng);
		if (!sim_world_do(world, &ops[count++]))
			break;
	}
	*ret_sequence = (struct sim_sequence){ ops, count };
	return sim_world_end(world);
}

struct sim_outcome sim_sequence_run(const struct sim_op ops[], size_t count, unsigned mistakes)
{
	struct sim_world *world = sim_world_new(mistakes);

	for (size_t i = 0; i < count; i++)
		if (!sim_world_do(world, &ops[i]))
			break;
	return sim_world_end(world);
}

struct shrinking {
	struct sim_sequence *sequence;
	struct sim_op *trial; /* as many as there are */
	unsigned mistakes, runs;
};

/* Keep the trial's operations if they fail too. */
static bool keep(struct shrinking *shrinking, size_t count)
{
	struct sim_sequence *sequence = shrinking->sequence;

	if (shrinking->runs++ >= MOST_RUNS ||
	    !sim_sequence_run(shrinking->trial, count, shrinking->mistakes).why[0])
		return false;
	memcpy(sequence->ops, shrinking->trial, count * sizeof(*sequence->ops));
	sequence->count = count;
	return true;
}

/* Without as many from there on. */
static bool keep_without(struct shrinking *shrinking, size_t from, size_t n)
{
	const struct sim_sequence *sequence = shrinking->sequence;
	size_t rest = sequence->count - from - n;

	memcpy(shrinking->trial, sequence->ops, from * sizeof(*shrinking->trial));
	memcpy(shrinking->trial + from, sequence->ops + from + n, rest * sizeof(*shrinking->trial));
	return keep(shrinking, from + rest);
}

/* Delta debugging: half of them, a quarter, down to single ones, until none can be spared. */
static void take_away(struct shrinking *shrinking)
{
	struct sim_sequence *sequence = shrinking->sequence;
	size_t n = (sequence->count + 1) / 2;
	bool any;

	while (n) {
		any = false;
		for (size_t from = 0; from < sequence->count;) {
			size_t here = n < sequence->count - from ? n : sequence->count - from;

			if (keep_without(shrinking, from, here))
				any = true;
			else
				from += here;
		}
		if (!any || n > 1)
			n /= 2;
	}
}

static bool keep_as(struct shrinking *shrinking, size_t at, const struct sim_op *op)
{
	const struct sim_sequence *sequence = shrinking->sequence;
	const struct sim_op *is = &sequence->ops[at];

	if (is->steps == op->steps && is->offset == op->offset && is->size == op->size &&
	    is->value == op->value)
		return false;
	memcpy(shrinking->trial, sequence->ops, sequence->count * sizeof(*shrinking->trial));
	shrinking->trial[at] = *op;
	return keep(shrinking, sequence->count);
}

/* Each field by itself: nothing, or half of it. */
static void simplify(struct shrinking *shrinking)
{
	for (size_t at = 0; at < shrinking->sequence->count; at++) {
		const struct sim_op *op = &shrinking->sequence->ops[at];
		struct sim_op simpler = *op;

		simpler.steps = 0;
		keep_as(shrinking, at, &simpler);
		do {
			simpler = *op;
			simpler.offset /= 2;
		} while (keep_as(shrinking, at, &simpler));
		do {
			simpler = *op;
			simpler.size = (simpler.size + 1) / 2;
		} while (keep_as(shrinking, at, &simpler));
		simpler = *op;
		simpler.value = 1;
		keep_as(shrinking, at, &simpler);
	}
}

void sim_sequence_shrink(struct sim_sequence *sequence, unsigned mistakes)
{
	struct shrinking shrinking = { .sequence = sequence, .mistakes = mistakes };

	shrinking.trial = calloc(sequence->count, sizeof(*shrinking.trial));
	assert_non_null(shrinking.trial);
	take_away(&shrinking);
	simplify(&shrinking);
	take_away(&shrinking);
	free(shrinking.trial);
}

/* The fields of an operation that are looked at, in bits. */
enum { HANDLE = 1, OF = 2, VIEW = 4, DEVICE = 8, SOURCE = 16, DIR = 32, OFFSET = 64, SIZE = 128 };

static const struct {
	const char *name;
	unsigned has;
} kinds[] = {
	[SIM_ALLOCATE] = { "SIM_ALLOCATE", HANDLE | SOURCE | SIZE },
	[SIM_SUB] = { "SIM_SUB", HANDLE | OF | OFFSET | SIZE },
	[SIM_FREE] = { "SIM_FREE", HANDLE },
	[SIM_MAP] = { "SIM_MAP", HANDLE | DIR },
	[SIM_UNMAP] = { "SIM_UNMAP", HANDLE },
	[SIM_CPU_WRITE] = { "SIM_CPU_WRITE", HANDLE | OFFSET | SIZE },
	[SIM_ATTACH] = { "SIM_ATTACH", HANDLE | DEVICE | VIEW },
	[SIM_DETACH] = { "SIM_DETACH", VIEW },
	[SIM_TO_DEVICE] = { "SIM_TO_DEVICE", HANDLE | DEVICE | DIR },
	[SIM_QUEUE] = { "SIM_QUEUE", HANDLE | DEVICE | DIR },
	[SIM_COMPLETE] = { "SIM_COMPLETE", VIEW },
	[SIM_FAIL] = { "SIM_FAIL", VIEW },
	[SIM_DEVICE_WRITE] = { "SIM_DEVICE_WRITE", VIEW | OFFSET | SIZE },
	[SIM_TO_CPU] = { "SIM_TO_CPU", HANDLE | DIR },
	[SIM_SETTLE] = { "SIM_SETTLE", HANDLE },
	[SIM_FORK] = { "SIM_FORK", HANDLE },
};

static void print_op(const struct sim_op *op)
{
	const struct {
		unsigned field;
		const char *name;
		size_t value;
	} fields[] = {
		{ HANDLE, "handle", op->handle }, { OF, "of", op->of },
		{ VIEW, "view", op->view },       { DEVICE, "device", op->device },
		{ SOURCE, "source", op->source }, { DIR, "dir", op->dir },
		{ OFFSET, "offset", op->offset }, { SIZE, "size", op->size },
	};
	print_message("\t\t{ %s", kinds[op->kind].name);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (kinds[op->kind].has & fields[i].field && fields[i].value)
			print_message(", .%s = %zu", fields[i].name, fields[i].value);
	if (op->steps)
		print_message(", .steps = %u", op->steps);
	print_message(", .value = %u },\n", op->value);
}

void sim_sequence_print(const struct sim_sequence *sequence, const char *why, const char *name)
{
	print_message("/* %s */\n", why);
	print_message("static void %s(void **state)\n{\n", name);
	print_message("\tstatic const struct sim_op ops[] = {\n");
	for (size_t i = 0; i < sequence->count; i++)
		print_op(&sequence->ops[i]);
	print_message("\t};\n\n\t(void)state;\n");
	print_message("\tsim_sequence_must_hold(ops, SHM_TEST_COUNT(ops));\n}\n");
}

void sim_tally_add(struct sim_tally *sum, const struct sim_tally *tally)
{
	for (unsigned i = 0; i < SIM_OP_KINDS; i++)
		sum->done[i] += tally->done[i];
	sum->left_out += tally->left_out;
	for (unsigned i = 0; i < SIM_KINDS; i++)
		sum->refused[i] += tally->refused[i];
	sum->lost += tally->lost;
	sum->windows += tally->windows;
}

void sim_tally_print(const struct sim_tally *tally)
{
	for (unsigned i = 0; i < SIM_OP_KINDS; i++)
		print_message("%8u %s\n", tally->done[i], kinds[i].name);
	for (unsigned i = 0; i < SIM_KINDS; i++)
		print_message("%8u refused of %s memory\n", tally->refused[i], sim_kind_names[i]);
	print_message("%8u by a window\n%8u told of lost bytes\n%8u left out\n", tally->windows,
		      tally->lost, tally->left_out);
}

void sim_sequence_must_hold(const struct sim_op ops[], size_t count)
{
	struct sim_outcome outcome = sim_sequence_run(ops, count, 0);

	assert_string_equal(outcome.why, "");
}
