/* One request to the broker and its answer. The answer comes back on a socket made for it. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "user.h"

union fd_room {
	char room[CMSG_SPACE((NMP_FDS + 2) * sizeof(int))];
	struct cmsghdr align;
};

static int
send_request(int fd, const struct nmp_request *head, const void *data, uint32_t length, int reply)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec io[2] = { { (void *)(uintptr_t)head, offsetof(struct nmp_request, data) },
			       { (void *)(uintptr_t)data, length } };
	struct msghdr m = { .msg_iov = io, .msg_iovlen = length > 0 ? 2 : 1, .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;

	memset(&control, 0, sizeof(control));
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &reply, sizeof(int));
	while (sendmsg(fd, &m, MSG_NOSIGNAL) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == EBADF || errno == ENOTSOCK || errno == EMFILE || errno == ENOMEM)
			return errno;
		return ENODEV; /* nobody at the other end */
	}
	return 0;
}

static int
receive_answer(int sock, struct nmp_answer *a, int *fds, uint32_t room, uint32_t *nfds)
{
	union fd_room control;
	struct iovec io = { a, sizeof(*a) };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	size_t i, count;
	ssize_t got;
	int fd;

	*nfds = 0;
	while ((got = recvmsg(sock, &m, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
		;
	for (c = got > 0 ? CMSG_FIRSTHDR(&m) : NULL; c != NULL; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (*nfds < room)
				fds[(*nfds)++] = fd;
			else
				close(fd);
		}
	}
	if (got < (ssize_t)offsetof(struct nmp_answer, data) ||
	    (size_t)got != offsetof(struct nmp_answer, data) + a->length)
		return ENODEV;
	return 0;
}

int
nmu_call(int fd, uint32_t op, const uint64_t arg[2], const void *data, uint32_t length,
	 struct nmp_answer *a, int *fds, uint32_t room, uint32_t *nfds)
{
	struct {
		uint32_t magic, op, length, reserved;
		uint64_t arg[2];
	} head = { NMP_MAGIC, op, length, 0, { 0, 0 } };
	uint32_t none;
	int pair[2], error;

	_Static_assert(sizeof(head) == offsetof(struct nmp_request, data), "a request's head");
	a->error = 0;
	a->length = 0;
	if (length > NMP_DATA)
		return EMSGSIZE;
	if (arg != NULL)
		memcpy(head.arg, arg, sizeof(head.arg));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return errno;
	error = send_request(fd, (const struct nmp_request *)(const void *)&head, data, length, pair[1]);
	close(pair[1]); /* the broker's copy is the only one: its death ends our waiting */
	if (error == 0)
		error = receive_answer(pair[0], a, fds, room, nfds != NULL ? nfds : &none);
	close(pair[0]);
	return error != 0 ? error : a->error;
}

/* --- addresses of the application -------------------------------------------------------------- */

/*
 * A wrong address in a request is EFAULT, as from a kernel, not a crash: the kernel itself is asked
 * to read or write it, through a pipe.
 */
static int
through_pipe(void *to, const void *from, size_t length)
{
	int pair[2], error = 0;
	ssize_t n;

	if (length == 0)
		return 0;
	if (pipe(pair) != 0)
		return ENOMEM;
	n = write(pair[1], from, length); /* a pipe has room for far more than a request */
	if (n != (ssize_t)length)
		error = EFAULT;
	else if (read(pair[0], to, length) != (ssize_t)length)
		error = EFAULT;
	close(pair[0]);
	close(pair[1]);
	return error;
}

int
nmu_copy_in(void *to, const void *from, size_t length)
{
	return through_pipe(to, from, length);
}

int
nmu_copy_out(void *to, const void *from, size_t length)
{
	return through_pipe(to, from, length);
}
