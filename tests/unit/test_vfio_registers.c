/* SPDX-License-Identifier: BSD-3-Clause */
/* Registers and interrupts of a VFIO device, and threads, on one that fails when it is told to. */
#include <pthread.h>

#include "vfio_bench.h"

static void device_is_switched_on(void **state)
{
	struct metal_device *dev = open_device(ONE);
	uint16_t command = 0;

	(void)state;
	assert_int_equal(pread(metal_shm_vfio_fd(dev), &command, sizeof(command), 65536 + 4), 2);
	assert_int_equal(command & 6, 6);
	metal_shm_device_close(dev);
}

struct heard {
	unsigned vector;
	uint64_t times;
	unsigned calls;
};

static void hear(struct metal_device *dev, unsigned vector, uint64_t times, void *user)
{
	struct heard *heard = user;

	assert_non_null(metal_shm_device_name(dev));
	heard->vector = vector;
	heard->times += times;
	heard->calls++;
}

static void interrupts_reach_their_function(void **state)
{
	struct metal_device *dev = open_device(ONE);
	struct heard heard = { 0 };

	(void)state;
	assert_int_equal(metal_shm_vfio_interrupts(dev, METAL_SHM_VFIO_MSI, 3, hear, &heard), 0);
	assert_int_equal(fake->events, 3);
	fake_vfio_raise(2);
	fake_vfio_raise(2);
	assert_int_equal(metal_shm_device_dispatch(dev), 0);
	assert_int_equal(heard.vector, 2);
	assert_int_equal(heard.times, 2);
	assert_int_equal(heard.calls, 1);
	assert_int_equal(fake->masks, 0);
	fake_vfio_raise(0);
	assert_int_equal(metal_shm_vfio_interrupts(dev, METAL_SHM_VFIO_INTX, 1, hear, &heard), 0);
	assert_int_equal(metal_shm_device_dispatch(dev), 0);
	assert_int_equal(heard.calls, 1);
	fake_vfio_raise(0);
	assert_int_equal(metal_shm_device_dispatch(dev), 0);
	assert_int_equal(heard.calls, 2);
	assert_int_equal(fake->masks, 1);
	assert_int_equal(metal_shm_vfio_interrupts(dev, METAL_SHM_VFIO_MSI, 0, NULL, NULL), 0);
	assert_int_equal(metal_shm_device_dispatch(dev), 0);
	metal_shm_device_close(dev);
}

static void interrupts_that_fail_leave_none(void **state)
{
	struct metal_device *dev = open_device(ONE);
	struct heard heard = { 0 };

	(void)state;
	assert_int_equal(metal_shm_vfio_interrupts(dev, METAL_SHM_VFIO_MSI, 5, hear, &heard),
			 -ERANGE);
	assert_int_equal(metal_shm_vfio_interrupts(dev, METAL_SHM_VFIO_MSI, 1, NULL, NULL),
			 -EINVAL);
	assert_int_equal(metal_shm_vfio_interrupts(dev, 7, 1, hear, &heard), -EINVAL);
	fake->fail = VFIO_DEVICE_GET_IRQ_INFO;
	fake->error = EIO;
	assert_int_equal(metal_shm_vfio_interrupts(dev, METAL_SHM_VFIO_MSI, 1, hear, &heard), -EIO);
	fake->fail = VFIO_DEVICE_SET_IRQS;
	assert_int_equal(metal_shm_vfio_interrupts(dev, METAL_SHM_VFIO_MSI, 4, hear, &heard), -EIO);
	fake->fail = 0;
	assert_int_equal(metal_shm_device_dispatch(dev), 0);
	assert_int_equal(heard.calls, 0);
	metal_shm_device_close(dev);
}

static void regions_are_mapped_once(void **state)
{
	struct metal_device *dev = open_device(ONE), *memfd = open_device("memfd");
	volatile void *address, *again;
	size_t size;

	(void)state;
	assert_int_equal(metal_shm_vfio_region(dev, 0, &address, &size), 0);
	assert_int_equal(metal_shm_vfio_region(dev, 0, &again, &size), 0);
	assert_ptr_equal(address, again);
	assert_int_equal(size, 4096);
	assert_int_equal(metal_shm_vfio_region(dev, 1, &address, &size), -ENOTSUP);
	assert_int_equal(metal_shm_vfio_region(dev, 9, &address, &size), -EINVAL);
	assert_int_equal(metal_shm_vfio_region(dev, 0, NULL, &size), -EINVAL);
	assert_int_equal(metal_shm_vfio_region(memfd, 0, &address, &size), -EINVAL);
	assert_int_equal(metal_shm_vfio_fd(memfd), -EINVAL);
	assert_int_equal(metal_shm_vfio_interrupts(memfd, 0, 0, NULL, NULL), -EINVAL);
	metal_shm_device_close(memfd);
	metal_shm_device_close(dev);
	fake->region_flags = VFIO_REGION_INFO_FLAG_READ;
	dev = open_device(ONE);
	assert_int_equal(metal_shm_vfio_region(dev, 0, &address, &size), -ENOTSUP);
	assert_reason("pread");
	metal_shm_device_close(dev);
}

static void *come_and_go(void *user)
{
	struct metal_device *dev = open_device(user);

	for (unsigned i = 0; i < 50; i++) {
		struct metal_generic_shm *shm =
			buffer(i % 2 ? "anon" : "memfd", (i % 4 + 1) * 5000);
		struct metal_generic_shm *view = metal_shm_attach(shm, dev);

		assert_non_null(view);
		metal_shm_free(shm, NULL);
		metal_shm_detach(view, dev);
	}
	metal_shm_device_close(dev);
	return NULL;
}

static void threads_attach_at_once(void **state)
{
	static char one[] = ONE, two[] = TWO, pair[] = PAIR;
	char *const names[] = { one, two, pair, one };
	pthread_t threads[SHM_TEST_COUNT(names)];

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(names); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, names[i]), 0);
	for (size_t i = 0; i < SHM_TEST_COUNT(names); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(fake_vfio_mapped(), 0);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(device_is_switched_on),           CASE(interrupts_reach_their_function),
		CASE(interrupts_that_fail_leave_none), CASE(regions_are_mapped_once),
		CASE(threads_attach_at_once),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
