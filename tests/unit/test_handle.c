/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffers, parts and references: life, misuse, mapping, wrapped memory, names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <shm/observe.h>

#include "fake.h"
#include "shm_test.h"

static uint64_t misuses(void)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(metal_shm_stats(&stats), 0);
	return stats.misuse;
}

static uint64_t deferred(void)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(metal_shm_stats(&stats), 0);
	return stats.deferred;
}

static void memory_goes_back_with_the_last_reference(void **state)
{
	struct fake_source *source = fake_source_new("src", true);
	struct metal_generic_shm *shm = fake_buffer(source, 100);

	(void)state;
	assert_ptr_equal(metal_shm_ref(shm), shm);
	metal_shm_free(shm, source->dev);
	assert_int_equal(source->live, 1);
	metal_shm_free(shm, NULL);
	assert_int_equal(source->live, 0);
	fake_source_end(source);
}

static void a_second_free_is_recognised(void **state)
{
	struct fake_source *source = fake_source_new("src", true);
	struct metal_generic_shm *shm = fake_buffer(source, 100);
	uint64_t before = misuses();

	(void)state;
	metal_shm_free(shm, NULL);
	errno = 0;
	metal_shm_free(shm, NULL);
	assert_int_equal(errno, EINVAL);
	assert_non_null(strstr(metal_shm_last_error(), "metal_shm_free"));
	assert_int_equal(misuses(), before + 1);
	assert_int_equal(metal_shm_size(shm), 0);
	fake_source_end(source);
}

static void a_foreign_pointer_is_refused(void **state)
{
	uint64_t other[64] = { 1, 2, 3 };
	struct metal_generic_shm *shm = (struct metal_generic_shm *)other;
	struct metal_device *dev = (struct metal_device *)other;
	uint64_t before = misuses();

	(void)state;
	assert_null(metal_shm_map(shm, METAL_SHM_READ));
	assert_int_equal(errno, EINVAL);
	assert_null(metal_shm_allocate(1, dev, 0));
	assert_int_equal(errno, EINVAL);
	assert_null(metal_shm_attach(shm, dev));
	assert_null(metal_shm_ref(shm));
	assert_null(metal_shm_device_name(dev));
	assert_int_equal(metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_R), -EINVAL);
	assert_int_equal(metal_shm_device_dispatch(dev), -EINVAL);
	metal_shm_free(shm, NULL);
	metal_shm_detach(shm, dev);
	metal_shm_device_close(dev);
	metal_shm_pool_destroy((struct metal_shm_pool *)other);
	assert_int_equal(misuses(), before + 4);
	assert_int_equal(other[0], 1);
}

static void null_is_nothing_to_free(void **state)
{
	uint64_t before = misuses();

	(void)state;
	metal_shm_free(NULL, NULL);
	metal_shm_detach(NULL, NULL);
	metal_shm_device_close(NULL);
	metal_shm_pool_destroy(NULL);
	assert_int_equal(misuses(), before);
}

static void freeing_by_another_device_is_misuse(void **state)
{
	struct fake_source *source = fake_source_new("src", true);
	struct fake_source *other = fake_source_new("other", true);
	struct metal_generic_shm *shm = fake_buffer(source, 100);
	uint64_t before = misuses();

	(void)state;
	metal_shm_free(shm, other->dev);
	assert_int_equal(misuses(), before + 1);
	assert_int_equal(metal_shm_size(shm), 100);
	metal_shm_free(shm, source->dev);
	fake_source_end(source);
	fake_source_end(other);
}

static void keep_line(void *user, enum metal_shm_log_level level, const char *line)
{
	assert_int_equal(level, METAL_SHM_LOG_ERROR);
	strncpy(user, line, 200);
}

static void misuse_is_logged(void **state)
{
	char line[256] = "", *kept = line;

	(void)state;
	metal_shm_set_log(keep_line, kept, METAL_SHM_LOG_ERROR);
	metal_shm_free((struct metal_generic_shm *)(uintptr_t)line, NULL);
	metal_shm_set_log(NULL, NULL, METAL_SHM_LOG_ERROR);
	assert_non_null(strstr(line, "metal_shm_free"));
	line[0] = '\0';
	metal_shm_free((struct metal_generic_shm *)(uintptr_t)line, NULL);
	assert_int_equal(line[0], '\0');
}

static void sizes_and_flags_are_checked_before_use(void **state)
{
	struct fake_source *source = fake_source_new("src", true);

	(void)state;
	assert_null(metal_shm_allocate(0, source->dev, 0));
	assert_int_equal(errno, EINVAL);
	assert_null(metal_shm_allocate(1, source->dev, METAL_SHM_CACHED | METAL_SHM_NOTCACHED));
	assert_int_equal(errno, EINVAL);
	assert_null(metal_shm_allocate(1, source->dev, 1u << 20));
	assert_int_equal(errno, EINVAL);
	assert_null(metal_shm_allocate(1, NULL, 0));
	assert_int_equal(errno, EINVAL);
	assert_string_equal(source->log, "");
	fake_source_end(source);
}

static void an_unknown_property_satisfies_nothing(void **state)
{
	static const metal_shm_type types[] = { METAL_SHM_CACHED,     METAL_SHM_NOTCACHED,
						METAL_SHM_CONTIGUOUS, METAL_SHM_ZEROED,
						METAL_SHM_SECURE,     METAL_SHM_DMABUF };
	struct fake_source *source = fake_source_new("src", true);
	struct metal_generic_shm *shm;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(types); i++) {
		assert_null(metal_shm_allocate(1, source->dev, types[i]));
		assert_int_equal(errno, ENOTSUP);
		assert_non_null(
			strstr(metal_shm_last_error(), "nothing tells whether src's memory is "));
		assert_non_null(
			strstr(metal_shm_last_error(), ", and the program asks for METAL_SHM_"));
		assert_null(strstr(metal_shm_last_error(), "heaps.conf"));
	}
	source->properties.cached = METAL_SHM_YES;
	assert_null(metal_shm_allocate(1, source->dev, METAL_SHM_NOTCACHED));
	shm = metal_shm_allocate(1, source->dev, METAL_SHM_CACHED);
	assert_non_null(shm);
	metal_shm_free(shm, NULL);
	fake_source_end(source);
}

/* What an administrator may declare. */
static void a_heaps_property_that_nothing_declares_names_the_file(void **state)
{
	struct fake_source *source = fake_source_new("heap:special", true);

	(void)state;
	unsetenv("LIBSHM_HEAPS_CONF");
	assert_null(metal_shm_allocate(1, source->dev, METAL_SHM_CONTIGUOUS));
	assert_string_equal(metal_shm_last_error(),
			    "nothing tells whether heap:special's memory is contiguous, and the "
			    "program asks for METAL_SHM_CONTIGUOUS; if it is known to be, say so "
			    "in /etc/libshm/heaps.conf");
	setenv("LIBSHM_HEAPS_CONF", "/tmp/mine.conf", 1);
	assert_null(metal_shm_allocate(1, source->dev, METAL_SHM_CONTIGUOUS));
	assert_non_null(strstr(metal_shm_last_error(), "say so in /tmp/mine.conf"));
	unsetenv("LIBSHM_HEAPS_CONF");
	source->properties.contiguous = METAL_SHM_NO;
	assert_null(metal_shm_allocate(1, source->dev, METAL_SHM_CONTIGUOUS));
	assert_string_equal(metal_shm_last_error(),
			    "heap:special's memory is not contiguous, and the program asks for "
			    "METAL_SHM_CONTIGUOUS");
	fake_source_end(source);
}

static void a_failed_allocation_leaves_nothing(void **state)
{
	struct fake_source *source = fake_source_new("src", true);

	(void)state;
	source->fail_allocate = -ENOSPC;
	assert_null(metal_shm_allocate(1, source->dev, 0));
	assert_int_equal(errno, ENOSPC);
	assert_string_equal(metal_shm_last_error(), "told to fail");
	fake_source_end(source);
}

static void a_part_keeps_its_buffers_memory(void **state)
{
	struct fake_source *source = fake_source_new("src", true);
	struct metal_generic_shm *shm = fake_buffer(source, 100), *part, *inner;
	uint64_t before = deferred();
	char *whole = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);

	(void)state;
	part = metal_shm_sub(shm, 11, 50, 0);
	inner = metal_shm_sub(part, 3, 7, METAL_SHM_SUB_NO_COPY);
	assert_ptr_equal(metal_shm_map(inner, METAL_SHM_READ), whole + 14);
	assert_int_equal(metal_shm_size(inner), 7);
	metal_shm_free(shm, NULL);
	assert_int_equal(deferred(), before + 1);
	metal_shm_free(part, NULL);
	assert_int_equal(source->live, 1);
	assert_int_equal(whole[14], 0);
	metal_shm_free(inner, NULL);
	assert_int_equal(source->live, 0);
	assert_int_equal(deferred(), before);
	fake_source_end(source);
}

static void a_part_outside_its_parent_is_refused(void **state)
{
	struct fake_source *source = fake_source_new("src", true);
	struct metal_generic_shm *shm = fake_buffer(source, 100);
	struct metal_generic_shm *part = metal_shm_sub(shm, 50, 50, 0);

	(void)state;
	assert_null(metal_shm_sub(shm, 0, 101, 0));
	assert_int_equal(errno, ERANGE);
	assert_null(metal_shm_sub(shm, 101, 1, 0));
	assert_null(metal_shm_sub(shm, SIZE_MAX, 2, 0));
	assert_null(metal_shm_sub(shm, 1, SIZE_MAX, 0));
	assert_null(metal_shm_sub(part, 1, 50, 0));
	assert_null(metal_shm_sub(shm, 0, 0, 0));
	assert_int_equal(errno, EINVAL);
	assert_null(metal_shm_sub(shm, 0, 1, 2));
	assert_int_equal(errno, EINVAL);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, NULL);
	fake_source_end(source);
}

static void a_second_mapping_costs_nothing(void **state)
{
	struct fake_source *source = fake_source_new("src", true);
	struct metal_generic_shm *shm = fake_buffer(source, 100);
	void *first;

	(void)state;
	/* one more mapping would show whether it can be guarded */
	assert_int_equal(metal_shm_guard(shm, false), 0);
	first = metal_shm_map(shm, METAL_SHM_READ);
	assert_non_null(first);
	assert_ptr_equal(metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE), first);
	assert_int_equal(metal_shm_unmap(shm, METAL_SHM_READ | METAL_SHM_WRITE), 0);
	assert_int_equal(metal_shm_unmap(shm, METAL_SHM_READ), 0);
	assert_int_equal(metal_shm_unmap(shm, METAL_SHM_READ), -EINVAL);
	assert_ptr_equal(metal_shm_map(shm, METAL_SHM_READ), first);
	assert_string_equal(source->log, "amS1");
	metal_shm_free(shm, NULL);
	assert_string_equal(source->log, "amS1ur");
	fake_source_end(source);
}

static void read_only_memory_can_be_read(void **state)
{
	struct fake_source *source = fake_source_new("src", false);
	struct metal_generic_shm *shm = fake_buffer(source, 100);

	(void)state;
	source->fail_map = -EACCES;
	assert_null(metal_shm_map(shm, METAL_SHM_WRITE));
	assert_int_equal(errno, EACCES);
	assert_non_null(metal_shm_map(shm, METAL_SHM_READ));
	assert_null(metal_shm_map(shm, METAL_SHM_WRITE));
	assert_int_equal(errno, EACCES);
	assert_null(metal_shm_map(shm, 0));
	assert_int_equal(errno, EINVAL);
	assert_null(metal_shm_map(shm, 8));
	metal_shm_free(shm, NULL);
	fake_source_end(source);
}

static void a_mapping_whose_first_start_fails_is_undone(void **state)
{
	struct fake_source *source = fake_source_new("src", true);
	struct metal_generic_shm *shm = fake_buffer(source, 100);

	(void)state;
	source->fail_start = -EIO;
	assert_null(metal_shm_map(shm, METAL_SHM_READ));
	assert_int_equal(errno, EIO);
	assert_string_equal(source->log, "amu");
	source->fail_start = 0;
	assert_non_null(metal_shm_map(shm, METAL_SHM_READ));
	metal_shm_free(shm, NULL);
	fake_source_end(source);
}

static void a_closed_device_lives_as_long_as_its_buffers(void **state)
{
	struct fake_source *source = fake_source_new("src", true);
	struct metal_generic_shm *shm = fake_buffer(source, 100);
	uint64_t before = misuses();

	(void)state;
	metal_shm_device_close(source->dev);
	assert_null(metal_shm_allocate(1, source->dev, 0));
	assert_int_equal(errno, ENODEV);
	assert_non_null(metal_shm_map(shm, METAL_SHM_READ));
	metal_shm_free(shm, NULL);
	assert_int_equal(source->live, 0);
	metal_shm_device_close(source->dev);
	assert_int_equal(misuses(), before + 1);
	free(source);
}

static unsigned released;

static void count_release(void *user, void *address, size_t size)
{
	assert_ptr_equal(user, &released);
	assert_non_null(address);
	assert_int_equal(size, 64);
	released++;
}

static void wrapped_memory_is_released_once(void **state)
{
	static char bytes[64];
	struct metal_generic_shm *shm =
		metal_shm_wrap(bytes, sizeof(bytes), count_release, &released);
	struct metal_generic_shm *part;

	(void)state;
	assert_non_null(shm);
	assert_ptr_equal(metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE), bytes);
	part = metal_shm_sub(shm, 8, 8, 0);
	assert_ptr_equal(metal_shm_map(part, METAL_SHM_WRITE), bytes + 8);
	metal_shm_free(shm, NULL);
	assert_int_equal(released, 0);
	metal_shm_free(part, NULL);
	assert_int_equal(released, 1);
}

static void what_cannot_be_wrapped_is_refused(void **state)
{
	static char byte;

	(void)state;
	assert_null(metal_shm_wrap(NULL, 1, NULL, NULL));
	assert_int_equal(errno, EINVAL);
	assert_null(metal_shm_wrap(&byte, 0, NULL, NULL));
	assert_int_equal(errno, EINVAL);
	assert_null(metal_shm_wrap(&byte, SIZE_MAX, NULL, NULL));
	assert_int_equal(errno, EOVERFLOW);
}

static void a_name_finds_the_same_buffer(void **state)
{
	struct metal_generic_shm *first, *again, *none;

	(void)state;
	assert_int_equal(metal_shm_open("ring", 0, 0, &none), -ENOENT);
	assert_int_equal(metal_shm_open("ring", 4000, METAL_SHM_ZEROED, &first), 0);
	assert_int_equal(metal_shm_open("ring", 0, 0, &again), 0);
	assert_ptr_equal(first, again);
	assert_int_equal(metal_shm_open("ring", 4001, 0, &none), -EINVAL);
	assert_int_equal(metal_shm_open("ring", 4000, METAL_SHM_SECURE, &none), -ENOTSUP);
	assert_int_equal(metal_shm_open("a/b", 10, 0, &none), -EINVAL);
	assert_int_equal(metal_shm_open("", 10, 0, &none), -EINVAL);
	metal_shm_free(first, NULL);
	metal_shm_free(again, NULL);
	assert_int_equal(metal_shm_open("ring", 0, 0, &none), -ENOENT);
}

static void a_forked_child_may_only_free(void **state)
{
	struct fake_source *source = fake_source_new("src", true);
	struct metal_generic_shm *shm = fake_buffer(source, 100);
	int status;
	pid_t child;

	(void)state;
	assert_non_null(metal_shm_map(shm, METAL_SHM_READ));
	child = fork();
	if (!child) {
		int bad = metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_R) != -EPERM;

		bad |= metal_shm_map(shm, METAL_SHM_READ) || errno != EPERM;
		bad |= metal_shm_allocate(1, source->dev, 0) || errno != EPERM;
		metal_shm_free(shm, NULL);
		bad |= source->live != 0;
		_exit(bad);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(metal_shm_size(shm), 100);
	metal_shm_free(shm, NULL);
	fake_source_end(source);
}

static void statistics_count_what_happened(void **state)
{
	struct fake_source *source = fake_source_new("src", true);
	struct metal_shm_stats before = { .struct_size = sizeof(before) }, now = before;
	struct metal_generic_shm *shm;

	(void)state;
	assert_int_equal(metal_shm_stats(&before), 0);
	shm = fake_buffer(source, 100);
	assert_non_null(metal_shm_map(shm, METAL_SHM_READ));
	assert_int_equal(metal_shm_stats(&now), 0);
	assert_int_equal(now.buffers_live, before.buffers_live + 1);
	assert_int_equal(now.bytes_live, before.bytes_live + 100);
	assert_int_equal(now.allocations, before.allocations + 1);
	assert_int_equal(now.mappings, before.mappings + 1);
	assert_int_equal(metal_shm_buffer_stats(shm, &now), 0);
	assert_int_equal(now.mappings, 1);
	assert_int_equal(now.starts, 1);
	assert_int_equal(metal_shm_device_stats(source->dev, &now), 0);
	assert_int_equal(now.allocations, 1);
	metal_shm_free(shm, NULL);
	assert_int_equal(metal_shm_stats(&now), 0);
	assert_int_equal(now.buffers_live, before.buffers_live);
	assert_int_equal(now.bytes_live, before.bytes_live);
	now.struct_size = 3;
	assert_int_equal(metal_shm_stats(&now), -EINVAL);
	assert_int_equal(metal_shm_stats(NULL), -EINVAL);
	fake_source_end(source);
}

static void a_short_struct_is_filled_to_its_size(void **state)
{
	struct metal_shm_stats stats = { .struct_size = 16, .bytes_live = 77 };

	(void)state;
	assert_int_equal(metal_shm_stats(&stats), 0);
	assert_int_equal(stats.bytes_live, 77);
	assert_int_equal(stats.struct_size, 16);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_goes_back_with_the_last_reference),
		cmocka_unit_test(a_second_free_is_recognised),
		cmocka_unit_test(a_foreign_pointer_is_refused),
		cmocka_unit_test(null_is_nothing_to_free),
		cmocka_unit_test(freeing_by_another_device_is_misuse),
		cmocka_unit_test(misuse_is_logged),
		cmocka_unit_test(sizes_and_flags_are_checked_before_use),
		cmocka_unit_test(an_unknown_property_satisfies_nothing),
		cmocka_unit_test(a_heaps_property_that_nothing_declares_names_the_file),
		cmocka_unit_test(a_failed_allocation_leaves_nothing),
		cmocka_unit_test(a_part_keeps_its_buffers_memory),
		cmocka_unit_test(a_part_outside_its_parent_is_refused),
		cmocka_unit_test(a_second_mapping_costs_nothing),
		cmocka_unit_test(read_only_memory_can_be_read),
		cmocka_unit_test(a_mapping_whose_first_start_fails_is_undone),
		cmocka_unit_test(a_closed_device_lives_as_long_as_its_buffers),
		cmocka_unit_test(wrapped_memory_is_released_once),
		cmocka_unit_test(what_cannot_be_wrapped_is_refused),
		cmocka_unit_test(a_name_finds_the_same_buffer),
		cmocka_unit_test(a_forked_child_may_only_free),
		cmocka_unit_test(statistics_count_what_happened),
		cmocka_unit_test(a_short_struct_is_filled_to_its_size),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
