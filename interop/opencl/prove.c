/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Proofs: a kernel reads what the CPU wrote through another mapping, and the CPU reads there what the
 * kernel wrote. Made once for each device, path and kind of memory, on a queue of its own: the
 * program's may stand behind a user event.
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"

/* Words at each end of the memory: as many for the kernel to read as for it to write. */
#define WORDS ((size_t)4)
#define SEEN  (1 + 2 * WORDS)
#define LEAST (4 * WORDS * sizeof(uint32_t))

static const char source[] =
	"kernel void shm_prove(global uint *bytes, global ulong *seen, uint nonce, ulong last,\n"
	"                      uint count)\n"
	"{\n"
	"	for (uint i = 0; i < count; i++) {\n"
	"		seen[1 + i] = bytes[i];\n"
	"		seen[1 + count + i] = bytes[last + i];\n"
	"		bytes[count + i] = nonce + i;\n"
	"		bytes[last + count + i] = ~nonce - i;\n"
	"	}\n"
	"	seen[0] = (ulong)(uintptr_t)bytes;\n"
	"}\n";

struct exchange {
	uint32_t nonce;
	size_t last; /* in words: where the last 2 * WORDS begin */
	uint32_t saved[2][2 * WORDS];
	cl_ulong seen[SEEN];
};

static void prepare(struct exchange *x, void *check, size_t size)
{
	uint32_t *words = check;

	*x = (struct exchange){ .nonce = shm__cl_nonce(), .last = size / 4 - 2 * WORDS };
	memcpy(x->saved[0], words, sizeof(x->saved[0]));
	memcpy(x->saved[1], words + x->last, sizeof(x->saved[1]));
	for (uint32_t i = 0; i < WORDS; i++) {
		words[i] = x->nonce ^ (i + 1);
		words[x->last + i] = ~x->nonce ^ (i + 1);
	}
}

static void put_back(const struct exchange *x, void *check)
{
	uint32_t *words = check;

	memcpy(words, x->saved[0], sizeof(x->saved[0]));
	memcpy(words + x->last, x->saved[1], sizeof(x->saved[1]));
}

static int verify(const struct exchange *x, const void *check)
{
	const uint32_t *words = check;
	bool heard = true, told = true;

	for (uint32_t i = 0; i < WORDS; i++) {
		heard &= x->seen[1 + i] == (x->nonce ^ (i + 1)) &&
			 x->seen[1 + WORDS + i] == (~x->nonce ^ (i + 1));
		told &= words[WORDS + i] == x->nonce + i &&
			words[x->last + WORDS + i] == ~x->nonce - i;
	}
	if (!heard)
		return metal_shm_set_error(ENOTSUP, "a kernel doesn't see what the CPU writes");
	if (!told)
		return metal_shm_set_error(ENOTSUP, "the CPU doesn't see what a kernel writes");
	return 0;
}

static cl_int set_arguments(cl_kernel kernel, cl_mem mem, cl_mem seen, const struct exchange *x,
			    cl_uint count)
{
	cl_ulong last = x->last;
	cl_int code = clSetKernelArg(kernel, 0, sizeof(mem), &mem);

	if (code == CL_SUCCESS)
		code = clSetKernelArg(kernel, 1, sizeof(seen), &seen);
	if (code == CL_SUCCESS)
		code = clSetKernelArg(kernel, 2, sizeof(x->nonce), &x->nonce);
	if (code == CL_SUCCESS)
		code = clSetKernelArg(kernel, 3, sizeof(last), &last);
	if (code == CL_SUCCESS)
		code = clSetKernelArg(kernel, 4, sizeof(count), &count);
	return code;
}

/* Under proof_lock. Waits for the kernel. */
static int launch(struct shm__cl *cl, cl_command_queue queue, cl_mem mem, struct exchange *x,
		  cl_uint count)
{
	const size_t one = 1;
	cl_kernel kernel;
	cl_mem seen;
	cl_int code = CL_SUCCESS;
	int error;

	error = shm__cl_proof_kernel(cl, SHM__CL_BUFFER_PROGRAM, source, "shm_prove", &kernel);
	if (error)
		return error;
	seen = clCreateBuffer(cl->context, CL_MEM_READ_WRITE, sizeof(x->seen), NULL, &code);
	if (!seen) {
		error = shm__cl_error(code, "clCreateBuffer");
		goto release_kernel;
	}
	code = set_arguments(kernel, mem, seen, x, count);
	if (code == CL_SUCCESS)
		code = clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, NULL, 0, NULL, NULL);
	if (code == CL_SUCCESS)
		code = clEnqueueReadBuffer(queue, seen, CL_TRUE, 0, sizeof(x->seen), x->seen, 0,
					   NULL, NULL);
	if (code != CL_SUCCESS)
		error = shm__cl_error(code, "a proof's kernel");
	clReleaseMemObject(seen);
release_kernel:
	clReleaseKernel(kernel);
	return error;
}

/* Under proof_lock. */
static int exchange(struct shm__cl *cl, const struct shm__cl_path *path,
		    const struct shm__cl_scratch *scratch, cl_mem mem, struct exchange *x)
{
	const struct shm__cl_transfer all = { .mem = mem };
	cl_command_queue queue;
	cl_int code = CL_SUCCESS;
	int error, ended;

	error = shm__cl_proof_queue(cl, &queue);
	if (error)
		return error;
	if (path->acquire)
		code = path->acquire(cl, queue, &all, 0, NULL, NULL);
	if (code != CL_SUCCESS)
		return shm__cl_error(code, "acquiring for a proof");
	error = launch(cl, queue, mem, x, scratch->check ? WORDS : 0);
	if (path->release)
		code = path->release(cl, queue, &all, 0, NULL, NULL);
	ended = clFinish(queue);
	if (error)
		return error;
	if (code == CL_SUCCESS)
		code = ended;
	return code == CL_SUCCESS ? 0 : shm__cl_error(code, "releasing after a proof");
}

/* Under proof_lock. */
static int prove(struct shm__cl *cl, const struct shm__cl_path *path,
		 const struct shm__cl_scratch *scratch, bool *ret_exact)
{
	struct exchange x = { 0 };
	cl_mem mem = NULL;
	int error, after;

	if (scratch->bytes.size < LEAST)
		return metal_shm_set_error(ENOTSUP, "%zu bytes are too few for a proof",
					   scratch->bytes.size);
	error = path->import(cl, &scratch->bytes, &mem);
	if (error)
		return error;
	if (path->maps)
		error = shm__cl_mapping_bind(scratch->mapping, mem);
	if (error)
		goto release_mem;
	if (scratch->check) {
		error = shm__cl_scratch_begin(cl, scratch);
		if (error)
			goto release_mem;
		prepare(&x, scratch->check, scratch->bytes.size);
		error = shm__cl_scratch_end(cl, scratch);
	}
	if (!error)
		error = exchange(cl, path, scratch, mem, &x);
	if (scratch->check) {
		after = shm__cl_scratch_begin(cl, scratch);
		error = error ? error : after;
		error = error ? error : verify(&x, scratch->check);
		put_back(&x, scratch->check);
		after = shm__cl_scratch_end(cl, scratch);
		error = error ? error : after;
	}
	*ret_exact = x.seen[0] == (uintptr_t)scratch->bytes.address;
	if (!error && !scratch->check && !*ret_exact)
		error = metal_shm_set_error(ENOTSUP, "a kernel sees it at another address");
release_mem:
	clReleaseMemObject(mem);
	return error;
}

/* The scratch memory is made unlocked: making it calls libshm, which may dispatch devices. */
int shm__cl_prove_buffer(struct shm__cl *cl, const struct shm__cl_path *path,
			 const struct metal_shm_attachment *at, const char *kind, bool *ret_exact)
{
	struct shm__cl_scratch scratch;
	char key[112];
	bool found;
	int error;

	snprintf(key, sizeof(key), "%s %s", metal_shm_opencl_path_name((int)path->id), kind);
	pthread_mutex_lock(&cl->proof_lock);
	error = shm__cl_recall(cl, key, &found, ret_exact);
	pthread_mutex_unlock(&cl->proof_lock);
	if (found)
		return error;
	error = shm__cl_scratch_make(cl, path, at, kind, &scratch);
	if (error)
		return error;
	pthread_mutex_lock(&cl->proof_lock);
	error = shm__cl_recall(cl, key, &found, ret_exact);
	if (!found) {
		error = prove(cl, path, &scratch, ret_exact);
		shm__cl_remember(cl, key, error, *ret_exact);
	}
	pthread_mutex_unlock(&cl->proof_lock);
	shm__cl_scratch_free(&scratch);
	return error;
}

/* The kernel on the buffer itself, handed over and taken back as a program does it. */
static int use(struct shm__cl *cl, struct metal_generic_shm *shm, cl_mem mem, struct exchange *x)
{
	cl_command_queue queue;
	cl_event event;
	int error, ran;

	pthread_mutex_lock(&cl->proof_lock);
	error = shm__cl_proof_queue(cl, &queue);
	pthread_mutex_unlock(&cl->proof_lock);
	if (!error)
		error = metal_shm_opencl_enqueue_acquire(cl->dev, queue, shm, METAL_SHM_DIR_DEV_RW,
							 0, NULL, NULL);
	if (error)
		return error;
	pthread_mutex_lock(&cl->proof_lock);
	ran = launch(cl, queue, mem, x, WORDS);
	pthread_mutex_unlock(&cl->proof_lock);
	error = metal_shm_opencl_enqueue_release(cl->dev, queue, shm, 0, NULL, &event);
	if (error)
		return error;
	clWaitForEvents(1, &event);
	clReleaseEvent(event);
	return ran;
}

int shm__cl_trial(struct metal_device *dev, struct metal_generic_shm *shm)
{
	const int prot = METAL_SHM_READ | METAL_SHM_WRITE;
	struct exchange x = { 0 };
	size_t size = metal_shm_size(shm);
	cl_mem mem;
	char *address;
	int error = metal_shm_opencl_mem(dev, shm, &mem);

	if (error)
		return error;
	if (size < LEAST)
		return metal_shm_set_error(ENOTSUP, "%zu bytes are too few for a trial", size);
	address = metal_shm_map(shm, prot);
	if (!address)
		return -errno;
	error = metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW);
	if (error)
		goto unmap;
	prepare(&x, address, size);
	error = use(metal_shm_device_data(dev, &shm__cl_ops), shm, mem, &x);
	if (!error)
		error = metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW);
	if (!error)
		error = verify(&x, address);
unmap:
	metal_shm_unmap(shm, prot);
	return error;
}
