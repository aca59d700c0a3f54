/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shm_test.h"

static void *array(size_t n, size_t size)
{
	void *memory = calloc(n, size);

	assert_non_null(memory);
	return memory;
}

struct sim_model *sim_model_new(const void *bytes, size_t size)
{
	struct sim_model *model = array(1, sizeof(*model));

	model->size = size;
	model->value = array(size, 1);
	model->reads = array(size, sizeof(*model->reads));
	model->writes = array(size, sizeof(*model->writes));
	model->cpu = array(size, 1);
	model->fate = array(size, 1);
	model->newest = array(size, 1);
	memset(model->newest, SIM_VIEWS, size);
	memcpy(model->value, bytes, size);
	memset(model->cpu, METAL_SHM_READ | METAL_SHM_WRITE, size);
	return model;
}

void sim_model_end(struct sim_model *model)
{
	free(model->value);
	free(model->reads);
	free(model->writes);
	free(model->cpu);
	free(model->fate);
	free(model->newest);
	free(model);
}

bool sim_model_waits(const struct sim_model *model, size_t offset, size_t size, uint32_t others,
		     enum metal_shm_dir dir)
{
	for (size_t i = offset; i < offset + size; i++)
		if ((model->writes[i] & others) ||
		    (dir & METAL_SHM_DIR_DEV_W && model->reads[i] & others))
			return true;
	return false;
}

void sim_model_give(struct sim_model *model, size_t offset, size_t size, unsigned view,
		    enum metal_shm_dir dir, uint32_t pending)
{
	const uint32_t self = UINT32_C(1) << view;

	for (size_t i = offset; i < offset + size; i++) {
		/* readers stay beside a reader, unless they write too */
		uint32_t stay = dir == METAL_SHM_DIR_DEV_R ? ~model->writes[i] & ~self : 0;

		model->reads[i] &= stay | pending;
		model->writes[i] &= pending;
		if (dir & METAL_SHM_DIR_DEV_R)
			model->reads[i] |= self;
		if (dir & METAL_SHM_DIR_DEV_W)
			model->writes[i] |= self;
		model->cpu[i] &= dir & METAL_SHM_DIR_DEV_W ? 0 : METAL_SHM_READ;
		/* what another view's shadow had comes home before */
		if (model->newest[i] != view)
			model->newest[i] = SIM_VIEWS;
		if (dir & METAL_SHM_DIR_DEV_W && model->shadows & self)
			model->newest[i] = (unsigned char)view;
	}
}

int sim_model_may_take(const struct sim_model *model, size_t offset, size_t size,
		       enum metal_shm_dir dir, uint32_t pending)
{
	for (size_t i = offset; i < offset + size; i++)
		if (model->writes[i] && !(dir & METAL_SHM_DIR_DEV_W))
			return -EINVAL;
	for (size_t i = offset; i < offset + size; i++)
		if ((model->writes[i] & pending) ||
		    (dir & METAL_SHM_DIR_DEV_R && model->reads[i] & pending))
			return -ETIMEDOUT;
	return 0;
}

void sim_model_take(struct sim_model *model, size_t offset, size_t size, enum metal_shm_dir dir)
{
	for (size_t i = offset; i < offset + size; i++) {
		model->writes[i] = 0;
		if (dir & METAL_SHM_DIR_DEV_R)
			model->reads[i] = 0;
		model->newest[i] = SIM_VIEWS;
		model->cpu[i] = METAL_SHM_READ;
		if (!model->reads[i])
			model->cpu[i] |= METAL_SHM_WRITE;
	}
}

void sim_model_settle(struct sim_model *model, size_t offset, size_t size, int error, bool reader)
{
	for (size_t i = offset; i < offset + size; i++) {
		if (!(model->fate[i] & SIM_FAILED))
			continue;
		model->fate[i] &= SIM_UNKNOWN;
		if (error || !reader)
			model->fate[i] |= SIM_UNKNOWN;
	}
}

bool sim_model_are(const struct sim_model *model, size_t offset, size_t size, unsigned fate)
{
	for (size_t i = offset; i < offset + size; i++)
		if (model->fate[i] & fate)
			return true;
	return false;
}

void sim_model_fail(struct sim_model *model, size_t offset, size_t size)
{
	for (size_t i = offset; i < offset + size; i++)
		model->fate[i] |= SIM_FAILED;
}

void sim_model_drop(struct sim_model *model, unsigned view)
{
	const uint32_t self = UINT32_C(1) << view;

	for (size_t i = 0; i < model->size; i++) {
		model->reads[i] &= ~self;
		model->writes[i] &= ~self;
		if (model->newest[i] == view)
			model->newest[i] = SIM_VIEWS;
	}
	model->shadows &= ~self;
}

void sim_model_write(struct sim_model *model, size_t offset, const void *bytes, size_t n)
{
	memcpy(model->value + offset, bytes, n);
	for (size_t i = offset; i < offset + n; i++)
		model->fate[i] &= (unsigned char)~SIM_UNKNOWN;
}

static bool may_write(const struct sim_model *model, unsigned view, size_t i)
{
	if (view == SIM_VIEWS)
		return model->cpu[i] & METAL_SHM_WRITE;
	return model->writes[i] & UINT32_C(1) << view;
}

size_t sim_model_writable(const struct sim_model *model, unsigned view, size_t *offset, size_t end)
{
	size_t last;

	while (*offset < end && !may_write(model, view, *offset))
		++*offset;
	last = *offset;
	while (last < end && may_write(model, view, last))
		last++;
	return last - *offset;
}
