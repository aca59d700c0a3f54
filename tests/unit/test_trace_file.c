/* SPDX-License-Identifier: BSD-3-Clause */
/* LIBSHM_TRACE: which programs leave a file, where, and who hears of it when they can't. */
#include <errno.h>

#include "trace_fixture.h"

static void use_elsewhere(void)
{
	use_a_little();
	assert_int_equal(mkdir("elsewhere", 0700), 0);
	assert_int_equal(chdir("elsewhere"), 0);
	assert_int_equal(metal_shm_trace_start(1), -EALREADY);
	assert_int_not_equal(access(FILE_NAME, F_OK), 0);
}

static void the_environment_switches_it_on(void **state)
{
	char *text;

	(void)state;
	setenv("LIBSHM_TRACE", FILE_NAME, 1);
	in_child(use_elsewhere, true);
	unsetenv("LIBSHM_TRACE");
	check_file(FILE_NAME);
	text = read_file(FILE_NAME);
	assert_lines(text, 1, "\"name\":\"buffer 1\"", "\"access\":\"writes\"");
	assert_lines(text, 1, "end of buffer 1", "");
	free(text);
}

static void use_as_numbered(void)
{
	char name[64];
	FILE *file;

	use_a_little();
	snprintf(name, sizeof(name), "of-%d.json", (int)getpid());
	file = fopen("name", "we");
	assert_non_null(file);
	fputs(name, file);
	fclose(file);
}

static void the_file_may_have_the_number_of_its_process(void **state)
{
	char *name;

	(void)state;
	setenv("LIBSHM_TRACE", "of-%p.json", 1);
	in_child(use_as_numbered, true);
	unsetenv("LIBSHM_TRACE");
	name = read_file("name");
	check_file(name);
	free(name);
}

static void use_in_a_fork(void)
{
	pid_t child;
	int status;

	use_a_little();
	child = fork();
	if (!child) {
		assert_int_equal(metal_shm_trace_start(1), -EPERM);
		assert_int_equal(metal_shm_trace_write(STDERR_FILENO), -EPERM);
		exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_not_equal(access(FILE_NAME, F_OK), 0);
}

static void a_forked_child_writes_nothing(void **state)
{
	(void)state;
	setenv("LIBSHM_TRACE", FILE_NAME, 1);
	in_child(use_in_a_fork, true);
	unsetenv("LIBSHM_TRACE");
	check_file(FILE_NAME);
}

static void a_program_that_does_not_end_itself_leaves_no_file(void **state)
{
	(void)state;
	setenv("LIBSHM_TRACE", FILE_NAME, 1);
	in_child(use_a_little, false);
	unsetenv("LIBSHM_TRACE");
	assert_int_not_equal(access(FILE_NAME, F_OK), 0);
}

/* What the log hook hears and what the streams have goes to files. */
static void note_line(void *user, enum metal_shm_log_level level, const char *line)
{
	FILE *file = fopen(user, "ae");

	assert_non_null(file);
	fprintf(file, "%d %s\n", (int)level, line);
	fclose(file);
}

static void use_with_a_log(void)
{
	static char name[] = "log";
	int fd = open("printed", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0 && dup2(fd, STDERR_FILENO) >= 0);
	close(fd);
	metal_shm_set_log(note_line, name, METAL_SHM_LOG_ERROR);
	use_a_little();
}

static void expect_log(const char *file, const char *reason)
{
	char *text;

	unlink("log");
	setenv("LIBSHM_TRACE", file, 1);
	in_child(use_with_a_log, true);
	unsetenv("LIBSHM_TRACE");
	text = read_file("log");
	assert_lines(text, 1, file, reason);
	assert_lines(text, 1, "1 ", "");
	free(text);
	text = read_file("printed");
	assert_string_equal(text, "");
	free(text);
}

static void a_file_that_cannot_be_is_told_to_the_log_alone(void **state)
{
	char name[5000];

	(void)state;
	expect_log("/nowhere/trace.json", "No such file");
	expect_log("/dev/full", "No space left");
	memset(name, 'x', sizeof(name) - 1);
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	setenv("LIBSHM_TRACE", name, 1);
	unlink("log");
	in_child(use_with_a_log, true);
	unsetenv("LIBSHM_TRACE");
	free(read_file("log"));
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(the_environment_switches_it_on),
		CASE(the_file_may_have_the_number_of_its_process),
		CASE(a_forked_child_writes_nothing),
		CASE(a_program_that_does_not_end_itself_leaves_no_file),
		CASE(a_file_that_cannot_be_is_told_to_the_log_alone),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
