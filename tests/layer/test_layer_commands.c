/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each command that touches an import has one START before it and one END after it, of the right
 * direction and at the right time. All but kernels, which have to be compiled: test_layer_kernels.c.
 *
 * Every command moves the byte 0x5a: from A, which is full of it on the device's side, or from the
 * host's bytes, to B or to the host's bytes.
 */
#include "bracket_fixture.h"

#define MOVED 0x5a
#define OLD   0x11

enum { NOTE_BEFORE = 1, NOTE_USER, NOTE_AFTER, NOTE_CALLBACK, NOTE_RETURN };

static struct scene {
	struct fake_dmabuf *fake_a, *fake_b;
	cl_mem a, b, image_a, image_b, sub_a, sub_b;
	unsigned char in[BYTES], out[BYTES];
} scene;

/* What a command is enqueued with. */
struct how {
	cl_command_queue queue;
	cl_bool blocking;
	cl_uint count;
	const cl_event *list;
	cl_event *event;
};

struct command {
	cl_int (*enqueue)(const struct how *how);
	unsigned a, b;  /* directions of the brackets, 0 for none */
	bool to_host;   /* to the host's bytes; to B if that is written, else nowhere */
	bool can_block; /* takes a blocking parameter */
};

static const size_t zero[3];
static const size_t picture[3] = { SIDE, SIDE, 1 };
static const size_t square[3] = { 256, 256, 1 };

#define HOW how->count, how->list, how->event

static cl_int read_buffer(const struct how *how)
{
	return clEnqueueReadBuffer(how->queue, scene.a, how->blocking, 0, BYTES, scene.out, HOW);
}

static cl_int write_buffer(const struct how *how)
{
	return clEnqueueWriteBuffer(how->queue, scene.b, how->blocking, 0, BYTES, scene.in, HOW);
}

static cl_int read_rect(const struct how *how)
{
	return clEnqueueReadBufferRect(how->queue, scene.a, how->blocking, zero, zero, square, 256,
				       0, 256, 0, scene.out, HOW);
}

static cl_int write_rect(const struct how *how)
{
	return clEnqueueWriteBufferRect(how->queue, scene.b, how->blocking, zero, zero, square, 256,
					0, 256, 0, scene.in, HOW);
}

static cl_int copy_buffer(const struct how *how)
{
	return clEnqueueCopyBuffer(how->queue, scene.a, scene.b, 0, 0, BYTES, HOW);
}

static cl_int copy_rect(const struct how *how)
{
	return clEnqueueCopyBufferRect(how->queue, scene.a, scene.b, zero, zero, square, 256, 0,
				       256, 0, HOW);
}

static cl_int copy_sub_buffer(const struct how *how)
{
	return clEnqueueCopyBuffer(how->queue, scene.sub_a, scene.sub_b, 0, 0, BYTES, HOW);
}

static cl_int fill_buffer(const struct how *how)
{
	static const unsigned char pattern = MOVED;

	return clEnqueueFillBuffer(how->queue, scene.b, &pattern, 1, 0, BYTES, HOW);
}

static cl_int read_image(const struct how *how)
{
	return clEnqueueReadImage(how->queue, scene.image_a, how->blocking, zero, picture, 0, 0,
				  scene.out, HOW);
}

static cl_int write_image(const struct how *how)
{
	return clEnqueueWriteImage(how->queue, scene.image_b, how->blocking, zero, picture, 0, 0,
				   scene.in, HOW);
}

static cl_int copy_image(const struct how *how)
{
	return clEnqueueCopyImage(how->queue, scene.image_a, scene.image_b, zero, zero, picture,
				  HOW);
}

static cl_int fill_image(const struct how *how)
{
	static const cl_uint color[4] = { MOVED, MOVED, MOVED, MOVED };

	return clEnqueueFillImage(how->queue, scene.image_b, color, zero, picture, HOW);
}

static cl_int copy_image_to_buffer(const struct how *how)
{
	return clEnqueueCopyImageToBuffer(how->queue, scene.image_a, scene.b, zero, picture, 0,
					  HOW);
}

static cl_int copy_buffer_to_image(const struct how *how)
{
	return clEnqueueCopyBufferToImage(how->queue, scene.a, scene.image_b, 0, zero, picture,
					  HOW);
}

static void CL_CALLBACK move_bytes(void *args)
{
	unsigned char *const *places = args;

	memcpy(places[1], places[0], BYTES);
}

static cl_int native_kernel(const struct how *how)
{
	unsigned char *args[2] = { NULL };
	const cl_mem mems[2] = { scene.a, scene.b };
	const void *places[2] = { &args[0], &args[1] };

	return clEnqueueNativeKernel(how->queue, move_bytes, args, sizeof(args), 2, mems, places,
				     HOW);
}

static cl_int migrate(const struct how *how)
{
	const cl_mem mems[2] = { scene.a, scene.image_a };

	return clEnqueueMigrateMemObjects(how->queue, 2, mems, CL_MIGRATE_MEM_OBJECT_HOST, HOW);
}

static const struct command commands[] = {
	{ read_buffer, FAKE_READ, 0, true, true },
	{ write_buffer, 0, FAKE_WRITE, false, true },
	{ read_rect, FAKE_READ, 0, true, true },
	{ write_rect, 0, FAKE_WRITE, false, true },
	{ copy_buffer, FAKE_READ, FAKE_WRITE, false, false },
	{ copy_rect, FAKE_READ, FAKE_WRITE, false, false },
	{ copy_sub_buffer, FAKE_READ, FAKE_WRITE, false, false },
	{ fill_buffer, 0, FAKE_WRITE, false, false },
	{ read_image, FAKE_READ, 0, true, true },
	{ write_image, 0, FAKE_WRITE, false, true },
	{ copy_image, FAKE_READ, FAKE_WRITE, false, false },
	{ fill_image, 0, FAKE_WRITE, false, false },
	{ copy_image_to_buffer, FAKE_READ, FAKE_WRITE, false, false },
	{ copy_buffer_to_image, FAKE_READ, FAKE_WRITE, false, false },
	{ native_kernel, FAKE_WRITE, FAKE_WRITE, false, false },
	{ migrate, FAKE_WRITE, 0, false, false },
};

static void set_up_scene(void)
{
	memset(scene.in, MOVED, BYTES);
	memset(scene.out, OLD, BYTES);
	fake_fill(scene.fake_a, MOVED);
	fake_fill(scene.fake_b, OLD);
	fake_reset();
}

static void check_bytes(const struct command *command)
{
	assert_true(fake_holds(scene.fake_a, MOVED));
	assert_true(fake_holds(scene.fake_b, command->b ? MOVED : OLD));
	for (size_t i = 0; i < BYTES; i++)
		assert_int_equal(scene.out[i], command->to_host ? MOVED : OLD);
}

/* The brackets that the command should have, all of them between two places of the log. */
static void check_brackets(const struct command *command, size_t after, size_t before)
{
	const struct {
		struct fake_dmabuf *fake;
		unsigned flags;
	} all[] = { { scene.fake_a, command->a }, { scene.fake_b, command->b } };

	for (size_t i = 0; i < 2; i++) {
		if (!all[i].flags) {
			assert_int_equal(fake_count(all[i].fake, FAKE_START), 0);
			assert_int_equal(fake_count(all[i].fake, FAKE_END), 0);
			continue;
		}
		assert_true(fake_only(all[i].fake, FAKE_START, all[i].flags) > after);
		assert_true(fake_only(all[i].fake, FAKE_END, all[i].flags) < before);
	}
}

static void check_in_order(const struct command *command)
{
	static int callback_note = NOTE_CALLBACK;
	cl_event user, event;
	cl_int code;

	set_up_scene();
	user = clCreateUserEvent(cl.context, &code);
	assert_cl(code);
	enqueue_note(cl.queue, note_after_a_while, NOTE_BEFORE, 0, NULL);
	assert_cl(command->enqueue(&(struct how){ cl.queue, CL_FALSE, 1, &user, &event }));
	assert_cl(clSetEventCallback(event, CL_COMPLETE, note_event, &callback_note));
	enqueue_note(cl.queue, note, NOTE_AFTER, 0, NULL);
	assert_cl(clFlush(cl.queue));
	fake_await(NOTE_BEFORE);
	usleep(500);
	fake_note(NOTE_USER);
	assert_cl(clSetUserEventStatus(user, CL_COMPLETE));
	assert_cl(clFinish(cl.queue));
	check_brackets(command, fake_place(NOTE_USER), fake_place(NOTE_AFTER));
	check_bytes(command);
	assert_cl(clWaitForEvents(1, &event));
	assert_cl(clReleaseEvent(event));
	assert_cl(clReleaseEvent(user));
	check_brackets(command, fake_place(NOTE_BEFORE), fake_await(NOTE_CALLBACK));
}

/* Nothing but a wait list says what comes after what. */
static void check_out_of_order(const struct command *command)
{
	cl_event before, event;
	int number = NOTE_BEFORE;

	set_up_scene();
	assert_cl(clEnqueueNativeKernel(cl.unordered, note_after_a_while, &number, sizeof(number),
					0, NULL, NULL, 0, NULL, &before));
	assert_cl(command->enqueue(&(struct how){ cl.unordered, CL_FALSE, 1, &before, &event }));
	enqueue_note(cl.unordered, note, NOTE_AFTER, 1, &event);
	assert_cl(clWaitForEvents(1, &event));
	fake_note(NOTE_RETURN);
	check_brackets(command, fake_place(NOTE_BEFORE), fake_place(NOTE_RETURN));
	check_bytes(command);
	assert_cl(clFinish(cl.unordered));
	check_brackets(command, fake_place(NOTE_BEFORE), fake_place(NOTE_AFTER));
	assert_cl(clReleaseEvent(event));
	assert_cl(clReleaseEvent(before));
}

/* Nothing but the queue's order does. */
static void check_without_event(const struct command *command)
{
	set_up_scene();
	enqueue_note(cl.queue, note_after_a_while, NOTE_BEFORE, 0, NULL);
	assert_cl(command->enqueue(&(struct how){ cl.queue, command->can_block, 0, NULL, NULL }));
	if (!command->can_block)
		assert_cl(clFinish(cl.queue));
	fake_note(NOTE_RETURN);
	check_brackets(command, fake_place(NOTE_BEFORE), fake_place(NOTE_RETURN));
	check_bytes(command);
}

/* Once the status says so all is over, without anybody having waited. */
static void check_polling(const struct command *command)
{
	cl_int status = CL_QUEUED;
	cl_event event;

	set_up_scene();
	fake_note(NOTE_BEFORE);
	assert_cl(command->enqueue(&(struct how){ cl.unordered, CL_FALSE, 0, NULL, &event }));
	while (status != CL_COMPLETE) {
		assert_cl(clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status),
					 &status, NULL));
		assert_true(status >= 0);
	}
	fake_note(NOTE_RETURN);
	check_brackets(command, fake_place(NOTE_BEFORE), fake_place(NOTE_RETURN));
	check_bytes(command);
	assert_cl(clReleaseEvent(event));
}

static void has_its_brackets(void **state)
{
	const struct command *command = *state;

	check_without_event(command);
	check_in_order(command);
	check_out_of_order(command);
	check_polling(command);
}

static int open_scene(void **state)
{
	(void)state;
	scene.fake_a = fake_new(BYTES);
	scene.fake_b = fake_new(BYTES);
	scene.a = import_fd(fake_fd(scene.fake_a), BYTES);
	scene.b = import_fd(fake_fd(scene.fake_b), BYTES);
	scene.sub_a = whole(scene.a);
	scene.sub_b = whole(scene.b);
	scene.image_a = image_of(scene.a);
	scene.image_b = image_of(scene.b);
	return 0;
}

static int close_scene(void **state)
{
	const cl_mem mems[] = { scene.image_a, scene.image_b, scene.sub_a,
				scene.sub_b,   scene.a,       scene.b };

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(mems); i++)
		assert_cl(clReleaseMemObject(mems[i]));
	fake_free(scene.fake_a);
	fake_free(scene.fake_b);
	fake_reset();
	return 0;
}

#define CASE(index, text)                                                            \
	{                                                                            \
		text "_has_its_brackets", has_its_brackets, open_scene, close_scene, \
			(void *)&commands[index]                                     \
	}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(0, "read_buffer"),
		CASE(1, "write_buffer"),
		CASE(2, "read_buffer_rect"),
		CASE(3, "write_buffer_rect"),
		CASE(4, "copy_buffer"),
		CASE(5, "copy_buffer_rect"),
		CASE(6, "copy_between_sub_buffers"),
		CASE(7, "fill_buffer"),
		CASE(8, "read_image"),
		CASE(9, "write_image"),
		CASE(10, "copy_image"),
		CASE(11, "fill_image"),
		CASE(12, "copy_image_to_buffer"),
		CASE(13, "copy_buffer_to_image"),
		CASE(14, "native_kernel"),
		CASE(15, "migrate"),
	};

	open_bracket_runtime();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
