/* SPDX-License-Identifier: BSD-3-Clause */
/* What processes ask of each other: memory, and bytes back. */
#include "fake.h"
#include "peer_liar.h"
#include "peer_process.h"

#define SIZE 20000

static struct metal_shm_peer_event event = { .struct_size = sizeof(event) };

static void memory_is_asked_for_and_goes_to_and_fro(void **state)
{
	struct process granter = peer_start("granter");
	struct metal_generic_shm *shm;
	unsigned char *bytes;
	uint64_t live;

	(void)state;
	assert_int_equal(metal_shm_peer_request(granter.dev, SIZE, 0, 20 * SECOND, &shm), 0);
	assert_int_equal(metal_shm_size(shm), SIZE);
	bytes = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, 0), 0);
	memset(bytes, 5, SIZE);
	for (unsigned round = 6; round < 10; round++) {
		assert_int_equal(metal_shm_sync_for_device(shm, granter.dev, METAL_SHM_DIR_DEV_RW),
				 0);
		peer_tell(&granter, "add");
		assert_int_equal(metal_shm_peer_next(granter.dev, 20 * SECOND, &event), 0);
		assert_ptr_equal(event.shm, shm);
		metal_shm_free(event.shm, NULL);
		assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, 0), 0);
		for (size_t i = 0; i < SIZE; i++)
			assert_int_equal(bytes[i], round);
	}
	assert_int_equal(metal_shm_peer_leave(shm, granter.dev), 0);
	assert_int_equal(metal_shm_peer_leave(shm, granter.dev), -ENOTCONN);
	metal_shm_free(shm, NULL);
	peer_tell(&granter, "live?");
	assert_int_equal(metal_shm_peer_next(granter.dev, 20 * SECOND, &event), 0);
	memcpy(&live, event.data, sizeof(live));
	assert_int_equal(live, 0);
	peer_stop(&granter);
}

static void whoever_grants_nothing_says_so(void **state)
{
	struct process granter = peer_start("granter"), worker = peer_start("worker");
	struct metal_generic_shm *shm = NULL;

	(void)state;
	assert_int_equal(metal_shm_peer_request(granter.dev, SIZE + 1, 0, 20 * SECOND, &shm),
			 -ENOMEM);
	assert_int_equal(
		metal_shm_peer_request(granter.dev, SIZE, METAL_SHM_CONTIGUOUS, 20 * SECOND, &shm),
		-ECONNREFUSED);
	assert_non_null(strstr(metal_shm_last_error(), "grants no memory"));
	assert_int_equal(metal_shm_peer_request(worker.dev, 1, 0, 20 * SECOND, &shm),
			 -ECONNREFUSED);
	assert_int_equal(metal_shm_peer_request(worker.dev, 0, 0, 0, &shm), -EINVAL);
	assert_int_equal(metal_shm_peer_request(worker.dev, 1, 1u << 31, 0, &shm), -EINVAL);
	peer_kill(&worker);
	assert_int_equal(metal_shm_peer_request(worker.dev, 1, 0, 20 * SECOND, &shm), -ENODEV);
	assert_null(shm);
	metal_shm_device_close(worker.dev);
	peer_stop(&granter);
}

static void an_answer_that_is_late_is_given_like_any_other(void **state)
{
	struct liar liar = liar_start();
	int fd = liar_memory(8192, F_SEAL_SHRINK);
	struct metal_generic_shm *shm = NULL;
	struct shm__record record, share = liar_share_of(&liar, 1, 0, 8192);

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(metal_shm_peer_request(liar.dev, 100, METAL_SHM_ZEROED, 0, &shm),
				 -ETIMEDOUT);
	assert_int_equal(metal_shm_peer_request(liar.dev, 100, 0, 0, &shm), -EBUSY);
	record = liar_hear(&liar);
	assert_int_equal(record.type, SHM__RECORD_REQUEST);
	assert_int_equal(record.request.size, 100);
	assert_int_equal(record.request.type, METAL_SHM_ZEROED);
	share.share.tag = record.request.tag;
	liar_say(&liar, share, &fd, 1);
	liar_say(&liar, liar_range(SHM__RECORD_GIVE, 1, 1, 0, 8192), NULL, 0);
	assert_int_equal(metal_shm_peer_next(liar.dev, 0, &event), 0);
	assert_int_equal(metal_shm_size(event.shm), 8192);
	metal_shm_free(event.shm, NULL);
	assert_null(shm);
	close(fd);
	liar_end(&liar);
}

static int answer_with(void *user, uint64_t size, metal_shm_type type,
		       struct metal_generic_shm **ret)
{
	struct metal_generic_shm *const *shm = user;

	(void)size;
	(void)type;
	*ret = metal_shm_ref(*shm);
	return 0;
}

static struct shm__record request_of(uint32_t tag, uint64_t size)
{
	return (struct shm__record){
		.type = SHM__RECORD_REQUEST,
		.request = { .size = size, .tag = tag },
	};
}

static void what_is_granted_is_shared_with_the_tag_and_given(void **state)
{
	struct liar liar = liar_start();
	struct shm__record record, unshared = { .type = SHM__RECORD_UNSHARED };
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };
	struct metal_generic_shm *shm = peer_buffer(4096);
	uint64_t before;

	(void)state;
	assert_int_equal(metal_shm_stats(&stats), 0);
	before = stats.buffers_live - 1;
	assert_int_equal(metal_shm_peer_on_request(liar.dev, answer_with, &shm), 0);
	/* too small, then right, then the same memory again */
	liar_say(&liar, request_of(7, 4097), NULL, 0);
	record = liar_hear(&liar);
	assert_int_equal(record.type, SHM__RECORD_REFUSE);
	assert_int_equal(record.refuse.code, SHM__CODE_NO_MEMORY);
	liar_say(&liar, request_of(8, 4096), NULL, 0);
	record = liar_hear(&liar);
	assert_int_equal(record.type, SHM__RECORD_SHARE);
	assert_int_equal(record.share.tag, 8);
	unshared.unshare.id = record.share.id;
	unshared.unshare.generation = record.share.generation;
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_GIVE);
	liar_say(&liar, request_of(9, 1), NULL, 0);
	record = liar_hear(&liar);
	assert_int_equal(record.type, SHM__RECORD_REFUSE);
	assert_int_equal(record.refuse.code, SHM__CODE_REFUSED);
	metal_shm_free(shm, NULL);
	assert_int_equal(metal_shm_stats(&stats), 0);
	assert_int_equal(stats.buffers_live, before + 1);
	liar_say(&liar, unshared, NULL, 0);
	assert_int_equal(metal_shm_stats(&stats), 0);
	assert_int_equal(stats.buffers_live, before);
	liar_end(&liar);
}

static void what_was_granted_ends_with_the_process(void **state)
{
	struct liar liar = liar_start();
	struct metal_generic_shm *shm = peer_buffer(4096);

	(void)state;
	assert_int_equal(metal_shm_peer_on_request(liar.dev, answer_with, &shm), 0);
	liar_say(&liar, request_of(8, 4096), NULL, 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, 0), -ETIMEDOUT);
	shutdown(liar.end, SHUT_RDWR);
	assert_int_equal(metal_shm_device_dispatch(liar.dev), -ENODEV);
	assert_int_equal(metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW), -ENODEV);
	metal_shm_free(shm, NULL);
	liar_end(&liar);
}

static void a_refusal_waits_for_credit(void **state)
{
	struct liar liar = liar_start();

	(void)state;
	assert_int_equal(metal_shm_peer_say(liar.dev, "one", 3), 0);
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_USER);
	/* what is granted once stays so: use it up */
	for (unsigned i = 1; i < 1000; i++) {
		assert_int_equal(metal_shm_peer_say(liar.dev, "x", 1), 0);
		assert_int_equal(liar_hear(&liar).type, SHM__RECORD_USER);
	}
	liar_say(&liar, request_of(3, 1), NULL, 0);
	liar_hears_nothing(&liar);
	liar.limit = 1001;
	liar_say(&liar, (struct shm__record){ .type = SHM__RECORD_CREDIT }, NULL, 0);
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_REFUSE);
	liar_end(&liar);
}

static void bytes_are_asked_back_before_their_time(void **state)
{
	struct process worker = peer_start("worker");
	struct metal_generic_shm *shm = peer_buffer(SIZE), *part[2], *view[2];
	unsigned char *bytes = metal_shm_map(shm, METAL_SHM_READ);

	(void)state;
	peer_tell(&worker, "keep");
	for (unsigned i = 0; i < 2; i++) {
		part[i] = metal_shm_sub(shm, i * 1000, 1000, 0);
		view[i] = metal_shm_attach(part[i], worker.dev);
		assert_int_equal(
			metal_shm_sync_for_device(part[i], worker.dev, METAL_SHM_DIR_DEV_RW), 0);
	}
	assert_int_equal(metal_shm_peer_recall(shm, worker.dev), -ENOTCONN);
	assert_int_equal(metal_shm_peer_recall(part[1], worker.dev), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(part[1], METAL_SHM_DIR_DEV_RW, 20 * SECOND),
			 0);
	assert_int_equal(bytes[1000], 1);
	assert_int_equal(bytes[1999], 1);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(part[0], METAL_SHM_DIR_DEV_RW, 0),
			 -ETIMEDOUT);
	assert_int_equal(metal_shm_peer_recall(part[0], worker.dev), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(part[0], METAL_SHM_DIR_DEV_RW, 20 * SECOND),
			 0);
	assert_int_equal(bytes[0], 1);
	for (unsigned i = 0; i < 2; i++) {
		metal_shm_detach(view[i], worker.dev);
		metal_shm_free(part[i], NULL);
	}
	metal_shm_free(shm, NULL);
	peer_stop(&worker);
}

static void count(void *user, struct metal_generic_shm *shm)
{
	assert_non_null(shm);
	++*(unsigned *)user;
}

static void only_what_the_program_has_is_asked_of_it(void **state)
{
	struct liar liar = liar_start();
	struct shm__record recall = liar_range(SHM__RECORD_RECALL, 1, 1, 5, 20);
	int fd = liar_memory(8192, F_SEAL_SHRINK);
	unsigned asked = 0;

	(void)state;
	assert_int_equal(metal_shm_peer_on_recall(liar.dev, count, &asked), 0);
	liar_say(&liar, liar_share_of(&liar, 1, 0, 8192), &fd, 1);
	liar_say(&liar, recall, NULL, 0);
	assert_int_equal(asked, 0);
	for (uint64_t at = 0; at < 50; at += 10)
		liar_say(&liar, liar_range(SHM__RECORD_GIVE, 1, 1, at, 10), NULL, 0);
	liar_say(&liar, recall, NULL, 0);
	assert_int_equal(asked, 3);
	assert_int_equal(metal_shm_peer_next(liar.dev, 0, &event), 0);
	assert_int_equal(metal_shm_sync_for_device(event.shm, liar.dev, METAL_SHM_DIR_DEV_RW), 0);
	liar_say(&liar, recall, NULL, 0);
	assert_int_equal(asked, 5);
	assert_int_equal(metal_shm_peer_recall(event.shm, liar.dev), -EINVAL);
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_RETURN);
	/* what nobody was told of is left too */
	assert_int_equal(metal_shm_peer_leave(event.shm, liar.dev), 0);
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_UNSHARED);
	metal_shm_free(event.shm, NULL);
	assert_int_equal(metal_shm_peer_next(liar.dev, 0, &event), -ETIMEDOUT);
	close(fd);
	liar_end(&liar);
}

static void what_was_returned_is_not_asked_back(void **state)
{
	struct liar liar = liar_start();
	struct metal_generic_shm *shm = peer_buffer(4096), *view = metal_shm_attach(shm, liar.dev);
	struct shm__record record;

	(void)state;
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_SHARE);
	assert_int_equal(metal_shm_peer_recall(shm, liar.dev), 0);
	liar_hears_nothing(&liar);
	assert_int_equal(metal_shm_sync_for_device(shm, liar.dev, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_GIVE);
	assert_int_equal(metal_shm_peer_recall(shm, liar.dev), 0);
	record = liar_hear(&liar);
	assert_int_equal(record.type, SHM__RECORD_RECALL);
	assert_int_equal(record.range.offset, 0);
	assert_int_equal(record.range.length, 4096);
	liar_say(&liar, liar_range(SHM__RECORD_RETURN, 1, 1, 0, 4096), NULL, 0);
	assert_int_equal(metal_shm_peer_recall(shm, liar.dev), 0);
	liar_hears_nothing(&liar);
	metal_shm_detach(view, liar.dev);
	metal_shm_free(shm, NULL);
	liar_end(&liar);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_asked_for_and_goes_to_and_fro),
		cmocka_unit_test(whoever_grants_nothing_says_so),
		cmocka_unit_test(an_answer_that_is_late_is_given_like_any_other),
		cmocka_unit_test(what_is_granted_is_shared_with_the_tag_and_given),
		cmocka_unit_test(what_was_granted_ends_with_the_process),
		cmocka_unit_test(a_refusal_waits_for_credit),
		cmocka_unit_test(bytes_are_asked_back_before_their_time),
		cmocka_unit_test(only_what_the_program_has_is_asked_of_it),
		cmocka_unit_test(what_was_returned_is_not_asked_back),
	};

	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
