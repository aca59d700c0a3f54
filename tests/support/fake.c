/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "shm_test.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void note(char *log, size_t size, const char *what, int dir)
{
	size_t at;

	pthread_mutex_lock(&lock);
	at = strlen(log);
	if (dir)
		snprintf(log + at, size - at, "%s%d", what, dir);
	else
		snprintf(log + at, size - at, "%s", what);
	pthread_mutex_unlock(&lock);
}

#define NOTE(fake, what, dir) note((fake)->log, sizeof((fake)->log), what, (int)(dir))

static const struct metal_shm_device_ops source_ops, quiet_source_ops, importer_ops, giver_ops;

static struct fake_source *source_of(const struct metal_device *dev)
{
	struct fake_source *source = metal_shm_device_data(dev, &source_ops);

	return source ? source : metal_shm_device_data(dev, &quiet_source_ops);
}

static struct fake_importer *importer_of(const struct metal_device *dev)
{
	struct fake_importer *importer = metal_shm_device_data(dev, &importer_ops);

	return importer ? importer : metal_shm_device_data(dev, &giver_ops);
}

static int source_allocate(struct metal_device *dev, size_t size, metal_shm_type type,
			   struct metal_shm_memory *ret_memory)
{
	struct fake_source *source = source_of(dev);

	(void)type;
	if (source->fail_allocate)
		return metal_shm_set_error(-source->fail_allocate, "told to fail");
	ret_memory->data = calloc(1, size);
	ret_memory->size = size;
	if (!ret_memory->data)
		return metal_shm_set_error(ENOMEM, "no memory");
	pthread_mutex_lock(&lock);
	source->live++;
	pthread_mutex_unlock(&lock);
	NOTE(source, "a", 0);
	return 0;
}

static void source_release(struct metal_device *dev, struct metal_shm_memory *memory)
{
	struct fake_source *source = source_of(dev);

	free(memory->data);
	pthread_mutex_lock(&lock);
	source->live--;
	pthread_mutex_unlock(&lock);
	NOTE(source, "r", 0);
}

static int source_properties(struct metal_device *dev, const struct metal_shm_memory *memory,
			     struct metal_shm_properties *ret)
{
	(void)memory;
	*ret = source_of(dev)->properties;
	return 0;
}

static int source_map(struct metal_device *dev, struct metal_shm_memory *memory, int prot,
		      void **ret_address)
{
	struct fake_source *source = source_of(dev);

	if (source->fail_map && (source->fail_map != -EACCES || prot & METAL_SHM_WRITE))
		return metal_shm_set_error(-source->fail_map, "told to fail");
	*ret_address = memory->data;
	NOTE(source, "m", 0);
	return 0;
}

static void source_unmap(struct metal_device *dev, struct metal_shm_memory *memory, void *address,
			 size_t length)
{
	(void)memory;
	(void)address;
	(void)length;
	NOTE(source_of(dev), "u", 0);
}

/* Syncs of different memories come at once. */
static void note_range(struct fake_source *source, const struct metal_shm_range *range)
{
	pthread_mutex_lock(&lock);
	source->last = *range;
	pthread_mutex_unlock(&lock);
}

static int source_start(struct metal_device *dev, struct metal_shm_memory *memory,
			const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	struct fake_source *source = source_of(dev);

	(void)memory;
	note_range(source, range);
	if (source->fail_start)
		return metal_shm_set_error(-source->fail_start, "told to fail");
	NOTE(source, "S", dir);
	return 0;
}

static int source_end(struct metal_device *dev, struct metal_shm_memory *memory,
		      const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	struct fake_source *source = source_of(dev);

	(void)memory;
	note_range(source, range);
	if (source->fail_end)
		return metal_shm_set_error(-source->fail_end, "told to fail");
	NOTE(source, "E", dir);
	return 0;
}

static const struct metal_shm_device_ops source_ops = {
	.struct_size = sizeof(source_ops),
	.allocate = source_allocate,
	.release = source_release,
	.properties = source_properties,
	.map = source_map,
	.unmap = source_unmap,
	.sync_for_cpu = source_start,
	.sync_for_device = source_end,
};

static const struct metal_shm_device_ops quiet_source_ops = {
	.struct_size = sizeof(quiet_source_ops),
	.allocate = source_allocate,
	.release = source_release,
	.properties = source_properties,
	.map = source_map,
	.unmap = source_unmap,
};

struct fake_source *fake_source_new(const char *name, bool syncs)
{
	struct fake_source *source = calloc(1, sizeof(*source));

	assert_non_null(source);
	source->properties.struct_size = sizeof(source->properties);
	assert_int_equal(metal_shm_device_create(syncs ? &source_ops : &quiet_source_ops, name,
						 source, &source->dev),
			 0);
	return source;
}

void fake_source_end(struct fake_source *source)
{
	assert_int_equal(source->live, 0);
	metal_shm_device_close(source->dev);
	free(source);
}

static int importer_constraints(struct metal_device *dev, const struct metal_shm_frame *frame,
				struct metal_shm_constraints *ret)
{
	(void)frame;
	*ret = importer_of(dev)->constraints;
	ret->access = importer_of(dev)->access;
	return 0;
}

static int importer_attach(struct metal_device *dev, const struct metal_shm_attachment *at,
			   struct metal_shm_view *ret_view)
{
	struct fake_importer *importer = importer_of(dev);
	struct metal_shm_properties is = { .struct_size = sizeof(is) };

	if (importer->inside)
		importer->inside(importer, at);
	if (importer->fail_attach)
		return metal_shm_set_error(-importer->fail_attach, "told to fail");
	metal_shm_properties(at->shm, &is);
	if (importer->lucky) {
		if (is.contiguous != METAL_SHM_YES) {
			if (importer->lucky == 1)
				return metal_shm_set_error(ENOTSUP, "not in one piece this time");
			importer->lucky--;
		}
	}
	ret_view->data = (char *)at->memory->data + at->range.offset;
	ret_view->access = importer->access;
	ret_view->flags = importer->flags;
	ret_view->segments = importer->pieces;
	ret_view->segment_count = importer->piece_count;
	if (importer->piece_count && is.contiguous == METAL_SHM_YES)
		ret_view->segment_count = 1;
	NOTE(importer, "A", 0);
	return 0;
}

static void importer_detach(struct metal_device *dev, const struct metal_shm_attachment *at,
			    struct metal_shm_view *view)
{
	struct fake_importer *importer = importer_of(dev);

	(void)view;
	if (importer->inside)
		importer->inside(importer, at);
	NOTE(importer, "D", 0);
}

static int importer_layout(struct metal_device *dev, const struct metal_shm_frame *frame,
			   struct metal_shm_layout *ret)
{
	struct fake_importer *importer = importer_of(dev);

	(void)frame;
	if (importer->layout_error)
		return metal_shm_set_error(-importer->layout_error, "has no such format");
	*ret = importer->layout;
	return 0;
}

static int importer_trial(struct metal_device *dev, struct metal_generic_shm *shm)
{
	struct fake_importer *importer = importer_of(dev);
	struct metal_shm_properties have = { .struct_size = sizeof(have) };

	NOTE(importer, "T", 0);
	if (importer->fail_trial)
		return metal_shm_set_error(-importer->fail_trial, "refused at the trial");
	if (metal_shm_properties(shm, &have))
		return -errno;
	if (importer->trial_wants_contiguous && have.contiguous != METAL_SHM_YES)
		return metal_shm_set_error(EFAULT, "contiguous chunk is too small");
	return 0;
}

static int importer_poll_handle(struct metal_device *dev)
{
	return importer_of(dev)->event_fd;
}

static int importer_dispatch(struct metal_device *dev)
{
	struct fake_importer *importer = importer_of(dev);
	struct metal_generic_shm *done[64];
	unsigned n = 0;
	uint64_t count;
	int error;

	if (read(importer->event_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return metal_shm_set_error(errno, "event");
	pthread_mutex_lock(&lock);
	while (importer->completions && importer->queued_count) {
		importer->completions--;
		done[n++] = importer->queued[--importer->queued_count];
	}
	error = importer->error;
	pthread_mutex_unlock(&lock);
	for (unsigned i = 0; i < n; i++)
		metal_shm_unhold(done[i], dev, error);
	return 0;
}

static int importer_give(struct metal_device *dev, struct metal_shm_view *view,
			 const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	struct fake_importer *importer = importer_of(dev);

	(void)view;
	(void)range;
	if (importer->fail_give)
		return metal_shm_set_error(-importer->fail_give, "told to fail");
	NOTE(importer, "G", dir);
	return 0;
}

static int importer_recall(struct metal_device *dev, const struct metal_shm_memory *memory,
			   const struct metal_shm_range *range)
{
	struct fake_importer *importer = importer_of(dev);

	(void)memory;
	importer->recalled = *range;
	if (importer->fail_recall)
		return metal_shm_set_error(-importer->fail_recall, "told to fail");
	NOTE(importer, "C", 0);
	return 0;
}

static void importer_close(struct metal_device *dev)
{
	struct fake_importer *importer = importer_of(dev);

	close(importer->event_fd);
	importer->closed = true;
}

static const struct metal_shm_device_ops importer_ops = {
	.struct_size = sizeof(importer_ops),
	.constraints = importer_constraints,
	.attach = importer_attach,
	.detach = importer_detach,
	.layout = importer_layout,
	.trial = importer_trial,
	.poll_handle = importer_poll_handle,
	.dispatch = importer_dispatch,
	.close = importer_close,
};

static const struct metal_shm_device_ops giver_ops = {
	.struct_size = sizeof(giver_ops),
	.constraints = importer_constraints,
	.attach = importer_attach,
	.detach = importer_detach,
	.give = importer_give,
	.recall = importer_recall,
	.poll_handle = importer_poll_handle,
	.dispatch = importer_dispatch,
	.close = importer_close,
};

static struct fake_importer *importer_new(const struct metal_shm_device_ops *ops, const char *name,
					  enum metal_shm_access access)
{
	struct fake_importer *importer = calloc(1, sizeof(*importer));

	assert_non_null(importer);
	importer->access = access;
	importer->constraints.struct_size = sizeof(importer->constraints);
	importer->layout.struct_size = sizeof(importer->layout);
	importer->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(importer->event_fd >= 0);
	assert_int_equal(metal_shm_device_create(ops, name, importer, &importer->dev), 0);
	return importer;
}

struct fake_importer *fake_importer_new(const char *name, enum metal_shm_access access)
{
	return importer_new(&importer_ops, name, access);
}

struct fake_importer *fake_importer_new_giver(const char *name)
{
	return importer_new(&giver_ops, name, METAL_SHM_ACCESS_DMA);
}

void fake_importer_end(struct fake_importer *importer)
{
	metal_shm_device_close(importer->dev);
	assert_true(importer->closed);
	free(importer);
}

int fake_queue(struct fake_importer *importer, struct metal_generic_shm *shm,
	       enum metal_shm_dir dir)
{
	int error = metal_shm_hold(shm, importer->dev, dir, METAL_SHM_FOREVER);

	if (error)
		return error;
	pthread_mutex_lock(&lock);
	importer->queued[importer->queued_count++] = shm;
	pthread_mutex_unlock(&lock);
	return 0;
}

void fake_complete(struct fake_importer *importer, unsigned n)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&lock);
	importer->completions += n;
	pthread_mutex_unlock(&lock);
	assert_int_equal(write(importer->event_fd, &one, sizeof(one)), sizeof(one));
}

char *fake_view_bytes(struct fake_importer *importer, struct metal_generic_shm *shm)
{
	char *bytes = metal_shm_view_data(shm, importer->dev);

	assert_non_null(bytes);
	return bytes;
}

struct metal_generic_shm *fake_buffer(struct fake_source *source, size_t size)
{
	struct metal_generic_shm *shm = metal_shm_allocate(size, source->dev, 0);

	assert_non_null(shm);
	return shm;
}

void fake_warm_up(void)
{
	struct metal_generic_shm *shm;
	struct metal_shm_pool *pool;

	assert_int_equal(metal_shm_pool_create(1, 1, NULL, 0, 0, &pool), 0);
	shm = metal_shm_pool_get(pool, 0);
	assert_null(metal_shm_pool_get(pool, 0));
	metal_shm_free(shm, NULL);
	metal_shm_pool_destroy(pool);
}
