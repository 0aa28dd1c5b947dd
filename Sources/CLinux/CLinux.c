#define _GNU_SOURCE 1

#include <malloc.h>
#include "CLinux.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static_assert(sizeof(struct cln_message) == sizeof(struct mmsghdr), "mmsghdr has another size");
static_assert(offsetof(struct cln_message, length) == offsetof(struct mmsghdr, msg_len),
              "mmsghdr has another layout");

int cln_receive(int fd, struct cln_message *messages, unsigned count, _Bool waits) {
    int flags = waits ? MSG_WAITFORONE : MSG_DONTWAIT;
    int got = recvmmsg(fd, (struct mmsghdr *)messages, count, flags, NULL);
    return got < 0 ? -errno : got;
}

int cln_send(int fd, struct cln_message *messages, unsigned count) {
    int sent = sendmmsg(fd, (struct mmsghdr *)messages, count, MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

int cln_connect(int fd, const unsigned char *address, unsigned length, unsigned short port) {
    struct sockaddr_in6 long_name = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in short_name = {.sin_family = AF_INET, .sin_port = htons(port)};
    const struct sockaddr *name = (const struct sockaddr *)&long_name;
    socklen_t size = sizeof long_name;
    if (length == sizeof short_name.sin_addr) {
        memcpy(&short_name.sin_addr, address, length);
        name = (const struct sockaddr *)&short_name;
        size = sizeof short_name;
    } else if (length == sizeof long_name.sin6_addr) {
        memcpy(&long_name.sin6_addr, address, length);
    } else {
        return -EINVAL;
    }
    return connect(fd, name, size) < 0 ? -errno : 0;
}

int cln_accept(int fd, struct sockaddr_storage *peer) {
    socklen_t size = sizeof *peer;
    int accepted = accept4(fd, (struct sockaddr *)peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return accepted < 0 ? -errno : accepted;
}

int cln_poll_create(void) {
    int poll = epoll_create1(EPOLL_CLOEXEC);
    return poll < 0 ? -errno : poll;
}

static int poll_set(int poll, int operation, int fd, unsigned long long tag, uint32_t events) {
    struct epoll_event event = {.events = events, .data.u64 = tag};
    return epoll_ctl(poll, operation, fd, &event) < 0 ? -errno : 0;
}

int cln_poll_add(int poll, int fd, unsigned long long tag) {
    return poll_set(poll, EPOLL_CTL_ADD, fd, tag, EPOLLIN);
}

void cln_poll_change(int poll, int fd, unsigned long long tag, _Bool writes) {
    poll_set(poll, EPOLL_CTL_MOD, fd, tag, writes ? EPOLLOUT : EPOLLIN);
}

void cln_poll_remove(int poll, int fd) { poll_set(poll, EPOLL_CTL_DEL, fd, 0, 0); }

int cln_poll_wait(int poll, unsigned long long *tags, unsigned count, int milliseconds) {
    struct epoll_event events[CLN_POLL_LIMIT];
    int ready = epoll_wait(poll, events, count < CLN_POLL_LIMIT ? count : CLN_POLL_LIMIT, milliseconds);
    for (int i = 0; i < ready; i++) tags[i] = events[i].data.u64;
    return ready < 0 ? -errno : ready;
}

const unsigned long cln_control_room = CMSG_SPACE(sizeof(struct in6_pktinfo));

void cln_reply_from_asked_address(struct msghdr *received, struct msghdr *reply) {
    reply->msg_control = NULL;
    reply->msg_controllen = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(received); c; c = CMSG_NXTHDR(received, c)) {
        size_t size = 0;
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            if (c->cmsg_len != CMSG_LEN(size = sizeof info)) continue;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            info.ipi_ifindex = 0;
            memcpy(CMSG_DATA(c), &info, sizeof info);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            if (c->cmsg_len != CMSG_LEN(size = sizeof info)) continue;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) info.ipi6_ifindex = 0;
            memcpy(CMSG_DATA(c), &info, sizeof info);
        } else {
            continue;
        }
        reply->msg_control = c;
        reply->msg_controllen = CMSG_SPACE(size);
        return;
    }
}

void cln_begin_thread(const char *name) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT};
    sigset_t others;
    sigfillset(&others);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&others, faults[i]);
    pthread_sigmask(SIG_BLOCK, &others, NULL);
    char short_name[16] = {0};
    strncpy(short_name, name, sizeof short_name - 1);
    pthread_setname_np(pthread_self(), short_name);
}

int cln_use_spare_time(void) {
    struct sched_param none = {0};
    return sched_setscheduler(0, SCHED_IDLE, &none) < 0 ? -errno : 0;
}

void cln_trim_memory(void) { malloc_trim(0); }

/// A descriptor of a file in memory that has so many octets and is at its beginning.
static int memory_file(const void *octets, unsigned long count) {
    int file = memfd_create("input", MFD_CLOEXEC);
    if (file < 0) return -errno;
    ssize_t written = write(file, octets, count);
    if (written == (ssize_t)count && lseek(file, 0, SEEK_SET) == 0) return file;
    int error = written < 0 ? errno : ENOSPC;
    close(file);
    return -error;
}

int cln_spawn(const char *path, char *const *arguments, char *const *environment, const void *input,
              unsigned long input_count, int *output) {
    int ends[2], in = -1;
    if (input_count > 0 && (in = memory_file(input, input_count)) < 0) return in;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        int error = errno;
        if (in >= 0) close(in);
        return -error;
    }
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    pid_t process = 0;
    int error = posix_spawnattr_init(&attributes);
    if (!error) {
        error = posix_spawn_file_actions_init(&actions);
        if (!error) {
            short flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
            posix_spawnattr_setflags(&attributes, flags);
            posix_spawnattr_setpgroup(&attributes, 0);
            posix_spawnattr_setsigmask(&attributes, &none);
            posix_spawnattr_setsigdefault(&attributes, &all);
            error = in >= 0 ? posix_spawn_file_actions_adddup2(&actions, in, 0)
                            : posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
            if (!error) error = posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
            if (!error) error = posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
            if (!error) error = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
            if (!error) error = posix_spawn_file_actions_addchdir_np(&actions, "/");
            if (!error) error = posix_spawn(&process, path, &actions, &attributes, arguments, environment);
            posix_spawn_file_actions_destroy(&actions);
        }
        posix_spawnattr_destroy(&attributes);
    }
    close(ends[1]);
    if (in >= 0) close(in);
    if (error) {
        close(ends[0]);
        return -error;
    }
    *output = ends[0];
    return process;
}

int cln_reap(int process) {
    siginfo_t info = {0};
    // It stays a zombie until its group is killed, so that the number is nobody else's.
    if (waitid(P_PID, (id_t)process, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
        return errno == EINTR ? CLN_RUNNING : -1000 - errno;
    if (info.si_pid == 0) return CLN_RUNNING;
    kill(-process, SIGKILL);
    waitid(P_PID, (id_t)process, &info, WEXITED);
    return info.si_code == CLD_EXITED ? info.si_status : 256 + info.si_status;
}
