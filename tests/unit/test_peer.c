/* SPDX-License-Identifier: BSD-3-Clause */
/* Another process as a device, one that behaves or ends. */
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>

#include <shm/frame.h>

#include "fake.h"
#include "peer_process.h"

#define SIZE 20000

static void bytes_go_to_another_process_and_back(void **state)
{
	struct process worker = peer_start("worker");
	struct metal_generic_shm *shm = peer_buffer(SIZE), *view;
	unsigned char *bytes = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };

	(void)state;
	assert_non_null(bytes);
	view = metal_shm_attach(shm, worker.dev);
	assert_non_null(view);
	assert_int_equal(metal_shm_view_mode(view), METAL_SHM_VIEW_IN_PLACE);
	for (unsigned round = 0; round < 100; round++) {
		memset(bytes, (int)round, SIZE);
		assert_int_equal(metal_shm_sync_for_device(shm, worker.dev, METAL_SHM_DIR_DEV_RW),
				 0);
		assert_int_equal(
			metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, 20 * SECOND), 0);
		for (size_t i = 0; i < SIZE; i++)
			assert_int_equal(bytes[i], round + 1);
	}
	assert_int_equal(metal_shm_buffer_stats(shm, &stats), 0);
	assert_int_equal(stats.bytes_copied, 0);
	metal_shm_detach(view, worker.dev);
	metal_shm_free(shm, NULL);
	peer_stop(&worker);
}

static void a_part_goes_without_the_bytes_beside_it(void **state)
{
	struct process worker = peer_start("worker");
	struct metal_generic_shm *shm = peer_buffer(SIZE), *part, *view;
	unsigned char *bytes = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);

	(void)state;
	part = metal_shm_sub(shm, 4097, 5000, METAL_SHM_SUB_NO_COPY);
	view = metal_shm_attach(part, worker.dev);
	assert_non_null(view);
	memset(bytes, 7, SIZE);
	assert_int_equal(metal_shm_sync_for_device(part, worker.dev, METAL_SHM_DIR_DEV_RW), 0);
	bytes[0] = 9; /* ours */
	assert_int_equal(metal_shm_sync_for_cpu(part, METAL_SHM_DIR_DEV_RW), 0);
	for (size_t i = 0; i < SIZE; i++)
		assert_int_equal(bytes[i], !i ? 9 : i >= 4097 && i < 9097 ? 8 : 7);
	metal_shm_detach(view, worker.dev);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, NULL);
	peer_stop(&worker);
}

static void frames_of_another_process_come_in_order_and_go_back(void **state)
{
	struct process camera = peer_start("camera");
	struct metal_shm_peer_event event = { .struct_size = sizeof(event) };
	struct metal_generic_shm *seen[2] = { NULL, NULL };
	char text[16];

	(void)state;
	for (unsigned n = 0; n < 40; n++) {
		const unsigned char *bytes;

		snprintf(text, sizeof(text), "frame %u", n);
		assert_int_equal(metal_shm_peer_next(camera.dev, 20 * SECOND, &event), 0);
		assert_null(event.shm);
		assert_int_equal(event.size, strlen(text));
		assert_memory_equal(event.data, text, event.size);
		assert_int_equal(metal_shm_peer_next(camera.dev, 20 * SECOND, &event), 0);
		assert_non_null(event.shm);
		assert_int_equal(event.dir, METAL_SHM_DIR_DEV_R);
		assert_int_equal(metal_shm_size(event.shm), SIZE);
		/* two buffers, the same handles each time */
		if (n < 2)
			seen[n] = event.shm;
		assert_ptr_equal(event.shm, seen[n % 2]);
		assert_int_equal(metal_shm_sync_for_cpu_timeout(event.shm, METAL_SHM_DIR_DEV_W, 0),
				 0);
		bytes = metal_shm_map(event.shm, METAL_SHM_READ);
		assert_non_null(bytes);
		for (size_t i = 0; i < SIZE; i++)
			assert_int_equal(bytes[i], (unsigned char)(i + n));
		metal_shm_unmap(event.shm, METAL_SHM_READ);
		assert_int_equal(
			metal_shm_sync_for_device(event.shm, camera.dev, METAL_SHM_DIR_DEV_RW), 0);
		metal_shm_free(event.shm, NULL);
	}
	assert_int_equal(metal_shm_peer_next(camera.dev, 20 * SECOND, &event), -ENODEV);
	peer_stop(&camera);
}

static void what_was_not_given_is_waited_for_and_not_returned(void **state)
{
	struct process camera = peer_start("camera");
	struct metal_shm_peer_event event = { .struct_size = sizeof(event) };
	struct metal_generic_shm *shm, *part;

	(void)state;
	do
		assert_int_equal(metal_shm_peer_next(camera.dev, 20 * SECOND, &event), 0);
	while (!event.shm);
	shm = event.shm;
	assert_int_equal(metal_shm_sync_for_device(shm, camera.dev, METAL_SHM_DIR_DEV_R), -EINVAL);
	part = metal_shm_sub(shm, 5, 10, 0);
	assert_null(metal_shm_attach(part, camera.dev));
	assert_int_equal(errno, EINVAL);
	metal_shm_free(part, NULL);
	assert_int_equal(metal_shm_sync_for_device(shm, camera.dev, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(metal_shm_sync_for_device(shm, camera.dev, METAL_SHM_DIR_DEV_RW), -EBUSY);
	/* it comes again */
	assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, 20 * SECOND), 0);
	/* and is returned before anybody asked what came */
	assert_int_equal(metal_shm_sync_for_device(shm, camera.dev, METAL_SHM_DIR_DEV_RW), 0);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(camera.dev);
	peer_wait(&camera);
}

static void a_failure_over_there_is_told_to_the_next_owner_once(void **state)
{
	struct process worker = peer_start("worker");
	struct metal_generic_shm *shm = peer_buffer(SIZE),
				 *view = metal_shm_attach(shm, worker.dev);

	(void)state;
	peer_tell(&worker, "fail");
	assert_int_equal(metal_shm_sync_for_device(shm, worker.dev, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW), -EIO);
	assert_int_equal(metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(metal_shm_sync_for_device(shm, worker.dev, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW), 0);
	metal_shm_detach(view, worker.dev);
	metal_shm_free(shm, NULL);
	peer_stop(&worker);
}

static void bytes_that_it_keeps_come_no_sooner_than_it_ends(void **state)
{
	struct process worker = peer_start("worker");
	struct metal_generic_shm *shm = peer_buffer(SIZE),
				 *view = metal_shm_attach(shm, worker.dev);
	struct pollfd wait = { .fd = metal_shm_device_poll_fd(worker.dev), .events = POLLIN };

	(void)state;
	peer_tell(&worker, "keep");
	assert_int_equal(metal_shm_sync_for_device(shm, worker.dev, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, SECOND / 20),
			 -ETIMEDOUT);
	assert_int_equal(metal_shm_sync_for_device(shm, worker.dev, METAL_SHM_DIR_DEV_RW), -EBUSY);
	peer_kill(&worker);
	assert_int_equal(poll(&wait, 1, 20000), 1);
	assert_int_equal(metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW), -ENODEV);
	assert_int_equal(metal_shm_device_dispatch(worker.dev), -ENODEV);
	/* told once; nothing is given any more */
	assert_int_equal(metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(metal_shm_sync_for_device(shm, worker.dev, METAL_SHM_DIR_DEV_RW), -ENODEV);
	metal_shm_detach(view, worker.dev);
	assert_null(metal_shm_attach(shm, worker.dev));
	assert_int_equal(errno, ENODEV);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(worker.dev);
}

static void a_buffer_outlives_the_device_that_it_is_attached_to(void **state)
{
	struct process worker = peer_start("worker");
	struct metal_generic_shm *shm = peer_buffer(SIZE),
				 *view = metal_shm_attach(shm, worker.dev);

	(void)state;
	peer_tell(&worker, "keep");
	assert_int_equal(metal_shm_sync_for_device(shm, worker.dev, METAL_SHM_DIR_DEV_RW), 0);
	peer_stop(&worker);
	assert_int_equal(metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW), -ENODEV);
	metal_shm_detach(view, worker.dev);
	metal_shm_free(shm, NULL);
}

static void more_is_said_than_the_other_process_reads(void **state)
{
	struct process worker = peer_start("worker");
	struct metal_shm_peer_event event = { .struct_size = sizeof(event) };
	char text[32];

	(void)state;
	/* beyond the windows of both sides: it can't answer the later ones before these are read */
	for (unsigned i = 0; i < 500; i++) {
		snprintf(text, sizeof(text), "say %u", i);
		peer_tell(&worker, text);
	}
	for (unsigned i = 0; i < 500; i++) {
		snprintf(text, sizeof(text), "%u", i);
		assert_int_equal(metal_shm_peer_next(worker.dev, 20 * SECOND, &event), 0);
		assert_int_equal(event.size, strlen(text));
		assert_memory_equal(event.data, text, event.size);
	}
	assert_int_equal(metal_shm_peer_next(worker.dev, 0, &event), -ETIMEDOUT);
	peer_stop(&worker);
}

static void buffers_are_attached_and_detached_again_and_again(void **state)
{
	struct process worker = peer_start("worker");
	struct metal_generic_shm *shm = peer_buffer(SIZE), *view;

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		view = metal_shm_attach(shm, worker.dev);
		assert_non_null(view);
		assert_int_equal(metal_shm_sync_for_device(shm, worker.dev, METAL_SHM_DIR_DEV_RW),
				 0);
		assert_int_equal(
			metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, 20 * SECOND), 0);
		metal_shm_detach(view, worker.dev);
	}
	metal_shm_free(shm, NULL);
	peer_stop(&worker);
}

static void memory_that_may_shrink_is_not_shared(void **state)
{
	struct process worker = peer_start("worker");
	int fd = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct metal_generic_shm *shm;
	static char bytes[100];

	(void)state;
	assert_int_equal(ftruncate(fd, 4096), 0);
	shm = metal_shm_import(fd, 0, 0);
	assert_null(metal_shm_attach(shm, worker.dev));
	assert_int_equal(errno, ENOTSUP);
	assert_non_null(strstr(metal_shm_last_error(), "F_SEAL_SHRINK"));
	metal_shm_free(shm, NULL);
	shm = metal_shm_wrap(bytes, sizeof(bytes), NULL, NULL);
	assert_null(metal_shm_attach(shm, worker.dev));
	assert_int_equal(errno, ENOTSUP);
	metal_shm_free(shm, NULL);
	close(fd);
	peer_stop(&worker);
}

static void what_it_needs_of_memory_is_chosen_and_nothing_else_attached(void **state)
{
	struct process worker = peer_start("worker");
	struct metal_generic_shm *shm = peer_buffer(SIZE), *chosen;

	(void)state;
	assert_int_equal(metal_shm_peer_needs(worker.dev, 1u << 31), -EINVAL);
	chosen = metal_shm_allocate_for(SIZE, &worker.dev, 1, 0);
	assert_non_null(chosen);
	metal_shm_free(chosen, NULL);
	assert_int_equal(metal_shm_peer_needs(worker.dev, METAL_SHM_SECURE), 0);
	assert_null(metal_shm_attach(shm, worker.dev));
	assert_int_equal(errno, ENOTSUP);
	assert_non_null(strstr(metal_shm_last_error(), "METAL_SHM_SECURE"));
	assert_null(metal_shm_allocate_for(SIZE, &worker.dev, 1, 0));
	assert_int_equal(errno, ENOTSUP);
	metal_shm_free(shm, NULL);
	peer_stop(&worker);
}

static void what_comes_from_another_process_can_be_a_frame(void **state)
{
	struct process camera = peer_start("camera");
	struct metal_shm_peer_event event = { .struct_size = sizeof(event) };
	struct metal_shm_frame frame = { .fourcc = METAL_SHM_FOURCC('X', 'R', '2', '4'),
					 .width = 50,
					 .height = 100 };

	(void)state;
	do
		assert_int_equal(metal_shm_peer_next(camera.dev, 20 * SECOND, &event), 0);
	while (!event.shm);
	assert_int_equal(metal_shm_frame_negotiate(&frame, &camera.dev, 1), 0);
	assert_int_equal(metal_shm_frame_set(event.shm, &frame), 0);
	assert_memory_equal(metal_shm_frame_of(event.shm), &frame, sizeof(frame));
	frame.height++;
	assert_int_equal(metal_shm_frame_set(event.shm, &frame), -ERANGE);
	metal_shm_free(event.shm, NULL);
	metal_shm_device_close(camera.dev);
	peer_wait(&camera);
}

#define MANY   12
#define ROUNDS 10

static void many_processes_work_in_one_loop(void **state)
{
	struct process workers[MANY];
	struct metal_generic_shm *shm[MANY], *view[MANY];
	struct pollfd waits[MANY];
	unsigned rounds[MANY] = { 0 }, left = MANY;

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		workers[i] = peer_start("worker");
		shm[i] = peer_buffer(SIZE);
		view[i] = metal_shm_attach(shm[i], workers[i].dev);
		waits[i] = (struct pollfd){ metal_shm_device_poll_fd(workers[i].dev), POLLIN, 0 };
		assert_int_equal(
			metal_shm_sync_for_device(shm[i], workers[i].dev, METAL_SHM_DIR_DEV_RW), 0);
	}
	while (left) {
		assert_true(poll(waits, MANY, 20000) > 0);
		for (unsigned i = 0; i < MANY; i++) {
			if (!waits[i].revents)
				continue;
			assert_int_equal(metal_shm_device_dispatch(workers[i].dev), 0);
			if (rounds[i] == ROUNDS ||
			    metal_shm_sync_for_cpu_timeout(shm[i], METAL_SHM_DIR_DEV_RW, 0))
				continue;
			if (++rounds[i] == ROUNDS)
				left--;
			else
				assert_int_equal(metal_shm_sync_for_device(shm[i], workers[i].dev,
									   METAL_SHM_DIR_DEV_RW),
						 0);
		}
	}
	for (unsigned i = 0; i < MANY; i++) {
		const unsigned char *bytes = metal_shm_map(shm[i], METAL_SHM_READ);

		assert_int_equal(bytes[0], ROUNDS);
		assert_int_equal(bytes[SIZE - 1], ROUNDS);
		metal_shm_detach(view[i], workers[i].dev);
		metal_shm_free(shm[i], NULL);
		peer_stop(&workers[i]);
	}
}

static void only_a_connected_socket_that_keeps_records_apart_will_do(void **state)
{
	struct metal_device *dev;
	struct metal_generic_shm *shm;
	int ends[2], lone = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(metal_shm_peer_open(ends[0], &dev), -EINVAL);
	assert_int_equal(metal_shm_receive(ends[0], &shm), -EINVAL);
	assert_int_equal(metal_shm_peer_open(lone, &dev), -ENOTCONN);
	assert_int_equal(metal_shm_peer_open(0x7fff, &dev), -EBADF);
	assert_int_equal(metal_shm_peer_open(lone, NULL), -EINVAL);
	close(ends[0]);
	close(ends[1]);
	close(lone);
}

static void a_buffer_is_sent_once_and_found_again(void **state)
{
	struct metal_generic_shm *shm = peer_buffer(SIZE), *part, *got;
	int ends[2];

	(void)state;
	peer_sockets(ends);
	part = metal_shm_sub(shm, 5, 100, 0);
	assert_int_equal(metal_shm_send(ends[0], shm), 0);
	assert_int_equal(metal_shm_send(ends[0], part), 0);
	assert_int_equal(metal_shm_receive(ends[1], &got), 0);
	assert_ptr_equal(got, shm);
	metal_shm_free(got, NULL);
	assert_int_equal(metal_shm_receive(ends[1], &got), 0);
	assert_int_equal(metal_shm_size(got), 100);
	assert_ptr_equal(metal_shm_map(got, METAL_SHM_READ),
			 (char *)metal_shm_map(shm, METAL_SHM_READ) + 5);
	metal_shm_free(got, NULL);
	assert_int_equal(send(ends[0], "no buffer", 9, 0), 9);
	assert_int_equal(metal_shm_receive(ends[1], &got), -EBADMSG);
	close(ends[0]);
	assert_int_equal(metal_shm_receive(ends[1], &got), -ENODATA);
	assert_int_equal(metal_shm_send(ends[1], shm), -EPIPE);
	close(ends[1]);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, NULL);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_go_to_another_process_and_back),
		cmocka_unit_test(a_part_goes_without_the_bytes_beside_it),
		cmocka_unit_test(frames_of_another_process_come_in_order_and_go_back),
		cmocka_unit_test(what_was_not_given_is_waited_for_and_not_returned),
		cmocka_unit_test(a_failure_over_there_is_told_to_the_next_owner_once),
		cmocka_unit_test(bytes_that_it_keeps_come_no_sooner_than_it_ends),
		cmocka_unit_test(a_buffer_outlives_the_device_that_it_is_attached_to),
		cmocka_unit_test(more_is_said_than_the_other_process_reads),
		cmocka_unit_test(buffers_are_attached_and_detached_again_and_again),
		cmocka_unit_test(memory_that_may_shrink_is_not_shared),
		cmocka_unit_test(what_it_needs_of_memory_is_chosen_and_nothing_else_attached),
		cmocka_unit_test(what_comes_from_another_process_can_be_a_frame),
		cmocka_unit_test(many_processes_work_in_one_loop),
		cmocka_unit_test(only_a_connected_socket_that_keeps_records_apart_will_do),
		cmocka_unit_test(a_buffer_is_sent_once_and_found_again),
	};

	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
