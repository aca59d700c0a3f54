/* SPDX-License-Identifier: BSD-3-Clause */
/* What guard mode closes and opens, on memory that can be protected. */
#include <shm/lock.h>

#include "guard_fixture.h"

static int set_up(void **state)
{
	(void)state;
	start(true);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	end_all();
	return 0;
}

static void bytes_are_closed_while_a_device_has_them_and_open_after(void **state)
{
	(void)state;
	assert_true(may_write(0) && may_write(g.size - 1));
	give(g.shm, g.one, DEV_W);
	assert_false(may_read(0) || may_read(g.size - 1));
	assert_int_equal(metal_shm_sync_for_cpu(g.shm, DEV_RW), 0);
	assert_true(may_write(0) && may_write(g.size - 1));
	assert_int_equal(fake_queue(g.one, g.shm, DEV_RW), 0);
	assert_false(may_read(0));
	fake_complete(g.one, 1);
	assert_int_equal(metal_shm_device_dispatch(g.one->dev), 0);
	/* its work is done, and the bytes stay its */
	assert_false(may_read(0));
	assert_int_equal(metal_shm_sync_for_cpu(g.shm, DEV_RW), 0);
	assert_true(may_write(0));
}

static void readers_that_stay_leave_the_bytes_readable(void **state)
{
	(void)state;
	give(g.shm, g.one, DEV_RW);
	assert_false(may_read(0));
	assert_int_equal(metal_shm_sync_for_cpu(g.shm, DEV_W), 0);
	assert_true(may_read(0));
	assert_false(may_write(0));
	give(g.shm, g.two, DEV_R);
	assert_true(may_read(g.size - 1));
	assert_false(may_write(g.size - 1));
}

static void a_detached_device_leaves_the_bytes_open(void **state)
{
	struct metal_generic_shm *view = metal_shm_attach(g.shm, g.one->dev);

	(void)state;
	give(g.shm, g.one, DEV_W);
	metal_shm_detach(view, g.one->dev);
	assert_false(may_read(0));
	metal_shm_detach(g.view, g.one->dev);
	assert_true(may_write(0));
	g.view = metal_shm_attach(g.shm, g.one->dev);
}

static struct metal_generic_shm *part_for(struct fake_importer *to, size_t offset, size_t size)
{
	struct metal_generic_shm *part = metal_shm_sub(g.shm, offset, size, 0);

	assert_non_null(metal_shm_attach(part, to->dev));
	return part;
}

static void end_part(struct metal_generic_shm *part, struct fake_importer *of)
{
	metal_shm_detach(metal_shm_view(part, of->dev), of->dev);
	metal_shm_free(part, NULL);
}

static void a_page_with_a_byte_of_the_programs_stays_open(void **state)
{
	size_t page = g.page;
	struct metal_generic_shm *part = part_for(g.one, page + 1, 2 * page);
	struct metal_generic_shm *rest = part_for(g.two, 3 * page + 1, page - 1);

	(void)state;
	give(part, g.one, DEV_W);
	assert_true(may_write(page - 1) && may_write(page) && may_write(2 * page - 1));
	assert_false(may_read(2 * page) || may_read(3 * page - 1));
	assert_true(may_write(3 * page) && may_write(4 * page - 1));
	/* with the other's bytes the page is nobody's but theirs */
	give(rest, g.two, DEV_W);
	assert_false(may_read(3 * page) || may_read(4 * page - 1));
	assert_true(may_write(4 * page));
	assert_int_equal(metal_shm_sync_for_cpu(part, DEV_RW), 0);
	assert_true(may_write(3 * page) && may_write(2 * page));
	end_part(part, g.one);
	end_part(rest, g.two);
}

static void a_system_call_on_closed_bytes_fails_with_efault(void **state)
{
	int ends[2];

	(void)state;
	give(g.shm, g.one, DEV_W);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_int_equal(read(ends[0], (void *)g.bytes, 1), -1);
	assert_int_equal(errno, EFAULT);
	close(ends[0]);
	close(ends[1]);
}

static void ends_when_it_is_told_and_begins_again(void **state)
{
	(void)state;
	give(g.shm, g.one, DEV_W);
	assert_int_equal(metal_shm_guard(g.shm, false), 0);
	assert_true(may_write(0));
	assert_int_equal(metal_shm_sync_for_cpu(g.shm, DEV_RW), 0);
	give(g.shm, g.one, DEV_W);
	assert_true(may_write(0));
	assert_int_equal(metal_shm_guard(g.shm, true), 0);
	assert_int_equal(metal_shm_guard(g.shm, true), 0);
	assert_false(may_read(0));
	assert_int_equal(metal_shm_guard(g.shm, false), 0);
	assert_int_equal(metal_shm_guard(g.shm, false), 0);
	assert_true(may_write(0));
}

static void memory_without_pages_of_its_own_is_refused(void **state)
{
	struct fake_source *source = fake_source_new("src", true);
	struct metal_generic_shm *ordinary = fake_buffer(source, 4096);
	static char bytes[3 * 4096] __attribute__((aligned(4096)));
	struct metal_generic_shm *wrapped = metal_shm_wrap(bytes, sizeof(bytes), NULL, NULL);

	(void)state;
	assert_int_equal(metal_shm_guard(wrapped, true), -ENOTSUP);
	assert_non_null(strstr(metal_shm_last_error(), "no pages of its own"));
	assert_int_equal(metal_shm_guard(wrapped, false), 0);
	assert_int_equal(metal_shm_guard(ordinary, true), -ENOTSUP);
	assert_int_equal(metal_shm_guard(NULL, true), -EINVAL);
	metal_shm_free(wrapped, NULL);
	metal_shm_free(ordinary, NULL);
	fake_source_end(source);
}

static void an_importers_own_mapping_stays_open(void **state)
{
	const struct metal_shm_attachment at = { .shm = g.view };
	void *address;
	char *own;

	(void)state;
	give(g.shm, g.one, DEV_RW);
	assert_false(may_read(0));
	assert_int_equal(metal_shm_importer_map(&at, READ_WRITE, &address), 0);
	own = address;
	assert_int_equal(own[0], 0x11);
	own[0] = 0x22;
	metal_shm_importer_unmap(&at, own);
	assert_int_equal(metal_shm_sync_for_cpu(g.shm, DEV_RW), 0);
	assert_int_equal(g.bytes[0], 0x22);
}

/* The part goes to and from a memory of its own, past the closed pages. */
static void copies_of_a_part_are_made_though_its_pages_are_closed(void **state)
{
	struct fake_importer *whole = fake_importer_new("whole", METAL_SHM_ACCESS_CPU_USER);
	struct metal_generic_shm *part = metal_shm_sub(g.shm, g.page, g.page, 0), *view;
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };
	struct metal_shm_attachment at = { 0 };
	void *address;
	char *own;

	(void)state;
	whole->constraints.flags = METAL_SHM_NEEDS_WHOLE;
	view = metal_shm_attach(part, whole->dev);
	assert_int_equal(metal_shm_view_mode(view), METAL_SHM_VIEW_SHADOW);
	give(g.shm, g.one, DEV_W);
	assert_false(may_read(g.page));
	give(part, whole, DEV_RW);
	at.shm = view;
	assert_int_equal(metal_shm_importer_map(&at, READ_WRITE, &address), 0);
	own = address;
	assert_int_equal(own[9], 0x11);
	own[9] = 0x33;
	/* the same device only reads now: what it wrote is still nowhere else */
	give(part, whole, DEV_R);
	assert_false(may_read(g.page));
	/* brought home for another that gets the closed bytes */
	give(g.shm, g.one, DEV_R);
	assert_int_equal(metal_shm_buffer_stats(g.shm, &stats), 0);
	assert_int_equal(stats.bytes_back, g.page);
	assert_true(may_read(g.page));
	assert_int_equal(g.bytes[g.page + 9], 0x33);
	metal_shm_importer_unmap(&at, own);
	metal_shm_detach(view, whole->dev);
	metal_shm_free(part, NULL);
	fake_importer_end(whole);
}

static void a_lock_in_closed_bytes_still_works(void **state)
{
	(void)state;
	assert_int_equal(metal_shm_lock_init(g.shm, 64), 0);
	give(g.shm, g.one, DEV_R);
	assert_false(may_write(64));
	assert_int_equal(metal_shm_lock(g.shm, 64), 0);
	assert_int_equal(metal_shm_trylock(g.shm, 64), -EDEADLK);
	assert_int_equal(metal_shm_unlock(g.shm, 64), 0);
}

static void a_forked_child_frees_what_is_closed(void **state)
{
	int status;
	pid_t child;

	(void)state;
	give(g.shm, g.one, DEV_W);
	child = fork();
	if (!child) {
		int bad = metal_shm_guard(g.shm, false) != -EPERM;

		metal_shm_free(g.shm, NULL);
		_exit(bad);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	/* the parent's is as it was */
	assert_false(may_read(0));
	assert_int_equal(metal_shm_sync_for_cpu(g.shm, DEV_RW), 0);
	assert_int_equal(g.bytes[0], 0x11);
}

static void threads_hand_parts_round_without_a_false_alarm(void **state)
{
	size_t size = g.size / 4 - 100;
	struct part parts[4];
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct fake_importer *to = i % 2 ? g.two : g.one;

		parts[i] = (struct part){ .shm = part_for(to, i * size, size), .to = to };
		parts[i].bytes = g.bytes + i * size;
		parts[i].size = size;
		assert_int_equal(pthread_create(&threads[i], NULL, hand_round, &parts[i]), 0);
	}
	for (size_t i = 0; i < 4; i++) {
		void *bad;

		pthread_join(threads[i], &bad);
		assert_null(bad);
		end_part(parts[i].shm, parts[i].to);
	}
}

#define guarded_case(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		guarded_case(bytes_are_closed_while_a_device_has_them_and_open_after),
		guarded_case(readers_that_stay_leave_the_bytes_readable),
		guarded_case(a_detached_device_leaves_the_bytes_open),
		guarded_case(a_page_with_a_byte_of_the_programs_stays_open),
		guarded_case(a_system_call_on_closed_bytes_fails_with_efault),
		guarded_case(ends_when_it_is_told_and_begins_again),
		guarded_case(an_importers_own_mapping_stays_open),
		guarded_case(copies_of_a_part_are_made_though_its_pages_are_closed),
		guarded_case(a_lock_in_closed_bytes_still_works),
		guarded_case(a_forked_child_frees_what_is_closed),
		guarded_case(threads_hand_parts_round_without_a_false_alarm),
		cmocka_unit_test(memory_without_pages_of_its_own_is_refused),
	};

	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
