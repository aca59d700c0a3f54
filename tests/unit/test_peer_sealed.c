/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that may be read only: what its descriptor says, and what a process may say of it. */
#include "fake.h"
#include "peer_liar.h"
#include "peer_sealed.h"

#define SIZE 8192

static struct metal_shm_peer_event event = { .struct_size = sizeof(event) };

static void memory_that_is_open_for_reading_is_read_over_there(void **state)
{
	struct process reader = peer_start("reader");

	(void)state;
	peer_reads_fd(&reader, reading_only(sealed_memfd(F_SEAL_SHRINK)));
	peer_stop(&reader);
}

static void memory_that_is_sealed_is_read_over_there(void **state)
{
	struct process reader = peer_start("reader");

	(void)state;
	peer_reads_fd(&reader, sealed_memfd(F_SEAL_SHRINK | F_SEAL_WRITE));
	peer_reads_fd(&reader, sealed_memfd(F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE));
	peer_reads_fd(&reader, reading_only(sealed_memfd(F_SEAL_SHRINK | F_SEAL_WRITE)));
	peer_reads_what_is_written(&reader);
	peer_stop(&reader);
}

static struct shm__record share_to_read(struct liar *liar, uint32_t id)
{
	struct shm__record record = liar_share_of(liar, id, 0, SIZE);

	record.share.dir = SHM__WIRE_READS;
	return record;
}

/* Read, mapped, passed on; never written. */
static void expect_read_only(struct liar *liar, uint32_t id)
{
	struct shm__record give = liar_range(SHM__RECORD_GIVE, id, liar->generation, 0, SIZE);
	struct liar other = liar_start();
	struct metal_generic_shm *shm, *view;

	liar_say(liar, give, NULL, 0);
	liar_hears_error(liar, SHM__CODE_DIRECTION);
	give.range.dir = SHM__WIRE_READS;
	liar_say(liar, give, NULL, 0);
	assert_int_equal(metal_shm_peer_next(liar->dev, 0, &event), 0);
	shm = event.shm;
	assert_null(metal_shm_map(shm, METAL_SHM_WRITE));
	assert_int_equal(errno, EACCES);
	assert_non_null(strstr(metal_shm_last_error(), "read-only"));
	assert_non_null(metal_shm_map(shm, METAL_SHM_READ));
	view = metal_shm_attach(shm, other.dev);
	assert_non_null(view);
	assert_int_equal(liar_hear(&other).share.dir, SHM__WIRE_READS);
	assert_int_equal(metal_shm_sync_for_device(shm, other.dev, METAL_SHM_DIR_DEV_W), -EACCES);
	assert_int_equal(metal_shm_sync_for_device(shm, other.dev, METAL_SHM_DIR_DEV_R), 0);
	metal_shm_detach(view, other.dev);
	liar_end(&other);
	assert_int_equal(metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW), -ENODEV);
	assert_int_equal(metal_shm_sync_for_device(shm, liar->dev, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(liar_hear(liar).type, SHM__RECORD_RETURN);
	metal_shm_free(shm, NULL);
}

static void what_is_shared_for_reading_is_not_written_here(void **state)
{
	static const int seals[] = { F_SEAL_SHRINK, F_SEAL_SHRINK | F_SEAL_WRITE };
	struct liar liar = liar_start();

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		int fd = liar_memory(SIZE, seals[i]);

		liar_say(&liar, share_to_read(&liar, i + 1), &fd, 1);
		expect_read_only(&liar, i + 1);
		close(fd);
	}
	liar_end(&liar);
}

static void refuses(struct liar *liar, struct shm__record record, int fd)
{
	liar_say(liar, record, &fd, 1);
	liar_hears_error(liar, SHM__CODE_MEMORY);
}

static void a_descriptor_is_believed_and_not_what_is_said_of_it(void **state)
{
	struct liar liar = liar_start();
	int fd = liar_memory(SIZE, F_SEAL_SHRINK | F_SEAL_WRITE);
	struct shm__record part;

	(void)state;
	refuses(&liar, liar_share_of(&liar, 1, 0, SIZE), fd);
	fd = reading_only(fd);
	refuses(&liar, liar_share_of(&liar, 1, 0, SIZE), fd);
	close(fd);
	fd = liar_memory(SIZE, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE);
	refuses(&liar, liar_share_of(&liar, 1, 0, SIZE), fd);
	close(fd);
	/* which may shrink, though nobody writes it */
	fd = liar_memory(SIZE, F_SEAL_FUTURE_WRITE);
	refuses(&liar, share_to_read(&liar, 1), fd);
	close(fd);
	/* one half to read, the other to write: a memory is mapped once */
	fd = liar_memory(SIZE, F_SEAL_SHRINK);
	part = share_to_read(&liar, 1);
	part.share.size = SIZE / 2;
	liar_say(&liar, part, &fd, 1);
	refuses(&liar, liar_share_of(&liar, 2, SIZE / 2, SIZE / 2), fd);
	close(fd);
	liar_end(&liar);
}

static void what_was_shared_keeps_its_size(void **state)
{
	struct liar liar = liar_start();
	int fd = liar_memory(SIZE, F_SEAL_SHRINK);

	(void)state;
	liar_say(&liar, liar_share_of(&liar, 1, 0, SIZE), &fd, 1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(errno, EPERM);
	/* more of it is nothing that anybody was told of */
	assert_int_equal(ftruncate(fd, SIZE + 4096), 0);
	liar_say(&liar, liar_range(SHM__RECORD_GIVE, 1, 1, 0, SIZE), NULL, 0);
	assert_int_equal(metal_shm_peer_next(liar.dev, 0, &event), 0);
	assert_int_equal(metal_shm_size(event.shm), SIZE);
	assert_non_null(metal_shm_map(event.shm, METAL_SHM_READ));
	metal_shm_free(event.shm, NULL);
	close(fd);
	liar_end(&liar);
}

static void memory_to_read_is_sent_as_such(void **state)
{
	int fd = sealed_memfd(F_SEAL_SHRINK | F_SEAL_WRITE), ends[2];
	struct metal_generic_shm *shm = metal_shm_import(fd, 0, 0), *got;
	uint8_t bytes[SHM__RECORD_MAX];
	struct shm__record record;

	(void)state;
	peer_sockets(ends);
	assert_int_equal(metal_shm_send(ends[0], shm), 0);
	assert_int_equal(recv(ends[1], bytes, sizeof(bytes), MSG_PEEK), 56);
	assert_int_equal(shm__record_decode(bytes, 56, &record), SHM__CODE_OK);
	assert_int_equal(record.share.dir, SHM__WIRE_READS);
	metal_shm_free(shm, NULL);
	assert_int_equal(metal_shm_receive(ends[1], &got), 0);
	assert_null(metal_shm_map(got, METAL_SHM_WRITE));
	assert_non_null(metal_shm_map(got, METAL_SHM_READ));
	metal_shm_free(got, NULL);
	close(ends[0]);
	close(ends[1]);
	close(fd);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_that_is_open_for_reading_is_read_over_there),
		cmocka_unit_test(memory_that_is_sealed_is_read_over_there),
		cmocka_unit_test(what_is_shared_for_reading_is_not_written_here),
		cmocka_unit_test(a_descriptor_is_believed_and_not_what_is_said_of_it),
		cmocka_unit_test(what_was_shared_keeps_its_size),
		cmocka_unit_test(memory_to_read_is_sent_as_such),
	};

	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
