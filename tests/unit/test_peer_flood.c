/* SPDX-License-Identifier: BSD-3-Clause */
/* A process that says too much, by halves, or in another version. */
#include "fake.h"
#include "peer_liar.h"

static struct metal_shm_peer_event event = { .struct_size = sizeof(event) };

static void hello_of(struct liar *liar, uint16_t version, uint16_t oldest)
{
	uint8_t bytes[32] = { SHM__RECORD_HELLO, 0, 32 };

	bytes[16] = 9;
	bytes[20] = (uint8_t)version;
	bytes[21] = (uint8_t)(version >> 8);
	bytes[22] = (uint8_t)oldest;
	bytes[23] = (uint8_t)(oldest >> 8);
	liar_write(liar, bytes, sizeof(bytes), NULL, 0);
	metal_shm_device_dispatch(liar->dev);
}

static void versions_that_nobody_speaks_are_said_so(void **state)
{
	static const uint16_t versions[][2] = {
		{ 0, 0 }, { 65535, 65535 }, { 0, 65535 }, { 2, 2 }
	};

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(versions); i++) {
		struct liar liar = liar_connect();

		hello_of(&liar, versions[i][0], versions[i][1]);
		liar_hears_error(&liar, SHM__CODE_VERSION);
		assert_int_equal(metal_shm_peer_next(liar.dev, 0, &event), -EPROTONOSUPPORT);
		liar_end(&liar);
	}
}

static void a_later_version_that_speaks_this_one_is_spoken_to(void **state)
{
	struct liar liar = liar_connect();

	(void)state;
	hello_of(&liar, 65535, 1);
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_HELLO);
	assert_int_equal(metal_shm_peer_next(liar.dev, 0, &event), -ETIMEDOUT);
	liar_end(&liar);
}

static void halves_and_more_than_a_record_are_malformed(void **state)
{
	struct liar liar = liar_start();
	static const uint8_t zeros[2000];
	uint8_t bytes[SHM__RECORD_MAX];
	struct shm__record give = liar_range(SHM__RECORD_GIVE, 1, 1, 0, 1);
	size_t size = liar_encode(&liar, &give, bytes);

	(void)state;
	for (size_t half = 16; half < size; half++) {
		liar_write(&liar, bytes, half, NULL, 0);
		metal_shm_device_dispatch(liar.dev);
		liar_hears_error(&liar, SHM__CODE_MALFORMED);
	}
	for (size_t half = 1; half < 16; half++) {
		liar_write(&liar, bytes, half, NULL, 0);
		metal_shm_device_dispatch(liar.dev);
		liar_hears_error(&liar, SHM__CODE_MALFORMED);
	}
	liar_write(&liar, zeros, sizeof(zeros), NULL, 0);
	assert_int_equal(metal_shm_peer_next(liar.dev, 0, &event), -ETIMEDOUT);
	liar_end(&liar);
}

static void a_message_of_nothing_is_the_end(void **state)
{
	struct liar liar = liar_start();
	int fd = liar_memory(4096, F_SEAL_SHRINK);

	(void)state;
	liar_write(&liar, "", 0, &fd, 1);
	assert_int_equal(metal_shm_peer_next(liar.dev, 0, &event), -ENODEV);
	close(fd);
	liar_end(&liar);
}

static void messages_that_nobody_reads_end_at_the_window(void **state)
{
	struct liar liar = liar_start();
	const struct shm__record message = {
		.type = SHM__RECORD_USER,
		.user = { .length = 1, .data = "x" },
	};
	unsigned taken = 0;

	(void)state;
	for (unsigned i = 0; i < 200; i++)
		liar_say(&liar, message, NULL, 0);
	while (!metal_shm_peer_next(liar.dev, 0, &event))
		taken++;
	assert_in_range(taken, 32, 33);
	liar_end(&liar);
}

static void a_flood_of_nonsense_hurts_nobody(void **state)
{
	struct liar liar = liar_start(), other = liar_start();
	struct metal_generic_shm *shm = peer_buffer(4096), *view = metal_shm_attach(shm, other.dev);
	int fd = liar_memory(4096, F_SEAL_SHRINK);
	uint8_t bytes[64];

	(void)state;
	assert_int_equal(metal_shm_sync_for_device(shm, other.dev, METAL_SHM_DIR_DEV_RW), 0);
	/* it never reads what it is answered */
	for (unsigned i = 0; i < 20000; i++) {
		for (unsigned at = 0; at < sizeof(bytes); at++)
			bytes[at] = (uint8_t)(i * 7 + at * at);
		bytes[0] = (uint8_t)(i % 14);
		bytes[1] = 0;
		bytes[2] = sizeof(bytes);
		bytes[3] = 0;
		memcpy(bytes + 4, &liar.session, 4);
		liar_write(&liar, bytes, sizeof(bytes), &fd, i % 2);
		metal_shm_device_dispatch(liar.dev);
	}
	assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, 0), -ETIMEDOUT);
	liar_say(&other, liar_range(SHM__RECORD_RETURN, 1, 1, 0, 4096), NULL, 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, 0), 0);
	metal_shm_detach(view, other.dev);
	metal_shm_free(shm, NULL);
	close(fd);
	liar_end(&liar);
	liar_end(&other);
}

static void a_process_does_not_begin_twice(void **state)
{
	struct liar liar = liar_start();

	(void)state;
	hello_of(&liar, 1, 1);
	assert_int_equal(metal_shm_peer_next(liar.dev, 0, &event), -ENODEV);
	liar_end(&liar);
}

static void nobody_is_given_memory_for_the_asking(void **state)
{
	struct liar liar = liar_start();
	struct shm__record record = {
		.type = SHM__RECORD_REQUEST,
		.request = { .size = UINT64_MAX, .tag = 5 },
	};

	(void)state;
	liar_say(&liar, record, NULL, 0);
	record = liar_hear(&liar);
	assert_int_equal(record.type, SHM__RECORD_REFUSE);
	assert_int_equal(record.refuse.tag, 5);
	liar_end(&liar);
}

static void what_waits_for_credit_is_said_when_there_is_some(void **state)
{
	struct liar liar = liar_connect();
	struct metal_generic_shm *shm = peer_buffer(4096), *view = metal_shm_attach(shm, liar.dev);

	(void)state;
	/* nobody is there yet */
	assert_int_equal(metal_shm_sync_for_device(shm, liar.dev, METAL_SHM_DIR_DEV_R), 0);
	assert_int_equal(metal_shm_sync_for_device(shm, liar.dev, METAL_SHM_DIR_DEV_RW), -EBUSY);
	assert_int_equal(metal_shm_peer_say(liar.dev, "hello", 5), 0);
	liar.limit = 1;
	liar_say(&liar,
		 (struct shm__record){
			 .type = SHM__RECORD_HELLO,
			 .hello = { .session = 1,
				    .version = 1,
				    .oldest = 1,
				    .shares = 4,
				    .gives = 4 },
		 },
		 NULL, 0);
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_SHARE);
	liar_hears_nothing(&liar);
	liar.limit = 3;
	liar_say(&liar, (struct shm__record){ .type = SHM__RECORD_CREDIT }, NULL, 0);
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_GIVE);
	assert_int_equal(liar_hear(&liar).type, SHM__RECORD_USER);
	metal_shm_device_close(liar.dev);
	assert_int_equal(metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW), -ENODEV);
	metal_shm_detach(view, liar.dev);
	metal_shm_free(shm, NULL);
	close(liar.end);
	close(liar.fd);
}

static void what_was_never_said_is_not_said_after_a_detach(void **state)
{
	struct liar liar = liar_connect();
	struct metal_generic_shm *shm = peer_buffer(4096), *view = metal_shm_attach(shm, liar.dev);

	(void)state;
	metal_shm_detach(view, liar.dev);
	liar_say(&liar,
		 (struct shm__record){
			 .type = SHM__RECORD_HELLO,
			 .hello = { .session = 1,
				    .version = 1,
				    .oldest = 1,
				    .shares = 4,
				    .gives = 4 },
		 },
		 NULL, 0);
	liar_hears_nothing(&liar);
	metal_shm_free(shm, NULL);
	liar_end(&liar);
}

static void no_more_is_attached_than_it_can_remember(void **state)
{
	struct liar liar = liar_start();
	struct metal_generic_shm *shm[5], *view[5];

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		shm[i] = peer_buffer(4096);
		view[i] = metal_shm_attach(shm[i], liar.dev);
		if (i < 4)
			assert_non_null(view[i]);
	}
	assert_null(view[4]);
	assert_int_equal(errno, ENOSPC);
	for (unsigned i = 0; i < 5; i++) {
		metal_shm_detach(view[i], liar.dev);
		metal_shm_free(shm[i], NULL);
	}
	liar_end(&liar);
}

static void one_that_talks_without_end_is_heard_in_turns(void **state)
{
	struct liar liar = liar_start();
	unsigned answered[2];

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		liar_write(&liar, "half", 4, NULL, 0);
	for (unsigned i = 0; i < 2; i++) {
		uint8_t bytes[SHM__RECORD_MAX];

		assert_int_equal(metal_shm_device_dispatch(liar.dev), 0);
		for (answered[i] = 0; recv(liar.end, bytes, sizeof(bytes), MSG_DONTWAIT) > 0;)
			answered[i]++;
	}
	/* and the answer to its HELLO, which it hasn't heard yet */
	assert_in_range(answered[0], 60, 66);
	assert_in_range(answered[0] + answered[1], 100, 101);
	liar_end(&liar);
}

static void half_a_socket_is_none(void **state)
{
	static const int halves[] = { SHUT_RD, SHUT_WR };

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(halves); i++) {
		struct liar liar = liar_start();
		struct metal_generic_shm *shm = peer_buffer(4096),
					 *view = metal_shm_attach(shm, liar.dev);

		assert_non_null(view);
		assert_int_equal(shutdown(liar.end, halves[i]), 0);
		metal_shm_sync_for_device(shm, liar.dev, METAL_SHM_DIR_DEV_RW);
		assert_int_equal(
			metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, 20 * SECOND),
			-ENODEV);
		assert_int_equal(metal_shm_peer_next(liar.dev, 0, &event), -ENODEV);
		metal_shm_detach(view, liar.dev);
		metal_shm_free(shm, NULL);
		liar_end(&liar);
	}
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions_that_nobody_speaks_are_said_so),
		cmocka_unit_test(a_later_version_that_speaks_this_one_is_spoken_to),
		cmocka_unit_test(halves_and_more_than_a_record_are_malformed),
		cmocka_unit_test(a_message_of_nothing_is_the_end),
		cmocka_unit_test(messages_that_nobody_reads_end_at_the_window),
		cmocka_unit_test(a_flood_of_nonsense_hurts_nobody),
		cmocka_unit_test(a_process_does_not_begin_twice),
		cmocka_unit_test(nobody_is_given_memory_for_the_asking),
		cmocka_unit_test(what_waits_for_credit_is_said_when_there_is_some),
		cmocka_unit_test(what_was_never_said_is_not_said_after_a_detach),
		cmocka_unit_test(one_that_talks_without_end_is_heard_in_turns),
		cmocka_unit_test(half_a_socket_is_none),
		cmocka_unit_test(no_more_is_attached_than_it_can_remember),
	};

	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
