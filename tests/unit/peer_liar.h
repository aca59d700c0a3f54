/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The other end of a peer's socket, without a library behind it: it says what the case wants. It knows the
 * session's numbers, so that what it says is wrong in just the one way that is meant.
 */
#ifndef PEER_LIAR_H
#define PEER_LIAR_H

#include <sys/mman.h>

#include "peer_ends.h"
#include "record.h"

struct liar {
	struct metal_device *dev; /* what the library has of it */
	int end;
	uint32_t session;    /* the library's */
	uint32_t number;     /* of the last record that counts */
	uint32_t limit;      /* what it grants */
	uint32_t generation; /* of what it shared last */
	int fd;              /* that came with the last record, or -1 */
};

static inline void liar_write(struct liar *liar, const void *data, size_t size, const int fds[],
			      unsigned count)
{
	char control[CMSG_SPACE(16 * sizeof(int))] = { 0 };
	struct iovec bytes = { (void *)(uintptr_t)data, size };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };

	if (count) {
		struct cmsghdr *header = (struct cmsghdr *)(void *)control;

		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	}
	assert_int_equal(sendmsg(liar->end, &message, MSG_NOSIGNAL), size);
}

/* A record with the header that it has to have. */
static inline size_t liar_encode(struct liar *liar, struct shm__record *record, uint8_t *bytes)
{
	size_t size;

	record->session = liar->session;
	record->number = shm__record_counts(record->type) ? ++liar->number : 0;
	record->limit = liar->limit;
	size = shm__record_encode(record, bytes);
	assert_int_not_equal(size, 0);
	return size;
}

static inline void liar_say(struct liar *liar, struct shm__record record, const int fds[],
			    unsigned count)
{
	uint8_t bytes[SHM__RECORD_MAX];

	liar_write(liar, bytes, liar_encode(liar, &record, bytes), fds, count);
	metal_shm_device_dispatch(liar->dev);
}

/* The next record of the library's but CREDIT; its bytes stay in a buffer of this function's. */
static inline struct shm__record liar_hear(struct liar *liar)
{
	static uint8_t data[SHM__RECORD_MAX];
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec bytes = { data, sizeof(data) };
	struct shm__record record;
	struct cmsghdr *header;

	do {
		struct msghdr message = { .msg_iov = &bytes,
					  .msg_iovlen = 1,
					  .msg_control = control,
					  .msg_controllen = sizeof(control) };
		ssize_t size = recvmsg(liar->end, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		assert_true(size > 0);
		assert_int_equal(shm__record_decode(data, (size_t)size, &record), SHM__CODE_OK);
		header = CMSG_FIRSTHDR(&message);
		if (header && liar->fd >= 0)
			close(liar->fd);
		if (header)
			memcpy(&liar->fd, CMSG_DATA(header), sizeof(int));
	} while (record.type == SHM__RECORD_CREDIT);
	return record;
}

/* Nothing but CREDIT is there. */
static inline void liar_hears_nothing(struct liar *liar)
{
	uint8_t data[SHM__RECORD_MAX];
	ssize_t size;

	while ((size = recv(liar->end, data, sizeof(data), MSG_DONTWAIT)) > 0)
		assert_int_equal(data[0], SHM__RECORD_CREDIT);
	assert_int_equal(size, -1);
	assert_int_equal(errno, EAGAIN);
}

static inline void liar_hears_error(struct liar *liar, enum shm__code code)
{
	struct shm__record record = liar_hear(liar);

	assert_int_equal(record.type, SHM__RECORD_ERROR);
	assert_int_equal(record.error.code, code);
}

/* A socket that the library has the other end of; nothing was said but its HELLO. */
static inline struct liar liar_connect(void)
{
	struct liar liar = { .limit = 1000, .fd = -1 };
	struct shm__record hello;
	int ends[2];

	peer_sockets(ends);
	assert_int_equal(metal_shm_peer_open(ends[0], &liar.dev), 0);
	liar.end = ends[1];
	hello = liar_hear(&liar);
	assert_int_equal(hello.type, SHM__RECORD_HELLO);
	liar.session = hello.hello.session;
	return liar;
}

/* A session with it. */
static inline struct liar liar_start(void)
{
	struct liar liar = liar_connect();

	liar_say(&liar,
		 (struct shm__record){
			 .type = SHM__RECORD_HELLO,
			 .hello = { .session = 1,
				    .version = 1,
				    .oldest = 1,
				    .shares = 4,
				    .gives = 4 },
		 },
		 NULL, 0);
	return liar;
}

static inline void liar_end(struct liar *liar)
{
	metal_shm_device_close(liar->dev);
	close(liar->end);
	if (liar->fd >= 0)
		close(liar->fd);
}

/* Memory of the liar's own: a memfd with these seals. */
static inline int liar_memory(size_t size, int seals)
{
	int fd = memfd_create("liar", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	if (seals)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static inline struct shm__record liar_share_of(struct liar *liar, uint32_t id, uint64_t offset,
					       uint64_t size)
{
	return (struct shm__record){
		.type = SHM__RECORD_SHARE,
		.share = { .id = id,
			   .generation = ++liar->generation,
			   .size = size,
			   .offset = offset,
			   .dir = 3,
			   .flags = SHM__SHARE_DESCRIPTOR },
	};
}

static inline struct shm__record liar_range(uint16_t type, uint32_t id, uint32_t generation,
					    uint64_t offset, uint64_t length)
{
	return (struct shm__record){
		.type = type,
		.range = { .id = id,
			   .generation = generation,
			   .offset = offset,
			   .length = length,
			   .dir = type == SHM__RECORD_GIVE ? 3 : 0 },
	};
}

#endif
