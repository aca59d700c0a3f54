/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks between processes: this program runs itself again, with the memory's descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <shm/linux.h>
#include <shm/lock.h>

#include "shm_test.h"

#define OFFSET     64
#define ROUNDS     20000
#define READ_WRITE (METAL_SHM_READ | METAL_SHM_WRITE)

/* What the processes share. */
struct shared {
	_Alignas(64) long counter; /* the lock's */
	_Alignas(64) _Atomic uint64_t lock;
	_Alignas(64) atomic_int ready;
};

_Static_assert(offsetof(struct shared, lock) == OFFSET, "where the lock is");

/* By its name: under valgrind /proc/self/exe is valgrind, to the kernel. */
static char program[4096];

static struct metal_generic_shm *new_memory(struct shared **ret_shared)
{
	struct metal_generic_shm *shm = metal_shm_allocate_for(4096, NULL, 0, METAL_SHM_ZEROED);

	assert_non_null(shm);
	*ret_shared = metal_shm_map(shm, READ_WRITE);
	assert_non_null(*ret_shared);
	return shm;
}

/* In a child: become the other process, which does what main() has under that name. */
static void become(int fd, const char *what)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", fd);
	fcntl(fd, F_SETFD, 0);
	execl(program, program, what, number, (char *)NULL);
	_exit(99);
}

static pid_t start(struct metal_generic_shm *shm, const char *what)
{
	int fd = metal_shm_export(shm, 0);
	pid_t child;

	assert_true(fd >= 0);
	child = fork();
	assert_true(child >= 0);
	if (!child)
		become(fd, what);
	close(fd);
	return child;
}

static void pass_ms(long ms)
{
	const struct timespec time = { .tv_nsec = ms * 1000000 };

	nanosleep(&time, NULL);
}

static void wait_ready(struct shared *shared, pid_t child)
{
	int status;

	while (!atomic_load(&shared->ready)) {
		if (waitpid(child, &status, WNOHANG))
			fail_msg("the other process ended with 0x%x", (unsigned)status);
		pass_ms(1);
	}
}

static void end(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void kill_peer(pid_t child, bool reap)
{
	siginfo_t info;

	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | (reap ? 0 : WNOWAIT)), 0);
}

static void one_process_at_a_time_has_a_lock(void **state)
{
	struct shared *shared;
	struct metal_generic_shm *shm = new_memory(&shared);
	pid_t child = start(shm, "--count");

	(void)state;
	wait_ready(shared, child);
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(metal_shm_lock(shm, OFFSET), 0);
		shared->counter++;
		assert_int_equal(metal_shm_unlock(shm, OFFSET), 0);
	}
	end(child);
	assert_int_equal(shared->counter, 2 * ROUNDS);
	assert_int_equal(atomic_load(&shared->lock), 0);
	metal_shm_free(shm, NULL);
}

static void another_process_wakes_whoever_waits(void **state)
{
	struct shared *shared;
	struct metal_generic_shm *shm = new_memory(&shared);
	pid_t child = start(shm, "--give");

	(void)state;
	wait_ready(shared, child);
	assert_int_equal(metal_shm_trylock(shm, OFFSET), -EBUSY);
	assert_int_equal(metal_shm_lock(shm, OFFSET), 0);
	assert_int_equal(shared->counter, 1);
	assert_int_equal(metal_shm_unlock(shm, OFFSET), 0);
	end(child);
	metal_shm_free(shm, NULL);
}

static void a_killed_process_locks_nobody_out(void **state)
{
	struct shared *shared;
	struct metal_generic_shm *shm = new_memory(&shared);

	(void)state;
	/* as long as nobody waits for it the dead process is still there */
	for (int reap = 0; reap < 2; reap++) {
		pid_t child = start(shm, "--hold");

		wait_ready(shared, child);
		assert_int_equal(metal_shm_trylock(shm, OFFSET), -EBUSY);
		assert_non_null(strstr(metal_shm_last_error(), "thread"));
		kill_peer(child, reap);
		assert_int_equal(reap ? metal_shm_lock(shm, OFFSET)
				      : metal_shm_trylock(shm, OFFSET),
				 -EOWNERDEAD);
		assert_int_equal(metal_shm_unlock(shm, OFFSET), 0);
		assert_int_equal(metal_shm_lock(shm, OFFSET), 0);
		assert_int_equal(metal_shm_unlock(shm, OFFSET), 0);
		if (!reap)
			kill_peer(child, true);
		atomic_store(&shared->ready, 0);
	}
	metal_shm_free(shm, NULL);
}

static void *wait_for_it(void *user)
{
	struct metal_generic_shm *shm = user;
	int answer = metal_shm_lock(shm, OFFSET);

	if (!answer || answer == -EOWNERDEAD)
		metal_shm_unlock(shm, OFFSET);
	return answer == -EOWNERDEAD ? (void *)1 : NULL;
}

static void whoever_sleeps_learns_that_the_owner_was_killed(void **state)
{
	struct shared *shared;
	struct metal_generic_shm *shm = new_memory(&shared);
	pid_t child = start(shm, "--hold");
	pthread_t threads[2];
	void *told[2];

	(void)state;
	wait_ready(shared, child);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, wait_for_it, shm), 0);
	while (!(atomic_load(&shared->lock) & METAL_SHM_LOCK_WAITERS))
		pass_ms(1);
	pass_ms(30);
	kill_peer(child, true);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], &told[i]), 0);
	/* the second one had it from the first */
	assert_true(!told[0] != !told[1]);
	metal_shm_free(shm, NULL);
}

static void a_stopped_process_keeps_its_lock(void **state)
{
	struct shared *shared;
	struct metal_generic_shm *shm = new_memory(&shared);
	pid_t child = start(shm, "--hold");
	siginfo_t info;

	(void)state;
	wait_ready(shared, child);
	assert_int_equal(kill(child, SIGSTOP), 0);
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WSTOPPED), 0);
	assert_int_equal(metal_shm_lock_timeout(shm, OFFSET, 50000000), -ETIMEDOUT);
	kill_peer(child, true);
	metal_shm_free(shm, NULL);
}

/* In a child: the other process as the first of a PID namespace, ended with this one. */
static void become_namespace(int fd)
{
	pid_t inner;

	if (unshare(CLONE_NEWPID) && unshare(CLONE_NEWUSER | CLONE_NEWPID))
		_exit(77);
	inner = fork();
	if (!inner) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		become(fd, "--hold");
	}
	waitpid(inner, NULL, 0);
	_exit(98);
}

static void an_owner_in_another_pid_namespace_is_left_alone(void **state)
{
	struct shared *shared;
	struct metal_generic_shm *shm = new_memory(&shared);
	int fd = metal_shm_export(shm, 0), status = 0;
	pid_t child = fork();

	(void)state;
	if (!child)
		become_namespace(fd);
	close(fd);
	while (!atomic_load(&shared->ready) && !waitpid(child, &status, WNOHANG))
		pass_ms(1);
	if (status) {
		metal_shm_free(shm, NULL);
		assert_int_equal(WEXITSTATUS(status), 77);
		shm_test_skip("no PID namespace can be made");
	}
	/* its number is 1 there, which is another process here */
	assert_int_equal(atomic_load(&shared->lock) & METAL_SHM_LOCK_OWNER, 1);
	assert_int_equal(metal_shm_trylock(shm, OFFSET), -EBUSY);
	assert_int_equal(metal_shm_lock_timeout(shm, OFFSET, 30000000), -ETIMEDOUT);
	kill_peer(child, true);
	assert_int_equal(metal_shm_lock_disown(shm, OFFSET, 1), 0);
	assert_int_equal(metal_shm_trylock(shm, OFFSET), -EOWNERDEAD);
	assert_int_equal(metal_shm_unlock(shm, OFFSET), 0);
	metal_shm_free(shm, NULL);
}

/* The other process. */
static int peer(const char *what, const char *fd)
{
	struct metal_generic_shm *shm = metal_shm_import((int)strtol(fd, NULL, 10), 0, 0);
	struct shared *shared = shm ? metal_shm_map(shm, READ_WRITE) : NULL;

	alarm(60);
	if (!shared)
		return 1;
	if (strcmp(what, "--count") != 0 && metal_shm_lock(shm, OFFSET))
		return 2;
	atomic_store(&shared->ready, 1);
	if (!strcmp(what, "--hold"))
		for (;;)
			pause();
	if (!strcmp(what, "--give")) {
		while (!(atomic_load(&shared->lock) & METAL_SHM_LOCK_WAITERS))
			pass_ms(1);
		pass_ms(20);
		shared->counter = 1;
		return metal_shm_unlock(shm, OFFSET) ? 3 : 0;
	}
	for (int i = 0; i < ROUNDS; i++) {
		if (metal_shm_lock(shm, OFFSET))
			return 4;
		shared->counter++;
		if (metal_shm_unlock(shm, OFFSET))
			return 5;
	}
	metal_shm_free(shm, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_process_at_a_time_has_a_lock),
		cmocka_unit_test(another_process_wakes_whoever_waits),
		cmocka_unit_test(a_killed_process_locks_nobody_out),
		cmocka_unit_test(whoever_sleeps_learns_that_the_owner_was_killed),
		cmocka_unit_test(a_stopped_process_keeps_its_lock),
		cmocka_unit_test(an_owner_in_another_pid_namespace_is_left_alone),
	};

	if (argc == 3 && (!strcmp(argv[1], "--count") || !strcmp(argv[1], "--hold") ||
			  !strcmp(argv[1], "--give")))
		return peer(argv[1], argv[2]);
	if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0)
		return 1;
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
