/*
 * Driving a netmap device, whichever: the five entry points as a table, the same for the device in
 * user space and for a node of the kernel such as /dev/netmap.
 */
#ifndef NETMAP_VERIFY_BACKEND_H
#define NETMAP_VERIFY_BACKEND_H

#include <poll.h>
#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NMX_PUBLIC __attribute__((visibility("default")))

/* Meaning, results and errno are those of the system calls of the same names. */
struct nmx_ops {
	int (*open)(const char *device, int flags);
	int (*ioctl)(int fd, unsigned long request, void *arg);
	void *(*mmap)(void *addr, size_t length, int prot, int flags, int fd, off_t offset);
	int (*munmap)(void *addr, size_t length);
	int (*poll)(struct pollfd *fds, nfds_t nfds, int timeout_ms);
	int (*close)(int fd);
};

/*
 * The table for `device`: "user" or "user:DIRECTORY" is the device in user space, anything with a
 * slash in front a node. NULL with errno EINVAL: neither.
 */
NMX_PUBLIC const struct nmx_ops *nmx_ops(const char *device);

/*
 * Can `device` be opened? 0, or an errno with one line for the user in `message`; nothing stays
 * open.
 */
NMX_PUBLIC int nmx_check(const char *device, char *message, size_t room);

#ifdef __cplusplus
}
#endif

#endif
