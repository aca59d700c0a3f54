/* SPDX-License-Identifier: BSD-3-Clause */
/* clImportMemoryARM: what it takes, what it refuses and how, and what it keeps. */
#include "layer_memory.h"

#include <dirent.h>
#include <sys/socket.h>

#define PROTECTED  CL_IMPORT_TYPE_PROTECTED_ARM
#define CONSISTENT CL_IMPORT_DMA_BUF_DATA_CONSISTENCY_WITH_HOST_ARM

static void errors_come_in_the_specifications_order(void **state)
{
	static const cl_import_properties_arm wrong[] = { 0x1234, 1, 0 };
	static const cl_import_properties_arm secret[] = { CL_IMPORT_TYPE_ARM,
							   CL_IMPORT_TYPE_DMA_BUF_ARM, PROTECTED,
							   CL_TRUE, 0 };
	const cl_mem_flags flags = CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY;
	int closed = -1;
	cl_int code = 1;

	(void)state;
	assert_null(cl.import(NULL, flags, wrong, NULL, 0, &code));
	assert_int_equal(code, CL_INVALID_CONTEXT);
	assert_int_equal(import_answer(flags, wrong, NULL, 0), CL_INVALID_VALUE);
	assert_int_equal(import_answer(0, wrong, NULL, 0), CL_INVALID_BUFFER_SIZE);
	assert_int_equal(import_answer(0, wrong, NULL, 1), CL_INVALID_PROPERTY);
	assert_int_equal(import_answer(0, secret, NULL, 1), CL_INVALID_VALUE);
	assert_int_equal(import_answer(0, secret, &closed, 1), CL_INVALID_OPERATION);
	assert_int_equal(import_answer(0, as_dmabuf, &closed, 1), CL_INVALID_VALUE);
	assert_null(cl.import(cl.context, flags, wrong, NULL, 0, NULL));
}

static void flags_that_contradict_are_refused(void **state)
{
	static const cl_mem_flags wrong[] = {
		CL_MEM_READ_WRITE | CL_MEM_READ_ONLY,
		CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY,
		CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_WRITE_ONLY,
		CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS,
		CL_MEM_ALLOC_HOST_PTR,
		CL_MEM_COPY_HOST_PTR,
		CL_MEM_KERNEL_READ_AND_WRITE,
		(cl_mem_flags)1 << 40,
	};
	struct memory memory = new_memory(BYTES);

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(wrong); i++)
		assert_int_equal(import_answer(wrong[i], as_dmabuf, &memory.fd, BYTES),
				 CL_INVALID_VALUE);
	free_memory(&memory);
}

static void flags_of_the_specification_are_taken(void **state)
{
	static const cl_mem_flags right[] = {
		0,
		CL_MEM_READ_WRITE,
		CL_MEM_READ_ONLY,
		CL_MEM_WRITE_ONLY,
		CL_MEM_READ_WRITE | CL_MEM_HOST_READ_ONLY,
		CL_MEM_READ_ONLY | CL_MEM_HOST_WRITE_ONLY,
		CL_MEM_HOST_NO_ACCESS,
		CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR,
	};
	struct memory memory = new_memory(BYTES);

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(right); i++)
		assert_cl(import_answer(right[i], as_dmabuf, &memory.fd, BYTES));
	free_memory(&memory);
}

static void use_host_ptr_has_no_effect(void **state)
{
	struct memory memory = new_memory(BYTES);
	cl_mem_flags flags = 0;
	cl_int code;
	cl_mem mem;

	(void)state;
	mem = cl.import(cl.context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, as_dmabuf, &memory.fd,
			BYTES, &code);
	assert_cl(code);
	assert_cl(clGetMemObjectInfo(mem, CL_MEM_FLAGS, sizeof(flags), &flags, NULL));
	assert_int_equal(flags, CL_MEM_READ_WRITE);
	fill_bytes(mem, 0x42, BYTES);
	assert_all(memory.bytes, 0x42, BYTES);
	assert_cl(clReleaseMemObject(mem));
	free_memory(&memory);
}

static void properties_that_make_no_sense_are_refused(void **state)
{
	static const cl_import_properties_arm wrong[][7] = {
		{ 0x1234, 0, 0 },
		{ CL_IMPORT_TYPE_ARM, 0x1234, 0 },
		{ CL_IMPORT_TYPE_ARM, CL_IMPORT_TYPE_ANDROID_HARDWARE_BUFFER_ARM, 0 },
		{ CL_IMPORT_TYPE_ARM, CL_IMPORT_TYPE_DMA_BUF_ARM, CL_IMPORT_TYPE_ARM,
		  CL_IMPORT_TYPE_DMA_BUF_ARM, 0 },
		{ CL_IMPORT_TYPE_ARM, CL_IMPORT_TYPE_DMA_BUF_ARM, CONSISTENT, 2, 0 },
		{ CL_IMPORT_TYPE_ARM, CL_IMPORT_TYPE_DMA_BUF_ARM, PROTECTED, 2, 0 },
		{ CL_IMPORT_TYPE_ARM, CL_IMPORT_TYPE_HOST_ARM, CONSISTENT, CL_TRUE, 0 },
		{ CL_IMPORT_TYPE_ARM, CL_IMPORT_TYPE_HOST_ARM, PROTECTED, CL_TRUE, 0 },
		{ PROTECTED, CL_TRUE, 0 },
		{ PROTECTED, CL_TRUE, 0x1234, 0, 0 },
		{ CL_IMPORT_ANDROID_HARDWARE_BUFFER_PLANE_INDEX_ARM, 0, 0 },
	};
	struct memory memory = new_memory(BYTES);

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(wrong); i++)
		if (import_answer(0, wrong[i], &memory.fd, sizeof(int)) != CL_INVALID_PROPERTY)
			fail_msg("list %zu is taken", i);
	free_memory(&memory);
}

static void protected_memory_is_refused(void **state)
{
	static const cl_import_properties_arm secret[] = { CL_IMPORT_TYPE_ARM,
							   CL_IMPORT_TYPE_DMA_BUF_ARM, PROTECTED,
							   CL_TRUE, 0 };
	static const cl_import_properties_arm open[] = { PROTECTED, CL_FALSE, CL_IMPORT_TYPE_ARM,
							 CL_IMPORT_TYPE_DMA_BUF_ARM, 0 };
	struct memory memory = new_memory(BYTES);

	(void)state;
	assert_int_equal(import_answer(CL_MEM_HOST_NO_ACCESS, secret, &memory.fd, BYTES),
			 CL_INVALID_OPERATION);
	assert_int_equal(import_answer(0, secret, &memory.fd, BYTES), CL_INVALID_OPERATION);
	assert_cl(import_answer(0, open, &memory.fd, BYTES));
	free_memory(&memory);
}

static void both_kinds_of_consistency_are_kept(void **state)
{
	struct memory memory = new_memory(BYTES);
	unsigned char copy[16];
	cl_int code;
	cl_mem mem;

	(void)state;
	for (cl_import_properties_arm value = CL_FALSE; value <= CL_TRUE; value++) {
		const cl_import_properties_arm properties[] = {
			CONSISTENT, value, CL_IMPORT_TYPE_ARM, CL_IMPORT_TYPE_DMA_BUF_ARM, 0,
		};

		mem = cl.import(cl.context, 0, properties, &memory.fd, BYTES, &code);
		assert_cl(code);
		fill_bytes(mem, 0x11, BYTES);
		assert_all(memory.bytes, 0x11, BYTES);
		memset(memory.bytes, 0x22, BYTES);
		assert_cl(clEnqueueReadBuffer(cl.queue, mem, CL_TRUE, BYTES - sizeof(copy),
					      sizeof(copy), copy, 0, NULL, NULL));
		assert_all(copy, 0x22, sizeof(copy));
		assert_cl(clReleaseMemObject(mem));
	}
	free_memory(&memory);
}

/* Without properties, with none in the list, and by name. */
static void host_memory_is_shared_in_place(void **state)
{
	static const cl_import_properties_arm none[] = { 0 };
	static const cl_import_properties_arm host[] = { CL_IMPORT_TYPE_ARM,
							 CL_IMPORT_TYPE_HOST_ARM, 0 };
	static const cl_import_properties_arm *const lists[] = { NULL, none, host };
	unsigned char *bytes = malloc(BYTES), copy;
	cl_int code;
	cl_mem mem;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(lists); i++) {
		memset(bytes, 0x77, BYTES);
		/* neither begin nor size are those of a page */
		mem = cl.import(cl.context, CL_MEM_READ_WRITE, lists[i], bytes + 1, BYTES - 3,
				&code);
		assert_cl(code);
		fill_bytes(mem, 0x33, BYTES - 3);
		assert_int_equal(bytes[0], 0x77);
		assert_all(bytes + 1, 0x33, BYTES - 3);
		assert_all(bytes + BYTES - 2, 0x77, 2);
		bytes[BYTES - 3] = 0x44;
		assert_cl(clEnqueueReadBuffer(cl.queue, mem, CL_TRUE, BYTES - 4, 1, &copy, 0, NULL,
					      NULL));
		assert_int_equal(copy, 0x44);
		assert_cl(clReleaseMemObject(mem));
	}
	free(bytes);
}

static void host_memory_has_to_be_mapped(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *bytes;

	(void)state;
	bytes = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	assert_cl(import_answer(0, NULL, bytes, 4 * page));
	munmap(bytes + 2 * page, page);
	assert_cl(import_answer(0, NULL, bytes, 2 * page));
	assert_cl(import_answer(0, NULL, bytes + 3 * page, page));
	assert_int_equal(import_answer(0, NULL, bytes, 2 * page + 1), CL_INVALID_OPERATION);
	assert_int_equal(import_answer(0, NULL, bytes, 4 * page), CL_INVALID_OPERATION);
	assert_int_equal(import_answer(0, NULL, bytes + 2 * page, 1), CL_INVALID_OPERATION);
	assert_int_equal(import_answer(0, NULL, bytes, SIZE_MAX), CL_INVALID_BUFFER_SIZE);
	munmap(bytes, 2 * page);
	munmap(bytes + 3 * page, page);
}

static void a_descriptor_comes_by_pointer_or_by_value(void **state)
{
	struct memory memory = new_memory(BYTES);
	cl_int code;
	cl_mem mem;

	(void)state;
	assert_cl(import_answer(0, as_dmabuf, &memory.fd, BYTES));
	mem = cl.import(cl.context, 0, as_dmabuf, (void *)(intptr_t)memory.fd, BYTES, &code);
	assert_cl(code);
	fill_bytes(mem, 0x61, BYTES);
	assert_all(memory.bytes, 0x61, BYTES);
	assert_cl(clReleaseMemObject(mem));
	free_memory(&memory);
}

static void pointers_to_nothing_are_refused(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *bytes;

	(void)state;
	bytes = mmap(NULL, 2 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	munmap(bytes + page, page);
	assert_int_equal(import_answer(0, as_dmabuf, bytes + page, BYTES), CL_INVALID_VALUE);
	/* half of it can be read, and errno is one that excuses a kernel without the call */
	errno = EPERM;
	assert_int_equal(import_answer(0, as_dmabuf, bytes + page - 2, BYTES), CL_INVALID_VALUE);
	munmap(bytes, page);
	assert_int_equal(import_answer(0, as_dmabuf, bytes, BYTES), CL_INVALID_VALUE);
	assert_int_equal(import_answer(0, as_dmabuf, (void *)(intptr_t)-1, BYTES),
			 CL_INVALID_VALUE);
}

static void closed_descriptors_are_refused(void **state)
{
	struct memory memory = new_memory(BYTES);
	int closed = memory.fd, negative = -1;

	(void)state;
	free_memory(&memory);
	assert_int_equal(import_answer(0, as_dmabuf, &closed, BYTES), CL_INVALID_VALUE);
	assert_int_equal(import_answer(0, as_dmabuf, &negative, BYTES), CL_INVALID_VALUE);
	assert_int_equal(import_answer(0, as_dmabuf, (void *)(intptr_t)closed, BYTES),
			 CL_INVALID_VALUE);
}

static void what_is_no_memory_is_refused(void **state)
{
	struct memory memory = new_memory(BYTES);
	int fds[7], pair[2], ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fds[0] = pair[0];
	fds[1] = ends[0];
	fds[2] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	fds[3] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	fds[4] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fds[5] = reopen(memory.fd, O_WRONLY);
	fds[6] = reopen(memory.fd, O_PATH);
	for (size_t i = 0; i < SHM_TEST_COUNT(fds); i++) {
		assert_true(fds[i] >= 0);
		if (import_answer(0, as_dmabuf, &fds[i], 1) != CL_INVALID_OPERATION)
			fail_msg("descriptor %zu is taken", i);
		close(fds[i]);
	}
	close(pair[1]);
	close(ends[1]);
	free_memory(&memory);
}

static void an_empty_file_is_refused(void **state)
{
	int fd = memfd_create("layer", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(import_answer(0, as_dmabuf, &fd, 1), CL_INVALID_OPERATION);
	close(fd);
}

static void the_descriptor_says_how_much_there_is(void **state)
{
	static const size_t sizes[] = { 1, 3, 127, 4095, 4096, 4097, BYTES - 1, BYTES };
	struct memory memory = new_memory(BYTES);
	cl_mem mem;
	size_t size;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(sizes); i++) {
		memset(memory.bytes, 0, BYTES);
		mem = import_fd(memory.fd, sizes[i]);
		assert_cl(clGetMemObjectInfo(mem, CL_MEM_SIZE, sizeof(size), &size, NULL));
		assert_int_equal(size, sizes[i]);
		fill_bytes(mem, 0x17, sizes[i]);
		assert_all(memory.bytes, 0x17, sizes[i]);
		assert_all(memory.bytes + sizes[i], 0, BYTES - sizes[i]);
		assert_cl(clReleaseMemObject(mem));
	}
	assert_int_equal(import_answer(0, as_dmabuf, &memory.fd, BYTES + 1),
			 CL_INVALID_BUFFER_SIZE);
	assert_int_equal(import_answer(0, as_dmabuf, &memory.fd, SIZE_MAX), CL_INVALID_BUFFER_SIZE);
	free_memory(&memory);
}

/* How many descriptors there are, and whether any but those given goes on after exec. */
static unsigned count_descriptors(bool *ret_inherited)
{
	DIR *folder = opendir("/proc/self/fd");
	const struct dirent *entry;
	unsigned count = 0;

	*ret_inherited = false;
	while ((entry = readdir(folder)) != NULL) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] == '.' || fd == dirfd(folder))
			continue;
		count++;
		if (fd > 2 && !(fcntl(fd, F_GETFD) & FD_CLOEXEC))
			*ret_inherited = true;
	}
	closedir(folder);
	return count;
}

static void the_import_keeps_a_descriptor_of_its_own(void **state)
{
	bool inherited, others;
	unsigned before = count_descriptors(&others);
	struct memory memory = new_memory(BYTES);
	unsigned char copy = 0;
	cl_mem mem, again;

	(void)state;
	mem = import_fd(memory.fd, BYTES);
	again = import_fd(memory.fd, BYTES);
	assert_int_equal(count_descriptors(&inherited), before + 2);
	assert_int_equal(inherited, others);
	close(memory.fd);
	memory.bytes[99] = 0x55;
	assert_cl(clEnqueueReadBuffer(cl.queue, mem, CL_TRUE, 99, 1, &copy, 0, NULL, NULL));
	assert_int_equal(copy, 0x55);
	assert_cl(clReleaseMemObject(mem));
	fill_bytes(again, 0x56, BYTES);
	assert_int_equal(memory.bytes[99], 0x56);
	assert_cl(clReleaseMemObject(again));
	assert_int_equal(count_descriptors(&inherited), before);
	munmap(memory.bytes, BYTES);
}

static unsigned destroyed;

static void CL_CALLBACK count_destroyed(cl_mem mem, void *user_data)
{
	(void)mem;
	(void)user_data;
	destroyed++;
}

static void destructors_run_with_the_last_reference(void **state)
{
	struct memory memory = new_memory(BYTES);
	cl_mem mem = import_fd(memory.fd, BYTES), part;
	const cl_buffer_region region = { 1024, 1024 };
	cl_int code;

	(void)state;
	destroyed = 0;
	assert_cl(clSetMemObjectDestructorCallback(mem, count_destroyed, NULL));
	part = clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
	assert_cl(code);
	assert_cl(clRetainMemObject(mem));
	assert_cl(clReleaseMemObject(mem));
	assert_int_equal(destroyed, 0);
	assert_cl(clReleaseMemObject(mem));
	assert_int_equal(destroyed, 0);
	fill_bytes(part, 0x29, 1024);
	assert_all(memory.bytes + 1024, 0x29, 1024);
	assert_int_equal(memory.bytes[1023], 0);
	assert_int_equal(memory.bytes[2048], 0);
	assert_cl(clReleaseMemObject(part));
	assert_int_equal(destroyed, 1);
	free_memory(&memory);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_come_in_the_specifications_order),
		cmocka_unit_test(flags_that_contradict_are_refused),
		cmocka_unit_test(flags_of_the_specification_are_taken),
		cmocka_unit_test(use_host_ptr_has_no_effect),
		cmocka_unit_test(properties_that_make_no_sense_are_refused),
		cmocka_unit_test(protected_memory_is_refused),
		cmocka_unit_test(both_kinds_of_consistency_are_kept),
		cmocka_unit_test(host_memory_is_shared_in_place),
		cmocka_unit_test(host_memory_has_to_be_mapped),
		cmocka_unit_test(a_descriptor_comes_by_pointer_or_by_value),
		cmocka_unit_test(pointers_to_nothing_are_refused),
		cmocka_unit_test(closed_descriptors_are_refused),
		cmocka_unit_test(what_is_no_memory_is_refused),
		cmocka_unit_test(an_empty_file_is_refused),
		cmocka_unit_test(the_descriptor_says_how_much_there_is),
		cmocka_unit_test(the_import_keeps_a_descriptor_of_its_own),
		cmocka_unit_test(destructors_run_with_the_last_reference),
	};

	open_runtime();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
