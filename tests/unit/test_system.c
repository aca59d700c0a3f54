/* SPDX-License-Identifier: BSD-3-Clause */
/* What the core asks of Linux: waiting, identity, forks, and the configuration of heaps. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <shm/device.h>

#include "core.h"
#include "dmabuf.h"
#include "system.h"

#include "shm_test.h"

#define MS INT64_C(1000000)

/* A thread's wake lives as long as the thread: cases that wait do it in one of their own. */
static void in_thread(void *(*body)(void *))
{
	pthread_t thread;
	void *failed;

	assert_int_equal(pthread_create(&thread, NULL, body, NULL), 0);
	assert_int_equal(pthread_join(thread, &failed), 0);
	if (failed)
		fail_msg("%s", (const char *)failed);
}

/* cmocka's assertions belong to the main thread. */
#define CHECK(condition)                         \
	do {                                     \
		static char text[] = #condition; \
                                                 \
		if (!(condition))                \
			return text;             \
	} while (0)

static int wait_for(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int forked_in_a_child(void)
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child)
		_exit(shm__os_forked());
	return wait_for(child);
}

static void child_of_a_program_that_did_nothing_is_not_forked(void **state)
{
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (!child) {
		if (shm__os_forked())
			_exit(1);
		shm__os_free(shm__os_alloc(1));
		_exit(shm__os_forked() ? 2 : 0);
	}
	assert_int_equal(wait_for(child), 0);
}

static void child_of_a_program_with_records_is_forked(void **state)
{
	(void)state;
	shm__os_free(shm__os_alloc(1));
	assert_int_equal(forked_in_a_child(), 1);
	assert_false(shm__os_forked());
}

static void child_frees_without_the_locks_that_another_thread_held(void **state)
{
	struct metal_generic_shm *shm, *part;
	struct metal_device *memfd;
	pid_t child;

	(void)state;
	assert_int_equal(metal_shm_device_open("memfd", &memfd), 0);
	shm = metal_shm_allocate(8192, memfd, 0);
	part = metal_shm_sub(shm, 0, 4096, 0);
	assert_true(shm && part);
	shm__mutex_lock(&shm__registry);
	shm__mutex_lock(&shm->root->attach_lock);
	shm__mutex_lock(&shm->root->lock);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		alarm(10);
		metal_shm_set_log(NULL, NULL, METAL_SHM_LOG_ERROR);
		metal_shm_free(part, NULL);
		metal_shm_free(shm, memfd);
		metal_shm_device_close(memfd);
		_exit(metal_shm_driver_register(NULL) == -EPERM ? 0 : 1);
	}
	shm__mutex_unlock(&shm->root->lock);
	shm__mutex_unlock(&shm->root->attach_lock);
	shm__mutex_unlock(&shm__registry);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, memfd);
	metal_shm_device_close(memfd);
	assert_int_equal(wait_for(child), 0);
}

static _Atomic uint64_t sleepers_word;
static atomic_bool awake;

static void *sleep_on_the_word(void *unused)
{
	shm__os_lock_sleep(&sleepers_word, 0, shm__os_now_ns() + 3600000 * MS);
	atomic_store(&awake, true);
	return unused;
}

static void whoever_sleeps_on_a_lock_word_is_woken(void **state)
{
	const int64_t soon = shm__os_now_ns() + MS / 2;
	pthread_t thread;

	(void)state;
	shm__os_lock_sleep(&sleepers_word, 1, shm__os_now_ns() + 3600000 * MS);
	assert_int_equal(pthread_create(&thread, NULL, sleep_on_the_word, NULL), 0);
	while (!atomic_load(&awake))
		shm__os_lock_wake(&sleepers_word);
	assert_int_equal(pthread_join(thread, NULL), 0);
	/* a word that the kernel can't wait on is looked at again soon */
	shm__os_lock_sleep((const void *)(uintptr_t)8, 0, soon);
	assert_true(shm__os_now_ns() >= soon);
	shm__os_lock_sleep((const void *)(uintptr_t)8, 0, shm__os_now_ns() + 3600000 * MS);
}

static void records_are_zeroed(void **state)
{
	static const char zero[64];
	char *memory = shm__os_alloc(sizeof(zero));

	(void)state;
	memset(memory, 0xa5, sizeof(zero));
	shm__os_free(memory);
	memory = shm__os_alloc(sizeof(zero));
	assert_memory_equal(memory, zero, sizeof(zero));
	shm__os_free(memory);
}

static void *other_text_body(void *unused)
{
	size_t size;

	(void)unused;
	CHECK(shm__os_error_text(&size)[0] == '\0');
	CHECK(size >= 1024);
	metal_shm_set_error(EIO, "of the thread");
	return NULL;
}

static void reason_belongs_to_its_thread(void **state)
{
	size_t size;

	(void)state;
	metal_shm_set_error(ENOENT, "of main");
	in_thread(other_text_body);
	assert_string_equal(shm__os_error_text(&size), "of main");
}

static void *signalled_before_body(void *unused)
{
	struct shm__wake *wake = shm__os_thread_wake();

	(void)unused;
	CHECK(wake);
	CHECK(shm__os_thread_wake() == wake);
	shm__os_wake_signal(wake);
	shm__os_wake_signal(wake);
	CHECK(shm__os_wait(wake, NULL, 0, METAL_SHM_FOREVER) == 0);
	CHECK(shm__os_wait(wake, NULL, 0, 0) == -ETIMEDOUT);
	return NULL;
}

static void signal_before_the_wait_ends_it_once(void **state)
{
	(void)state;
	in_thread(signalled_before_body);
}

static void *signaller(void *wake)
{
	usleep(20000);
	shm__os_wake_signal(wake);
	return NULL;
}

static void *signalled_during_body(void *unused)
{
	struct shm__wake *wake = shm__os_thread_wake();
	pthread_t thread;

	(void)unused;
	CHECK(pthread_create(&thread, NULL, signaller, wake) == 0);
	CHECK(shm__os_wait(wake, NULL, 0, METAL_SHM_FOREVER) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	return NULL;
}

static void signal_of_another_thread_ends_a_wait(void **state)
{
	(void)state;
	in_thread(signalled_during_body);
}

static void wait_ends_at_its_deadline(void **state)
{
	int64_t start = shm__os_now_ns();

	(void)state;
	assert_int_equal(shm__os_wait(NULL, NULL, 0, start + 30 * MS), -ETIMEDOUT);
	assert_true(shm__os_now_ns() - start >= 30 * MS);
}

static void deadline_in_the_past_polls(void **state)
{
	(void)state;
	assert_int_equal(shm__os_wait(NULL, NULL, 0, 0), -ETIMEDOUT);
	assert_int_equal(shm__os_wait(NULL, NULL, 0, 1), -ETIMEDOUT);
}

static void nothing(int number)
{
	(void)number;
}

static void wait_goes_on_after_a_signal_handler(void **state)
{
	const struct itimerval often = { { .tv_usec = 5000 }, { .tv_usec = 5000 } };
	const struct itimerval never = { { 0 }, { 0 } };
	const struct sigaction action = { .sa_handler = nothing };
	int64_t start = shm__os_now_ns();

	(void)state;
	/* The handler stays: valgrind delivers a signal after the timer has been stopped. */
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
	assert_int_equal(shm__os_wait(NULL, NULL, 0, start + 60 * MS), -ETIMEDOUT);
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
	assert_true(shm__os_now_ns() - start >= 60 * MS);
}

static void event_of_the_last_of_65_handles_ends_a_wait(void **state)
{
	int ends[2], handles[66];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	for (size_t i = 0; i < 66; i++)
		handles[i] = -1;
	handles[64] = ends[0];
	assert_int_equal(shm__os_wait(NULL, handles, 65, 0), -ETIMEDOUT);
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_int_equal(shm__os_wait(NULL, handles, 65, METAL_SHM_FOREVER), 0);
	assert_int_equal(shm__os_wait(NULL, handles, 66, 0), -EINVAL);
	close(ends[0]);
	close(ends[1]);
}

static void handle_with_an_error_counts_as_ready(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[1]);
	assert_int_equal(shm__os_wait(NULL, ends, 1, METAL_SHM_FOREVER), 0);
	close(ends[0]);
	assert_int_equal(shm__os_wait(NULL, ends, 1, METAL_SHM_FOREVER), 0);
}

static long descriptors(void)
{
	long n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void thread_takes_its_wake_along(void **state)
{
	long before = descriptors();

	(void)state;
	for (int i = 0; i < 8; i++)
		in_thread(signalled_before_body);
	assert_int_equal(descriptors(), before);
}

static void memory_without_fences_is_ready_at_once(void **state)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(shm__os_wait_fences(fd, false, METAL_SHM_FOREVER), 0);
	assert_int_equal(shm__os_wait_fences(fd, true, METAL_SHM_FOREVER), 0);
	assert_int_equal(shm__os_wait_fences(-1, true, METAL_SHM_FOREVER), 0);
	close(fd);
	assert_int_equal(shm__os_wait_fences(fd, true, 0), -EBADF);
}

/* A pipe that is empty is readable when a writer is done, one that is full writable by its reader. */
static void fence_of_the_named_side_is_waited_for(void **state)
{
	static char bytes[4096];
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(shm__os_wait_fences(ends[0], false, 0), -ETIMEDOUT);
	assert_int_equal(shm__os_wait_fences(ends[1], true, 0), 0);
	while (write(ends[1], bytes, sizeof(bytes)) > 0)
		;
	assert_int_equal(shm__os_wait_fences(ends[0], false, 0), 0);
	assert_int_equal(shm__os_wait_fences(ends[1], true, shm__os_now_ns() + MS), -ETIMEDOUT);
	close(ends[0]);
	close(ends[1]);
}

static void two_descriptors_of_a_memfd_have_one_identity(void **state)
{
	struct shm__identity a, b;
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int twin = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	(void)state;
	assert_int_equal(shm__os_identity(fd, &a), 0);
	assert_int_equal(shm__os_identity(twin, &b), 0);
	assert_true(a.inode && a.inode == b.inode && a.device == b.device);
	close(fd);
	close(twin);
}

static void two_memfds_have_two_identities(void **state)
{
	struct shm__identity a, b;
	int fd = memfd_create("test", MFD_CLOEXEC);
	int other = memfd_create("test", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(shm__os_identity(fd, &a), 0);
	assert_int_equal(shm__os_identity(other, &b), 0);
	assert_true(a.inode != b.inode);
	close(fd);
	close(other);
}

static void refuse_identity(int fd, int error, const char *word)
{
	struct shm__identity id = { 1, 2 };

	assert_int_equal(shm__os_identity(fd, &id), -error);
	assert_non_null(strstr(metal_shm_last_error(), word));
	assert_true(id.device == 1 && id.inode == 2);
	close(fd);
}

static void descriptor_of_another_kind_has_no_identity(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	refuse_identity(ends[0], EINVAL, "a pipe");
	close(ends[1]);
	refuse_identity(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), EINVAL, "a socket");
	refuse_identity(open("/", O_RDONLY | O_CLOEXEC), EINVAL, "a directory");
	refuse_identity(open("/dev/null", O_RDWR | O_CLOEXEC), EINVAL, "a device node");
	refuse_identity(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), EINVAL, "a file");
	refuse_identity(-1, EBADF, "descriptor -1");
	refuse_identity(1000000, EBADF, "descriptor 1000000");
}

static void file_with_a_name_in_shared_memory_has_no_identity(void **state)
{
	char name[] = "/dev/shm/shm-test-XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);

	(void)state;
	if (fd < 0)
		shm_test_skip("no /dev/shm to write to");
	refuse_identity(fd, EINVAL, "a file");
	unlink(name);
}

static void file_on_a_disk_has_no_identity_without_a_name_either(void **state)
{
	char name[] = "/tmp/shm-test-XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	unlink(name);
	if (fcntl(fd, F_GET_SEALS) >= 0) {
		close(fd);
		shm_test_skip("/tmp is in memory");
	}
	refuse_identity(fd, EINVAL, "a file");
}

static void memfd_is_not_a_dmabuf(void **state)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	(void)state;
	assert_false(shm__fd_is_dmabuf(fd));
	close(fd);
	assert_false(shm__fd_is_dmabuf(fd));
}

static void sync_of_a_memfd_is_refused_by_the_kernel(void **state)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(shm__dmabuf_start(fd, METAL_SHM_DIR_DEV_W), -ENOTTY);
	assert_int_equal(shm__dmabuf_end(fd, METAL_SHM_DIR_DEV_R), -ENOTTY);
	close(fd);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(child_of_a_program_that_did_nothing_is_not_forked),
		cmocka_unit_test(whoever_sleeps_on_a_lock_word_is_woken),
		cmocka_unit_test(child_of_a_program_with_records_is_forked),
		cmocka_unit_test(child_frees_without_the_locks_that_another_thread_held),
		cmocka_unit_test(records_are_zeroed),
		cmocka_unit_test(reason_belongs_to_its_thread),
		cmocka_unit_test(signal_before_the_wait_ends_it_once),
		cmocka_unit_test(signal_of_another_thread_ends_a_wait),
		cmocka_unit_test(wait_ends_at_its_deadline),
		cmocka_unit_test(deadline_in_the_past_polls),
		cmocka_unit_test(wait_goes_on_after_a_signal_handler),
		cmocka_unit_test(event_of_the_last_of_65_handles_ends_a_wait),
		cmocka_unit_test(handle_with_an_error_counts_as_ready),
		cmocka_unit_test(thread_takes_its_wake_along),
		cmocka_unit_test(memory_without_fences_is_ready_at_once),
		cmocka_unit_test(fence_of_the_named_side_is_waited_for),
		cmocka_unit_test(two_descriptors_of_a_memfd_have_one_identity),
		cmocka_unit_test(two_memfds_have_two_identities),
		cmocka_unit_test(descriptor_of_another_kind_has_no_identity),
		cmocka_unit_test(file_with_a_name_in_shared_memory_has_no_identity),
		cmocka_unit_test(file_on_a_disk_has_no_identity_without_a_name_either),
		cmocka_unit_test(memfd_is_not_a_dmabuf),
		cmocka_unit_test(sync_of_a_memfd_is_refused_by_the_kernel),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
