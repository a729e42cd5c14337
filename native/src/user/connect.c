/*
 * Finding the broker, or starting it. The directory itself is the lock: whoever holds it may look
 * for the socket, remove a dead one and put a new one there; a broker takes the same lock before
 * it leaves. So there is never more than one, and never none that somebody believes in.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user.h"

#define BROKER "nm-broker"
#define PATH 4096

extern char **environ;

static int
directory(const char *named, char path[PATH])
{
	const char *dir = getenv("NETMAP_VERIFY_DIR"), *run = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	int fd, n;

	if (named != NULL)
		n = snprintf(path, PATH, "%s", named);
	else if (dir != NULL && dir[0] != '\0')
		n = snprintf(path, PATH, "%s", dir);
	else if (run != NULL && run[0] != '\0')
		n = snprintf(path, PATH, "%s/netmap-verify", run);
	else
		n = snprintf(path, PATH, "/tmp/netmap-verify-%lu", (unsigned long)geteuid());
	if (n < 0 || n >= PATH) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	/* in a place where everybody may write, it must be ours */
	if (fstat(fd, &st) != 0 || st.st_uid != geteuid()) {
		close(fd);
		errno = EACCES;
		return -1;
	}
	return fd;
}

/* The socket's address; a path that is too long goes through the open directory. */
static int
address(struct sockaddr_un *un, const char *path, int dir)
{
	int n;

	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	n = snprintf(un->sun_path, sizeof(un->sun_path), "%s/%s", path, NMP_SOCKET);
	if (n < 0 || (size_t)n >= sizeof(un->sun_path))
		n = snprintf(un->sun_path, sizeof(un->sun_path), "/proc/self/fd/%d/%s", dir, NMP_SOCKET);
	if (n < 0 || (size_t)n >= sizeof(un->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

static int
try_connect(const struct sockaddr_un *un)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), error;

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)un, sizeof(*un)) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* The program beside this library, unless $NETMAP_VERIFY_BROKER names another. */
static int
broker_path(char path[PATH])
{
	const char *named = getenv("NETMAP_VERIFY_BROKER"), *slash;
	Dl_info info;
	int n;

	if (named != NULL && named[0] != '\0') {
		n = snprintf(path, PATH, "%s", named);
	} else {
		if (dladdr((const void *)(uintptr_t)&nmu_open, &info) == 0 || info.dli_fname == NULL) {
			errno = ENOENT;
			return -1;
		}
		slash = strrchr(info.dli_fname, '/');
		n = snprintf(path, PATH, "%.*s" BROKER, slash == NULL ? 0 : (int)(slash + 1 - info.dli_fname),
			     info.dli_fname);
	}
	if (n < 0 || n >= PATH) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

/* Run the broker on `listener`; it detaches itself, so its first process is waited for. */
static int
spawn(int listener, const char *dir)
{
	char path[PATH], number[16];
	const char *mode = getenv("NETMAP_VERIFY_MODE");
	char *argv[] = { path, number, (char *)(uintptr_t)dir, (char *)(uintptr_t)mode, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int error, status;
	pid_t pid;

	if (mode == NULL || mode[0] == '\0')
		argv[3] = (char *)(uintptr_t)"in-process";
	if (broker_path(path) != 0)
		return -1;
	(void)snprintf(number, sizeof(number), "%d", listener);
	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_init(&actions);
	/* onto itself: that clears close-on-exec in the child alone */
	posix_spawn_file_actions_adddup2(&actions, listener, listener);
	error = posix_spawn(&pid, path, &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	if (error != 0) {
		errno = error;
		return -1;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return 0;
}

static int
start(const struct sockaddr_un *un, int dir, const char *path)
{
	int listener, error;

	(void)unlinkat(dir, NMP_SOCKET, 0);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (listener < 0)
		return -1;
	if (bind(listener, (const struct sockaddr *)un, sizeof(*un)) == 0 &&
	    listen(listener, 1024) == 0 && spawn(listener, path) == 0) {
		close(listener);
		return 0;
	}
	error = errno;
	(void)unlinkat(dir, NMP_SOCKET, 0);
	close(listener);
	errno = error;
	return -1;
}

int
nmu_connect(const char *named, int flags)
{
	struct sockaddr_un un;
	char path[PATH];
	int dir = directory(named, path), fd = -1, error;

	if (dir < 0)
		return -1;
	while (flock(dir, LOCK_EX) != 0) {
		if (errno != EINTR)
			goto out;
	}
	if (address(&un, path, dir) != 0)
		goto out;
	fd = try_connect(&un);
	if (fd < 0 && (errno == ENOENT || errno == ECONNREFUSED) && start(&un, dir, path) == 0)
		fd = try_connect(&un);
	if (fd >= 0 && (flags & O_CLOEXEC) == 0)
		(void)fcntl(fd, F_SETFD, 0);
out:
	error = errno;
	close(dir);
	errno = error;
	return fd;
}

bool
nmu_ours(int fd)
{
	struct sockaddr_un un;
	socklen_t length = sizeof(un);
	size_t n, want = strlen(NMP_SOCKET);

	memset(&un, 0, sizeof(un));
	if (getpeername(fd, (struct sockaddr *)&un, &length) != 0 || un.sun_family != AF_UNIX)
		return false;
	n = strnlen(un.sun_path, sizeof(un.sun_path));
	return n > want && memcmp(un.sun_path + n - want, NMP_SOCKET, want) == 0;
}
