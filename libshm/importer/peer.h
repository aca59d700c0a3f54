/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Another process as a device. peer.c is the device, peer_out.c what is shared with it, peer_in.c what it shares,
 * peer_request.c what either asks of the other, peer_say.c what goes out, peer_hear.c what comes in, peer_next.c what the program asks for.
 *
 * Two locks. `hearing` is held by the one thread that reads the socket, and while it tells the core of what
 * came; others that want to read leave it to that thread. `lock` guards all else and is never held while the
 * core is called.
 */
#ifndef SHM_IMPORTER_PEER_H
#define SHM_IMPORTER_PEER_H

#include <shm/linux.h>

#include "channel.h"
#include "core.h"
#include "session.h"

#define SHM__PEER_SHARES 64u
#define SHM__PEER_GIVES  128u
#define SHM__PEER_WINDOW 32u
#define SHM__PEER_UNSENT 8u
#define SHM__PEER_HEARS  64u /* messages at a time */

/* What a view of the device is: bytes of ours, or of its that we were told of. */
enum shm__peer_kind { SHM__PEER_OUT, SHM__PEER_IN };

/* A memory of ours that it was told of, all of it. What is attached are ranges, given one by one. */
struct shm__peer_out {
	struct shm__peer_out *next; /* of all */
	struct shm__peer_lot *lots; /* what is attached */
	struct shm__root *root;     /* the memory, which stays until UNSHARED came */
	uint32_t id;                /* 0: not told yet */
	uint16_t dir;               /* SHM__WIRE_*: the most that it may do */
	bool gone;                  /* refused, or the other process ended it */
	bool ending;                /* nothing is attached any more */
	uint32_t tag;               /* of the REQUEST that it answers, or 0 */
	struct metal_generic_shm *grant,
		*grant_view; /* that are the other process's to end, or NULL */
	bool kept;           /* who ends its works needs it until all are */
};

/* A view of memory of ours. */
struct shm__peer_lot {
	enum shm__peer_kind kind;
	bool given; /* the core was promised an end of its work */
	struct shm__peer_out *out;
	struct shm__peer_lot *next; /* of the memory's */
	struct metal_generic_shm *view;
	uint64_t offset, size;
};

/* Memory that the other process shared. */
struct shm__peer_in {
	struct shm__peer_in *next; /* of all */
	struct shm__peer_piece *pieces;
	struct metal_generic_shm *shm; /* all of it; a reference */
	uint64_t size;
	uint32_t id;
	uint32_t tag;   /* of the REQUEST that it answers, until it is given */
	unsigned count; /* of pieces */
	bool left;      /* the program is through with it */
	bool ending;    /* UNSHARE came */
};

/*
 * A view of it. Each byte is in one piece: those that the other process has, which the device holds, and what it
 * gave, of which each GIVE is one.
 */
struct shm__peer_piece {
	enum shm__peer_kind kind;
	bool ours;                     /* given, and not returned yet */
	struct shm__peer_in *in;       /* NULL: the other process has ended it */
	struct shm__peer_piece *next;  /* of the memory's */
	struct metal_generic_shm *shm; /* a reference, while it is among these */
	struct metal_generic_shm *view;
	uint64_t offset, size;
	enum metal_shm_dir dir; /* of the last GIVE */
	enum shm__code result;  /* of the next RETURN */
};

#define SHM__PEER_PIECES 256u /* beyond that neighbours are made one */

/* A thread that asked for memory and waits for the answer; lives on its stack. */
struct shm__peer_asked {
	struct shm__peer_asked *next;
	struct metal_generic_shm *shm; /* with a reference: the answer */
	uint32_t tag;                  /* 0: not asked yet */
	int error;                     /* or why there is none */
};

/* For the program, in the order in which it came. */
struct shm__peer_item {
	struct metal_generic_shm *shm; /* given, with a reference; NULL: a message */
	enum metal_shm_dir dir;
	uint32_t size;
	uint8_t data[SHM__USER_MAX];
};

/* What can be given at a time, and one message more than the window. */
#define SHM__PEER_ITEMS (SHM__PEER_GIVES + SHM__PEER_WINDOW + 1)

/* A record that waits for credit, or for the other process to be there. */
struct shm__peer_wish {
	struct shm__peer_wish *next;
	uint16_t type;
	struct shm__peer_out *out; /* SHARE, RECALL */
	struct shm__peer_asked *asked;
	struct shm__peer_lot *lot; /* GIVE */
	uint32_t id;               /* UNSHARE, RETURN, UNSHARED; REFUSE: the tag */
	uint64_t offset, size;     /* RETURN, RECALL; REQUEST: size */
	enum metal_shm_dir dir;
	metal_shm_type memory; /* REQUEST */
	enum shm__code code;
	uint32_t length; /* USER */
	uint8_t data[];
};

struct shm__peer {
	struct metal_device *dev;
	struct metal_device *source; /* of what it shares */
	int fd;
	shm__mutex hearing;
	struct shm__peer_piece
		*arriving; /* what the thread that hears attaches as the other's, or NULL */
	shm__thread hearer;
	bool met; /* a session began */

	shm__mutex lock;
	struct shm__session session;
	struct shm__share mine[SHM__PEER_SHARES], theirs[SHM__PEER_SHARES];
	struct shm__give given[SHM__PEER_GIVES], taken[SHM__PEER_GIVES];
	struct shm__out unsent[SHM__PEER_UNSENT]; /* what the socket had no room for */
	unsigned unsent_count;
	int unsent_fd; /* a copy, beside the first of these, or -1 */
	struct shm__peer_wish *wishes, **wishes_end;
	struct shm__peer_wish *failed; /* that nobody has told the core of */
	struct shm__peer_out *outs;
	struct shm__peer_in *ins;
	struct shm__peer_item items[SHM__PEER_ITEMS];
	unsigned items_first, items_count;
	struct shm__waiter *waiters;
	struct shm__peer_asked *asked;
	uint32_t answering; /* the tag of what the thread that hears attaches, or 0 */
	int (*grant)(void *user, uint64_t size, metal_shm_type type,
		     struct metal_generic_shm **ret);
	void *grant_user;
	void (*recalled)(void *user, struct metal_generic_shm *shm);
	void *recalled_user;
	atomic_bool leaving; /* something is to be left: see left */
	atomic_bool over;    /* the program closed it */
	atomic_uint needs;   /* METAL_SHM_* of its memory, as the program says */
	int dead;            /* -errno, why nothing goes any more; 0 */
};

extern const struct metal_shm_device_ops shm__peer_ops;

/* An error of the protocol's in the program's words; 0 for OK. */
int shm__peer_errno(enum shm__code code);

/* peer_say.c, all under lock */
/* Say it now, or as soon as it can be said. wish is a pattern, copied if need be. 0 or -errno. */
int shm__peer_say(struct shm__peer *peer, const struct shm__peer_wish *wish, const void *data);
/* Send an answer of the session's. */
void shm__peer_answer(struct shm__peer *peer, const struct shm__out *out);
/* Say what can be said now. */
void shm__peer_flush(struct shm__peer *peer);
/* Forget what was to be said of a memory that goes, or all of it (NULL). */
void shm__peer_forget(struct shm__peer *peer, const struct shm__peer_out *out);

/* peer_out.c; those under lock let go of it meanwhile */
int shm__peer_share(struct shm__peer *peer, const struct metal_shm_attachment *at,
		    struct metal_shm_view *ret_view);
void shm__peer_unshare(struct shm__peer *peer, struct shm__peer_lot *lot);
int shm__peer_give(struct shm__peer *peer, struct shm__peer_lot *lot, enum metal_shm_dir dir);
/* Its work is over. Under lock. */
void shm__peer_done(struct shm__peer *peer, struct shm__peer_lot *lot, int error);
/* Bytes came back. Under lock. */
void shm__peer_returned(struct shm__peer *peer, const struct shm__event *event);
/* The other process is through with what was shared; true: whoever waits for bytes may look. Under lock. */
bool shm__peer_unshared(struct shm__peer *peer, const struct shm__event *event);
/* The process has ended. Under both locks. */
void shm__peer_end_outs(struct shm__peer *peer);

/* peer_in.c, under both locks if nothing else is said */
/* 0 or -errno; as if it had never come. */
int shm__peer_arrive(struct shm__peer *peer, const struct shm__message *message,
		     const struct shm__event *event);
/* What was given is the program's: a handle with a reference, or NULL with the code of the refusal. */
struct metal_generic_shm *shm__peer_given(struct shm__peer *peer, const struct shm__event *event,
					  struct shm__peer_piece **ret_piece,
					  enum shm__code *ret_code);
/* The program returns it. With neither lock. */
int shm__peer_give_back(struct shm__peer *peer, struct shm__peer_piece *piece,
			enum metal_shm_dir dir);
/* UNSHARE came. */
void shm__peer_ends_in(struct shm__peer *peer, struct shm__peer_in *in);
/* What the program is through with. */
void shm__peer_leave_left(struct shm__peer *peer);
/* The handles of what the program has among these bytes, each with a reference; how many. */
unsigned shm__peer_recalled(const struct shm__event *event,
			    struct metal_generic_shm *ret_shm[SHM__PEER_GIVES]);
/* The process has ended. */
void shm__peer_end_ins(struct shm__peer *peer);

/* peer_request.c, under lock, which those that ask the program let go of */
void shm__peer_requested(struct shm__peer *peer, const struct shm__wire_request *request);
void shm__peer_ask_back(struct shm__peer *peer, const struct shm__event *event);
/* Memory that was asked for came, with a reference; false: nobody waits for it. */
bool shm__peer_answered(struct shm__peer *peer, uint32_t tag, struct metal_generic_shm *shm);
void shm__peer_refused(struct shm__peer *peer, uint32_t tag, enum shm__code code);

/* peer_next.c */
/* Hear until look, which is called under lock, says something else than -EAGAIN; that, or -ETIMEDOUT, -EMFILE. */
int shm__peer_wait(struct shm__peer *peer, int64_t timeout_ns,
		   int (*look)(struct shm__peer *peer, void *user), void *user);
/* NULL: not an open peer. */
struct shm__peer *shm__open_peer_of(struct metal_device *dev);

/* peer_hear.c */
/* Read until something came that the program may wait for; what nobody else does. */
int shm__peer_hear(struct shm__peer *peer);
/* The program closed it: end all, now or as soon as the thread that hears can. */
void shm__peer_end(struct shm__peer *peer);
/* What was given and is returned needs no telling any more. The reference to end; under lock. */
struct metal_generic_shm *shm__peer_unready(struct shm__peer *peer,
					    const struct shm__peer_piece *piece);

#endif
