/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the files of a session: how a record gets its header. */
#ifndef SHM_SESSION_SEND_H
#define SHM_SESSION_SEND_H

#include "session_table.h"

/* OK where a record that counts may be sent. */
enum shm__code shm__may_send(const struct shm__session *s);

/* Write record with this end's header into out. OK, or INVALID for what no record may say. */
enum shm__code shm__emit(struct shm__session *s, struct shm__record *record, struct shm__out *out);

/* HELLO, as a beginning or an answer. */
void shm__hello(struct shm__session *s, struct shm__out *out);
/* Say what may be sent, if out is empty and the other end has used up half of what it was told. */
void shm__credit(struct shm__session *s, struct shm__out *out);

/* All that was said is void. */
void shm__session_forget(struct shm__session *s);

/* Records are numbered from 1 on, and 0 is none of the numbers when they begin again. */
static inline uint32_t shm__next_number(uint32_t number)
{
	return number + 1 ? number + 1 : 1;
}

/* Whether one number comes after another, however often they began again. */
static inline bool shm__is_after(uint32_t number, uint32_t other)
{
	return (uint32_t)(number - other - 1) < UINT32_C(0x7fffffff);
}

#endif
