/* SPDX-License-Identifier: BSD-3-Clause */
/* What must not cost a system call, counted by ptrace(2) in a child. */
#include <signal.h>
#include <stdbool.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/ptrace.h>

#include <shm/v4l2.h>

#include "camera_path.h"
#include "drm_card.h"

#define TIMES 100

/* A buffer that is attached to a camera and to a display. */
struct job {
	struct metal_device *camera, *display, *heap;
	struct metal_generic_shm *shm;
};

/* In the child, where no assertion may come back. */
static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, metal_shm_last_error());
	_exit(1);
}

static void prepare(struct job *job)
{
	struct metal_shm_frame frame = { .fourcc = XR24, .width = 640, .height = 480 };

	must(!metal_shm_v4l2_open(video_path("vivid-*-vid-cap"), &job->camera), "camera");
	must(!metal_shm_drm_open(card_path("vkms"), &job->display), "display");
	must(!metal_shm_device_open("heap:system", &job->heap), "heap");

	struct metal_device *const devs[] = { job->camera, job->display, job->heap };

	must(!metal_shm_frame_negotiate(&frame, devs, 3), "negotiate");
	job->shm = metal_shm_allocate(frame.size, job->heap, 0);
	must(job->shm != NULL, "allocate");
	must(!metal_shm_frame_set(job->shm, &frame), "frame");
	must(metal_shm_attach(job->shm, job->camera) != NULL, "attach to the camera");
	must(metal_shm_attach(job->shm, job->display) != NULL, "attach to the display");
	must(metal_shm_map(job->shm, METAL_SHM_READ | METAL_SHM_WRITE) != NULL, "map");
}

/* A call that libshm never makes marks where counting begins and ends. */
static void mark(void)
{
	syscall(SYS_getppid);
}

static void child(void (*measured)(struct job *job))
{
	struct job job;

	alarm(60);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	prepare(&job);
	mark();
	for (int i = 0; i < TIMES; i++)
		measured(&job);
	mark();
	_exit(0);
}

static bool enters(pid_t pid, uint64_t *ret_number)
{
	struct ptrace_syscall_info info = { .op = PTRACE_SYSCALL_INFO_NONE };

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) < 0 ||
	    info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return false;
	*ret_number = info.entry.nr;
	return true;
}

/* System calls that measured() makes TIMES times. */
static unsigned count(void (*measured)(struct job *job))
{
	unsigned counted = 0, marks = 0;
	uint64_t number = 0;
	int status, deliver = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		child(measured);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	for (;;) {
		ptrace(PTRACE_SYSCALL, pid, NULL, deliver);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSTOPPED(status))
			break;
		deliver = WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
		if (deliver || !enters(pid, &number))
			continue;
		if (number == SYS_getppid)
			marks++;
		else
			counted += marks == 1;
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(marks, 2);
	return counted;
}

static void ask_the_kernel(struct job *job)
{
	(void)job;
	syscall(SYS_getpid);
}

static void the_counter_sees_each_system_call(void **state)
{
	(void)state;
	assert_int_equal(count(ask_the_kernel), TIMES);
}

static void attach_again(struct job *job)
{
	struct metal_generic_shm *view = metal_shm_view(job->shm, job->camera);

	must(metal_shm_attach(job->shm, job->camera) == view, "attach again");
	must(metal_shm_attach(job->shm, job->display) != NULL, "attach again");
	metal_shm_detach(view, job->camera);
	metal_shm_detach(metal_shm_view(job->shm, job->display), job->display);
}

static void a_second_attach_and_its_detach_make_no_system_call(void **state)
{
	(void)state;
	assert_int_equal(count(attach_again), 0);
}

static void map_again(struct job *job)
{
	must(metal_shm_map(job->shm, METAL_SHM_READ) != NULL, "map again");
	must(!metal_shm_unmap(job->shm, METAL_SHM_READ), "unmap");
}

static void a_second_mapping_makes_no_system_call(void **state)
{
	(void)state;
	assert_int_equal(count(map_again), 0);
}

static void take_what_nobody_holds(struct job *job)
{
	must(!metal_shm_sync_for_cpu(job->shm, METAL_SHM_DIR_DEV_RW), "sync_for_cpu");
}

static void taking_back_what_nobody_holds_makes_no_system_call(void **state)
{
	(void)state;
	assert_int_equal(count(take_what_nobody_holds), 0);
}

static void part_and_free(struct job *job)
{
	struct metal_generic_shm *part = metal_shm_sub(job->shm, 4096, 4096, 0);

	must(part != NULL, "sub");
	metal_shm_free(part, NULL);
}

static void a_part_makes_no_system_call(void **state)
{
	(void)state;
	assert_int_equal(count(part_and_free), 0);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_counter_sees_each_system_call),
		cmocka_unit_test(a_second_attach_and_its_detach_make_no_system_call),
		cmocka_unit_test(a_second_mapping_makes_no_system_call),
		cmocka_unit_test(taking_back_what_nobody_holds_makes_no_system_call),
		cmocka_unit_test(a_part_makes_no_system_call),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
