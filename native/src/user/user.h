/* Inside libnetmap_user: see netmap_verify/user.h for what it offers. */
#ifndef NMU_INTERNAL_H
#define NMU_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netmap_verify/user.h"
#include "proto.h"

/*
 * A connection to the broker of directory `named` (NULL: the usual one), which is started if there is
 * none; -1 and errno.
 */
int nmu_connect(const char *named, int flags);

/* Is `fd` a descriptor of this device? */
bool nmu_ours(int fd);

/*
 * One request and its answer: 0, or the errno. `data` (of `length` bytes) may be NULL; the answer
 * is written to `a`. At most `room` descriptors that came with it are stored in `fds`; the others
 * are closed; *nfds tells how many. ENODEV: the broker is gone.
 */
int nmu_call(int fd, uint32_t op, const uint64_t arg[2], const void *data, uint32_t length,
	     struct nmp_answer *a, int *fds, uint32_t room, uint32_t *nfds);

/*
 * The data path in this process. NMU_CALL: not here, ask the broker. Otherwise 0 or errno, as the
 * functions of nmd.h.
 */
#define NMU_CALL (-1)
int nmu_local_sync(int fd, int dir);
/* One look; if nothing is ready and `sleep`, the eventfds to sleep on are stored in `fds`. */
int nmu_local_scan(int fd, short events, bool sleep, short *revents, int *fds, uint32_t room,
		   uint32_t *nfds);
void nmu_local_awake(int fd); /* after a scan that said sleep, once the next one is done */
bool nmu_local_here(int fd); /* is it known, and synced in this process? */
void nmu_local_open(int fd, bool in_process);
void nmu_local_close(int fd);

/*
 * `size` bytes of the memory behind `fd`, NULL when it is smaller or cannot be mapped; the caller
 * holds local.c's lock for both.
 */
void *nmu_region_get(int fd, size_t size);
void nmu_region_put(const void *base);

/* Mappings keep their descriptor's binding alive, as with a kernel. */
void nmu_mapped(void *addr, int fd);
void nmu_unmapped(const void *addr);

/* ioctl NIOCCTRL: 0 or errno. */
int nmu_control(int fd, void *header);

/* Copying from and to addresses that may not be there: 0 or EFAULT. */
int nmu_copy_in(void *to, const void *from, size_t length);
int nmu_copy_out(void *to, const void *from, size_t length);

#endif
