/* SPDX-License-Identifier: BSD-3-Clause */
/* What all proofs share: the queue and programs, made at first need, and the verdicts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "internal.h"

struct shm__cl_verdict {
	struct shm__cl_verdict *next;
	char key[112];
	int error;
	bool exact;
	char reason[192];
};

uint32_t shm__cl_nonce(void)
{
	static atomic_uint count;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)now.tv_nsec * 2654435761u + atomic_fetch_add(&count, 1u);
}

/* Under proof_lock. */
int shm__cl_proof_queue(struct shm__cl *cl, cl_command_queue *ret_queue)
{
	cl_int code = CL_SUCCESS;

	if (!cl->proof_queue)
		cl->proof_queue = shm__cl_queue_create(cl->context, cl->device, &code);
	if (!cl->proof_queue)
		return shm__cl_error(code, "clCreateCommandQueue");
	*ret_queue = cl->proof_queue;
	return 0;
}

/*
 * Under proof_lock. The program is compiled once; the kernel is the caller's, to be released at once,
 * since its arguments may keep buffer objects alive.
 */
int shm__cl_proof_kernel(struct shm__cl *cl, unsigned program, const char *text, const char *name,
			 cl_kernel *ret_kernel)
{
	cl_program *slot = &cl->programs[program];
	cl_kernel kernel;
	cl_int code = CL_SUCCESS;

	if (!*slot) {
		cl_program made = clCreateProgramWithSource(cl->context, 1, &text, NULL, &code);

		if (!made)
			return shm__cl_error(code, "clCreateProgramWithSource");
		code = clBuildProgram(made, 1, &cl->device, "", NULL, NULL);
		if (code != CL_SUCCESS) {
			clReleaseProgram(made);
			return shm__cl_error(code, "clBuildProgram");
		}
		*slot = made;
	}
	kernel = clCreateKernel(*slot, name, &code);
	if (!kernel)
		return shm__cl_error(code, "clCreateKernel");
	*ret_kernel = kernel;
	return 0;
}

/* Under proof_lock. */
int shm__cl_recall(struct shm__cl *cl, const char *key, bool *ret_found, bool *ret_exact)
{
	const struct shm__cl_verdict *verdict;

	for (verdict = cl->verdicts; verdict; verdict = verdict->next)
		if (!strcmp(verdict->key, key))
			break;
	*ret_found = verdict;
	if (!verdict)
		return 0;
	*ret_exact = verdict->exact;
	return verdict->error ? metal_shm_set_error(-verdict->error, "%s", verdict->reason) : 0;
}

/* Under proof_lock. What could be otherwise next time is no verdict. */
void shm__cl_remember(struct shm__cl *cl, const char *key, int error, bool exact)
{
	struct shm__cl_verdict *verdict;

	if (error && error != -ENOTSUP && error != -EINVAL)
		return;
	verdict = calloc(1, sizeof(*verdict));
	if (!verdict)
		return;
	snprintf(verdict->key, sizeof(verdict->key), "%s", key);
	verdict->error = error;
	verdict->exact = exact;
	if (error)
		snprintf(verdict->reason, sizeof(verdict->reason), "%s", metal_shm_last_error());
	verdict->next = cl->verdicts;
	cl->verdicts = verdict;
}

void shm__cl_forget_proofs(struct shm__cl *cl)
{
	struct shm__cl_verdict *verdict;

	while ((verdict = cl->verdicts) != NULL) {
		cl->verdicts = verdict->next;
		free(verdict);
	}
	for (unsigned i = 0; i < SHM__CL_PROGRAMS; i++)
		if (cl->programs[i])
			clReleaseProgram(cl->programs[i]);
	if (cl->proof_queue)
		clReleaseCommandQueue(cl->proof_queue);
}
