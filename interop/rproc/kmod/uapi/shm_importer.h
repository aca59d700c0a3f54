/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/**
 * @file shm_importer.h
 * /dev/shm_importer: what a coprocessor calls the memory of a DMA-BUF.
 *
 * A program opens the node, binds the descriptor to one coprocessor (SHM_IMPORT_BIND) and attaches DMA-BUFs
 * (SHM_IMPORT_ATTACH), whose addresses it reads (SHM_IMPORT_SEGMENTS) and sends to the firmware by whatever
 * channel it has. When the firmware has said that it is done, it releases the attachment
 * (SHM_IMPORT_RELEASE with SHM_IMPORT_UNSHARED).
 *
 * What is released without that, by a call, by close() or because the program died, is *held*: it stays
 * attached, and its memory goes to nobody else, until the coprocessor stops or somebody who may says
 * UNSHARED for it. A running coprocessor that nobody told would write into the next owner's memory.
 *
 * An attachment counts for one run of the coprocessor: from a stop or crash on it is void, its addresses
 * mean nothing, and to release it is all that is left to do. The memory stays mapped until then, since to
 * unmap is to synchronise: write back what the CPU wrote first. Read, write and mmap are not there; poll()
 * reports POLLPRI when a run has ended since the last SHM_IMPORT_STATUS.
 *
 * Every structure is the same in 32 and 64 bits; reserved fields are 0 or the call is -EINVAL.
 */
#ifndef SHM_IMPORTER_UAPI_H
#define SHM_IMPORTER_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define SHM_IMPORTER_NODE    "/dev/shm_importer"
#define SHM_IMPORTER_VERSION 1

/** What the coprocessor may do with the memory. */
#define SHM_IMPORT_READ  1
#define SHM_IMPORT_WRITE 2

/**
 * Flags of a coprocessor, an attachment and a segment.
 *
 * COHERENT: the device is said to see what the CPU's caches hold.
 * IOMMU: the remoteproc has one of its own, in which this module makes the addresses up. Not told where the DMA
 * API fills it.
 * NEEDS_SYNC: the CPU and the device may see different bytes until somebody syncs (dma_need_sync()). Without
 * it the segment is coherent.
 * BOUNCED: the device has copies of the bytes elsewhere, which a sync fills or fetches. Only told where caches are
 * coherent and there is no IOMMU; elsewhere NEEDS_SYNC may mean this too.
 */
#define SHM_IMPORT_COHERENT   1
#define SHM_IMPORT_IOMMU      2
#define SHM_IMPORT_NEEDS_SYNC 4
#define SHM_IMPORT_BOUNCED    8

struct shm_import_bind {
	char name
		[64]; /**< in: "remoteproc0" or what its file "name" in sysfs says; with a 0 at the end */
	__u32 version; /**< out: SHM_IMPORTER_VERSION */
	__u32 flags;   /**< out: COHERENT, IOMMU */
	__u64 highest; /**< out: no address is above this one */
	__u64 limit; /**< out: bytes that may be attached at once, by all programs, held ones included */
	__u64 reserved;
};

struct shm_import_attach {
	__s32 fd;       /**< in: a DMA-BUF; it stays the caller's and may be closed */
	__u32 access;   /**< in: SHM_IMPORT_READ, _WRITE or both */
	__u64 id;       /**< out: never 0, never used again */
	__u64 size;     /**< out: of the DMA-BUF */
	__u32 segments; /**< out: how many */
	__u32 flags; /**< out: COHERENT where no segment needs a sync; the others where one has them */
	__u64 reserved;
};

struct shm_import_segment {
	__u64 address; /**< as the coprocessor's program uses it */
	__u64 length;
	__u32 flags;
	__u32 reserved;
};

struct shm_import_segments {
	__u64 id;
	__u64 segments; /**< in: pointer to room for count of struct shm_import_segment */
	__u32 first; /**< in: index of the first that is wanted; in the order of the buffer's bytes */
	__u32 count; /**< in: room; out: how many were written */
};

struct shm_import_release {
	__u64 id;
	__u32 flags; /**< SHM_IMPORT_UNSHARED: the coprocessor said that it doesn't use it any more */
	__u32 reserved;
};
#define SHM_IMPORT_UNSHARED 1

struct shm_import_status {
	__u32 running;  /**< whether SHM_IMPORT_ATTACH can succeed */
	__u32 crashed;  /**< whether the last run ended by a crash */
	__u64 runs;     /**< how many have begun */
	__u64 attached; /**< bytes that programs have attached, of this coprocessor */
	__u64 held;     /**< bytes that are held */
	__u64 limit;    /**< as in struct shm_import_bind, now */
	__u64 reserved;
};

struct shm_import_held {
	__u64 id; /**< in: 0, or the one before; out: the next */
	__u64 size;
	__u64 address; /**< of its first segment */
	__u32 segments;
	__u32 access;
	__u32 uid; /**< of the program that attached it, as in the caller's user namespace */
	__s32 pid; /**< its process, in the initial namespace; it may be gone */
	__u64 run; /**< the run in which it was attached, counted as in struct shm_import_status */
	char program[16];
};

/**
 * Choose the coprocessor, once for each opening.
 *
 * EBUSY: chosen already. ENODEV: there is none of this name, or no driver is bound to its device.
 */
#define SHM_IMPORT_BIND _IOWR('S', 0x60, struct shm_import_bind)

/**
 * Attach a DMA-BUF.
 *
 * ENOTCONN: no coprocessor was chosen. EHOSTDOWN: it isn't running. EBADF, EINVAL: no DMA-BUF. EACCES: the
 * descriptor allows less than is asked for, as one for reading only does. EDQUOT: above the limit. ERANGE:
 * memory that the coprocessor can't reach. EOPNOTSUPP: it has an IOMMU, and no window of addresses was
 * named for it (the module's parameter iova). ENOSPC: that window is full. Others come from the memory's
 * exporter; EIO and ENOMEM often mean that it lies where the device can't reach it.
 */
#define SHM_IMPORT_ATTACH _IOWR('S', 0x61, struct shm_import_attach)

/** Addresses. ENOENT: no such attachment of this descriptor. ESTALE: its run is over. */
#define SHM_IMPORT_SEGMENTS _IOWR('S', 0x62, struct shm_import_segments)

/**
 * Release an attachment. With UNSHARED its memory is free at once; without, it is held while the coprocessor
 * may use it.
 *
 * With UNSHARED also one that is held: EPERM unless the same user had attached it, or CAP_SYS_ADMIN; ENODEV where
 * its driver went without stopping the core, so that nobody can tell any more. ENOENT: there is none of this id.
 */
#define SHM_IMPORT_RELEASE _IOW('S', 0x63, struct shm_import_release)

/** How it stands, and that the end of a run was seen: poll() waits for the next. */
#define SHM_IMPORT_STATUS _IOR('S', 0x64, struct shm_import_status)

/** The held attachment whose id follows. ENOENT: that was the last. */
#define SHM_IMPORT_HELD _IOWR('S', 0x65, struct shm_import_held)

#endif
