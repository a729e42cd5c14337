/* The five entry points, and the environment's. See netmap_verify/user.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "netmap_verify/abi_api14.h"
#include "user.h"

/* enum nmd_dir */
#define RX 0
#define TX 1

static int
fail(int error)
{
	if (error == 0)
		return 0;
	errno = error;
	return -1;
}

int
nmu_open(const char *directory, int flags)
{
	struct nmp_answer a;
	int fd = nmu_connect(directory, flags), error;

	if (fd < 0)
		return -1;
	error = nmu_call(fd, NMP_HELLO, NULL, NULL, 0, &a, NULL, 0, NULL);
	if (error != 0) {
		close(fd);
		return fail(error);
	}
	nmu_local_open(fd, a.arg[0] == NMP_IN_PROCESS);
	return fd;
}

int
nmu_close(int fd)
{
	if (!nmu_ours(fd))
		return fail(EBADF);
	nmu_local_close(fd);
	return close(fd);
}

static int
sync_rings(int fd, uint64_t dir)
{
	const uint64_t arg[2] = { dir, 0 };
	struct nmp_answer a;
	int result = nmu_local_sync(fd, (int)dir);

	if (result != NMU_CALL)
		return result;
	if (!nmu_ours(fd))
		return EBADF;
	return nmu_call(fd, NMP_SYNC, arg, NULL, 0, &a, NULL, 0, NULL);
}

int
nmu_ioctl(int fd, unsigned long request, void *arg)
{
	switch (request) {
	case NIOCTXSYNC:
		return fail(sync_rings(fd, TX));
	case NIOCRXSYNC:
		return fail(sync_rings(fd, RX));
	case NIOCCTRL:
		return fail(nmu_ours(fd) ? nmu_control(fd, arg) : EBADF);
	default:
		return fail(nmu_ours(fd) ? EOPNOTSUPP : EBADF);
	}
}

void *
nmu_mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	const uint64_t arg[2] = { length, (uint64_t)offset };
	struct nmp_answer a;
	uint32_t nfds = 0;
	int region, error;
	void *at;

	if (!nmu_ours(fd)) {
		errno = EBADF;
		return MAP_FAILED;
	}
	error = nmu_call(fd, NMP_MMAP, arg, NULL, 0, &a, &region, 1, &nfds);
	if (error == 0 && nfds != 1)
		error = ENODEV;
	if (error != 0) {
		errno = error;
		return MAP_FAILED;
	}
	at = mmap(addr, length, prot, flags, region, offset);
	error = errno;
	close(region);
	if (at != MAP_FAILED)
		nmu_mapped(at, fd);
	errno = error;
	return at;
}

int
nmu_munmap(void *addr, size_t length)
{
	int result = munmap(addr, length);

	if (result == 0)
		nmu_unmapped(addr);
	return result;
}

/* --- environment ------------------------------------------------------------------------------- */

int
nmu_configure(int fd, const struct nmu_port *ports, size_t count)
{
	struct nmp_answer a;

	_Static_assert(sizeof(struct nmu_port) == sizeof(struct nmp_port), "sent as it is");
	if (count > NMP_DATA / sizeof(*ports))
		return fail(E2BIG);
	return fail(nmu_call(fd, NMP_CONFIGURE, NULL, ports, (uint32_t)(count * sizeof(*ports)), &a, NULL, 0,
			     NULL));
}

static int
name_first(uint8_t *data, const char *port)
{
	size_t n = strnlen(port, NMP_PORT_NAME);

	if (n == NMP_PORT_NAME)
		return ENAMETOOLONG;
	memset(data, 0, NMP_PORT_NAME);
	memcpy(data, port, n);
	return 0;
}

int
nmu_frame(int fd, const char *port, int side, const void *data, size_t length)
{
	const uint64_t arg[2] = { (uint64_t)side, 0 };
	uint8_t message[NMP_DATA];
	struct nmp_answer a;
	int error = name_first(message, port);

	if (error != 0)
		return fail(error);
	if (length > NMP_DATA - NMP_PORT_NAME)
		return fail(EMSGSIZE);
	memcpy(message + NMP_PORT_NAME, data, length);
	return fail(nmu_call(fd, NMP_FRAME, arg, message, (uint32_t)length + NMP_PORT_NAME, &a, NULL, 0, NULL));
}

ssize_t
nmu_frames(int fd, const char *port, int side, void *data, size_t room)
{
	const uint64_t arg[2] = { (uint64_t)side, 0 };
	uint8_t name[NMP_PORT_NAME];
	struct nmp_answer a;
	int error = name_first(name, port);

	if (error == 0)
		error = nmu_call(fd, NMP_FRAMES, arg, name, sizeof(name), &a, NULL, 0, NULL);
	if (error == 0 && a.length > room)
		error = EMSGSIZE;
	if (error != 0)
		return fail(error);
	memcpy(data, a.data, a.length);
	return (ssize_t)a.length;
}

int
nmu_quiet(int fd)
{
	struct nmp_answer a;
	int error = nmu_call(fd, NMP_QUIET, NULL, NULL, 0, &a, NULL, 0, NULL);

	return error != 0 ? fail(error) : a.arg[0] != 0;
}

int
nmu_stats(int fd, struct nmu_stats *stats)
{
	struct nmp_answer a;
	int error = nmu_call(fd, NMP_STATS, NULL, NULL, 0, &a, NULL, 0, NULL);

	_Static_assert(sizeof(*stats) == sizeof(struct nmp_stats), "sent as it is");
	if (error == 0 && a.length != sizeof(*stats))
		error = ENODEV;
	if (error == 0)
		memcpy(stats, a.data, sizeof(*stats));
	return fail(error);
}

const char *
nmu_mode(int fd)
{
	struct nmp_answer a;

	if (nmu_call(fd, NMP_HELLO, NULL, NULL, 0, &a, NULL, 0, NULL) != 0)
		return NULL;
	return a.arg[0] == NMP_BROKERED ? "brokered" : "in-process";
}
