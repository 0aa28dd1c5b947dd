#define _GNU_SOURCE 1

#include <malloc.h>
#include "CLinux.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

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

void cln_trim_memory(void) { malloc_trim(0); }
