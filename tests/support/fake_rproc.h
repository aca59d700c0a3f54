/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file fake_rproc.h
 * A kernel's files for coprocessors, for unit tests: /sys/class/remoteproc, /sys/bus/rpmsg, /sys/class/rpmsg,
 * /dev/remoteprocN, /dev/rpmsg_ctrlN and /dev/rpmsgN are answered from a folder of the test's own, by the
 * program's open(), write() and ioctl(). The firmware's end of an endpoint is a socket of the test's.
 */
#ifndef FAKE_RPROC_H
#define FAKE_RPROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_rproc {
	/* errno values to answer with; 0: none */
	int start_error;     /* to "start" */
	int stop_error;      /* to "stop" */
	int create_error;    /* to RPMSG_CREATE_EPT_IOCTL */
	int endpoint_error;  /* to open() of an endpoint */
	int write_error;     /* to write() on an endpoint */
	bool older;          /* a kernel whose "stop" takes no crashed core: it has to "recover" */
	bool kept;           /* another program started the core too: "stop" leaves it running */
	bool stops_at_close; /* closing the node stops the core, as was asked */
	bool silent;         /* a core that starts announces nothing */

	/* the importer module: /dev/shm_importer, once a test made that file */
	int attach_error; /* to SHM_IMPORT_ATTACH */
	unsigned pieces;  /* that a memory is seen in; 0 is 1 */
	uint64_t spread;  /* from one piece to the next; 0: twice its length */
	uint32_t flags;   /* of the coprocessor and its attachments */
	bool runs;        /* what SHM_IMPORT_STATUS says */
	bool reads_only;  /* descriptors are for reading */

	/* seen */
	unsigned attached, unshared,
		held; /* now attached; released with SHM_IMPORT_UNSHARED, without */
	unsigned starts, stops, made;
	int shutdown_on_release; /* as set last */
	uint32_t destination;    /* of the endpoint that was made last */
};

/** Begin with one core, remoteproc0 called "dsp", which is offline, and firmware "dsp.elf". */
struct fake_rproc *fake_rproc_begin(void);
/** Remove all; no descriptor of an endpoint may be open. */
void fake_rproc_end(void);

/** Write a file below the fake's root, making folders; @p path as the program would name it. */
void fake_rproc_file(const char *path, const char *text);
void fake_rproc_bytes(const char *path, const void *data, size_t size);
void fake_rproc_link(const char *path, const char *target);
void fake_rproc_remove(const char *path);
void fake_rproc_read(const char *path, char *ret_text, size_t size);

/** open() of @p path fails with @p error from now on, in sysfs for writing alone; 0: no more. One path. */
void fake_rproc_refuse(const char *path, int error);

/** The kernel's devices of a started core: a virtio bus with its control device. */
void fake_rproc_bus(const char *id, unsigned virtio);
void fake_rproc_no_bus(const char *id, unsigned virtio);
/** The firmware announces a service. */
void fake_rproc_announce(const char *id, unsigned virtio, const char *service,
			 uint32_t destination);

/** The firmware's end of the endpoint that was opened last; -1: none is open. */
int fake_rproc_firmware_fd(void);
/** The endpoint is gone, as when the core stops: reads and writes fail with EPIPE. */
void fake_rproc_hang_up(void);

#endif
