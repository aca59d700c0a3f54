/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_v4l2.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shm_test.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fake_v4l2 fake;
static int fake_fd = -1;
static uint32_t order[32], order_count, done[32], done_count, sequence;

struct fake_v4l2 *fake_v4l2_new(void)
{
	pthread_mutex_lock(&lock);
	fake = (struct fake_v4l2){
		.caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING,
		.driver = "fake",
		.formats = { V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_XBGR32, V4L2_PIX_FMT_NV12 },
		.alignment = 1,
		.planes = 1,
		.field = V4L2_FIELD_NONE,
		.most_buffers = 32,
		.contiguous = METAL_SHM_YES,
	};
	order_count = done_count = sequence = 0;
	fake_fd = -1;
	pthread_mutex_unlock(&lock);
	return &fake;
}

int fake_v4l2_open(struct metal_device **ret_dev)
{
	int error;

	fake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	if (fake.caps & V4L2_CAP_VIDEO_OUTPUT)
		error = metal_shm_v4l2_open_fd(fake_fd, ret_dev, NULL);
	else
		error = metal_shm_v4l2_open_fd(fake_fd, NULL, ret_dev);
	if (error)
		close(fake_fd);
	return error;
}

static void note(const char *what)
{
	size_t at = strlen(fake.log);

	snprintf(fake.log + at, sizeof(fake.log) - at, "%s", what);
}

static void take(uint32_t *list, uint32_t *count, uint32_t *ret)
{
	*ret = list[0];
	memmove(list, list + 1, --*count * sizeof(*list));
}

static void drop_all(void)
{
	eventfd_t count;

	while (done_count--)
		eventfd_read(fake_fd, &count);
	order_count = done_count = 0;
	for (unsigned i = 0; i < 32; i++)
		fake.buffer[i].queued = fake.buffer[i].done = false;
}

int fake_v4l2_done(uint32_t bytes_used, uint32_t flags)
{
	uint32_t index;

	pthread_mutex_lock(&lock);
	if (!order_count || !fake.streaming) {
		pthread_mutex_unlock(&lock);
		return -1;
	}
	take(order, &order_count, &index);
	fake.buffer[index].done = true;
	fake.buffer[index].bytes_used = bytes_used;
	fake.buffer[index].flags = flags;
	done[done_count++] = index;
	eventfd_write(fake_fd, 1);
	pthread_mutex_unlock(&lock);
	return (int)index;
}

static bool multiplanar(void)
{
	return fake.caps & V4L2_CAP_VIDEO_CAPTURE_MPLANE;
}

unsigned fake_v4l2_dqbufs(void)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = fake.dqbufs;
	pthread_mutex_unlock(&lock);
	return n;
}

void fake_v4l2_answer(uint32_t index)
{
	pthread_mutex_lock(&lock);
	done[done_count++] = index;
	eventfd_write(fake_fd, 1);
	pthread_mutex_unlock(&lock);
}

void fake_v4l2_unplug(void)
{
	pthread_mutex_lock(&lock);
	fake.gone = true;
	eventfd_write(fake_fd, 1);
	pthread_mutex_unlock(&lock);
}

static int query(struct v4l2_capability *cap)
{
	snprintf((char *)cap->driver, sizeof(cap->driver), "%s", fake.driver);
	cap->capabilities = fake.caps | V4L2_CAP_DEVICE_CAPS;
	cap->device_caps = fake.caps;
	return 0;
}

static int enumerate(struct v4l2_fmtdesc *desc)
{
	if (desc->index >= 8 || !fake.formats[desc->index])
		return EINVAL;
	desc->pixelformat = fake.formats[desc->index];
	return 0;
}

static uint32_t stride_for(uint32_t asked, uint32_t least)
{
	if (!fake.alignment || asked < least)
		asked = least;
	if (fake.alignment)
		asked = (asked + fake.alignment - 1) / fake.alignment * fake.alignment;
	return asked;
}

static int set_format(struct v4l2_format *f, bool set)
{
	struct v4l2_pix_format *pix = &f->fmt.pix;
	struct v4l2_pix_format_mplane *mp = &f->fmt.pix_mp;
	uint32_t code, width, height, asked, stride, size;
	unsigned i = 0;

	/* both start with width, height, pixelformat, field */
	code = pix->pixelformat;
	asked = multiplanar() ? mp->plane_fmt[0].bytesperline : pix->bytesperline;
	while (i < 8 && fake.formats[i] && fake.formats[i] != code)
		i++;
	if (i == 8 || !fake.formats[i])
		code = fake.formats[0];
	width = fake.width ? fake.width : pix->width;
	height = fake.height ? fake.height : pix->height;
	stride = width * (code == V4L2_PIX_FMT_XBGR32 ? 4 : code == V4L2_PIX_FMT_YUYV ? 2 : 1);
	stride = stride_for(asked, stride);
	if (set && fake.stride)
		stride = fake.stride;
	size = stride * height * (code == V4L2_PIX_FMT_NV12 ? 3 : 2) / 2 + fake.padding;
	pix->width = width;
	pix->height = height;
	pix->pixelformat = code;
	pix->field = fake.field;
	if (multiplanar()) {
		mp->num_planes = (uint8_t)fake.planes;
		mp->plane_fmt[0].bytesperline = stride;
		mp->plane_fmt[0].sizeimage = size;
	} else {
		pix->bytesperline = stride;
		pix->sizeimage = size;
	}
	if (set) {
		note("F");
		fake.format = *f;
	}
	return 0;
}

static int request_buffers(struct v4l2_requestbuffers *r)
{
	char text[16];

	snprintf(text, sizeof(text), "R%u", r->count);
	note(text);
	drop_all();
	if (r->count > fake.most_buffers)
		r->count = fake.most_buffers;
	fake.buffers = r->count;
	for (unsigned i = 0; i < 32; i++)
		fake.buffer[i].fd = 0;
	return 0;
}

static int queue_buffer(struct v4l2_buffer *b)
{
	uint32_t index = b->index, length = b->length;
	int fd = b->m.fd;

	if (multiplanar()) {
		fd = b->m.planes[0].m.fd;
		length = b->m.planes[0].length;
		b->m.planes[0].data_offset = fake.late_offset ? 0 : fake.data_offset;
	}
	if (index >= fake.buffers || fake.buffer[index].queued || b->memory != V4L2_MEMORY_DMABUF)
		return EINVAL;
	if (fake.buffer[index].fd &&
	    (fake.buffer[index].fd != fd || fake.buffer[index].length != length))
		fake.moved++;
	fake.buffer[index].fd = fd;
	fake.buffer[index].length = length;
	fake.buffer[index].queued = true;
	fake.buffer[index].done = false;
	order[order_count++] = index;
	fake.qbufs++;
	note("Q");
	return 0;
}

static int dequeue_buffer(struct v4l2_buffer *b)
{
	eventfd_t count;
	uint32_t index;

	if (!fake.streaming)
		return EINVAL;
	if (!done_count)
		return EAGAIN;
	take(done, &done_count, &index);
	eventfd_read(fake_fd, &count);
	fake.buffer[index].queued = false;
	b->index = index;
	b->flags = fake.buffer[index].flags;
	b->field = V4L2_FIELD_NONE;
	b->sequence = sequence++;
	b->timestamp.tv_sec = 7;
	b->timestamp.tv_usec = b->sequence;
	if (multiplanar()) {
		b->m.planes[0].bytesused = fake.buffer[index].bytes_used;
		b->m.planes[0].data_offset = fake.data_offset;
	} else {
		b->bytesused = fake.buffer[index].bytes_used;
	}
	fake.dqbufs++;
	note("D");
	return 0;
}

static int turn(bool on)
{
	note(on ? "+" : "-");
	if (!on)
		drop_all();
	fake.streaming = on;
	return 0;
}

static int get_control(struct v4l2_control *control)
{
	if (control->id != V4L2_CID_MIN_BUFFERS_FOR_CAPTURE || !fake.least_buffers)
		return EINVAL;
	control->value = fake.least_buffers;
	return 0;
}

static int answer(unsigned long request, void *argument)
{
	switch (request) {
	case VIDIOC_QUERYCAP:
		return query(argument);
	case VIDIOC_CREATE_BUFS:
		return 0;
	case VIDIOC_ENUM_FMT:
		return enumerate(argument);
	case VIDIOC_G_FMT:
		*(struct v4l2_format *)argument = fake.format;
		return 0;
	case VIDIOC_TRY_FMT:
		return set_format(argument, false);
	case VIDIOC_S_FMT:
		return set_format(argument, true);
	case VIDIOC_G_PARM:
		return 0;
	case VIDIOC_S_PARM:
		note("P");
		return 0;
	case VIDIOC_G_CTRL:
		return get_control(argument);
	case VIDIOC_REQBUFS:
		return request_buffers(argument);
	case VIDIOC_QBUF:
		return queue_buffer(argument);
	case VIDIOC_DQBUF:
		return dequeue_buffer(argument);
	case VIDIOC_STREAMON:
		return turn(true);
	case VIDIOC_STREAMOFF:
		return turn(false);
	default:
		return ENOTTY;
	}
}

static int fails(unsigned long request)
{
	if (fake.gone)
		return ENODEV;
	if (fake.fail == request && fake.error) {
		fake.fail = 0;
		return fake.error;
	}
	if (fake.fail_nth && !--fake.fail_nth)
		return fake.error;
	return 0;
}

/* In place of the C library's, for this program and the libraries that it is linked with. */
int ioctl(int fd, unsigned long request, ...)
{
	void *argument;
	va_list arguments;
	int error;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (fd < 0 || fd != fake_fd)
		return (int)syscall(SYS_ioctl, fd, request, argument);
	pthread_mutex_lock(&lock);
	fake.calls++;
	error = fails(request);
	if (!error)
		error = answer(request, argument);
	pthread_mutex_unlock(&lock);
	if (!error)
		return 0;
	errno = error;
	return -1;
}

static int memory_allocate(struct metal_device *dev, size_t size, metal_shm_type type,
			   struct metal_shm_memory *ret_memory)
{
	(void)dev;
	(void)type;
	ret_memory->size = (size + 4095) / 4096 * 4096;
	ret_memory->os_handle = memfd_create("fake", MFD_CLOEXEC);
	if (ret_memory->os_handle < 0 || ftruncate(ret_memory->os_handle, (off_t)ret_memory->size))
		return metal_shm_set_error(errno, "no memory");
	return 0;
}

static void memory_release(struct metal_device *dev, struct metal_shm_memory *memory)
{
	(void)dev;
	close(memory->os_handle);
}

static int memory_properties(struct metal_device *dev, const struct metal_shm_memory *memory,
			     struct metal_shm_properties *ret)
{
	(void)dev;
	ret->dmabuf = METAL_SHM_YES;
	ret->cached = METAL_SHM_YES;
	ret->contiguous = fake.contiguous;
	ret->size = memory ? memory->size : 0;
	return 0;
}

static int memory_map(struct metal_device *dev, struct metal_shm_memory *memory, int prot,
		      void **ret_address)
{
	(void)dev;
	(void)prot;
	*ret_address =
		mmap(NULL, memory->size, PROT_READ | PROT_WRITE, MAP_SHARED, memory->os_handle, 0);
	return *ret_address == MAP_FAILED ? metal_shm_set_error(errno, "mmap") : 0;
}

static void memory_unmap(struct metal_device *dev, struct metal_shm_memory *memory, void *address,
			 size_t length)
{
	(void)dev;
	(void)memory;
	munmap(address, length);
}

static const struct metal_shm_device_ops memory_ops = {
	.struct_size = sizeof(memory_ops),
	.allocate = memory_allocate,
	.release = memory_release,
	.properties = memory_properties,
	.map = memory_map,
	.unmap = memory_unmap,
};

struct metal_device *fake_v4l2_memory(void)
{
	struct metal_device *dev = NULL;

	assert_int_equal(metal_shm_device_create(&memory_ops, "fake-memory", NULL, &dev), 0);
	return dev;
}

void fake_v4l2_warm_up(void)
{
	struct metal_device *memory = fake_v4l2_memory();
	struct metal_generic_shm *shm;
	struct metal_shm_pool *pool;

	assert_int_equal(metal_shm_pool_create(1, 1, &memory, 1, 0, &pool), 0);
	shm = metal_shm_pool_get(pool, 0);
	assert_null(metal_shm_pool_get(pool, 0));
	metal_shm_free(shm, NULL);
	metal_shm_pool_destroy(pool);
	metal_shm_device_close(memory);
}
