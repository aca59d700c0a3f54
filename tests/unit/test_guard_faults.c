/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is said of a stray access, and who gets other faults. What dies or has handlers of its own is a
 * scene: a process for itself, whose end and last words are looked at.
 */
#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>

#include "guard_fixture.h"

static void touch_what_is_written(void)
{
	start(true);
	give(g.shm, g.one, DEV_W);
	usleep(60000);
	g.bytes[3 * g.page + 5] = 1;
}

static unsigned long number_after(const struct end *end, const char *what)
{
	const char *at = strstr(end->said, what);

	if (!at)
		fail_msg("'%s' is not in '%s'", what, end->said);
	return at ? strtoul(at + strlen(what), NULL, 0) : 0;
}

static void a_stray_access_dies_and_says_what_is_known(void **state)
{
	struct end end = play("touch_what_is_written", false);
	long page = sysconf(_SC_PAGESIZE);
	unsigned long ms, site;
	char text[200];
	Dl_info module;

	(void)state;
	assert_died(&end);
	snprintf(text, sizeof(text),
		 "libshm: stray access to ring of memfd (%ld bytes) at offset %ld: one has bytes "
		 "0 to %ld, writing, for ",
		 PAGES * page, 3 * page + 5, PAGES * page);
	assert_said(&end, text);
	ms = number_after(&end, "writing, for ");
	assert_in_range(ms, 40, 60000);
	assert_true(dladdr((void *)(uintptr_t)hand_over_here, &module));
	site = number_after(&end, "test_guard_faults+") + (uintptr_t)module.dli_fbase;
	assert_in_range(site - (uintptr_t)hand_over_here, 1, 1000);
	assert_int_equal(end.said[strlen(end.said) - 1], '\n');
}

static void write_what_is_read(void)
{
	start(true);
	give(g.shm, g.two, DEV_R);
	if (g.bytes[7] != 0x11)
		_exit(1);
	g.bytes[7] = 1;
}

static void what_is_only_read_may_be_read_and_not_written(void **state)
{
	struct end end = play("write_what_is_read", false);

	(void)state;
	assert_died(&end);
	assert_said(&end, "stray write to ring of memfd");
	assert_said(&end, "at offset 7: two has bytes");
	assert_said(&end, ", reading, for ");
}

static void touch_one_of_two(size_t offset)
{
	struct metal_generic_shm *parts[2];

	start(true);
	for (size_t i = 0; i < 2; i++) {
		parts[i] = metal_shm_sub(g.shm, i * 1000, i ? g.size - 1000 : 1000, 0);
		if (!metal_shm_attach(parts[i], i ? g.two->dev : g.one->dev))
			abort();
		give(parts[i], i ? g.two : g.one, DEV_W);
	}
	g.bytes[offset]++;
}

static void touch_the_first_of_two(void)
{
	touch_one_of_two(999);
}

static void touch_the_second_of_two(void)
{
	touch_one_of_two(1000);
}

static void the_holder_of_just_the_touched_byte_is_named(void **state)
{
	struct end end = play("touch_the_second_of_two", false);

	(void)state;
	assert_died(&end);
	assert_said(&end, "at offset 1000: two has bytes 1000 to ");
	end = play("touch_the_first_of_two", false);
	assert_died(&end);
	assert_said(&end, "at offset 999: one has bytes 0 to 1000,");
}

/* The memory's last page: half of it is behind the last byte. */
static void touch_behind_the_end(void)
{
	struct metal_generic_shm *shm;
	volatile char *bytes;

	start(true);
	shm = metal_shm_allocate(g.page + 10, g.source, 0);
	bytes = metal_shm_map(shm, READ_WRITE);
	if (!metal_shm_attach(shm, g.one->dev) || metal_shm_guard(shm, true))
		abort();
	give(shm, g.one, DEV_W);
	bytes[g.page + 10]++;
}

static void the_page_of_the_last_byte_is_closed_to_its_end(void **state)
{
	struct end end = play("touch_behind_the_end", false);

	(void)state;
	assert_died(&end);
	assert_said(&end, "stray access to a buffer of memfd (");
	assert_said(&end, ": one has bytes 0 to ");
}

static void touch_in_a_forked_child(void)
{
	int status = 0;
	pid_t child;

	start(true);
	give(g.shm, g.one, DEV_W);
	child = fork();
	if (!child)
		g.bytes[1]++;
	else if (waitpid(child, &status, 0) != child)
		abort();
	_exit(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV ? 42 : 1);
}

static void a_forked_child_dies_of_a_stray_access_too(void **state)
{
	struct end end = play("touch_in_a_forked_child", false);

	(void)state;
	assert_int_equal(end.status, W_EXITCODE(42, 0));
	assert_said(&end, "at offset 1: one has bytes");
}

static void guard_by_environment(void)
{
	start(false);
	give(g.shm, g.one, DEV_W);
	g.bytes[0]++;
}

static void the_environment_guards_each_buffer(void **state)
{
	struct end end = play("guard_by_environment", true);

	(void)state;
	assert_died(&end);
	assert_said(&end, "stray access to ring of memfd");
	end = play("guard_by_environment", false);
	assert_silent_exit(&end, 0);
}

static void open_by_choice(void)
{
	struct metal_generic_shm *shm;
	volatile char *bytes;

	start(false);
	shm = metal_shm_allocate(g.page, g.source, 0);
	if (metal_shm_guard(shm, false) || !metal_shm_attach(shm, g.one->dev))
		abort();
	bytes = metal_shm_map(shm, READ_WRITE);
	give(shm, g.one, DEV_W);
	bytes[0]++;
	if (metal_shm_guard(shm, true))
		abort();
	bytes[0]++;
}

static void what_the_program_wants_open_the_environment_does_not_close(void **state)
{
	struct end end = play("open_by_choice", true);

	(void)state;
	/* the second touch, of what was handed over before */
	assert_died(&end);
	assert_said(&end, "; handed over before it was guarded");
}

static void open_what_was_given_before(void)
{
	start(false);
	give(g.shm, g.one, DEV_W);
	if (metal_shm_guard(g.shm, true))
		_exit(1);
	g.bytes[0]++;
}

static void what_was_handed_over_before_is_closed_too(void **state)
{
	struct end end = play("open_what_was_given_before", false);

	(void)state;
	assert_died(&end);
	assert_said(&end, "; handed over before it was guarded");
}

static volatile char *foreign; /* a page that nobody may touch, and is not libshm's */

static void handle_info(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	_exit(info->si_addr == (void *)(uintptr_t)foreign ? 40 : 1);
}

static void handle_plainly(int signal)
{
	_exit(signal == SIGSEGV ? 41 : 1);
}

static void touch_foreign(void)
{
	foreign = metal_shm_map(metal_shm_allocate(g.page, g.source, 0), METAL_SHM_READ);
	if (!foreign || mprotect((void *)(uintptr_t)foreign, g.page, PROT_NONE))
		abort();
	foreign[0] = 1;
}

static void set_handler(int flags, void (*info)(int, siginfo_t *, void *), void (*plain)(int))
{
	struct sigaction action = { .sa_flags = flags };

	if (info)
		action.sa_sigaction = info;
	else
		action.sa_handler = plain;
	if (sigaction(SIGSEGV, &action, NULL))
		abort();
}

static void info_handler_before(void)
{
	set_handler(SA_SIGINFO, handle_info, NULL);
	start(true);
	give(g.shm, g.one, DEV_W);
	touch_foreign();
}

static void plain_handler_before(void)
{
	set_handler(0, NULL, handle_plainly);
	start(true);
	give(g.shm, g.one, DEV_W);
	touch_foreign();
}

static void handler_after(void)
{
	start(true);
	give(g.shm, g.one, DEV_W);
	set_handler(0, NULL, handle_plainly);
	g.bytes[0]++;
}

static void info_handler_and_ours(void)
{
	set_handler(SA_SIGINFO, handle_info, NULL);
	start(true);
	give(g.shm, g.one, DEV_W);
	g.bytes[0]++;
}

static void the_programs_handler_gets_what_is_not_ours(void **state)
{
	struct end end = play("info_handler_before", false);

	(void)state;
	assert_silent_exit(&end, 40);
	end = play("plain_handler_before", false);
	assert_silent_exit(&end, 41);
	/* one that comes later gets everything */
	end = play("handler_after", false);
	assert_silent_exit(&end, 41);
	end = play("info_handler_and_ours", false);
	assert_died(&end);
	assert_said(&end, "libshm: stray access");
}

static void no_handler_before(void)
{
	set_handler(0, NULL, SIG_DFL);
	start(true);
	give(g.shm, g.one, DEV_W);
	touch_foreign();
}

static void ignored_before(void)
{
	set_handler(0, NULL, SIG_IGN);
	start(true);
	give(g.shm, g.one, DEV_W);
	touch_foreign();
}

static void ignored_before_and_sent(void)
{
	set_handler(0, NULL, SIG_IGN);
	start(true);
	give(g.shm, g.one, DEV_W);
	raise(SIGSEGV);
	g.bytes[0]++;
}

static void sent_by_somebody(void)
{
	set_handler(0, NULL, SIG_DFL);
	start(true);
	give(g.shm, g.one, DEV_W);
	raise(SIGSEGV);
	_exit(1);
}

static void without_a_handler_foreign_faults_kill_in_silence(void **state)
{
	struct end end = play("no_handler_before", false);

	(void)state;
	assert_died(&end);
	assert_string_equal(end.said, "");
	end = play("ignored_before", false);
	assert_died(&end);
	assert_string_equal(end.said, "");
	/* only what a fault makes kills then */
	end = play("ignored_before_and_sent", false);
	assert_died(&end);
	assert_said(&end, "libshm: stray access");
	end = play("sent_by_somebody", false);
	assert_died(&end);
	assert_string_equal(end.said, "");
}

static int once;

static void handle_once(int signal)
{
	(void)signal;
	once++;
}

static void one_shot_handler_before(void)
{
	set_handler((int)SA_RESETHAND, NULL, handle_once);
	start(true);
	give(g.shm, g.one, DEV_W);
	raise(SIGSEGV);
	if (once != 1 || write(STDERR_FILENO, "one\n", 4) != 4)
		abort();
	raise(SIGSEGV);
	_exit(1);
}

static void a_handler_for_one_signal_gets_one(void **state)
{
	struct end end = play("one_shot_handler_before", false);

	(void)state;
	assert_died(&end);
	assert_string_equal(end.said, "one\n");
}

/* Faults of others are answered from the same table while it grows and shrinks. */
static void touch_while_others_come_and_go(void)
{
	struct part part;
	pthread_t thread;

	start(true);
	for (int i = 0; i < 40; i++) {
		struct metal_generic_shm *shm = metal_shm_allocate(g.page, g.source, 0);

		if (metal_shm_guard(shm, true))
			abort();
		metal_shm_free(i % 2 ? shm : NULL, NULL);
	}
	part = (struct part){ metal_shm_sub(g.shm, 0, g.page, 0), g.one, g.bytes, g.page };
	if (!metal_shm_attach(part.shm, g.one->dev))
		abort();
	give(g.shm, g.two, DEV_R);
	if (metal_shm_sync_for_cpu(part.shm, DEV_RW) ||
	    pthread_create(&thread, NULL, hand_round, &part))
		abort();
	g.bytes[2 * g.page] = 1;
}

static void a_fault_is_told_while_records_change(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		struct end end = play("touch_while_others_come_and_go", false);

		assert_died(&end);
		assert_said(&end, ": two has bytes ");
		assert_said(&end, ", reading, for ");
	}
}

#define SCENE(name)         \
	{                   \
#name, name \
	}

static int run_scene(const char *name)
{
	static const struct {
		const char *name;
		void (*play)(void);
	} scenes[] = {
		SCENE(touch_what_is_written),   SCENE(write_what_is_read),
		SCENE(touch_the_first_of_two),  SCENE(touch_the_second_of_two),
		SCENE(touch_behind_the_end),    SCENE(touch_in_a_forked_child),
		SCENE(guard_by_environment),    SCENE(open_what_was_given_before),
		SCENE(info_handler_before),     SCENE(plain_handler_before),
		SCENE(handler_after),           SCENE(info_handler_and_ours),
		SCENE(no_handler_before),       SCENE(ignored_before),
		SCENE(ignored_before_and_sent), SCENE(sent_by_somebody),
		SCENE(one_shot_handler_before), SCENE(touch_while_others_come_and_go),
		SCENE(open_by_choice),
	};

	for (size_t i = 0; i < SHM_TEST_COUNT(scenes); i++) {
		if (!strcmp(scenes[i].name, name)) {
			scenes[i].play();
			_exit(0);
		}
	}
	return 98;
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_forked_child_dies_of_a_stray_access_too),
		cmocka_unit_test(a_stray_access_dies_and_says_what_is_known),
		cmocka_unit_test(what_is_only_read_may_be_read_and_not_written),
		cmocka_unit_test(the_holder_of_just_the_touched_byte_is_named),
		cmocka_unit_test(the_page_of_the_last_byte_is_closed_to_its_end),
		cmocka_unit_test(the_environment_guards_each_buffer),
		cmocka_unit_test(what_the_program_wants_open_the_environment_does_not_close),
		cmocka_unit_test(what_was_handed_over_before_is_closed_too),
		cmocka_unit_test(the_programs_handler_gets_what_is_not_ours),
		cmocka_unit_test(without_a_handler_foreign_faults_kill_in_silence),
		cmocka_unit_test(a_handler_for_one_signal_gets_one),
		cmocka_unit_test(a_fault_is_told_while_records_change),
	};

	if (argc == 3 && !strcmp(argv[1], "--scene"))
		return run_scene(argv[2]);
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
