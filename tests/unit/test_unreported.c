/* SPDX-License-Identifier: BSD-3-Clause */
/* Guard mode: what the program wrote and didn't report, where it had begun to say what it writes. */
#include <dlfcn.h>
#include <sys/mman.h>

#include <shm/lock.h>

#include "fake_fence.h"
#include "guard_fixture.h"

static unsigned lines;
static char told[512];

static void on_log(void *user, enum metal_shm_log_level level, const char *line)
{
	(void)user;
	if (level != METAL_SHM_LOG_ERROR)
		return;
	lines++;
	snprintf(told, sizeof(told), "%s", line);
}

static void listen(void)
{
	lines = 0;
	told[0] = '\0';
	metal_shm_set_log(on_log, NULL, METAL_SHM_LOG_ERROR);
}

static int set_up(void **state)
{
	(void)state;
	start(true);
	/* a period that begins with bytes known to the guard */
	give(g.shm, g.one, DEV_R);
	assert_int_equal(metal_shm_sync_for_cpu(g.shm, DEV_RW), 0);
	listen();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	metal_shm_set_log(NULL, NULL, METAL_SHM_LOG_ERROR);
	end_all();
	return 0;
}

static void write_at(size_t offset, size_t length)
{
	for (size_t i = offset; i < offset + length; i++)
		g.bytes[i]++;
}

static void report(struct metal_generic_shm *shm, size_t offset, size_t length)
{
	assert_int_equal(metal_shm_wrote(shm, offset, length), 0);
}

static uint64_t misuses(void)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(metal_shm_buffer_stats(g.shm, &stats), 0);
	return stats.misuse;
}

static void assert_told(const char *what)
{
	char text[200];

	snprintf(text, sizeof(text), " bytes): %s in all, changed without metal_shm_wrote()", what);
	if (lines != 1 || !strstr(told, text))
		fail_msg("%u lines, the last '%s', but not '%s'", lines, told, text);
	listen();
}

static void hand_over_and_take_back(struct metal_generic_shm *shm, struct fake_importer *to)
{
	give(shm, to, DEV_R);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_RW), 0);
}

static void a_write_that_was_not_reported_is_told_at_the_hand_over(void **state)
{
	unsigned long site;
	Dl_info module;
	char text[200];

	(void)state;
	write_at(200, 5);
	write_at(100, 10);
	report(g.shm, 100, 10);
	write_at(300, 1);
	assert_int_equal(misuses(), 0);
	give(g.shm, g.one, DEV_R);
	assert_int_equal(lines, 1);
	snprintf(
		text, sizeof(text),
		"unreported write to ring of memfd (%zu bytes): 5 at offset 200, 6 in all, changed "
		"without metal_shm_wrote(); handed to one by ",
		g.size);
	assert_ptr_equal(strstr(told, text), told);
	assert_non_null(strstr(told, "test_unreported+"));
	site = strtoul(strstr(told, "test_unreported+") + strlen("test_unreported+"), NULL, 0);
	assert_true(dladdr((void *)(uintptr_t)hand_over_here, &module));
	site += (uintptr_t)module.dli_fbase;
	assert_in_range(site - (uintptr_t)hand_over_here, 1, 1000);
	assert_int_equal(misuses(), 1);
}

static void what_was_reported_is_not_told(void **state)
{
	(void)state;
	write_at(0, 1);
	write_at(g.size - 1, 1);
	write_at(1001, 333);
	report(g.shm, g.size - 1, 1);
	report(g.shm, 0, 1);
	report(g.shm, 1001, 333);
	hand_over_and_take_back(g.shm, g.one);
	/* some of it only because it is all reported */
	report(g.shm, 5, 5);
	write_at(0, g.size);
	report(g.shm, 0, g.size);
	hand_over_and_take_back(g.shm, g.one);
	/* and nothing of nothing */
	report(g.shm, 0, 0);
	hand_over_and_take_back(g.shm, g.one);
	assert_int_equal(lines, 0);
	assert_int_equal(misuses(), 0);
}

static void who_reports_nothing_is_told_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		write_at(0, g.size);
		hand_over_and_take_back(g.shm, i % 2 ? g.one : g.two);
	}
	assert_int_equal(lines, 0);
}

static void neighbours_of_what_was_reported_are_told_to_the_byte(void **state)
{
	char text[64];

	(void)state;
	write_at(100, 9);
	report(g.shm, 101, 7);
	hand_over_and_take_back(g.shm, g.one);
	assert_told("1 at offset 100, 2");
	write_at(0, 2);
	report(g.shm, 1, 1);
	hand_over_and_take_back(g.shm, g.one);
	assert_told("1 at offset 0, 1");
	write_at(g.size - 2, 2);
	report(g.shm, g.size - 2, 1);
	hand_over_and_take_back(g.shm, g.one);
	snprintf(text, sizeof(text), "1 at offset %zu, 1", g.size - 1);
	assert_told(text);
	/* a row is one, however long; over two ranges too */
	write_at(77, 700);
	report(g.shm, 0, 0);
	hand_over_and_take_back(g.shm, g.one);
	assert_told("700 at offset 77, 700");
	write_at(1000, 300);
	write_at(3000, 2);
	report(g.shm, 1100, 100);
	hand_over_and_take_back(g.shm, g.one);
	assert_told("100 at offset 1000, 202");
}

static void it_is_told_once(void **state)
{
	(void)state;
	write_at(9, 1);
	report(g.shm, 0, 1);
	hand_over_and_take_back(g.shm, g.one);
	assert_told("1 at offset 9, 1");
	report(g.shm, 0, 1);
	hand_over_and_take_back(g.shm, g.one);
	give(g.shm, g.two, DEV_W);
	give(g.shm, g.one, DEV_R);
	assert_int_equal(lines, 0);
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

static void a_parts_bytes_are_told_of_when_the_part_goes(void **state)
{
	struct metal_generic_shm *a = part_for(g.one, 501, 333), *c = part_for(g.two, 834, 99);
	struct metal_generic_shm *inner = part_for(g.two, 600, 3);

	(void)state;
	write_at(501, 333);
	write_at(833, 2);
	report(a, 0, 99);
	report(c, 1, 1);
	/* one nested in the first, which began to report too */
	hand_over_and_take_back(inner, g.two);
	assert_told("3 at offset 600, 3");
	give(c, g.two, DEV_R);
	assert_told("1 at offset 834, 1");
	/* while another device has its bytes the rest is still the program's */
	give(a, g.one, DEV_W);
	assert_told("231 at offset 603, 231");
	end_part(inner, g.two);
	end_part(a, g.one);
	end_part(c, g.two);
}

static void what_a_copy_lacks_is_told_and_still_lacking(void **state)
{
	struct fake_importer *whole = fake_importer_new("whole", METAL_SHM_ACCESS_CPU_USER);
	struct metal_shm_attachment at = { 0 };
	struct metal_generic_shm *part;
	void *address;
	const char *there;

	(void)state;
	whole->constraints.flags = METAL_SHM_NEEDS_WHOLE;
	part = part_for(whole, 1001, 2000);
	at.shm = metal_shm_view(part, whole->dev);
	assert_int_equal(metal_shm_importer_map(&at, METAL_SHM_READ, &address), 0);
	there = address;
	hand_over_and_take_back(part, whole);
	g.bytes[1010] = 5;
	g.bytes[1011] = 6;
	report(part, 9, 1);
	give(part, whole, DEV_R);
	assert_told("1 at offset 1011, 1");
	/* as it would be without the guard */
	assert_int_equal(there[9], 5);
	assert_int_equal(there[10], 0x11);
	metal_shm_importer_unmap(&at, address);
	end_part(part, whole);
	fake_importer_end(whole);
}

static void what_devices_wrote_is_not_the_programs(void **state)
{
	struct metal_generic_shm *a = part_for(g.one, 0, 100);
	const struct metal_shm_attachment at = { .shm = metal_shm_view(a, g.one->dev) };
	void *address;
	char *own;

	(void)state;
	assert_int_equal(metal_shm_importer_map(&at, READ_WRITE, &address), 0);
	own = address;
	report(g.shm, 0, 0);
	give(a, g.one, DEV_RW);
	memset(own, 0x77, 100);
	/* the rest stayed the program's */
	give(g.shm, g.two, DEV_R);
	assert_int_equal(lines, 0);
	assert_int_equal(metal_shm_sync_for_cpu(g.shm, DEV_RW), 0);
	give(a, g.one, DEV_W);
	memset(own, 0x66, 100);
	assert_int_equal(metal_shm_sync_for_cpu(a, DEV_RW), 0);
	write_at(0, 1);
	report(a, 0, 1);
	hand_over_and_take_back(g.shm, g.two);
	assert_int_equal(lines, 0);
	metal_shm_importer_unmap(&at, own);
	end_part(a, g.one);
}

static void writes_through_other_mappings_count_and_are_named(void **state)
{
	char *other;
	int fd = metal_shm_export(g.shm, 0);

	(void)state;
	assert_true(fd >= 0);
	other = mmap(NULL, g.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	assert_ptr_not_equal(other, MAP_FAILED);
	other[44]++;
	report(g.shm, 45, 1);
	hand_over_and_take_back(g.shm, g.one);
	assert_non_null(strstr(told, ", here or where else the memory is mapped; handed to one"));
	assert_told("1 at offset 44, 1");
	munmap(other, g.size);
}

static void a_forked_childs_write_is_told_in_its_parent(void **state)
{
	int status;
	pid_t child;

	(void)state;
	report(g.shm, 0, 1);
	child = fork();
	if (!child) {
		write_at(5, 1);
		metal_shm_free(g.shm, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	hand_over_and_take_back(g.shm, g.one);
	assert_told("1 at offset 5, 1");
}

static void a_locks_word_changes_as_it_likes(void **state)
{
	(void)state;
	assert_int_equal(metal_shm_lock_init(g.shm, 64), 0);
	assert_int_equal(metal_shm_lock_init(g.shm, 128), 0);
	report(g.shm, 0, 0);
	assert_int_equal(metal_shm_lock(g.shm, 64), 0);
	assert_int_equal(metal_shm_lock(g.shm, 128), 0);
	hand_over_and_take_back(g.shm, g.one);
	assert_int_equal(lines, 0);
	report(g.shm, 0, 0);
	assert_int_equal(metal_shm_unlock(g.shm, 64), 0);
	assert_int_equal(metal_shm_unlock(g.shm, 128), 0);
	write_at(63, 1);
	write_at(64 + METAL_SHM_LOCK_SIZE, 1);
	hand_over_and_take_back(g.shm, g.one);
	assert_told("1 at offset 63, 2");
}

static void only_a_hand_over_that_is_made_tells(void **state)
{
	struct metal_generic_shm *a = part_for(g.one, 0, 100);

	(void)state;
	assert_int_equal(fake_queue(g.one, a, DEV_W), 0);
	g.one->error = -EIO;
	fake_complete(g.one, 1);
	assert_int_equal(metal_shm_device_dispatch(g.one->dev), 0);
	write_at(1000, 1);
	report(metal_shm_view(g.shm, g.two->dev), 2000, 0);
	assert_int_equal(metal_shm_sync_for_device(g.shm, g.two->dev, DEV_R), -EIO);
	assert_int_equal(lines, 0);
	assert_int_equal(metal_shm_sync_for_device(g.shm, g.two->dev, DEV_R), 0);
	assert_told("1 at offset 1000, 1");
	end_part(a, g.one);
}

static void what_was_reported_counts_until_a_hand_over_is_made(void **state)
{
	struct metal_generic_shm *a = part_for(g.one, 0, 100);

	(void)state;
	assert_int_equal(fake_queue(g.one, a, DEV_W), 0);
	g.one->error = -EIO;
	fake_complete(g.one, 1);
	assert_int_equal(metal_shm_device_dispatch(g.one->dev), 0);
	write_at(1000, 5);
	report(g.shm, 1000, 5);
	assert_int_equal(metal_shm_sync_for_device(g.shm, g.two->dev, DEV_R), -EIO);
	write_at(1000, 5);
	give(g.shm, g.two, DEV_R);
	assert_int_equal(lines, 0);
	end_part(a, g.one);
}

static void a_guard_that_begins_knows_what_is_there(void **state)
{
	(void)state;
	assert_int_equal(metal_shm_guard(g.shm, false), 0);
	write_at(10, 1);
	report(g.shm, 20, 1);
	hand_over_and_take_back(g.shm, g.one);
	write_at(11, 1);
	report(g.shm, 20, 1);
	assert_int_equal(metal_shm_guard(g.shm, true), 0);
	write_at(12, 1);
	hand_over_and_take_back(g.shm, g.one);
	assert_told("1 at offset 12, 1");
}

/* A memory that is synced as a whole, so that bytes are written back which the program keeps. */
static int set_up_heap(void **state)
{
	struct fake_heap *heap = fake_heap_new();
	struct metal_generic_shm *shm = metal_shm_allocate(PAGES * (size_t)sysconf(_SC_PAGESIZE),
							   heap->dev, METAL_SHM_DMABUF);

	(void)state;
	assert_non_null(shm);
	start_with(shm, METAL_SHM_ACCESS_DMA, true);
	listen();
	return 0;
}

static int tear_down_heap(void **state)
{
	(void)state;
	metal_shm_set_log(NULL, NULL, METAL_SHM_LOG_ERROR);
	metal_shm_detach(g.view, g.one->dev);
	metal_shm_detach(g.other_view, g.two->dev);
	metal_shm_free(g.shm, NULL);
	fake_importer_end(g.one);
	fake_importer_end(g.two);
	fake_heap_end();
	return 0;
}

static void what_is_written_back_meanwhile_may_be_reported_after(void **state)
{
	(void)state;
	hand_over_and_take_back(g.shm, g.one);
	write_at(5, 1);
	write_at(6, 1);
	report(g.shm, 5, 1);
	assert_int_equal(metal_shm_settle(g.shm), 0);
	report(g.shm, 6, 1);
	hand_over_and_take_back(g.shm, g.one);
	assert_int_equal(lines, 0);
	write_at(5, 2);
	report(g.shm, 5, 1);
	assert_int_equal(metal_shm_settle(g.shm), 0);
	/* one that was reported is begun anew, the other was never */
	write_at(7, 1);
	report(g.shm, 7, 1);
	hand_over_and_take_back(g.shm, g.one);
	assert_told("1 at offset 6, 1");
	/* all of it counted, until what came after it is named */
	write_at(0, 100);
	assert_int_equal(metal_shm_settle(g.shm), 0);
	write_at(200, 1);
	report(g.shm, 200, 1);
	hand_over_and_take_back(g.shm, g.one);
	assert_int_equal(lines, 0);
}

static void without_a_hook(void)
{
	start(true);
	hand_over_here(g.shm, g.one, DEV_R);
	metal_shm_sync_for_cpu(g.shm, DEV_RW);
	g.bytes[3]++;
	if (metal_shm_wrote(g.shm, 0, 1))
		_exit(1);
	_exit(hand_over_here(g.shm, g.one, DEV_R) ? 2 : 0);
}

static void without_a_hook_it_goes_to_standard_error(void **state)
{
	struct end end = play("without_a_hook", false);

	(void)state;
	assert_int_equal(end.status, 0);
	assert_ptr_equal(strstr(end.said, "libshm: unreported write to ring of memfd ("), end.said);
	assert_said(&end, " bytes): 1 at offset 3, 1 in all,");
	assert_int_equal(end.said[strlen(end.said) - 1], '\n');
}

#define unreported_case(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		unreported_case(a_write_that_was_not_reported_is_told_at_the_hand_over),
		unreported_case(what_was_reported_is_not_told),
		unreported_case(who_reports_nothing_is_told_nothing),
		unreported_case(neighbours_of_what_was_reported_are_told_to_the_byte),
		unreported_case(it_is_told_once),
		unreported_case(a_parts_bytes_are_told_of_when_the_part_goes),
		unreported_case(what_a_copy_lacks_is_told_and_still_lacking),
		unreported_case(what_devices_wrote_is_not_the_programs),
		unreported_case(writes_through_other_mappings_count_and_are_named),
		unreported_case(a_forked_childs_write_is_told_in_its_parent),
		unreported_case(a_locks_word_changes_as_it_likes),
		unreported_case(only_a_hand_over_that_is_made_tells),
		unreported_case(what_was_reported_counts_until_a_hand_over_is_made),
		unreported_case(a_guard_that_begins_knows_what_is_there),
		cmocka_unit_test_setup_teardown(
			what_is_written_back_meanwhile_may_be_reported_after, set_up_heap,
			tear_down_heap),
		cmocka_unit_test(without_a_hook_it_goes_to_standard_error),
	};

	if (argc == 3 && !strcmp(argv[1], "--scene")) {
		without_a_hook();
		return 98;
	}
	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
