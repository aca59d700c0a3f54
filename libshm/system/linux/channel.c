/* SPDX-License-Identifier: BSD-3-Clause */
/* Records over a socket between processes, with descriptors beside them. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel.h"
#include "descriptor.h"
#include "dmabuf.h"

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(SHM__MESSAGE_FDS * sizeof(int))];
};

static int option(int fd, int name)
{
	socklen_t size = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, name, &value, &size) ? -errno : value;
}

int shm__channel_check(int fd)
{
	struct sockaddr_storage other;
	socklen_t size = sizeof(other);
	int domain = option(fd, SO_DOMAIN);

	if (domain < 0)
		return metal_shm_set_error(-domain, "descriptor %d is no socket", fd);
	if (domain != AF_UNIX || option(fd, SO_TYPE) != SOCK_SEQPACKET)
		return metal_shm_set_error(EINVAL,
					   "socket %d is not a SOCK_SEQPACKET one of AF_UNIX", fd);
	if (getpeername(fd, (struct sockaddr *)&other, &size))
		return metal_shm_set_error(errno, "socket %d is not connected", fd);
	return 0;
}

int shm__channel_send(int fd, const void *data, size_t size, int beside, bool wait)
{
	struct iovec bytes = { .iov_base = (void *)(uintptr_t)data, .iov_len = size };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };
	union control control;
	struct cmsghdr *header;
	ssize_t sent;

	if (beside >= 0) {
		memset(&control, 0, sizeof(control));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int));
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &beside, sizeof(int));
	}
	do
		sent = sendmsg(fd, &message, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
	while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return 0;
	return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

/* The descriptors of a message: the ones that fit, so that all can be closed. */
static void take_descriptors(struct msghdr *header, struct shm__message *ret)
{
	struct cmsghdr *control;

	for (control = CMSG_FIRSTHDR(header); control; control = CMSG_NXTHDR(header, control)) {
		size_t count;

		if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
			continue;
		count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(control) + i * sizeof(int), sizeof(int));
			if (ret->fd_count < SHM__MESSAGE_FDS)
				ret->fds[ret->fd_count++] = fd;
			else
				close(fd);
		}
	}
}

int shm__channel_receive(int fd, struct shm__message *ret, bool wait)
{
	struct iovec bytes = { .iov_base = ret->data, .iov_len = sizeof(ret->data) };
	union control control;
	struct msghdr message = {
		.msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t got;

	do
		got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	ret->size = (size_t)got;
	ret->fd_count = 0;
	take_descriptors(&message, ret);
	/* a message of no bytes looks like the end; whoever sends one has nothing more to say */
	if (!got)
		shm__message_drop(ret);
	return got != 0;
}

void shm__message_drop(struct shm__message *message)
{
	while (message->fd_count)
		close(message->fds[--message->fd_count]);
}

int shm__channel_may_share(int fd, const char *name)
{
	int seals;

	if (fd < 0)
		return metal_shm_set_error(ENOTSUP, "%s memory has no descriptor to share", name);
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY)
		return metal_shm_set_error(ENOTSUP, "%s memory is open for writing only", name);
	if (shm__fd_is_dmabuf(fd))
		return 0;
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return metal_shm_set_error(ENOTSUP,
					   "%s memory may shrink: F_SEAL_SHRINK is missing", name);
	return 0;
}

uint16_t shm__channel_dir(int fd)
{
	return shm__fd_is_read_only(fd) ? SHM__WIRE_READS : SHM__WIRE_READS | SHM__WIRE_WRITES;
}

int shm__message_memory(const struct shm__message *message, const struct shm__wire_share *share,
			struct metal_device *src, struct metal_generic_shm **ret_shm)
{
	int error;

	if (!(share->flags & SHM__SHARE_DESCRIPTOR) || message->fd_count != 1)
		return metal_shm_set_error(EBADMSG, "%u descriptors came with what is shared",
					   message->fd_count);
	if (share->size > SIZE_MAX)
		return metal_shm_set_error(ERANGE, "%" PRIu64 " bytes exceed the address space",
					   share->size);
	error = shm__channel_may_share(message->fds[0], "the other process's");
	if (error)
		return error;
	if (!(share->dir & SHM__WIRE_WRITES))
		return shm__import_read_only(message->fds[0], share->offset, (size_t)share->size,
					     src, ret_shm);
	if (shm__fd_is_read_only(message->fds[0]))
		return metal_shm_set_error(EACCES, "memory that can't be written is shared as such "
						   "that can");
	return shm__import(message->fds[0], share->offset, (size_t)share->size, src, ret_shm);
}
