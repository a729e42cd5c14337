/* See netmap_verify/backend.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "netmap_verify/backend.h"
#include "netmap_verify/user.h"

static int
node_open(const char *device, int flags)
{
	return open(device, flags | O_RDWR);
}

static int
node_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg);
}

static const struct nmx_ops node = { node_open, node_ioctl, mmap, munmap, poll, close };

/* "user" finds the device's directory by itself, "user:DIRECTORY" says where. */
static int
user_open(const char *device, int flags)
{
	return nmu_open(device[4] == ':' ? device + 5 : NULL, flags);
}

static const struct nmx_ops user = { user_open, nmu_ioctl, nmu_mmap, nmu_munmap, nmu_poll, nmu_close };

const struct nmx_ops *
nmx_ops(const char *device)
{
	if (strcmp(device, "user") == 0 || (strncmp(device, "user:", 5) == 0 && device[5] != '\0'))
		return &user;
	if (device[0] == '/')
		return &node;
	errno = EINVAL;
	return NULL;
}

int
nmx_check(const char *device, char *message, size_t room)
{
	const struct nmx_ops *ops = nmx_ops(device);
	int fd, error;

	if (room > 0)
		message[0] = '\0';
	if (ops == NULL) {
		(void)snprintf(message, room, "%s: neither 'user' nor the path of a device node", device);
		return EINVAL;
	}
	fd = ops->open(device, O_CLOEXEC);
	if (fd >= 0)
		return ops->close(fd) == 0 ? 0 : errno;
	error = errno;
	if (ops == &node && error == ENOENT)
		(void)snprintf(message, room,
			       "%s: no such device node: load the netmap module, or use the device 'user'",
			       device);
	else if (ops == &user && error == ENOENT)
		(void)snprintf(message, room, "%s: no nm-broker to start beside the library: run make native",
			       device);
	else
		(void)snprintf(message, room, "%s: cannot be opened: %s", device, strerror(error));
	return error;
}
