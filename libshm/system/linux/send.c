/* SPDX-License-Identifier: BSD-3-Clause */
/* A buffer to another process and from it, once: metal_shm_send(), metal_shm_receive(). */
#include <shm/linux.h>

#include "channel.h"
#include "core.h"

int metal_shm_send(int borrow_socket, struct metal_generic_shm *shm)
{
	struct shm__record record = { .type = SHM__RECORD_SHARE, .number = 1 };
	uint8_t bytes[SHM__RECORD_MAX];
	size_t size;
	int error = shm__handle_check(shm);

	if (!error)
		error = shm__channel_check(borrow_socket);
	if (!error)
		error = shm__channel_may_share(shm->root->memory.os_handle, shm->root->src->name);
	if (error)
		return error;
	record.share = (struct shm__wire_share){
		.id = 1,
		.generation = 1,
		.size = shm->size,
		.offset = shm->offset,
		.dir = shm->root->read_only ? SHM__WIRE_READS
					    : shm__channel_dir(shm->root->memory.os_handle),
		.flags = SHM__SHARE_DESCRIPTOR,
	};
	size = shm__record_encode(&record, bytes);
	error = shm__channel_send(borrow_socket, bytes, size, shm->root->memory.os_handle, true);
	if (error)
		return shm__error(-error, "socket %d takes no buffer", borrow_socket);
	shm__mutex_lock(&shm->root->lock);
	shm->root->unusual |= SHM__SHARED;
	shm__mutex_unlock(&shm->root->lock);
	return 0;
}

int metal_shm_receive(int borrow_socket, struct metal_generic_shm **ret_shm)
{
	struct shm__message message;
	struct shm__record record;
	int error = shm__enter(), got;

	if (!error && !ret_shm)
		error = shm__error(EINVAL, "metal_shm_receive: NULL");
	if (!error)
		error = shm__channel_check(borrow_socket);
	if (error)
		return error;
	got = shm__channel_receive(borrow_socket, &message, true);
	if (got < 0)
		return shm__error(-got, "socket %d gives nothing", borrow_socket);
	if (!got)
		return shm__error(ENODATA, "socket %d: the other side has closed it",
				  borrow_socket);
	if (shm__record_decode(message.data, message.size, &record) ||
	    record.type != SHM__RECORD_SHARE || record.session)
		error = shm__error(EBADMSG, "socket %d: what came is no buffer", borrow_socket);
	else
		error = shm__message_memory(&message, &record.share, NULL, ret_shm);
	shm__message_drop(&message);
	return error;
}
