/* SPDX-License-Identifier: BSD-3-Clause */
/* What records look like in time: who has which bytes, from when to when, and who has them next. */
#include <string.h>

#include "timeline.h"

#include "shm_test.h"

#define R METAL_SHM_DIR_DEV_R
#define W METAL_SHM_DIR_DEV_W

enum { PROGRAM, SOURCE, CAMERA, DISPLAY };

/* Records of memory 1, by thread 7, a microsecond after each other. */
struct story {
	struct shm__trace_entry entries[400];
	struct shm__trace_copy copy;
	struct shm__timeline told;
	uint32_t memory, thread;
};

static int set_up(void **state)
{
	struct story *story = test_calloc(1, sizeof(*story));

	story->copy.entries = story->entries;
	story->memory = 1;
	story->thread = 7;
	*state = story;
	return 0;
}

static int tear_down(void **state)
{
	struct story *story = *state;

	shm__os_free(story->told.items);
	test_free(story);
	return 0;
}

static void part(struct story *story, enum shm__trace_event event, uint16_t track, int detail,
		 uint64_t offset, uint64_t size)
{
	size_t n = story->copy.count++;

	assert_true(n < sizeof(story->entries) / sizeof(story->entries[0]));
	story->entries[n] = (struct shm__trace_entry){
		.time_ns = (int64_t)n * 1000,
		.place = n,
		.offset = offset,
		.size = size,
		.memory = story->memory,
		.thread = story->thread,
		.detail = detail,
		.track = track,
		.event = (uint8_t)event,
	};
}

static void whole(struct story *story, enum shm__trace_event event, uint16_t track, int detail)
{
	part(story, event, track, detail, 0, 100);
}

static void tell(struct story *story)
{
	assert_int_equal(shm__timeline(&story->copy, &story->told), 0);
}

/* The n-th stretch of a track, which there must be. */
static const struct shm__item *stretch(const struct story *story, uint16_t track, unsigned n)
{
	for (size_t i = 0; i < story->told.count; i++) {
		const struct shm__item *item = &story->told.items[i];

		if (item->kind != SHM__ITEM_INSTANT && item->track == track && !n--)
			return item;
	}
	fail_msg("track %u has not as many stretches", track);
	return NULL;
}

static unsigned stretches(const struct story *story, uint16_t track)
{
	unsigned n = 0;

	for (size_t i = 0; i < story->told.count; i++)
		n += story->told.items[i].kind != SHM__ITEM_INSTANT &&
		     story->told.items[i].track == track;
	return n;
}

static void assert_time(const struct shm__item *item, int64_t begin_us, int64_t end_us)
{
	assert_int_equal(item->begin, begin_us * 1000);
	assert_int_equal(item->end, end_us * 1000);
}

static void queued_work_lasts_until_it_is_done(void **state)
{
	struct story *story = *state;

	whole(story, SHM__TRACE_QUEUED, CAMERA, W);
	whole(story, SHM__TRACE_DONE, CAMERA, 0);
	whole(story, SHM__TRACE_QUEUED, DISPLAY, R);
	tell(story);
	assert_time(stretch(story, CAMERA, 0), 0, 1);
	assert_int_equal(stretch(story, CAMERA, 0)->dir, W);
	assert_false(stretch(story, CAMERA, 0)->no_end);
	assert_time(stretch(story, DISPLAY, 0), 2, 2);
	assert_true(stretch(story, DISPLAY, 0)->no_end);
	assert_int_equal(stretches(story, PROGRAM), 0);
}

static void the_last_of_several_works_ends_it(void **state)
{
	struct story *story = *state;

	whole(story, SHM__TRACE_QUEUED, CAMERA, R | W);
	whole(story, SHM__TRACE_QUEUED, CAMERA, W);
	whole(story, SHM__TRACE_PART_DONE, CAMERA, -5);
	whole(story, SHM__TRACE_DONE, CAMERA, 0);
	tell(story);
	assert_int_equal(stretches(story, CAMERA), 1);
	assert_time(stretch(story, CAMERA, 0), 0, 3);
	assert_int_equal(stretch(story, CAMERA, 0)->dir, R | W);
	assert_int_equal(stretch(story, CAMERA, 0)->detail, -5);
}

static void who_reads_and_later_writes_is_not_said_to_write_before(void **state)
{
	struct story *story = *state;

	whole(story, SHM__TRACE_QUEUED, CAMERA, R);
	whole(story, SHM__TRACE_QUEUED, CAMERA, W);
	whole(story, SHM__TRACE_PART_DONE, CAMERA, 0);
	whole(story, SHM__TRACE_DONE, CAMERA, 0);
	tell(story);
	assert_time(stretch(story, CAMERA, 0), 0, 1);
	assert_int_equal(stretch(story, CAMERA, 0)->dir, R);
	assert_time(stretch(story, CAMERA, 1), 1, 3);
	assert_int_equal(stretch(story, CAMERA, 1)->dir, R | W);
	assert_int_equal(stretch(story, CAMERA, 1)->flow, 0);
}

static void work_after_an_idle_hand_over_has_its_own_accesses(void **state)
{
	struct story *story = *state;

	whole(story, SHM__TRACE_GIVEN, CAMERA, R | W);
	whole(story, SHM__TRACE_QUEUED, CAMERA, R);
	whole(story, SHM__TRACE_QUEUED, DISPLAY, R);
	tell(story);
	assert_time(stretch(story, CAMERA, 0), 0, 1);
	assert_time(stretch(story, CAMERA, 1), 1, 2);
	assert_int_equal(stretch(story, CAMERA, 1)->dir, R);
}

static void idle_bytes_are_a_devices_until_somebody_takes_them(void **state)
{
	struct story *story = *state;

	whole(story, SHM__TRACE_GIVEN, CAMERA, W);
	whole(story, SHM__TRACE_GIVEN, DISPLAY, R);
	whole(story, SHM__TRACE_TAKEN, PROGRAM, R | W);
	whole(story, SHM__TRACE_GIVEN, CAMERA, R);
	tell(story);
	assert_time(stretch(story, CAMERA, 0), 0, 1);
	assert_time(stretch(story, DISPLAY, 0), 1, 2);
	assert_int_equal(stretch(story, DISPLAY, 0)->dir, R);
	assert_time(stretch(story, PROGRAM, 0), 2, 3);
	assert_int_equal(stretch(story, PROGRAM, 0)->dir, 0);
}

static void readers_stay_beside_readers_and_the_program(void **state)
{
	struct story *story = *state;

	whole(story, SHM__TRACE_GIVEN, CAMERA, R);
	whole(story, SHM__TRACE_GIVEN, DISPLAY, R);
	whole(story, SHM__TRACE_TAKEN, PROGRAM, W);
	whole(story, SHM__TRACE_TAKEN, PROGRAM, R);
	tell(story);
	assert_time(stretch(story, CAMERA, 0), 0, 3);
	assert_time(stretch(story, DISPLAY, 0), 1, 3);
	assert_time(stretch(story, PROGRAM, 0), 2, 3);
}

static void pending_work_stays_beside_the_program(void **state)
{
	struct story *story = *state;

	whole(story, SHM__TRACE_QUEUED, DISPLAY, R);
	whole(story, SHM__TRACE_TAKEN, PROGRAM, W);
	whole(story, SHM__TRACE_QUEUED, CAMERA, R);
	whole(story, SHM__TRACE_DONE, DISPLAY, 0);
	tell(story);
	assert_time(stretch(story, DISPLAY, 0), 0, 3);
	assert_time(stretch(story, PROGRAM, 0), 1, 2);
}

static void a_verb_after_a_hand_over_goes_on_with_it(void **state)
{
	struct story *story = *state;

	whole(story, SHM__TRACE_END, SOURCE, R);
	whole(story, SHM__TRACE_GIVEN, CAMERA, W);
	whole(story, SHM__TRACE_QUEUED, CAMERA, W);
	whole(story, SHM__TRACE_DONE, CAMERA, 0);
	tell(story);
	assert_int_equal(stretches(story, CAMERA), 1);
	assert_time(stretch(story, CAMERA, 0), 1, 3);
	assert_true(stretch(story, CAMERA, 0)->needed & SHM__NEEDED_END);
}

static void what_a_part_leaves_stays_where_it_was(void **state)
{
	struct story *story = *state;

	whole(story, SHM__TRACE_TAKEN, PROGRAM, R | W);
	part(story, SHM__TRACE_QUEUED, CAMERA, W, 40, 20);
	part(story, SHM__TRACE_DONE, CAMERA, 0, 40, 20);
	tell(story);
	assert_int_equal(stretches(story, PROGRAM), 3);
	assert_time(stretch(story, PROGRAM, 0), 0, 1);
	assert_time(stretch(story, PROGRAM, 1), 1, 2);
	assert_int_equal(stretch(story, PROGRAM, 1)->offset, 0);
	assert_int_equal(stretch(story, PROGRAM, 1)->size, 40);
	assert_int_equal(stretch(story, PROGRAM, 1)->flow, 0);
	assert_int_equal(stretch(story, PROGRAM, 2)->offset, 60);
	assert_int_equal(stretch(story, PROGRAM, 2)->size, 40);
}

static void parts_side_by_side_leave_each_other_alone(void **state)
{
	struct story *story = *state;

	part(story, SHM__TRACE_GIVEN, CAMERA, W, 0, 50);
	part(story, SHM__TRACE_GIVEN, DISPLAY, W, 50, 50);
	part(story, SHM__TRACE_TAKEN, PROGRAM, W, 50, 50);
	part(story, SHM__TRACE_QUEUED, DISPLAY, W, 50, 50);
	tell(story);
	assert_time(stretch(story, CAMERA, 0), 0, 3);
	assert_time(stretch(story, DISPLAY, 0), 1, 2);
	assert_time(stretch(story, PROGRAM, 0), 2, 3);
}

static void accesses_that_end_for_a_part_go_on_elsewhere(void **state)
{
	struct story *story = *state;

	whole(story, SHM__TRACE_GIVEN, CAMERA, R | W);
	part(story, SHM__TRACE_TAKEN, PROGRAM, W, 0, 50);
	part(story, SHM__TRACE_GIVEN, DISPLAY, R, 0, 100);
	tell(story);
	assert_time(stretch(story, CAMERA, 0), 0, 1);
	assert_time(stretch(story, CAMERA, 1), 1, 2);
	assert_int_equal(stretch(story, CAMERA, 1)->offset, 50);
	assert_int_equal(stretch(story, CAMERA, 1)->dir, R | W);
	assert_time(stretch(story, CAMERA, 2), 1, 2);
	assert_int_equal(stretch(story, CAMERA, 2)->offset, 0);
	assert_int_equal(stretch(story, CAMERA, 2)->dir, R);
	assert_false(stretch(story, CAMERA, 1)->no_end);
	assert_true(stretch(story, CAMERA, 2)->no_end);
}

static void a_shadow_is_never_the_programs(void **state)
{
	struct story *story = *state;

	whole(story, SHM__TRACE_BORN, SOURCE, 0);
	whole(story, SHM__TRACE_SHADOW, CAMERA, 0);
	whole(story, SHM__TRACE_FREED, SOURCE, 0);
	tell(story);
	assert_time(stretch(story, PROGRAM, 0), 0, 1);
	assert_false(stretch(story, PROGRAM, 0)->no_end);
}

static void work_is_ended_for_the_range_it_was_for(void **state)
{
	struct story *story = *state;

	part(story, SHM__TRACE_QUEUED, CAMERA, W, 0, 50);
	part(story, SHM__TRACE_QUEUED, CAMERA, W, 50, 50);
	part(story, SHM__TRACE_DONE, CAMERA, 0, 50, 50);
	part(story, SHM__TRACE_DONE, CAMERA, -5, 0, 100);
	tell(story);
	assert_time(stretch(story, CAMERA, 0), 0, 3);
	assert_int_equal(stretch(story, CAMERA, 0)->detail, -5);
	assert_time(stretch(story, CAMERA, 1), 1, 2);
}

static void what_began_before_the_trace_begins_with_it(void **state)
{
	struct story *story = *state;

	whole(story, SHM__TRACE_ATTACHED, DISPLAY, 0);
	whole(story, SHM__TRACE_PART_DONE, CAMERA, 0);
	whole(story, SHM__TRACE_DONE, CAMERA, -19);
	whole(story, SHM__TRACE_QUEUED, DISPLAY, R);
	whole(story, SHM__TRACE_FREED, SOURCE, 0);
	tell(story);
	assert_int_equal(stretches(story, CAMERA), 1);
	assert_time(stretch(story, CAMERA, 0), 0, 2);
	assert_true(stretch(story, CAMERA, 0)->no_begin);
	assert_int_equal(stretch(story, CAMERA, 0)->detail, -19);
	assert_int_equal(stretch(story, CAMERA, 0)->flow, 0);
	assert_int_equal(stretch(story, DISPLAY, 0)->flow, 0);
	/* its size was counted nowhere */
	assert_true(story->told.items[story->told.count - 1].no_begin);
}

static void new_memory_is_the_programs_and_ends_with_all(void **state)
{
	struct story *story = *state;

	whole(story, SHM__TRACE_BORN, SOURCE, 0);
	whole(story, SHM__TRACE_GIVEN, CAMERA, R);
	whole(story, SHM__TRACE_FREED, SOURCE, 0);
	story->memory = 2;
	whole(story, SHM__TRACE_BORN, SOURCE, 0);
	tell(story);
	assert_time(stretch(story, PROGRAM, 0), 0, 1);
	assert_time(stretch(story, CAMERA, 0), 1, 2);
	assert_false(stretch(story, CAMERA, 0)->no_end);
	assert_time(stretch(story, PROGRAM, 1), 3, 3);
	for (size_t i = 0; i < story->told.count; i++)
		if (story->told.items[i].event == SHM__TRACE_FREED)
			assert_false(story->told.items[i].no_begin);
}

static void a_detached_device_has_idle_bytes_no_more(void **state)
{
	struct story *story = *state;

	whole(story, SHM__TRACE_GIVEN, CAMERA, R);
	whole(story, SHM__TRACE_QUEUED, DISPLAY, R);
	whole(story, SHM__TRACE_DETACHED, CAMERA, 0);
	whole(story, SHM__TRACE_DETACHED, DISPLAY, 0);
	whole(story, SHM__TRACE_DONE, DISPLAY, 0);
	tell(story);
	assert_time(stretch(story, CAMERA, 0), 0, 2);
	assert_time(stretch(story, DISPLAY, 0), 1, 4);
}

static void a_wait_is_its_threads(void **state)
{
	struct story *story = *state;

	whole(story, SHM__TRACE_WAIT, DISPLAY, 0);
	story->thread = 8;
	whole(story, SHM__TRACE_WAIT, PROGRAM, 1);
	whole(story, SHM__TRACE_QUEUED, CAMERA, W);
	whole(story, SHM__TRACE_WAITED, PROGRAM, 1);
	story->thread = 7;
	whole(story, SHM__TRACE_WAITED, DISPLAY, 0);
	tell(story);
	assert_time(stretch(story, DISPLAY, 0), 0, 4);
	assert_time(stretch(story, PROGRAM, 0), 1, 3);
	assert_int_equal(stretch(story, PROGRAM, 0)->kind, SHM__ITEM_WAITS);
	assert_int_equal(stretch(story, PROGRAM, 0)->detail, 1);
}

static void what_a_hand_over_needed_is_its_own(void **state)
{
	struct story *story = *state;

	whole(story, SHM__TRACE_START, SOURCE, R);
	whole(story, SHM__TRACE_MAPPED, SOURCE, 0);
	whole(story, SHM__TRACE_END, SOURCE, R);
	whole(story, SHM__TRACE_COPIED_OUT, CAMERA, 0);
	whole(story, SHM__TRACE_GIVEN, CAMERA, W);
	whole(story, SHM__TRACE_START, SOURCE, W);
	whole(story, SHM__TRACE_TAKEN, PROGRAM, W);
	whole(story, SHM__TRACE_GIVEN, DISPLAY, R);
	whole(story, SHM__TRACE_START, SOURCE, W);
	story->memory = 2;
	whole(story, SHM__TRACE_GIVEN, DISPLAY, R);
	tell(story);
	assert_int_equal(stretch(story, CAMERA, 0)->needed, SHM__NEEDED_END);
	assert_int_equal(stretch(story, PROGRAM, 0)->needed, SHM__NEEDED_START);
	assert_int_equal(stretch(story, DISPLAY, 0)->needed, SHM__NEEDED_NOTHING);
	assert_int_equal(stretch(story, DISPLAY, 1)->needed, SHM__NEEDED_NOTHING);
}

static void a_flow_leads_from_the_first_to_the_last(void **state)
{
	struct story *story = *state;

	for (int i = 0; i < 4; i++) {
		whole(story, SHM__TRACE_QUEUED, i % 2 ? DISPLAY : CAMERA, W);
		whole(story, SHM__TRACE_DONE, i % 2 ? DISPLAY : CAMERA, 0);
	}
	story->memory = 2;
	whole(story, SHM__TRACE_QUEUED, CAMERA, W);
	tell(story);
	assert_int_equal(stretch(story, CAMERA, 0)->flow, 's');
	assert_int_equal(stretch(story, DISPLAY, 0)->flow, 't');
	assert_int_equal(stretch(story, CAMERA, 1)->flow, 't');
	assert_int_equal(stretch(story, DISPLAY, 1)->flow, 'f');
	assert_int_equal(stretch(story, CAMERA, 2)->flow, 0);
}

static void what_a_device_has_at_once_stands_side_by_side(void **state)
{
	struct story *story = *state;

	for (story->memory = 1; story->memory <= 3; story->memory++)
		whole(story, SHM__TRACE_QUEUED, CAMERA, W);
	story->memory = 2;
	whole(story, SHM__TRACE_DONE, CAMERA, 0);
	story->memory = 4;
	whole(story, SHM__TRACE_QUEUED, CAMERA, W);
	whole(story, SHM__TRACE_DONE, CAMERA, 0);
	tell(story);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(stretch(story, CAMERA, i)->lane, i);
	assert_int_equal(stretch(story, CAMERA, 3)->lane, 1);
	assert_int_equal(story->told.lanes[CAMERA], 3);
	assert_int_equal(story->told.lanes[DISPLAY], 0);
}

static void what_has_no_room_is_counted(void **state)
{
	struct story *story = *state;

	for (story->memory = 1; story->memory <= SHM__LANES + 3; story->memory++)
		whole(story, SHM__TRACE_QUEUED, CAMERA, W);
	/* one memory in the hands of more than are remembered */
	for (uint64_t i = 0; i < 130; i++)
		part(story, SHM__TRACE_GIVEN, DISPLAY, R, i, 1);
	tell(story);
	assert_int_equal(stretches(story, CAMERA), SHM__LANES);
	assert_int_equal(stretches(story, DISPLAY), SHM__LANES);
	assert_int_equal(story->told.left_out, 3 + 130 - SHM__LANES);
}

static void records_in_disorder_are_sorted(void **state)
{
	struct story *story = *state;
	struct shm__trace_entry first;

	whole(story, SHM__TRACE_QUEUED, CAMERA, W);
	whole(story, SHM__TRACE_DONE, CAMERA, 0);
	whole(story, SHM__TRACE_QUEUED, DISPLAY, R);
	whole(story, SHM__TRACE_DONE, DISPLAY, 0);
	/* of one time */
	story->entries[1].time_ns = 0;
	story->entries[3].time_ns = 2000;
	first = story->entries[0];
	memmove(story->entries, story->entries + 1, 3 * sizeof(first));
	story->entries[3] = first;
	tell(story);
	assert_time(stretch(story, CAMERA, 0), 0, 0);
	assert_time(stretch(story, DISPLAY, 0), 2, 2);
	assert_false(stretch(story, CAMERA, 0)->no_begin);
	assert_int_equal(stretches(story, CAMERA), 1);
}

static void nothing_recorded_is_an_empty_timeline(void **state)
{
	struct story *story = *state;

	tell(story);
	assert_int_equal(story->told.count, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(queued_work_lasts_until_it_is_done),
		CASE(the_last_of_several_works_ends_it),
		CASE(who_reads_and_later_writes_is_not_said_to_write_before),
		CASE(work_after_an_idle_hand_over_has_its_own_accesses),
		CASE(idle_bytes_are_a_devices_until_somebody_takes_them),
		CASE(readers_stay_beside_readers_and_the_program),
		CASE(pending_work_stays_beside_the_program),
		CASE(a_verb_after_a_hand_over_goes_on_with_it),
		CASE(what_a_part_leaves_stays_where_it_was),
		CASE(parts_side_by_side_leave_each_other_alone),
		CASE(accesses_that_end_for_a_part_go_on_elsewhere),
		CASE(a_shadow_is_never_the_programs),
		CASE(work_is_ended_for_the_range_it_was_for),
		CASE(what_began_before_the_trace_begins_with_it),
		CASE(new_memory_is_the_programs_and_ends_with_all),
		CASE(a_detached_device_has_idle_bytes_no_more),
		CASE(a_wait_is_its_threads),
		CASE(what_a_hand_over_needed_is_its_own),
		CASE(a_flow_leads_from_the_first_to_the_last),
		CASE(what_a_device_has_at_once_stands_side_by_side),
		CASE(what_has_no_room_is_counted),
		CASE(records_in_disorder_are_sorted),
		CASE(nothing_recorded_is_an_empty_timeline),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
