// The floor of a UDP server, for `scripts/bench`: what the kernel alone charges for taking a query and
// sending an answer as long. It takes datagrams in batches, as Rhumb does, sets QR and sends them back.
//
// usage: Echo PORT        (on 127.0.0.1, until it is killed)
#define _GNU_SOURCE 1

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BATCH = 32, ROOM = 4096, BUFFER = 4 << 20 };

static unsigned char octets[BATCH][ROOM + 64];
static struct sockaddr_in peers[BATCH];
static struct iovec parts[BATCH];
static struct mmsghdr messages[BATCH];

static void fail(const char *call) {
    perror(call);
    exit(1);
}

int main(int count, char **arguments) {
    if (count != 2) {
        fprintf(stderr, "usage: Echo PORT\n");
        return 2;
    }
    int fd = socket(AF_INET, SOCK_DGRAM, 0), size = BUFFER;
    if (fd < 0) fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1]))};
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&here, sizeof here) < 0) fail("bind");
    for (int i = 0; i < BATCH; i++) {
        parts[i].iov_base = octets[i];
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
        messages[i].msg_hdr.msg_name = &peers[i];
    }
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            parts[i].iov_len = ROOM;
            messages[i].msg_hdr.msg_namelen = sizeof peers[i];
        }
        int received = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
        for (int i = 0; i < received; i++) {
            parts[i].iov_len = messages[i].msg_len;
            octets[i][2] |= 0x80;
        }
        for (int sent = 0; sent < received;) {
            int taken = sendmmsg(fd, messages + sent, received - sent, 0);
            sent += taken > 0 ? taken : 1; // what can't be sent is left out
        }
    }
}
