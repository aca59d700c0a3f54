/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages of the two programs' own, beside the records about memory. */
#include <errno.h>
#include <string.h>

#include "internal.h"

_Static_assert(SHM__USER_MAX == METAL_SHM_RPROC_MESSAGE_MAX, "rproc.h has the number for programs");

struct message {
	const void *data;
	size_t size;
};

/* Under the lock. */
static int look_to_send(struct shm__rproc *rproc, void *user)
{
	const struct message *message = user;
	enum shm__code code;
	struct shm__out out;

	if (!rproc->session.up)
		return shm__rproc_not_connected(rproc);
	if (!shm__rproc_may_post(rproc))
		return -EAGAIN;
	code = shm__session_send(&rproc->session, message->data, message->size, &out);
	if (code == SHM__CODE_AGAIN)
		return -EAGAIN;
	shm__rproc_post(rproc, &out);
	return 0;
}

int metal_shm_rproc_send(struct metal_device *dev, const void *data, size_t size)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);
	struct message message = { data, size };
	int64_t deadline_ns;
	int error;

	if (!rproc)
		return -errno;
	if (!data || !size)
		return metal_shm_set_error(EINVAL, "metal_shm_rproc_send: no bytes");
	if (size > SHM__USER_MAX)
		return metal_shm_set_error(EMSGSIZE, "a message has at most %u bytes, not %zu",
					   SHM__USER_MAX, size);
	deadline_ns = shm__rproc_patience(rproc);
	error = shm__rproc_connect_until(rproc, deadline_ns);
	if (!error)
		error = shm__rproc_wait(rproc, deadline_ns, look_to_send, &message);
	if (error == -ETIMEDOUT)
		return metal_shm_set_error(ETIMEDOUT, "%s takes no messages", rproc->id);
	return error;
}

struct reception {
	void *ret_data;
	size_t size;
	size_t got;
};

/* Under the lock. */
static int look_to_receive(struct shm__rproc *rproc, void *user)
{
	struct reception *reception = user;
	const struct shm__rproc_message *message = &rproc->messages[rproc->message_head];

	if (rproc->messages_lost) {
		uint64_t lost = rproc->messages_lost;

		rproc->messages_lost = 0;
		return metal_shm_set_error(
			EOVERFLOW, "%llu messages of %s came while %u waited, and are lost",
			(unsigned long long)lost, rproc->id, SHM__RPROC_MESSAGES);
	}
	if (!rproc->message_count)
		return rproc->session.up ? -EAGAIN : shm__rproc_not_connected(rproc);
	if (message->size > reception->size)
		return metal_shm_set_error(EMSGSIZE, "the message has %u bytes, not %zu",
					   message->size, reception->size);
	memcpy(reception->ret_data, message->data, message->size);
	reception->got = message->size;
	rproc->message_head = (rproc->message_head + 1) % SHM__RPROC_MESSAGES;
	rproc->message_count--;
	return 0;
}

int metal_shm_rproc_receive(struct metal_device *dev, void *ret_data, size_t size,
			    int64_t timeout_ns)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);
	struct reception reception = { ret_data, size, 0 };
	int error;

	if (!rproc)
		return -errno;
	if (!ret_data)
		return metal_shm_set_error(EINVAL, "metal_shm_rproc_receive: NULL");
	error = shm__rproc_wait(rproc, shm__rproc_deadline(timeout_ns), look_to_receive,
				&reception);
	if (error == -ETIMEDOUT)
		return metal_shm_set_error(ETIMEDOUT, "no message of %s", rproc->id);
	return error ? error : (int)reception.got;
}
