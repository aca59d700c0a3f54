/* SPDX-License-Identifier: BSD-3-Clause */
/* A process that lies: it hears an ERROR, and nothing else comes of it. */
#include <sys/syscall.h>

#include "fake.h"
#include "peer_liar.h"

#define SIZE 8192

static struct metal_shm_peer_event event = { .struct_size = sizeof(event) };

static void what_it_does_not_hold_it_can_not_return(void **state)
{
	struct liar liar = liar_start();
	struct metal_generic_shm *shm = peer_buffer(SIZE), *view = metal_shm_attach(shm, liar.dev);
	const struct {
		uint32_t id, generation;
		uint64_t offset, length;
		enum shm__code code;
	} lies[] = {
		{ 1, 1, 0, SIZE - 1, SHM__CODE_NOT_HELD },
		{ 1, 1, 0, SIZE + 1, SHM__CODE_NOT_HELD },
		{ 1, 1, 1, SIZE - 1, SHM__CODE_NOT_HELD },
		{ 1, 2, 0, SIZE, SHM__CODE_STALE },
		{ 2, 1, 0, SIZE, SHM__CODE_UNKNOWN },
		{ 0xffffffff, 1, 0, SIZE, SHM__CODE_UNKNOWN },
	};

	(void)state;
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_SHARE);
	assert_int_equal(metal_shm_sync_for_device(shm, liar.dev, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_GIVE);
	for (size_t i = 0; i < SHM_TEST_COUNT(lies); i++) {
		liar_say(&liar,
			 liar_range(SHM__RECORD_RETURN, lies[i].id, lies[i].generation,
				    lies[i].offset, lies[i].length),
			 NULL, 0);
		liar_hears_error(&liar, lies[i].code);
		assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, 0),
				 -ETIMEDOUT);
	}
	liar_say(&liar, liar_range(SHM__RECORD_RETURN, 1, 1, 0, SIZE), NULL, 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, 0), 0);
	liar_say(&liar, liar_range(SHM__RECORD_RETURN, 1, 1, 0, SIZE), NULL, 0);
	liar_hears_error(&liar, SHM__CODE_NOT_HELD);
	metal_shm_detach(view, liar.dev);
	metal_shm_free(shm, NULL);
	liar_end(&liar);
}

/* It shares what it shouldn't; nothing of it is kept. */
static void refuses(struct liar *liar, struct shm__record record, const int fds[], unsigned count)
{
	struct metal_shm_stats before = { .struct_size = sizeof(before) };
	struct metal_shm_stats after = { .struct_size = sizeof(after) };

	assert_int_equal(metal_shm_stats(&before), 0);
	liar_say(liar, record, fds, count);
	liar_hears_error(liar, SHM__CODE_MEMORY);
	assert_int_equal(metal_shm_peer_next(liar->dev, 0, &event), -ETIMEDOUT);
	assert_int_equal(metal_shm_stats(&after), 0);
	assert_int_equal(after.buffers_live, before.buffers_live);
}

static void a_share_comes_with_just_one_descriptor(void **state)
{
	struct liar liar = liar_start();
	int fd = liar_memory(SIZE, F_SEAL_SHRINK), many[16];

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		many[i] = fd;
	refuses(&liar, liar_share_of(&liar, 1, 0, SIZE), NULL, 0);
	refuses(&liar, liar_share_of(&liar, 1, 0, SIZE), many, 2);
	refuses(&liar, liar_share_of(&liar, 1, 0, SIZE), many, 16);
	close(fd);
	liar_end(&liar);
}

static void only_memory_that_keeps_its_size_is_taken(void **state)
{
	struct liar liar = liar_start();
	int pipes[2], fd;
	char path[64];

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	refuses(&liar, liar_share_of(&liar, 1, 0, SIZE), &pipes[0], 1);
	refuses(&liar, liar_share_of(&liar, 1, 0, SIZE), &liar.end, 1);
	close(pipes[0]);
	close(pipes[1]);
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	refuses(&liar, liar_share_of(&liar, 1, 0, SIZE), &fd, 1);
	close(fd);
	fd = liar_memory(SIZE, 0);
	refuses(&liar, liar_share_of(&liar, 1, 0, SIZE), &fd, 1);
	close(fd);
	fd = liar_memory(SIZE, F_SEAL_GROW);
	refuses(&liar, liar_share_of(&liar, 1, 0, SIZE), &fd, 1);
	close(fd);
	/* for reading only */
	fd = liar_memory(SIZE, F_SEAL_SHRINK);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	pipes[0] = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(pipes[0] >= 0);
	refuses(&liar, liar_share_of(&liar, 1, 0, SIZE), &pipes[0], 1);
	close(pipes[0]);
	close(fd);
	liar_end(&liar);
}

static void a_share_ends_where_its_memory_does(void **state)
{
	struct liar liar = liar_start();
	int fd = liar_memory(SIZE, F_SEAL_SHRINK);

	(void)state;
	refuses(&liar, liar_share_of(&liar, 1, 0, SIZE + 1), &fd, 1);
	refuses(&liar, liar_share_of(&liar, 1, SIZE, 1), &fd, 1);
	refuses(&liar, liar_share_of(&liar, 1, 1, SIZE), &fd, 1);
	refuses(&liar, liar_share_of(&liar, 1, 1, UINT64_MAX - 1), &fd, 1);
	liar_say(&liar, liar_share_of(&liar, 1, 1, SIZE - 1), &fd, 1);
	liar_hears_nothing(&liar);
	close(fd);
	liar_end(&liar);
}

static void what_is_this_process_s_own_is_not_taken_from_it(void **state)
{
	struct liar liar = liar_start();
	struct metal_generic_shm *shm = peer_buffer(SIZE), *view = metal_shm_attach(shm, liar.dev);

	(void)state;
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_SHARE);
	assert_true(liar.fd >= 0);
	refuses(&liar, liar_share_of(&liar, 1, 0, SIZE), &liar.fd, 1);
	refuses(&liar, liar_share_of(&liar, 1, 100, 10), &liar.fd, 1);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, 0), 0);
	metal_shm_detach(view, liar.dev);
	metal_shm_free(shm, NULL);
	liar_end(&liar);
}

static void the_same_bytes_are_shared_once(void **state)
{
	struct liar liar = liar_start();
	int fd = liar_memory(SIZE, F_SEAL_SHRINK);

	(void)state;
	liar_say(&liar, liar_share_of(&liar, 1, 0, SIZE), &fd, 1);
	liar_hears_nothing(&liar);
	refuses(&liar, liar_share_of(&liar, 2, 0, SIZE), &fd, 1);
	refuses(&liar, liar_share_of(&liar, 2, SIZE - 1, 1), &fd, 1);
	close(fd);
	fd = liar_memory(SIZE, F_SEAL_SHRINK);
	liar_say(&liar, liar_share_of(&liar, 2, 0, 100), &fd, 1);
	refuses(&liar, liar_share_of(&liar, 3, 99, 100), &fd, 1);
	/* other bytes of it are another thing */
	liar_say(&liar, liar_share_of(&liar, 3, 100, 100), &fd, 1);
	liar_hears_nothing(&liar);
	close(fd);
	liar_end(&liar);
}

static void what_it_shares_is_given_once(void **state)
{
	struct liar liar = liar_start();
	int fd = liar_memory(SIZE, F_SEAL_SHRINK);
	struct shm__record reading = liar_range(SHM__RECORD_GIVE, 1, 1, 0, SIZE);

	(void)state;
	reading.range.dir = SHM__WIRE_READS;
	liar_say(&liar, liar_share_of(&liar, 1, 0, SIZE), &fd, 1);
	liar_say(&liar, liar_range(SHM__RECORD_GIVE, 1, 1, 0, SIZE + 1), NULL, 0);
	liar_hears_error(&liar, SHM__CODE_RANGE);
	liar_say(&liar, reading, NULL, 0);
	assert_int_equal(metal_shm_peer_next(liar.dev, 0, &event), 0);
	liar_say(&liar, liar_range(SHM__RECORD_GIVE, 1, 1, 5, 1), NULL, 0);
	liar_hears_error(&liar, SHM__CODE_HELD);
	/* which the records allow, but who returns which? */
	liar_say(&liar, reading, NULL, 0);
	liar_hears_error(&liar, SHM__CODE_REFUSED);
	metal_shm_free(event.shm, NULL);
	assert_int_equal(metal_shm_peer_next(liar.dev, 0, &event), -ETIMEDOUT);
	close(fd);
	liar_end(&liar);
}

static void descriptors_that_nobody_asked_for_are_closed(void **state)
{
	struct liar liar = liar_start();
	int fd = liar_memory(SIZE, F_SEAL_SHRINK), many[16];
	const struct shm__record message = {
		.type = SHM__RECORD_USER,
		.user = { .length = 2, .data = "hi" },
	};

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		many[i] = fd;
	for (unsigned i = 1; i <= 16; i *= 2) {
		liar_say(&liar, message, many, i);
		assert_int_equal(metal_shm_peer_next(liar.dev, 0, &event), 0);
		assert_memory_equal(event.data, "hi", 2);
	}
	close(fd);
	liar_end(&liar);
}

/* It has shared memory and given all of it: event.shm. */
static int memory_given_by(struct liar *liar)
{
	int fd = liar_memory(SIZE, F_SEAL_SHRINK);

	liar_say(liar, liar_share_of(liar, 1, 0, SIZE), &fd, 1);
	liar_say(liar, liar_range(SHM__RECORD_GIVE, 1, 1, 0, SIZE), NULL, 0);
	assert_int_equal(metal_shm_peer_next(liar->dev, 0, &event), 0);
	return fd;
}

static void what_is_unshared_while_the_program_has_it_stays_until_it_is_returned(void **state)
{
	struct liar liar = liar_start();
	int fd = memory_given_by(&liar);
	struct shm__record unshare = { .type = SHM__RECORD_UNSHARE, .unshare = { 1, 1 } };
	struct shm__record record;

	(void)state;
	liar_say(&liar, unshare, NULL, 0);
	liar_hears_nothing(&liar);
	assert_int_equal(metal_shm_sync_for_cpu(event.shm, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(metal_shm_sync_for_device(event.shm, liar.dev, METAL_SHM_DIR_DEV_RW), 0);
	record = liar_hear(&liar);
	assert_int_equal(record.type, SHM__RECORD_RETURN);
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_UNSHARED);
	assert_int_equal(metal_shm_sync_for_device(event.shm, liar.dev, METAL_SHM_DIR_DEV_RW),
			 -ENOTCONN);
	metal_shm_free(event.shm, NULL);
	close(fd);
	liar_end(&liar);
}

/* Of the liar's memory, when UNSHARED was sent last. */
static unsigned mappings;

static unsigned count_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[4352];
	unsigned n = 0;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		n += strstr(line, "memfd:liar") != NULL;
	fclose(maps);
	return n;
}

/* The library's as well: so that what it has is looked at when it speaks, not later. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	const uint8_t *data = message->msg_iov->iov_base;

	if (data[0] == SHM__RECORD_UNSHARED)
		mappings = count_mappings();
	return syscall(SYS_sendmsg, fd, message, flags);
}

/* Its owner may free it then, and Linux 6.1 frees pages of a udmabuf that others have mapped. */
static void what_is_unshared_is_unmapped_before_that_is_said(void **state)
{
	struct liar liar = liar_start();
	int fd = memory_given_by(&liar);
	struct shm__record unshare = { .type = SHM__RECORD_UNSHARE, .unshare = { 1, 1 } };

	(void)state;
	assert_int_equal(metal_shm_sync_for_cpu(event.shm, METAL_SHM_DIR_DEV_RW), 0);
	assert_non_null(metal_shm_map(event.shm, METAL_SHM_READ | METAL_SHM_WRITE));
	assert_int_equal(metal_shm_sync_for_device(event.shm, liar.dev, METAL_SHM_DIR_DEV_RW), 0);
	metal_shm_free(event.shm, NULL);
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_RETURN);
	assert_true(count_mappings() > 0);
	mappings = 77;
	liar_say(&liar, unshare, NULL, 0);
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_UNSHARED);
	assert_int_equal(mappings, 0);
	close(fd);
	liar_end(&liar);
}

static void who_waits_for_what_is_unshared_is_told(void **state)
{
	struct liar liar = liar_start();
	int fd = memory_given_by(&liar);
	struct shm__record unshare = { .type = SHM__RECORD_UNSHARE, .unshare = { 1, 1 } };

	(void)state;
	assert_int_equal(metal_shm_sync_for_device(event.shm, liar.dev, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_RETURN);
	liar_say(&liar, unshare, NULL, 0);
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_UNSHARED);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(event.shm, METAL_SHM_DIR_DEV_RW, 0),
			 -ENODEV);
	metal_shm_free(event.shm, NULL);
	close(fd);
	liar_end(&liar);
}

static void what_it_refuses_is_attached_in_vain(void **state)
{
	struct liar liar = liar_start();
	struct metal_generic_shm *shm = peer_buffer(SIZE), *view = metal_shm_attach(shm, liar.dev);
	struct shm__record share;

	(void)state;
	assert_int_equal(metal_shm_sync_for_device(shm, liar.dev, METAL_SHM_DIR_DEV_RW), 0);
	share = liar_hear(&liar);
	liar_say(&liar,
		 (struct shm__record){
			 .type = SHM__RECORD_ERROR,
			 .error = { .number = share.number,
				    .type = share.type,
				    .code = SHM__CODE_MEMORY,
				    .id = share.share.id,
				    .generation = share.share.generation },
		 },
		 NULL, 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, 0), -ENODEV);
	assert_int_equal(metal_shm_sync_for_device(shm, liar.dev, METAL_SHM_DIR_DEV_RW), -ENODEV);
	metal_shm_detach(view, liar.dev);
	metal_shm_free(shm, NULL);
	liar_end(&liar);
}

static uint64_t live(void)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };

	assert_int_equal(metal_shm_stats(&stats), 0);
	return stats.buffers_live;
}

static void memory_goes_when_the_other_process_is_through(void **state)
{
	struct liar liar = liar_start();
	struct shm__record unshared = { .type = SHM__RECORD_UNSHARED, .unshare = { 1, 1 } };
	uint64_t before = live();

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct metal_generic_shm *shm = peer_buffer(SIZE);

		metal_shm_detach(metal_shm_attach(shm, liar.dev), liar.dev);
		metal_shm_free(shm, NULL);
		assert_int_equal(live(), before + 1);
		assert_int_equal(liar_hear(&liar).type, SHM__RECORD_SHARE);
		assert_int_equal(liar_hear(&liar).type, SHM__RECORD_UNSHARE);
		if (i)
			break;
		liar_say(&liar, unshared, NULL, 0);
		assert_int_equal(live(), before);
	}
	/* or ends */
	close(liar.end);
	assert_int_equal(metal_shm_device_dispatch(liar.dev), -ENODEV);
	assert_int_equal(live(), before);
	metal_shm_device_close(liar.dev);
	close(liar.fd);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_does_not_hold_it_can_not_return),
		cmocka_unit_test(a_share_comes_with_just_one_descriptor),
		cmocka_unit_test(only_memory_that_keeps_its_size_is_taken),
		cmocka_unit_test(a_share_ends_where_its_memory_does),
		cmocka_unit_test(what_is_this_process_s_own_is_not_taken_from_it),
		cmocka_unit_test(the_same_bytes_are_shared_once),
		cmocka_unit_test(what_it_shares_is_given_once),
		cmocka_unit_test(descriptors_that_nobody_asked_for_are_closed),
		cmocka_unit_test(
			what_is_unshared_while_the_program_has_it_stays_until_it_is_returned),
		cmocka_unit_test(what_is_unshared_is_unmapped_before_that_is_said),
		cmocka_unit_test(who_waits_for_what_is_unshared_is_told),
		cmocka_unit_test(what_it_refuses_is_attached_in_vain),
		cmocka_unit_test(memory_goes_when_the_other_process_is_through),
	};

	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
