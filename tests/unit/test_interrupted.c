/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's calls on a DMA-BUF that a signal interrupts, or that ask to be made again. */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/sync_file.h>

#include "core.h"
#include "dmabuf.h"
#include "shm_test.h"

#define MEMORY 1000 /* no descriptor of this process, but a DMA-BUF for ioctl() */
#define TIMES  5    /* that it is interrupted, in both ways */

static struct {
	unsigned calls, left;
	unsigned long request;
	uint64_t flags; /* of a sync; all calls have the same */
	int last;       /* errno of the call that isn't interrupted */
} kernel;

static int answer(unsigned long request, void *argument)
{
	uint64_t flags = 0;

	if (request == DMA_BUF_IOCTL_SYNC)
		flags = ((struct dma_buf_sync *)argument)->flags;
	if (!kernel.calls++) {
		kernel.request = request;
		kernel.flags = flags;
	}
	assert_int_equal(request, kernel.request);
	assert_int_equal(flags, kernel.flags);
	errno = kernel.left ? kernel.left-- % 2 ? EINTR : EAGAIN : kernel.last;
	if (errno)
		return -1;
	if (request == SYNC_IOC_FILE_INFO)
		((struct sync_file_info *)argument)->status = -EIO;
	if (request == DMA_BUF_IOCTL_EXPORT_SYNC_FILE)
		((struct dma_buf_export_sync_file *)argument)->fd = 77;
	return 0;
}

__attribute__((visibility("default"))) int ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (fd == MEMORY)
		return answer(request, argument);
	return (int)syscall(SYS_ioctl, fd, request, argument);
}

static void interrupt(int last)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.left = TIMES;
	kernel.last = last;
}

static void each_sync_is_made_again_until_it_is_made(void **state)
{
	static const struct {
		enum metal_shm_dir dir;
		uint64_t flags;
	} syncs[] = {
		{ METAL_SHM_DIR_DEV_R, DMA_BUF_SYNC_WRITE },
		{ METAL_SHM_DIR_DEV_W, DMA_BUF_SYNC_READ },
		{ METAL_SHM_DIR_DEV_RW, DMA_BUF_SYNC_RW },
	};

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(syncs); i++) {
		interrupt(0);
		assert_int_equal(shm__dmabuf_start(MEMORY, syncs[i].dir), 0);
		assert_int_equal(kernel.calls, TIMES + 1);
		assert_int_equal(kernel.flags, DMA_BUF_SYNC_START | syncs[i].flags);
		interrupt(0);
		assert_int_equal(shm__dmabuf_end(MEMORY, syncs[i].dir), 0);
		assert_int_equal(kernel.calls, TIMES + 1);
		assert_int_equal(kernel.flags, DMA_BUF_SYNC_END | syncs[i].flags);
	}
}

static void what_else_a_sync_answers_ends_it(void **state)
{
	(void)state;
	interrupt(EINVAL);
	assert_int_equal(shm__dmabuf_start(MEMORY, METAL_SHM_DIR_DEV_W), -EINVAL);
	assert_int_equal(kernel.calls, TIMES + 1);
	interrupt(EIO);
	assert_int_equal(shm__dmabuf_end(MEMORY, METAL_SHM_DIR_DEV_W), -EIO);
	assert_int_equal(kernel.calls, TIMES + 1);
}

static void fences_are_asked_for_again_too(void **state)
{
	(void)state;
	interrupt(0);
	assert_int_equal(shm__os_fence_put(MEMORY, 5, true), 0);
	assert_int_equal(kernel.calls, TIMES + 1);
	interrupt(0);
	assert_int_equal(shm__os_fence_get(MEMORY, false), 77);
	assert_int_equal(kernel.calls, TIMES + 1);
	interrupt(0);
	assert_int_equal(shm__os_fence_status(MEMORY), -EIO);
	assert_int_equal(kernel.calls, TIMES + 1);
	interrupt(EBADF);
	assert_int_equal(shm__os_fence_put(MEMORY, 5, false), -EBADF);
	assert_int_equal(kernel.calls, TIMES + 1);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_sync_is_made_again_until_it_is_made),
		cmocka_unit_test(what_else_a_sync_answers_ends_it),
		cmocka_unit_test(fences_are_asked_for_again_too),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
